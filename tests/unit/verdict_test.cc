// What came of a run, in writing; and the control group that counts and holds it, as a directory made like one.
#include "policy/verdict.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <sstream>

#include "policy/error.h"
#include "runner/group.h"
#include "runner/json.h"
#include "runner/scope.h"

namespace vrun {
namespace {

/// The verdict without white space between its words, which tests need not repeat.
std::string written(const RunVerdict& verdict) {
  std::string out;
  bool within = false;
  for (const char c : to_json(verdict)) {
    within ^= c == '"';
    if (within || (c != ' ' && c != '\n')) out += c;
  }
  return out;
}

TEST(RunVerdict, IsPrintableWhateverIsInIt) {
  RunVerdict verdict;
  verdict.command = {"a\\c\n\x7f", "\xff\xc3\xa4", "\xe2\x80\xae"};
  EXPECT_NE(written(verdict).find(R"("command":["a\\c\n\u007f","\ufffd\u00e4","\u202e"])"), std::string::npos)
      << written(verdict) << ": the last one turns the rest of a line around";
}

TEST(RunVerdict, HasItsKeysInOrderOneALine) {
  RunVerdict verdict;
  verdict.wall = std::chrono::microseconds(2'000'001);
  verdict.memory_peak = std::uint64_t{1} << 53;
  verdict.exit_code = 3;
  const std::string json = to_json(verdict);
  EXPECT_TRUE(
      json.starts_with("{\n  \"schema\": \"vrun.verdict/1\",\n  \"version\": \"" VRUN_VERSION "\",\n  \"status\": "))
      << json;
  for (const char* line : {"\n  \"limit\": null,\n", "\n  \"exit_code\": 3,\n", "\n  \"wall_s\": 2.000001,\n",
                           "\n  \"mem_peak_bytes\": 9007199254740992,\n", "\n  \"limits\": {},\n"})
    EXPECT_NE(json.find(line), std::string::npos) << line << json;
}

TEST(RunVerdict, SaysHowEachLimitIsHeld) {
  RunVerdict verdict;
  verdict.limits[LimitKind::memory] = 1024;
  verdict.limits[LimitKind::wall] = 1500;
  verdict.limits[LimitKind::pids] = 8;
  verdict.measurable = true;
  std::string json = written(verdict);
  EXPECT_NE(json.find(R"("wall":{"value":1.5,"enforced":"supervisor","full":true})"), std::string::npos) << json;
  EXPECT_NE(json.find(R"("memory":{"value":1024,"enforced":"supervisor","full":false})"), std::string::npos);
  EXPECT_NE(json.find(R"("degraded":["memory"])"), std::string::npos);
  verdict.controllers = {true, true, true, true, true};
  verdict.pids_reached = true;
  json = written(verdict);
  EXPECT_NE(json.find(R"("pids":{"value":8,"enforced":"cgroup","full":true,"reached":true})"), std::string::npos);
  EXPECT_NE(json.find(R"("degraded":[])"), std::string::npos);
}

TEST(RunVerdict, NamesWhatTheRunDidNotHave) {
  RunVerdict verdict;
  EXPECT_NE(written(verdict).find(R"("reduced_layers":[])"), std::string::npos);
  verdict.reductions = {{"seccomp", "--without seccomp"}, {"network-namespace", "--net=host"}};
  EXPECT_NE(written(verdict).find(R"("reduced_layers":[{"layer":"seccomp","by":"--without seccomp"},)"
                                  R"({"layer":"network-namespace","by":"--net=host"}])"),
            std::string::npos);
}

TEST(RunVerdict, NamesWhoKilled) {
  RunVerdict verdict;
  verdict.status = RunStatus::killed;
  EXPECT_NE(written(verdict).find(R"("killed_by":"outside")"), std::string::npos);
  verdict.oom_killed = true;
  EXPECT_NE(written(verdict).find(R"("killed_by":"oom")"), std::string::npos) << "the machine's memory";
  EXPECT_NE(verdict_meta(verdict).find("cg-oom-killed:1\n"), std::string::npos);
  verdict.status = RunStatus::memory;
  verdict.limit = LimitKind::memory;
  EXPECT_NE(written(verdict).find(R"("killed_by":"memory")"), std::string::npos);
}

TEST(Meta, HasTheKeysOfIsolate) {
  RunVerdict verdict;
  verdict.status = RunStatus::nonzero;
  verdict.exit_code = 3;
  verdict.cpu = std::chrono::microseconds(1'234'567);
  verdict.wall = std::chrono::microseconds(2'000'001);
  verdict.rss_peak = 2048 * 1024;
  verdict.memory_peak = 4096 * 1024;
  EXPECT_EQ(verdict_meta(verdict),
            "time:1.234\ntime-wall:2.000\nmax-rss:2048\ncsw-voluntary:0\ncsw-forced:0\ncg-mem:4096\nexitcode:3\n"
            "status:RE\nmessage:Exited with error status 3\n");
}

/// A directory with the files that a group has.
class GroupTest : public testing::Test {
 protected:
  void SetUp() override {
    char name[] = "/tmp/vrun-unit-XXXXXX";
    ASSERT_NE(::mkdtemp(name), nullptr);
    directory_ = name;
    opened_ = Fd(::open(name, O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  }
  void TearDown() override { std::filesystem::remove_all(directory_); }
  void write(const std::string& name, const std::string& text) { std::ofstream(directory_ / name) << text; }
  std::string read(const std::string& name) {
    std::stringstream text;
    text << std::ifstream(directory_ / name).rdbuf();
    return text.str();
  }
  int group() const { return opened_.get(); }

  std::filesystem::path directory_;
  Fd opened_;
};

TEST_F(GroupTest, HoldsWhatItHasControllersFor) {
  Limits limits;
  limits[LimitKind::memory] = 1 << 20;
  limits[LimitKind::pids] = 7;
  limits[LimitKind::cpus] = 1500;
  EXPECT_EQ(set_group_limits(group(), limits), (Controllers{true, false, false, false, false}));
  for (const char* name : {"memory.max", "memory.swap.max", "memory.oom.group", "pids.max", "cpu.max"}) write(name, "");
  EXPECT_EQ(set_group_limits(group(), limits), (Controllers{true, true, true, true, true}));
  EXPECT_EQ(read("memory.max"), "1048576");
  EXPECT_EQ(read("memory.swap.max"), "0");
  EXPECT_EQ(read("memory.oom.group"), "1");
  EXPECT_EQ(read("pids.max"), "8") << "pid 1 is one more";
  EXPECT_EQ(read("cpu.max"), "150000 100000");
}

TEST_F(GroupTest, RefusesWhatItCannotWrite) {
  Limits limits;
  limits[LimitKind::memory] = 1 << 20;
  write("memory.max", "");
  EXPECT_THROW(set_group_limits(group(), limits), Error) << "without memory.oom.group a run would be half killed";
}

TEST_F(GroupTest, Counts) {
  write("cpu.stat", "usage_usec 300\nuser_usec 200\nsystem_usec 100\nnr_periods 0\n");
  write("memory.peak", "4096\n");
  write("memory.current", "1\n");
  write("pids.peak", "5\n");
  write("memory.events", "low 0\nhigh 0\nmax 12\noom 1\noom_kill 3\noom_group_kill 1\n");
  write("pids.events", "max 2\n");
  const GroupAccount account = read_group_account(group());
  EXPECT_EQ(account.cpu.count(), 300);
  EXPECT_EQ(account.user.count(), 200);
  EXPECT_EQ(account.system.count(), 100);
  EXPECT_EQ(account.memory_peak, std::optional<std::uint64_t>(4096));
  EXPECT_EQ(account.tasks_peak, std::optional<std::uint64_t>(4)) << "without pid 1";
  EXPECT_EQ(account.limit_kills, 1U);
  EXPECT_EQ(account.oom_killed, 3U);
  EXPECT_EQ(account.pids_refused, 2U);
}

TEST_F(GroupTest, CountsWhatThereIs) {
  const GroupAccount account = read_group_account(group());
  EXPECT_EQ(account.memory_peak, std::nullopt);
  EXPECT_EQ(account.tasks_peak, std::nullopt);
  EXPECT_EQ(account.oom_killed, 0U);
}

TEST_F(GroupTest, IsFoundByWhatTheProcessSays) {
  std::filesystem::create_directories(directory_ / "mount/user/mine");
  write("mount/user/mine/cgroup.procs", "");
  const std::string mount = (directory_ / "mount").string();
  write("cgroup", "3:pids:/elsewhere\n0::/user/mine\n");
  write("mountinfo",
        "1 0 0:1 / / rw - ext4 /dev/sda rw\n2 1 0:2 / " + mount + " rw,nosuid shared:1 - cgroup2 none rw\n");
  EXPECT_TRUE(open_own_group(group()).valid());
  // A mount that begins further down.
  write("cgroup", "0::/slice/user/mine\n");
  EXPECT_FALSE(open_own_group(group()).valid());
  write("mountinfo", "2 1 0:2 /slice " + mount + " rw - cgroup2 none rw\n");
  EXPECT_TRUE(open_own_group(group()).valid());
  write("mountinfo", "2 1 0:2 / " + mount + " rw - cgroup none rw,memory\n");
  EXPECT_FALSE(open_own_group(group()).valid());
  write("cgroup", "3:pids:/elsewhere\n");
  EXPECT_FALSE(open_own_group(group()).valid());
}

TEST_F(GroupTest, IsMadeOnlyWhereGroupsAre) {
  EXPECT_THROW(ControlGroup::make(Fd(::dup(group())), {}), Error);
  EXPECT_TRUE(std::filesystem::is_empty(directory_));
}

TEST(Scope, StartsTheSameRun) {
  const std::vector<std::string> expected = {
      "systemd-run",    "--user",      "--scope", "--quiet", "--collect", "--property=Delegate=yes", "--", "/bin/vrun",
      "--cgroup=scope", "--memory=1G", ".venv",   "--",      "x",         "--cgroup=systemd"};
  EXPECT_EQ(scope_command("", true, "/bin/vrun", {"--memory=1G", ".venv", "--", "x", "--cgroup=systemd"}), expected);
}

TEST(Scope, DropsTheOptionThatAskedForIt) {
  for (const std::vector<std::string>& option :
       {std::vector<std::string>{"--cgroup=systemd"}, {"--cgroup", "systemd"}}) {
    std::vector<std::string> words = {"--memory=1G"};
    words.insert(words.end(), option.begin(), option.end());
    words.insert(words.end(), {"--pids", "9", ".venv", "--", "x", "--cgroup", "systemd"});
    const std::vector<std::string> made = scope_command("systemd", false, "/bin/vrun", words);
    const std::vector<std::string> expected = {"--cgroup=scope", "--memory=1G", "--pids", "9", ".venv", "--", "x",
                                               "--cgroup",       "systemd"};
    EXPECT_EQ(std::vector<std::string>(made.end() - static_cast<std::ptrdiff_t>(expected.size()), made.end()),
              expected);
  }
}

}  // namespace
}  // namespace vrun
