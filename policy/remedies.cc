#include "policy/remedies.h"

#include <cerrno>

namespace vrun {
namespace {

constexpr int kOldestMajor = 5;
constexpr int kOldestMinor = 15;

/// A name that the table does not have does not compile.
consteval std::string_view cause(std::string_view name) {
  if (std::find(kCauses.begin(), kCauses.end(), name) == kCauses.end()) throw "not a name in kCauses";
  return name;
}

std::string sudo(const MachineHints& machine) { return machine.is_root ? "" : "sudo "; }

/// The command for now, and what keeps it.
Remedy with_sysctl(Remedy remedy, const std::string& name, const std::string& value, const MachineHints& machine) {
  remedy.command = sudo(machine) + "sysctl -w " + name + "=" + value;
  remedy.advice = machine.distribution == "nixos"
                      ? "to keep it, boot.kernel.sysctl.\"" + name + "\" = " + value + "; in configuration.nix"
                      : "to keep it after a restart, write " + name + "=" + value + " into /etc/sysctl.d/90-vrun.conf";
  return remedy;
}

bool has_limit(const MachineHints& machine, std::string_view kind) {
  return std::find(machine.zero_limits.begin(), machine.zero_limits.end(), kind) != machine.zero_limits.end();
}

/// Whether a kernel that is new enough says that it has no such call, which then is somebody else's answer.
bool is_filtered(const MachineHints& machine) {
  return machine.seccomp_outside && is_kernel_since(machine.kernel, kOldestMajor, kOldestMinor);
}

Remedy old_kernel(const MachineHints& machine) {
  Remedy remedy{cause("old-kernel"), "vrun needs Linux 5.15 or later with user namespaces", "", ""};
  if (machine.kernel.empty() || is_kernel_since(machine.kernel, kOldestMajor, kOldestMinor)) return remedy;
  const std::string& id = machine.distribution;
  if (id == "ubuntu" && !machine.distribution_version.empty())
    remedy.command = sudo(machine) + "apt-get install linux-generic-hwe-" + machine.distribution_version;
  if (id == "debian" && !machine.distribution_name.empty())
    remedy.command = sudo(machine) + "apt-get install -t " + machine.distribution_name +
                     "-backports linux-image-$(dpkg --print-architecture)";
  if (id == "fedora") remedy.command = sudo(machine) + "dnf upgrade kernel";
  if (id == "arch") remedy.command = sudo(machine) + "pacman -Syu linux";
  if (id == "alpine") remedy.command = sudo(machine) + "apk add -u linux-lts";
  if (id.starts_with("opensuse")) remedy.command = sudo(machine) + "zypper update kernel-default";
  remedy.advice =
      remedy.command.empty() ? "this is " + machine.kernel : "restart afterwards; this is " + machine.kernel;
  return remedy;
}

/// The profile of contrib/apparmor, for wherever this vrun is.
Remedy apparmor(const MachineHints& machine) {
  Remedy remedy{cause("apparmor"), "AppArmor keeps programs without a profile from using user namespaces", "", ""};
  const bool plain = !machine.program.empty() && machine.program.find_first_not_of(
                                                     "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
                                                     "0123456789._-/+") == std::string::npos;
  // The path becomes a pattern in the profile and a word for the shell.
  if (!plain) {
    remedy.command = sudo(machine) + "sysctl -w kernel.apparmor_restrict_unprivileged_userns=0";
    return remedy;
  }
  remedy.command = "echo 'abi <abi/4.0>, profile vrun " + machine.program + " flags=(unconfined) { userns, }' | " +
                   sudo(machine) + "tee /etc/apparmor.d/vrun && " + sudo(machine) +
                   "apparmor_parser -r /etc/apparmor.d/vrun";
  remedy.advice = "this gives a profile to vrun alone; for every program at once: " + sudo(machine) +
                  "sysctl -w kernel.apparmor_restrict_unprivileged_userns=0";
  return remedy;
}

Remedy selinux(const MachineHints& machine) {
  return {cause("selinux"), "SELinux may forbid it", sudo(machine) + "ausearch -m avc -ts recent",
          "the lines it prints say which rule; audit2allow(1) makes another one of them"};
}

/// Whatever is around vrun, and what a container has to be started with for a run in it.
Remedy outer_filter(const MachineHints& machine) {
  Remedy remedy{cause("outer-filter"), "", "", ""};
  if (machine.container == "docker") {
    remedy.explanation = "the container's system-call filter forbids namespaces or mounts";
    remedy.advice =
        "start it with: docker run --security-opt seccomp=unconfined --security-opt apparmor=unconfined --security-opt "
        "systempaths=unconfined";
  } else if (machine.container == "podman") {
    remedy.explanation = "the container's system-call filter forbids namespaces or mounts";
    remedy.advice = "start it with: podman run --security-opt seccomp=unconfined --security-opt unmask=ALL";
  } else if (machine.container == "kubernetes") {
    remedy.explanation = "the container's system-call filter forbids namespaces or mounts";
    remedy.advice =
        "give the pod hostUsers: false, and the container the securityContext seccompProfile: {type: Unconfined}, "
        "procMount: Unmasked";
  } else if (!machine.service.empty()) {
    remedy.explanation = "the service " + machine.service + " that vrun runs in forbids namespaces";
    remedy.command = sudo(machine) + "systemctl edit " + machine.service;
    remedy.advice =
        "add, below [Service], RestrictNamespaces=no and what SystemCallFilter= and ProtectKernelTunables= "
        "take away";
  } else {
    remedy.explanation = "a system-call filter around vrun, such as a container's, forbids namespaces";
    remedy.advice = "start the container with one that allows them, or run vrun outside of it";
  }
  return remedy;
}

Remedy covered_proc(const MachineHints& machine) {
  Remedy remedy{
      cause("covered-proc"),
      "the /proc around vrun is covered in parts, as in most containers, and the kernel then refuses a new one", "",
      ""};
  if (machine.container == "docker")
    remedy.advice = "start the container with: docker run --security-opt systempaths=unconfined";
  else if (machine.container == "podman")
    remedy.advice = "start the container with: podman run --security-opt unmask=ALL";
  else if (machine.container == "kubernetes")
    remedy.advice = "give the pod hostUsers: false, and the container the securityContext procMount: Unmasked";
  else
    remedy.advice =
        "start the container with an uncovered /proc (Docker: --security-opt systempaths=unconfined, "
        "Podman: --security-opt unmask=ALL)";
  return remedy;
}

std::optional<Remedy> for_namespaces(int error_number, const MachineHints& machine) {
  if (error_number == ENOSPC) {
    if (machine.nested && has_limit(machine, "user"))
      return Remedy{cause("outer-sandbox"), "the sandbox that vrun was started in allows no further user namespaces",
                    "", "run vrun outside of it"};
    if (!machine.zero_limits.empty()) {
      const std::string& kind = machine.zero_limits.front();
      return with_sysctl(
          {cause("namespaces-off"), (kind == "user" ? "user" : kind) + " namespaces are switched off here", "", ""},
          "user.max_" + kind + "_namespaces", "15000", machine);
    }
    return Remedy{cause("namespaces-used-up"), "a limit on namespaces is used up", "",
                  "see /proc/sys/user/max_*_namespaces"};
  }
  if (machine.unprivileged_userns_clone == 0)
    return with_sysctl({cause("namespaces-off"), "user namespaces are switched off here", "", ""},
                       "kernel.unprivileged_userns_clone", "1", machine);
  if (machine.apparmor_restrict_userns.value_or(0) != 0) return apparmor(machine);
  if (machine.seccomp_outside) return outer_filter(machine);
  if (machine.selinux_enforcing && error_number == EACCES) return selinux(machine);
  if (machine.in_chroot)
    return Remedy{cause("chroot"), "user namespaces cannot be made inside a chroot", "", "run vrun outside of it"};
  if (error_number == ENOSYS || error_number == EINVAL) return old_kernel(machine);
  return std::nullopt;
}

std::optional<Remedy> for_view(int error_number, const MachineHints& machine) {
  if (error_number == ENOSYS) return is_filtered(machine) ? outer_filter(machine) : old_kernel(machine);
  if (error_number == ENOSPC)
    return with_sysctl({cause("mount-limit"), "here ENOSPC means a limit on mounts, not the disk", "", ""},
                       "fs.mount-max", "100000", machine);
  if (error_number != EACCES && error_number != EPERM) return std::nullopt;
  if (machine.apparmor_restrict_userns.value_or(0) != 0) return apparmor(machine);
  if (machine.seccomp_outside) return outer_filter(machine);
  if (machine.selinux_enforcing && error_number == EACCES) return selinux(machine);
  return std::nullopt;
}

std::optional<Remedy> for_scopes(int error_number, const MachineHints& machine) {
  if (error_number == EOPNOTSUPP)
    return Remedy{cause("landlock-off"), "Landlock is built into this kernel and was not switched on at its start", "",
                  "add landlock to the list after lsm= on the kernel's command line, and restart"};
  if (error_number == ENOSYS && is_filtered(machine)) return outer_filter(machine);
  return Remedy{cause("landlock-missing"),
                "with --net=host only Linux 6.12 and later keeps a run from abstract Unix sockets of the host", "",
                "leave --net at none, where a network of the run's own does"};
}

}  // namespace

std::optional<Remedy> find_remedy(SetupStep step, int error_number, const MachineHints& machine) {
  switch (step) {
    case SetupStep::namespaces:
    case SetupStep::identity:
    case SetupStep::network:
      return for_namespaces(error_number, machine);
    case SetupStep::view:
      return for_view(error_number, machine);
    case SetupStep::proc:
      if (error_number == EPERM) return covered_proc(machine);
      return for_view(error_number, machine);
    case SetupStep::owner_map:
      if (error_number != EINVAL && error_number != EPERM) return for_view(error_number, machine);
      return Remedy{cause("no-owner-map"), "its file system cannot show files of root to an unprivileged user", "",
                    "run vrun as the owner of the directory instead of root, or on another file system"};
    case SetupStep::limit:
      if (error_number != EACCES && error_number != EROFS && error_number != EPERM) return std::nullopt;
      if (machine.apparmor_restrict_userns.value_or(0) != 0) return apparmor(machine);
      return Remedy{cause("read-only-sysctl"), "the /proc/sys around vrun cannot be written, as in most containers", "",
                    covered_proc(machine).advice};
    case SetupStep::keyring:
      if (error_number == EDQUOT)
        return with_sysctl({cause("key-quota"), "the user has as many keys as are allowed", "", ""},
                           "kernel.keys.maxkeys", "2000", machine);
      if (machine.seccomp_outside) return outer_filter(machine);
      return std::nullopt;
    case SetupStep::filter:
      if (error_number != EINVAL && error_number != ENOSYS) return std::nullopt;
      if (is_filtered(machine)) return outer_filter(machine);
      return Remedy{cause("no-filter"), "vrun needs a kernel with system-call filters", "",
                    "install one that was built with CONFIG_SECCOMP_FILTER"};
    case SetupStep::scopes:
      return for_scopes(error_number, machine);
    case SetupStep::group:
      return Remedy{
          cause("no-group"), "no control group is delegated to the caller; vrun measures what limits hold", "",
          machine.is_root ? "start vrun in a group of its own with the controllers memory, pids and cpu, or "
                            "name one with --cgroup=DIR"
                          : "log in through systemd, which has a manager for each user, or have root give you "
                            "a group for --cgroup=DIR"};
  }
  return std::nullopt;
}

std::string remedy(SetupStep step, int error_number, const MachineHints& machine) {
  const std::optional<Remedy> found = find_remedy(step, error_number, machine);
  if (!found) return {};
  const std::string& what = found->command.empty() ? found->advice : found->command;
  std::string text = what.empty() ? found->explanation : found->explanation + ": " + what;
  // The two that most containers are in the way of.
  if (step == SetupStep::limit) text += "; --without namespace-limit runs with less protection";
  if (step == SetupStep::keyring) text += "; --without session-keyring runs with less protection";
  return text;
}

}  // namespace vrun
