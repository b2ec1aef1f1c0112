// The small values around a run: variables, remedies, the comparison of mounts, the walk over steps, the command line.
#include <fcntl.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <cerrno>

#include "policy/mount_check.h"
#include "policy/process_environment.h"
#include "policy/render.h"
#include "runner/apply.h"
#include "runner/options.h"
#include "runner/sys/mount.h"
#include "tests/unit/fake_host.h"

namespace vrun {
namespace {

std::string value_of(const std::vector<Variable>& variables, const std::string& name) {
  for (const Variable& variable : variables)
    if (variable.name == name) return variable.value;
  return "(absent)";
}

/// Sources are opened by paths that were resolved before: whatever has become a link since leads nowhere.
TEST(OpenBeneath, FollowsNoLinkAndLeavesNoDirectory) {
  char name[] = "/tmp/vrun-unit-XXXXXX";
  ASSERT_NE(::mkdtemp(name), nullptr);
  const Fd opened(::open(name, O_PATH | O_DIRECTORY | O_CLOEXEC));
  ASSERT_EQ(::mkdirat(opened.get(), "inside", 0700), 0);
  ASSERT_EQ(::symlinkat("inside", opened.get(), "link"), 0);
  ASSERT_EQ(::symlinkat("/etc", opened.get(), "away"), 0);
  const auto error_of = [&](int at, const char* path) { return sys::open_beneath(at, path, 0).valid() ? 0 : errno; };
  EXPECT_EQ(error_of(opened.get(), "/inside"), 0);
  EXPECT_EQ(error_of(opened.get(), "/inside/../inside"), 0);
  EXPECT_EQ(error_of(opened.get(), "/"), 0);
  for (const char* path : {"/link", "/away", "/away/passwd", "/link/missing"})
    EXPECT_EQ(error_of(opened.get(), path), ELOOP) << path;
  EXPECT_EQ(error_of(opened.get(), "/../etc"), EXDEV);
  const Fd proc(::open("/proc/self", O_PATH | O_DIRECTORY | O_CLOEXEC));
  EXPECT_EQ(error_of(proc.get(), "/cwd"), ELOOP);
  for (const char* link : {"link", "away"}) ::unlinkat(opened.get(), link, 0);
  ::unlinkat(opened.get(), "inside", AT_REMOVEDIR);
  ::rmdir(name);
}

class VariablesTest : public testing::Test {
 protected:
  std::vector<Variable> make(bool system_packages = false) {
    return make_variables(policy_, caller_, "/e", "/home/me", "me", system_packages);
  }
  RunPolicy policy_;
  Caller caller_;
};

TEST_F(VariablesTest, PassOnlyWhatIsListed) {
  caller_.variables = {{"LANG", "de_DE.UTF-8"}, {"LC_ALL", "C"},      {"AWS_SECRET_ACCESS_KEY", "x"},
                       {"LD_PRELOAD", "x"},     {"PYTHONPATH", "/p"}, {"PYTEST_ADDOPTS", "x"},
                       {"GITHUB_TOKEN", "x"},   {"PATH", "/evil"}};
  const auto variables = make();
  EXPECT_EQ(value_of(variables, "LANG"), "de_DE.UTF-8");
  EXPECT_EQ(value_of(variables, "LC_ALL"), "C");
  for (const char* name : {"AWS_SECRET_ACCESS_KEY", "LD_PRELOAD", "PYTHONPATH", "PYTEST_ADDOPTS", "GITHUB_TOKEN"})
    EXPECT_EQ(value_of(variables, name), "(absent)") << name;
  EXPECT_EQ(value_of(variables, "PATH"), "/e/bin:/usr/local/bin:/usr/bin:/bin");
  EXPECT_EQ(value_of(variables, "VIRTUAL_ENV"), "/e");
}

TEST_F(VariablesTest, CheckTerminalAndTimeZone) {
  caller_.variables = {{"TERM", "xterm-256color"}, {"TZ", "Europe/Berlin"}};
  EXPECT_EQ(value_of(make(), "TERM"), "xterm-256color");
  EXPECT_EQ(value_of(make(), "TZ"), "Europe/Berlin");
  caller_.variables = {{"TERM", "x\x1b]0;"}, {"TZ", ":/etc/shadow"}};
  EXPECT_EQ(value_of(make(), "TERM"), "(absent)");
  EXPECT_EQ(value_of(make(), "TZ"), "(absent)");
}

TEST_F(VariablesTest, KeepAndSetByName) {
  caller_.variables = {{"TOKEN", "t"}, {"OTHER", "o"}};
  policy_.kept_variables = {"TOKEN", "NOT_THERE"};
  policy_.set_variables = {{"A", "1"}, {"A", "2"}, {"HOME", "/elsewhere"}};
  const auto variables = make();
  EXPECT_EQ(value_of(variables, "TOKEN"), "t");
  EXPECT_EQ(value_of(variables, "OTHER"), "(absent)");
  EXPECT_EQ(value_of(variables, "NOT_THERE"), "(absent)");
  EXPECT_EQ(value_of(variables, "A"), "2");
  EXPECT_EQ(value_of(variables, "HOME"), "/elsewhere");
}

TEST_F(VariablesTest, SwitchTheUserSiteOffUnlessSystemPackagesAreShown) {
  EXPECT_EQ(value_of(make(false), "PYTHONNOUSERSITE"), "1");
  EXPECT_EQ(value_of(make(true), "PYTHONNOUSERSITE"), "(absent)");
}

class MountCheckTest : public testing::Test {
 protected:
  static std::string line(int id, int parent, const std::string& path, const std::string& options,
                          const std::string& device = "98:0", const std::string& type = "ext4") {
    return std::to_string(id) + " " + std::to_string(parent) + " " + device + " /source " + path + " " + options +
           ",relatime shared:1 - " + type + " /dev/root rw\n";
  }
  /// On the view's own memory.
  static std::string own(int id, int parent, const std::string& path, const std::string& options) {
    return line(id, parent, path, options, "0:50", "tmpfs");
  }
  std::string check(const std::string& text) const { return find_mount_difference(view_, text).value_or("same"); }
  std::vector<Step> view_ = {MountMemory{"/", 1, 1, 0755, true},
                             Bind{"/usr", "/usr", Access::read_only, FileKind::directory, {}, {}, Reach::run},
                             Bind{"/dev/null", "/dev/null", Access::read_write, FileKind::device, {}, {}, Reach::run},
                             Mask{"/usr/lib/x y", FileKind::directory}, Seal{"/"}};
  std::string good_ = own(1, 99, "/", "ro,nosuid,nodev") + line(2, 1, "/usr", "ro,nosuid,nodev") +
                      line(3, 1, "/dev/null", "rw,nosuid,noexec") +
                      own(4, 2, "/usr/lib/x\\040y", "ro,nosuid,nodev,noexec");
};

TEST_F(MountCheckTest, AcceptsWhatIsPlanned) { EXPECT_EQ(check(good_), "same"); }

TEST_F(MountCheckTest, NoticesAnotherFileSystem) {
  view_.insert(view_.end() - 1,
               {MountMemory{"/tmp", 1, 1, 01777, true}, MountProc{"/proc"}, MountTerminals{"/dev/pts"}});
  const std::string tmp = line(5, 1, "/tmp", "rw,nosuid,nodev", "0:51", "tmpfs");
  const std::string proc = line(6, 1, "/proc", "rw,nosuid,nodev,noexec", "0:52", "proc");
  const std::string terminals = line(7, 1, "/dev/pts", "rw,nosuid,noexec", "0:53", "devpts");
  EXPECT_EQ(check(good_ + tmp + proc + terminals), "same");
  EXPECT_EQ(check(good_ + line(5, 1, "/tmp", "rw,nosuid,nodev") + proc + terminals), "'/tmp' is ext4 and not tmpfs");
  EXPECT_EQ(check(good_ + own(5, 1, "/tmp", "rw,nosuid,nodev") + proc + terminals), "'/tmp' has no memory of its own");
  EXPECT_EQ(check(good_ + tmp + line(6, 1, "/proc", "rw,nosuid,nodev,noexec", "0:52", "tmpfs") + terminals),
            "'/proc' is tmpfs and not proc");
  EXPECT_EQ(check(good_ + tmp + proc + line(7, 1, "/dev/pts", "rw,nosuid,noexec", "0:53", "proc")),
            "'/dev/pts' is proc and not devpts");
}

/// Something that has packages in it, where nothing should be.
TEST_F(MountCheckTest, NoticesACoverThatIsNotEmpty) {
  const auto with_cover = [&](const std::string& device, const std::string& type) {
    std::string text = good_;
    const std::string cover = own(4, 2, "/usr/lib/x\\040y", "ro,nosuid,nodev,noexec");
    text.replace(text.find(cover), cover.size(),
                 line(4, 2, "/usr/lib/x\\040y", "ro,nosuid,nodev,noexec", device, type));
    return text;
  };
  EXPECT_EQ(check(with_cover("98:0", "ext4")), "'/usr/lib/x y' is ext4 and not tmpfs");
  EXPECT_EQ(check(with_cover("0:99", "tmpfs")), "'/usr/lib/x y' is not covered with what is empty");
}

TEST_F(MountCheckTest, AcceptsMountsThatCameAlong) {
  EXPECT_EQ(check(good_ + line(5, 2, "/usr/local", "ro,nosuid,nodev")), "same");
  EXPECT_EQ(check(good_ + line(5, 2, "/usr/local", "ro,nosuid,nodev") + line(6, 5, "/usr/local/x", "ro,nosuid,nodev")),
            "same");
}

/// The host has mounts at or below what is covered: they are there, and out of reach.
TEST_F(MountCheckTest, AcceptsMountsThatAreCovered) {
  EXPECT_EQ(check(good_ + line(5, 2, "/usr/lib/x\\040y/z", "ro,nosuid,nodev")), "same") << "it is not on the cover";
  std::string stacked = good_;
  const std::string cover = own(4, 2, "/usr/lib/x\\040y", "ro,nosuid,nodev,noexec");
  stacked.replace(stacked.find(cover), cover.size(),
                  own(4, 6, "/usr/lib/x\\040y", "ro,nosuid,nodev,noexec") +
                      own(6, 2, "/usr/lib/x\\040y", "ro,nosuid,nodev") +
                      line(7, 6, "/usr/lib/x\\040y/z", "ro,nosuid,nodev"));
  EXPECT_EQ(check(stacked), "same") << "the cover is on a mount with another in it";
  EXPECT_EQ(check(stacked + line(8, 4, "/usr/lib/x\\040y/z", "ro,nosuid,nodev")),
            "'/usr/lib/x y/z' is mounted, which is not planned");
}

TEST_F(MountCheckTest, NamesEveryKindOfDifference) {
  EXPECT_EQ(check(own(1, 99, "/", "ro,nosuid,nodev")), "'/dev/null' is planned but not mounted");
  EXPECT_EQ(check(good_ + line(5, 1, "/home", "ro,nosuid,nodev")), "'/home' is mounted, which is not planned");
  EXPECT_EQ(check(good_ + line(5, 98, "/usr/local", "ro,nosuid,nodev")),
            "'/usr/local' is mounted, which is not planned");
  EXPECT_EQ(check(good_ + line(5, 5, "/usr/local", "ro,nosuid,nodev")),
            "'/usr/local' is mounted, which is not planned");
  EXPECT_EQ(check(good_ + line(5, 4, "/usr/lib/x\\040y/z", "ro,nosuid,nodev")),
            "'/usr/lib/x y/z' is mounted, which is not planned");
  EXPECT_EQ(check(good_ + line(5, 98, "/", "ro,nosuid,nodev")), "'/' is mounted twice");
  EXPECT_EQ(check(good_ + line(5, 1, "/", "ro,nosuid,nodev")), "'/' is mounted, which is not planned");
  EXPECT_EQ(check(good_ + line(5, 2, "/usr/local", "rw,nosuid,nodev")), "'/usr/local' is not read-only");
  EXPECT_EQ(check(good_ + line(5, 2, "/usr/local", "ro,nodev")), "'/usr/local' is not nosuid");
  EXPECT_EQ(check(good_ + line(5, 2, "/usr/local", "ro,nosuid")), "'/usr/local' is not nodev");
  EXPECT_EQ(check(own(1, 99, "/", "ro,nosuid,nodev") + line(3, 1, "/dev/null", "rw,nosuid")),
            "'/dev/null' is not noexec");
  EXPECT_EQ(check(own(1, 99, "/", "ro,nosuid,nodev") + line(2, 1, "/usr", "ro,nosuid,nodev") +
                  own(4, 2, "/usr/lib/x\\040y", "ro,nosuid,nodev")),
            "'/usr/lib/x y' is not noexec");
  EXPECT_EQ(message_of([&] { check("garbage\n"); }),
            "the kernel's list of mounts has a line that cannot be read: 'garbage'");
}

/// Records the steps that it is asked for and fails at one of them.
class RecordingKernel : public Kernel {
 public:
  explicit RecordingKernel(std::size_t fail_at) : fail_at_(fail_at) {}
  std::vector<std::string> done;

  void make_directory(const MakeDirectory& step) override { record(step); }
  void make_link(const MakeLink& step) override { record(step); }
  void make_file(const MakeFile& step) override { record(step); }
  void mount_memory(const MountMemory& step) override { record(step); }
  void bind(const Bind& step) override { record(step); }
  void mask(const Mask& step) override { record(step); }
  void hold(const Hold& step) override { record(step); }
  void mount_proc(const MountProc& step) override { record(step); }
  void mount_terminals(const MountTerminals& step) override { record(step); }
  void seal(const Seal& step) override { record(step); }

 private:
  void record(const Step& step) {
    if (done.size() == fail_at_) throw Error("cannot do", render_step(step), EIO);
    done.push_back(render_step(step));
  }
  std::size_t fail_at_;
};

TEST(ApplyTest, StopsAtTheFirstStepThatFails) {
  const std::vector<Step> view = {MountMemory{"/", 1, 1, 0755, true},
                                  MakeDirectory{"/d"},
                                  MakeLink{"/l", "d"},
                                  MakeFile{"/f", "x"},
                                  Bind{"/usr", "/usr", Access::read_only, FileKind::directory, {}, {}, Reach::run},
                                  Mask{"/m"},
                                  Hold{"/h"},
                                  MountProc{"/proc"},
                                  MountTerminals{"/dev/pts"},
                                  Seal{"/"}};
  std::vector<std::string> all;
  all.reserve(view.size());
  for (const Step& step : view) all.push_back(render_step(step));
  for (std::size_t fail_at = 0; fail_at < view.size(); ++fail_at) {
    RecordingKernel kernel(fail_at);
    std::string told;
    EXPECT_EQ(message_of([&] { apply_view(view, kernel, [&](const Step& step) { told = render_step(step); }); }),
              "cannot do '" + escape(all[fail_at]) + "': EIO (Input/output error)");
    EXPECT_EQ(told, all[fail_at]);
    EXPECT_EQ(kernel.done, std::vector<std::string>(all.begin(), all.begin() + static_cast<std::ptrdiff_t>(fail_at)));
  }
  RecordingKernel kernel(view.size());
  apply_view(view, kernel, [](const Step&) {});
  EXPECT_EQ(kernel.done, all);
}

class OptionsTest : public testing::Test {
 protected:
  OptionsTest() { host_.environment("/w/e", "/usr/bin/python3").environment("/w/.venv", "/usr/bin/python3"); }
  Invocation parse(const std::vector<std::string>& arguments) {
    ReportNames reports;
    return parse_arguments(arguments, caller_, "/w/sub", host_.root(), reports);
  }
  std::string refused(const std::vector<std::string>& arguments) {
    return message_of([&] { parse(arguments); });
  }
  FakeHost host_ = FakeHost::debian();
  Caller caller_;
};

using Words = std::vector<std::string>;

TEST_F(OptionsTest, EndTheHeadAtTheDashesOrTheSecondWord) {
  EXPECT_EQ(parse({"../e", "--", "pytest", "-x", "--", "--net=host"}).policy.command,
            (Words{"pytest", "-x", "--", "--net=host"}));
  EXPECT_EQ(parse({"../e", "pytest", "--explain"}).policy.command, (Words{"pytest", "--explain"}));
  EXPECT_EQ(parse({"../e", "pytest", "--explain"}).mode, Mode::run);
  EXPECT_EQ(parse({"../e", "--explain", "pytest"}).mode, Mode::explain);
  EXPECT_EQ(parse({"--ro", "/x", "../e"}).policy.environment, "/w/e");
  EXPECT_EQ(parse({"-C", "/x", "../e"}).policy.working_directory, "/x");
  EXPECT_EQ(parse({"../e"}).policy.command, Words{});
}

TEST_F(OptionsTest, FindTheEnvironment) {
  EXPECT_EQ(parse({"--", "pytest"}).policy.environment, "/w/.venv");
  caller_.variables = {{"VIRTUAL_ENV", "/w/e"}};
  EXPECT_EQ(parse({"--", "pytest"}).policy.environment, "/w/e");
  caller_.variables.push_back({"VRUN_ENV", "/other"});
  EXPECT_EQ(parse({}).policy.environment, "/other");
  EXPECT_EQ(parse({"/w/e"}).policy.environment, "/w/e");
}

TEST_F(OptionsTest, FollowARedirectFile) {
  host_.remove("/w/.venv").file("/w/.venv", "e\n");
  EXPECT_EQ(parse({}).policy.environment, "/w/e");
  host_.file("/w/.venv", "\n");
  EXPECT_EQ(refused({}), "cannot use '/w/.venv': its first line does not name an environment");
}

TEST_F(OptionsTest, SayWhatIsWrong) {
  EXPECT_EQ(refused({"--nte=host", "../e"}), "there is no option '--nte'; did you mean --net?");
  EXPECT_EQ(refused({"--expl", "../e"}), "there is no option '--expl'; see: vrun --help");
  EXPECT_EQ(refused({"--net=all", "../e"}), "--net is none or host, not 'all'");
  EXPECT_EQ(refused({"--setenv", "X", "../e"}), "--setenv wants NAME=VALUE, not 'X'");
  EXPECT_EQ(refused({"--setenv", "=X", "../e"}), "--setenv wants NAME=VALUE, not '=X'");
  EXPECT_EQ(refused({"../e", "--", ""}), "the command is an empty word");
  EXPECT_EQ(refused({""}), "ENV_DIR is an empty word");
  EXPECT_NE(refused({"pytest"}).find("there is no environment 'pytest' here"), std::string::npos);
  host_.remove("/w/.venv");
  EXPECT_NE(refused({"--", "pytest"}).find("there is no .venv in '/w/sub' or above; make one with: vbuild .venv"),
            std::string::npos);
}

TEST_F(OptionsTest, MakePathsAbsolute) {
  const RunPolicy policy = parse({"--ro", "a", "--rw=b/../c", "--project", "..", "../e"}).policy;
  ASSERT_EQ(policy.shares.size(), 2U);
  EXPECT_EQ(policy.shares[0].path, "/w/sub/a");
  EXPECT_EQ(policy.shares[0].access, Access::read_only);
  EXPECT_EQ(policy.shares[1].path, "/w/sub/c");
  EXPECT_EQ(policy.shares[1].access, Access::read_write);
  EXPECT_EQ(policy.project, "/w");
  EXPECT_TRUE(policy.project_named);
  EXPECT_EQ(policy.working_directory, "/w/sub");
}

TEST_F(OptionsTest, MayLeaveTheProjectOut) {
  const RunPolicy policy = parse({"--no-project", "--ro", "a", "../e"}).policy;
  EXPECT_EQ(policy.project, "");
  EXPECT_EQ(policy.shares.at(0).path, "/w/sub/a");
  EXPECT_NE(refused({"--no-project", "--project", "a", "../e"}).find("together"), std::string::npos);
}

TEST(HelpText, FitsAScreen) {
  const std::string text = help_text();
  EXPECT_LE(std::count(text.begin(), text.end(), '\n'), 40);
  std::size_t longest = 0;
  for (std::size_t at = 0; at < text.size();) {
    const std::size_t end = text.find('\n', at);
    longest = std::max(longest, end - at);
    at = end + 1;
  }
  EXPECT_LE(longest, 90U);
}

}  // namespace
}  // namespace vrun
