#include "policy/machine.h"

#include <gtest/gtest.h>

#include <cerrno>
#include <set>

#include "policy/doctor.h"
#include "policy/layers.h"
#include "policy/remedies.h"
#include "tests/unit/fake_host.h"
#include "tests/unit/golden.h"

namespace vrun {
namespace {

TEST(Machine, SaysNothingOfWhatIsNotThere) {
  const FakeHost host;
  const MachineHints machine = read_machine(host.root());
  EXPECT_EQ(machine.zero_limits, std::vector<std::string>{});
  EXPECT_FALSE(machine.unprivileged_userns_clone || machine.apparmor_restrict_userns);
  EXPECT_FALSE(machine.seccomp_outside || machine.nested || machine.selinux_enforcing);
  EXPECT_EQ(machine.container + machine.service + machine.kernel + machine.distribution, "");
}

TEST(Machine, IsReadFromProcAndTheRelease) {
  FakeHost host;
  for (const char* kind : {"user", "mnt", "pid", "net", "ipc", "uts", "cgroup"})
    host.file("/proc/sys/user/max_" + std::string(kind) + "_namespaces",
              std::string(kind) == "net" ? "0\n" : "15000\n");
  host.file("/proc/sys/kernel/unprivileged_userns_clone", "0\n");
  host.file("/proc/sys/kernel/apparmor_restrict_unprivileged_userns", "1\n");
  host.file("/proc/sys/kernel/osrelease", "6.8.0-45-generic\n");
  host.file("/proc/self/status", "Name:\tvrun\nSeccomp:\t2\nSeccomp_filters:\t1\n");
  host.file("/proc/self/uid_map", "         0       1000          1\n");
  host.file("/proc/self/cgroup", "3:cpu:/\n1:name=systemd:/system.slice/runner.service\n0::/\n");
  host.file("/sys/fs/selinux/enforce", "1");
  host.file("/usr/lib/os-release", "NAME=\"Ubuntu\"\nID=ubuntu\nVERSION_ID=\"24.04\"\nVERSION_CODENAME=noble\n");
  const MachineHints machine = read_machine(host.root());
  EXPECT_EQ(machine.zero_limits, std::vector<std::string>{"net"});
  EXPECT_EQ(machine.unprivileged_userns_clone, 0);
  EXPECT_EQ(machine.apparmor_restrict_userns, 1);
  EXPECT_TRUE(machine.seccomp_outside && machine.nested && machine.selinux_enforcing);
  EXPECT_EQ(machine.kernel, "6.8.0-45-generic");
  EXPECT_EQ(machine.service, "runner.service");
  EXPECT_EQ(machine.distribution, "ubuntu");
  EXPECT_EQ(machine.distribution_version, "24.04");
  EXPECT_EQ(machine.distribution_name, "noble");
}

TEST(Machine, OutermostNamespaceIsNotNested) {
  FakeHost host;
  host.file("/proc/self/uid_map", "         0          0 4294967295\n");
  EXPECT_FALSE(read_machine(host.root()).nested);
}

TEST(Machine, UsersManagerIsNoService) {
  FakeHost host;
  host.file("/proc/self/cgroup", "0::/user.slice/user-1000.slice/user@1000.service/app.slice/shell.scope\n");
  EXPECT_EQ(read_machine(host.root()).service, "");
  FakeHost other;
  other.file("/proc/self/cgroup", "0::/user.slice/user-1000.slice/user@1000.service\n");
  EXPECT_EQ(read_machine(other.root()).service, "");
}

TEST(Machine, ContainersAreKnownByTheirMarks) {
  const auto container = [](const char* path, const char* text = "") {
    FakeHost host;
    host.file(path, text);
    return read_machine(host.root()).container;
  };
  EXPECT_EQ(container("/.dockerenv"), "docker");
  EXPECT_EQ(container("/run/.containerenv"), "podman");
  EXPECT_EQ(container("/run/secrets/kubernetes.io/serviceaccount/token"), "kubernetes");
  EXPECT_EQ(container("/run/systemd/container", "lxc\n"), "lxc");
  EXPECT_EQ(container("/run/systemd/container", "\x1b[2J\n"), "");
}

/// It becomes a part of a command line that somebody is told to run as root.
TEST(Machine, ReleaseIsPlain) {
  FakeHost host;
  host.file("/etc/os-release", "ID=ubuntu\nVERSION_ID=\"22.04; reboot\"\n");
  const MachineHints machine = read_machine(host.root());
  EXPECT_EQ(machine.distribution, "ubuntu");
  EXPECT_EQ(machine.distribution_version, "");
}

TEST(Machine, KernelsAreComparedByNumber) {
  EXPECT_TRUE(is_kernel_since("5.15", 5, 15));
  EXPECT_TRUE(is_kernel_since("5.15.0-91-generic", 5, 15));
  EXPECT_TRUE(is_kernel_since("6.1.0", 5, 15));
  EXPECT_TRUE(is_kernel_since("10.0", 5, 15));
  EXPECT_FALSE(is_kernel_since("5.9.16", 5, 15));
  EXPECT_FALSE(is_kernel_since("4.18.0-513.el8", 5, 15));
  EXPECT_FALSE(is_kernel_since("", 5, 15));
  EXPECT_FALSE(is_kernel_since("linux", 5, 15));
}

struct RemedyCase {
  SetupStep step;
  int error_number;
  MachineHints machine;
  std::string_view cause;
  const char* part;
};

class Remedies : public testing::TestWithParam<RemedyCase> {};

TEST_P(Remedies, NameTheCause) {
  const auto found = find_remedy(GetParam().step, GetParam().error_number, GetParam().machine);
  ASSERT_TRUE(found);
  EXPECT_EQ(found->cause, GetParam().cause);
  const std::string text = found->explanation + ": " + found->command + "\n" + found->advice;
  EXPECT_NE(text.find(GetParam().part), std::string::npos) << text;
  // The line of a failed run says the same.
  const std::string line = remedy(GetParam().step, GetParam().error_number, GetParam().machine);
  const std::string& what = found->command.empty() ? found->advice : found->command;
  EXPECT_TRUE(line.starts_with(found->explanation + (what.empty() ? "" : ": " + what))) << line;
  EXPECT_EQ(line.find('\n'), std::string::npos);
}

MachineHints machine(void (*change)(MachineHints&)) {
  MachineHints hints;
  change(hints);
  return hints;
}

MachineHints with_sysctls_of(const char* distribution) {
  MachineHints hints;
  hints.zero_limits = {"user"};
  hints.distribution = distribution;
  return hints;
}

MachineHints on_kernel(const char* kernel, const char* distribution, const char* version = "", const char* name = "") {
  MachineHints hints;
  hints.kernel = kernel;
  hints.distribution = distribution;
  hints.distribution_version = version;
  hints.distribution_name = name;
  return hints;
}

MachineHints filtered(const char* container, const char* service = "") {
  MachineHints hints;
  hints.seccomp_outside = true;
  hints.kernel = "6.8.0";
  hints.container = container;
  hints.service = service;
  return hints;
}

const std::vector<RemedyCase>& cases() {
  static const std::vector<RemedyCase> all = {
      {SetupStep::namespaces, ENOSPC, with_sysctls_of("debian"), "namespaces-off",
       "sudo sysctl -w user.max_user_namespaces=15000"},
      {SetupStep::namespaces, ENOSPC, with_sysctls_of("debian"), "namespaces-off", "/etc/sysctl.d/90-vrun.conf"},
      {SetupStep::namespaces, ENOSPC, with_sysctls_of("nixos"), "namespaces-off",
       "boot.kernel.sysctl.\"user.max_user_namespaces\" = 15000;"},
      {SetupStep::namespaces, ENOSPC, machine([](MachineHints& m) { m.zero_limits = {"net"}; }), "namespaces-off",
       "sudo sysctl -w user.max_net_namespaces=15000"},
      {SetupStep::namespaces, ENOSPC, {}, "namespaces-used-up", "/proc/sys/user/max_*_namespaces"},
      {SetupStep::namespaces, ENOSPC, machine([](MachineHints& m) {
         m.zero_limits = {"user"};
         m.nested = true;
       }),
       "outer-sandbox", "run vrun outside of it"},
      {SetupStep::namespaces, EPERM, machine([](MachineHints& m) { m.unprivileged_userns_clone = 0; }),
       "namespaces-off", "sudo sysctl -w kernel.unprivileged_userns_clone=1"},
      {SetupStep::identity, EPERM, machine([](MachineHints& m) {
         m.apparmor_restrict_userns = 1;
         m.program = "/opt/vrun/bin/vrun";
       }),
       "apparmor",
       "echo 'abi <abi/4.0>, profile vrun /opt/vrun/bin/vrun flags=(unconfined) { userns, }' | sudo tee "
       "/etc/apparmor.d/vrun && sudo apparmor_parser -r /etc/apparmor.d/vrun"},
      {SetupStep::network, EPERM, machine([](MachineHints& m) {
         m.apparmor_restrict_userns = 1;
         m.program = "/home/me/it's {here}/vrun";
       }),
       "apparmor", "sudo sysctl -w kernel.apparmor_restrict_unprivileged_userns=0"},
      {SetupStep::view, EACCES, machine([](MachineHints& m) { m.apparmor_restrict_userns = 1; }), "apparmor", "sudo"},
      {SetupStep::limit, EACCES, machine([](MachineHints& m) { m.apparmor_restrict_userns = 1; }), "apparmor", "sudo"},
      {SetupStep::namespaces, EPERM, filtered(""), "outer-filter", "container"},
      {SetupStep::namespaces, ENOSYS, filtered("docker"), "outer-filter", "--security-opt seccomp=unconfined"},
      {SetupStep::view, EPERM, filtered("podman"), "outer-filter", "podman run --security-opt"},
      {SetupStep::view, ENOSYS, filtered("kubernetes"), "outer-filter", "procMount: Unmasked"},
      {SetupStep::namespaces, EPERM, filtered("", "runner.service"), "outer-filter",
       "sudo systemctl edit runner.service"},
      {SetupStep::keyring, EPERM, filtered("docker"), "outer-filter", "--security-opt seccomp=unconfined"},
      {SetupStep::filter, EINVAL, filtered(""), "outer-filter", "filter"},
      {SetupStep::scopes, ENOSYS, filtered(""), "outer-filter", "filter"},
      {SetupStep::namespaces, EACCES, machine([](MachineHints& m) { m.selinux_enforcing = true; }), "selinux",
       "sudo ausearch -m avc -ts recent"},
      {SetupStep::namespaces, EPERM, machine([](MachineHints& m) { m.in_chroot = true; }), "chroot", "chroot"},
      {SetupStep::namespaces, ENOSYS, {}, "old-kernel", "Linux 5.15"},
      {SetupStep::view, ENOSYS, {}, "old-kernel", "Linux 5.15"},
      {SetupStep::view, ENOSYS, on_kernel("5.4.0-182-generic", "ubuntu", "20.04"), "old-kernel",
       "sudo apt-get install linux-generic-hwe-20.04"},
      {SetupStep::view, ENOSYS, on_kernel("5.10.0-28-amd64", "debian", "11", "bullseye"), "old-kernel",
       "sudo apt-get install -t bullseye-backports linux-image-$(dpkg --print-architecture)"},
      {SetupStep::view, ENOSYS, on_kernel("5.10.0", "opensuse-leap"), "old-kernel", "sudo zypper update"},
      {SetupStep::view, ENOSYS, on_kernel("4.18.0-513.el8", "rhel"), "old-kernel", "this is 4.18.0-513.el8"},
      {SetupStep::view, ENOSPC, {}, "mount-limit", "sudo sysctl -w fs.mount-max=100000"},
      {SetupStep::proc, EPERM, {}, "covered-proc", "systempaths=unconfined"},
      {SetupStep::proc, EPERM, {}, "covered-proc", "unmask=ALL"},
      {SetupStep::proc, EPERM, machine([](MachineHints& m) { m.container = "podman"; }), "covered-proc",
       "podman run --security-opt unmask=ALL"},
      {SetupStep::owner_map, EINVAL, {}, "no-owner-map", "run vrun as the owner"},
      {SetupStep::limit, EROFS, {}, "read-only-sysctl", "/proc/sys"},
      {SetupStep::keyring, EDQUOT, machine([](MachineHints& m) { m.is_root = true; }), "key-quota",
       "user has as many keys as are allowed: sysctl -w kernel.keys.maxkeys="},
      {SetupStep::filter, EINVAL, {}, "no-filter", "CONFIG_SECCOMP_FILTER"},
      {SetupStep::scopes, EOPNOTSUPP, {}, "landlock-off", "lsm="},
      {SetupStep::scopes, EINVAL, {}, "landlock-missing", "6.12"},
      {SetupStep::group, EBUSY, {}, "no-group", "log in through systemd"},
      {SetupStep::group, 0, machine([](MachineHints& m) { m.is_root = true; }), "no-group", "memory, pids and cpu"}};
  return all;
}

INSTANTIATE_TEST_SUITE_P(Table, Remedies, testing::ValuesIn(cases()));

TEST(Remedy, EveryCauseIsInTheTable) {
  std::set<std::string_view> tried;
  for (const RemedyCase& one : cases()) tried.insert(one.cause);
  EXPECT_EQ(tried, std::set<std::string_view>(kCauses.begin(), kCauses.end()));
}

TEST(Remedy, SaysNothingWhenNothingIsKnown) {
  EXPECT_EQ(remedy(SetupStep::view, EIO, {}), "");
  EXPECT_EQ(remedy(SetupStep::namespaces, EPERM, {}), "");
}

Trial failed(std::string_view part, SetupStep step, int error_number, std::string failure, bool spared = false) {
  Trial trial;
  trial.part = part;
  trial.spared = spared;
  trial.works = false;
  trial.step = step;
  trial.error_number = error_number;
  trial.failure = std::move(failure);
  return trial;
}

TEST(Doctor, RendersEveryState) {
  MachineHints hints = on_kernel("6.8.0-45-generic", "ubuntu", "24.04", "noble");
  hints.apparmor_restrict_userns = 1;
  hints.program = "/usr/bin/vrun";
  Trial well;
  well.part = "processes";
  well.layers = {"pid-namespace"};
  Trial blocked = failed("terminals", SetupStep::view, 0, "");
  blocked.layers = {"terminal"};
  blocked.possible = false;
  const Diagnosis diagnosis = diagnose(
      {well,
       failed("view", SetupStep::view, EACCES, "cannot mount memory for the view's '/': EACCES (Permission denied)"),
       blocked, failed("keys", SetupStep::keyring, ENOMEM, "cannot make a session keyring"),
       failed("Landlock", SetupStep::scopes, EINVAL, "cannot keep a run with --net=host from sockets", true)},
      hints);
  EXPECT_EQ(diagnosis.state(), LayerState::impossible);
  expect_golden("doctor.txt", render_diagnosis(diagnosis));
}

TEST(Doctor, SaysInOneLineHowItIs) {
  Trial well;
  well.part = "processes";
  const auto last_line = [](const Diagnosis& diagnosis) {
    const std::string text = render_diagnosis(diagnosis);
    return text.substr(text.rfind('\n', text.size() - 2) + 1);
  };
  const Diagnosis whole = diagnose({well}, on_kernel("6.12.1", "debian"));
  EXPECT_EQ(whole.state(), LayerState::whole);
  EXPECT_EQ(last_line(whole), "Linux 6.12.1: every layer can be had\n");
  const Diagnosis reduced =
      diagnose({well, failed("Landlock", SetupStep::scopes, EINVAL, "x", true)}, on_kernel("6.8.0", "ubuntu"));
  EXPECT_EQ(reduced.state(), LayerState::reduced);
  EXPECT_EQ(last_line(reduced), "Linux 6.8.0: runs start, with 1 of 2 parts reduced\n");
}

}  // namespace
}  // namespace vrun
