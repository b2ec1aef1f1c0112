// Limits: what is typed, what holds them, and what a tree of processes uses.
#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <filesystem>
#include <fstream>

#include "policy/error.h"
#include "policy/limits.h"
#include "runner/tree.h"

namespace vrun {
namespace {

using Value = std::optional<std::uint64_t>;

TEST(ParseSize, TakesPowersOf1024) {
  EXPECT_EQ(parse_size("1"), Value(1));
  EXPECT_EQ(parse_size("64K"), Value(65536));
  EXPECT_EQ(parse_size("3M"), Value(3 << 20));
  EXPECT_EQ(parse_size("2T"), Value(std::uint64_t{2} << 40));
  for (const char* text :
       {"", "K", "0", "0K", "-1", "1.5M", "1MB", "1 M", " 1", "99999999999999999999", "9999999999999T"})
    EXPECT_EQ(parse_size(text), std::nullopt) << text;
}

TEST(ParseDuration, TakesMilliseconds) {
  EXPECT_EQ(parse_duration("500ms"), Value(500));
  EXPECT_EQ(parse_duration("90s"), Value(90'000));
  EXPECT_EQ(parse_duration("1.5s"), Value(1500));
  EXPECT_EQ(parse_duration("0.25m"), Value(15'000));
  EXPECT_EQ(parse_duration("2m"), Value(120'000));
  EXPECT_EQ(parse_duration("1h"), Value(3'600'000));
  for (const char* text : {"", "s", "5", "0s", "0.0s", "0.5ms", "1.s", ".s", "1.2345s", "-1s", "1 s", "1d", "1e3s",
                           "99999999999999999999s", "9999999999999999h"})
    EXPECT_EQ(parse_duration(text), std::nullopt) << text;
}

TEST(ParseLimit, SaysWhatItWants) {
  const auto parse = [](LimitKind kind, const char* text) { return parse_limit(describe(kind), text); };
  const auto refused = [&](LimitKind kind, const char* text) -> std::string {
    try {
      parse(kind, text);
    } catch (const Error& error) {
      return error.what();
    }
    return "";
  };
  EXPECT_EQ(parse(LimitKind::cpus, "0.5"), 500U);
  EXPECT_EQ(parse(LimitKind::swap, "0"), 0U);
  EXPECT_EQ(parse(LimitKind::pids, "64"), 64U);
  EXPECT_EQ(refused(LimitKind::memory, "0"), "--memory wants a size such as 512M, not '0'");
  EXPECT_EQ(refused(LimitKind::wall, "5"), "--wall wants a time such as 90s, 500ms or 2m, not '5'");
  EXPECT_EQ(refused(LimitKind::pids, "0"), "--pids wants a number from 1 on, not '0'");
  EXPECT_EQ(refused(LimitKind::cpus, "0.001"), "--cpus wants a number of processors such as 2 or 0.5, not '0.001'");
}

TEST(LimitText, CanBeGivenAgain) {
  for (const auto& [kind, text] :
       {std::pair{LimitKind::wall, "1.5s"}, std::pair{LimitKind::wall, "90s"}, std::pair{LimitKind::memory, "513M"},
        std::pair{LimitKind::memory, "1000"}, std::pair{LimitKind::swap, "0"}, std::pair{LimitKind::cpus, "0.05"},
        std::pair{LimitKind::cpus, "12"}, std::pair{LimitKind::nofile, "64"}})
    EXPECT_EQ(limit_text(describe(kind), parse_limit(describe(kind), text)), text);
}

TEST(Limits, AreDescribedInTheirOrder) {
  for (const LimitDescription& limit : kLimits) EXPECT_EQ(&describe(limit.kind), &limit) << limit.name;
}

TEST(ResourceLimits, HoldWhatTheKernelCountsByProcess) {
  EXPECT_TRUE(plan_resource_limits({}, {}).empty());
  Limits limits;
  limits[LimitKind::pids] = 10;
  limits[LimitKind::nofile] = 20;
  limits[LimitKind::cpu_time] = 1001;
  limits[LimitKind::memory] = 1 << 20;
  const std::vector<ResourceLimit> expected = {{RLIMIT_NPROC, 11, 11, LimitKind::pids},
                                               {RLIMIT_NOFILE, 20, 20, LimitKind::nofile},
                                               {RLIMIT_CPU, 7, 12, LimitKind::cpu_time}};
  EXPECT_EQ(plan_resource_limits(limits, {}), expected);
  Controllers group;
  group.pids = true;
  EXPECT_EQ(plan_resource_limits(limits, group), std::vector(expected.begin() + 1, expected.end()));
}

TEST(Enforcement, IsTheBestThereIs) {
  const Controllers none;
  const Controllers all{true, true, true, true, true};
  Controllers no_swap = all;
  no_swap.swap = false;
  const auto name = [](LimitKind kind, const Controllers& controllers, bool measurable = true) {
    return std::string(enforcement_name(enforcement_of(kind, controllers, measurable)));
  };
  EXPECT_EQ(name(LimitKind::memory, all), "cgroup");
  EXPECT_EQ(name(LimitKind::memory, none), "supervisor");
  EXPECT_EQ(name(LimitKind::memory, none, false), "no");
  EXPECT_EQ(name(LimitKind::swap, no_swap), "no");
  EXPECT_EQ(name(LimitKind::swap, none), "supervisor");
  EXPECT_EQ(name(LimitKind::pids, all), "cgroup");
  EXPECT_EQ(name(LimitKind::pids, none), "rlimit");
  EXPECT_EQ(name(LimitKind::cpus, none), "no");
  EXPECT_EQ(name(LimitKind::wall, all), "supervisor");
  EXPECT_EQ(name(LimitKind::tmp_size, none), "mount");
  for (const LimitDescription& limit : kLimits) {
    EXPECT_TRUE(is_full(limit.kind, enforcement_of(limit.kind, all, true))) << limit.name;
    EXPECT_FALSE(is_full(limit.kind, Enforcement::none)) << limit.name;
  }
  EXPECT_FALSE(is_full(LimitKind::memory, Enforcement::supervisor));
  EXPECT_TRUE(is_full(LimitKind::pids, Enforcement::rlimit));
}

/// A directory that looks like proc(5).
class TreeTest : public testing::Test {
 protected:
  void SetUp() override {
    char name[] = "/tmp/vrun-unit-XXXXXX";
    ASSERT_NE(::mkdtemp(name), nullptr);
    directory_ = name;
  }
  void TearDown() override { std::filesystem::remove_all(directory_); }

  void write(const std::string& name, const std::string& text) {
    const std::filesystem::path path = directory_ / name;
    std::filesystem::create_directories(path.parent_path());
    std::ofstream(path) << text;
  }
  void process(int pid, int parent, int ticks, int threads, const std::string& children, int anonymous = 0) {
    stat(pid, parent, {ticks, 1, 2, 3}, threads);
    const std::string at = std::to_string(pid);
    write(at + "/task/" + at + "/children", children);
    write(at + "/status", "Name:\tRssAnon: 9999 kB\nRssAnon:\t  " + std::to_string(anonymous) +
                              " kB\nRssShmem:\t0 kB\nVmSwap:\t1 kB\n");
  }
  /// Of `times` the first two are its own and the others its children's, in ticks.
  void stat(int pid, int parent, std::array<int, 4> times, int threads = 1, int started = 100) {
    const std::string at = std::to_string(pid);
    std::string text = at + " (a) S b) (c) S " + std::to_string(parent) + " 1 1 0 -1 4194304 1 2 3 4";
    for (const int time : times) text += " " + std::to_string(time);
    write(at + "/stat", text + " 20 0 " + std::to_string(threads) + " 0 " + std::to_string(started) + " 0 0\n");
  }
  /// One process below pid 1, with these children.
  void parent_of(const std::string& children, int waited_for = 0) {
    stat(10, 1, {0, 0, 0, 0});
    write("10/task/10/children", "11 ");
    stat(11, 10, {0, 0, waited_for, 0});
    write("11/task/11/children", children);
  }
  void gone(int pid) { std::filesystem::remove_all(directory_ / std::to_string(pid)); }
  static std::chrono::nanoseconds ticks(int count) {
    return std::chrono::nanoseconds(1'000'000'000LL * count / ::sysconf(_SC_CLK_TCK));
  }
  Tree tree() { return {Fd(::open(directory_.c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC)), 10}; }

  std::filesystem::path directory_;
};

TEST_F(TreeTest, AddsUpWhatIsBelowPidOne) {
  process(10, 1, 5, 1, "11 12 ");
  process(11, 10, 100, 2, "");
  write("11/task/77/children", "13 ");
  process(12, 10, 0, 1, "");
  process(13, 11, 1000, 1, "", 64);
  process(14, 1, 5000, 1, "", 1 << 20);  // somebody else's
  ASSERT_TRUE(tree().measurable());
  const TreeUse use = tree().measure(1 << 20);
  EXPECT_EQ(use.tasks, 4U);
  // Each has 6 ticks more, of its children and of the system.
  EXPECT_EQ(use.cpu, ticks(5 + 100 + 0 + 1000 + 4 * 6));
  EXPECT_EQ(use.memory, (64U + 3U) * 1024);
  EXPECT_EQ(tree().measure(std::nullopt).memory, 0U);
}

TEST_F(TreeTest, CountsWhatNobodyWaitedFor) {
  Tree measured = tree();
  parent_of("12 13 ");
  stat(12, 11, {30, 0, 0, 0});
  stat(13, 11, {5, 5, 0, 0});
  EXPECT_EQ(measured.measure(std::nullopt).cpu, ticks(40));
  gone(12);
  parent_of("13 ");
  stat(13, 11, {6, 5, 0, 0});
  EXPECT_EQ(measured.measure(std::nullopt).cpu, ticks(30 + 11));
  gone(13);
  parent_of("");
  EXPECT_EQ(measured.measure(std::nullopt).cpu, ticks(30 + 11));
}

TEST_F(TreeTest, CountsNothingTwice) {
  Tree measured = tree();
  parent_of("12 13 ");
  stat(12, 11, {30, 0, 0, 0});
  stat(13, 11, {0, 0, 0, 0});
  EXPECT_EQ(measured.measure(std::nullopt).cpu, ticks(30));
  gone(12);
  parent_of("13 ", 32);
  EXPECT_EQ(measured.measure(std::nullopt).cpu, ticks(32)) << "it was waited for, and is in both accounts";
  gone(13);
  parent_of("", 32);
  EXPECT_EQ(measured.measure(std::nullopt).cpu, ticks(32));
}

TEST_F(TreeTest, CountsAnOrphanOnTheMoveOnce) {
  Tree measured = tree();
  parent_of("12 ");
  stat(12, 11, {30, 0, 0, 0});
  EXPECT_EQ(measured.measure(std::nullopt).cpu, ticks(30));
  // Pid 1's children were read before it came to them.
  gone(11);
  stat(12, 10, {31, 0, 0, 0});
  EXPECT_EQ(measured.measure(std::nullopt).cpu, ticks(31));
  write("10/task/10/children", "12 ");
  EXPECT_EQ(measured.measure(std::nullopt).cpu, ticks(31));
}

TEST_F(TreeTest, TellsProcessesWithOneNumberApart) {
  Tree measured = tree();
  parent_of("12 ");
  stat(12, 11, {30, 0, 0, 0}, 1, 100);
  EXPECT_EQ(measured.measure(std::nullopt).cpu, ticks(30));
  stat(12, 11, {2, 0, 0, 0}, 1, 101);
  EXPECT_EQ(measured.measure(std::nullopt).cpu, ticks(32));
  // Not looked at to the end: nothing can be said of what was not met.
  EXPECT_FALSE(measured.measure(std::nullopt, Tree::Clock::now()).complete);
  EXPECT_EQ(measured.measure(std::nullopt).cpu, ticks(32));
}

TEST_F(TreeTest, CountsLessThanATick) {
  parent_of("");
  write("11/schedstat", "4200000 17 3\n");
  EXPECT_EQ(tree().measure(std::nullopt).cpu, std::chrono::microseconds(4200));
  stat(11, 10, {1, 0, 0, 0});
  EXPECT_EQ(tree().measure(std::nullopt).cpu, ticks(1)) << "threads that have ended are in the ticks only";
  stat(11, 10, {0, 0, 0, 0}, 2);
  EXPECT_EQ(tree().measure(std::nullopt).cpu, ticks(0)) << "it is of one thread";
}

TEST_F(TreeTest, LeavesOutANumberThatIsAnotherProcessByNow) {
  process(10, 1, 0, 1, "11 12 ");
  process(11, 10, 0, 1, "");
  process(12, 1, 1000, 1, "");
  EXPECT_EQ(tree().measure(std::nullopt).tasks, 1U);
}

TEST_F(TreeTest, TellsSharedMemoryApartWhenItMatters) {
  process(10, 1, 0, 1, "11 12 ");
  process(11, 10, 0, 1, "", 1000);
  process(12, 10, 0, 1, "", 1000);
  for (const char* pid : {"11", "12"})
    write(std::string(pid) + "/smaps_rollup",
          "0-1 ---p 00000000 00:00 0 [rollup]\nRss: 1000 kB\nPss_Anon:  500 kB\nPss_Shmem: 0 kB\nSwapPss: 0 kB\n");
  EXPECT_EQ(tree().measure(10 << 20).memory, 2002U * 1024) << "each counts what both have";
  EXPECT_EQ(tree().measure(1 << 20).memory, 1000U * 1024) << "more than that is suspicious";
}

TEST_F(TreeTest, GivesUpInTime) {
  process(10, 1, 0, 1, "11 ");
  process(11, 10, 0, 1, "", 1000);
  EXPECT_TRUE(tree().measure(std::nullopt).complete);
  EXPECT_FALSE(tree().measure(std::nullopt, Tree::Clock::now()).complete);
}

/// Descriptors are looked at one by one, and a run can have millions of them.
TEST_F(TreeTest, GivesUpAmongDescriptors) {
  process(10, 1, 0, 1, "11 ");
  process(11, 10, 0, 1, "", 1000);
  for (int i = 0; i < 500; ++i) write("11/fd/" + std::to_string(i), "");
  Tree measured = tree();
  measured.find_unnamed();
  EXPECT_TRUE(measured.measure(1 << 20).complete);
  EXPECT_FALSE(measured.measure(1 << 20, Tree::Clock::now() + std::chrono::microseconds(50)).complete);
}

TEST_F(TreeTest, CannotMeasureWhatIsNotThere) {
  EXPECT_FALSE(tree().measurable());
  process(10, 1, 0, 1, "");
  EXPECT_TRUE(tree().measurable());
  std::filesystem::remove(directory_ / "10/task/10/children");
  EXPECT_FALSE(tree().measurable());
}

}  // namespace
}  // namespace vrun
