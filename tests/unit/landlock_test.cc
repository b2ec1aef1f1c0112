#include "policy/landlock.h"

#include <gtest/gtest.h>

#include <map>

namespace vrun {
namespace {

constexpr int kReviewed = 5;  // the newest version with rights that are handled

Bind show(const std::string& path, Access access, FileKind kind = FileKind::directory) {
  return Bind{path, path, access, kind, {}, {}, Reach::run};
}

std::vector<Step> usual_view() {
  return {MountMemory{"/", 1, 1, 0755, true},
          show("/dev/null", Access::read_write, FileKind::device),
          MountTerminals{"/dev/pts"},
          MountMemory{"/dev/shm", 1, 1, 01777, false},
          MakeFile{"/etc/passwd", ""},
          MountMemory{"/home/me", 1, 1, 0700, true},
          show("/home/me/project", Access::read_write),
          Hold{"/home/me/project/.git", Access::read_only},
          show("/home/me/project/.venv", Access::read_only),
          MountProc{"/proc"},
          Hold{"/proc/sys", Access::read_only},
          show("/srv/data", Access::read_only),
          show("/srv/data/out", Access::read_write),
          show("/srv/log", Access::read_write, FileKind::file),
          MountMemory{"/tmp", 1, 1, 01777, true},
          show("/usr", Access::read_only),
          Mask{"/usr/lib/python3/dist-packages", FileKind::directory},
          MountMemory{"/usr/local/lib", 1, 1, 0755, false},
          show("/usr/local/lib/env", Access::read_only),
          Seal{"/usr/local/lib"},
          Seal{"/"}};
}

std::map<std::string, std::uint64_t> rules(const Landlock& landlock) {
  std::map<std::string, std::uint64_t> out;
  for (const LandlockRule& rule : landlock.rules) out[rule.path] = rule.rights;
  EXPECT_EQ(out.size(), landlock.rules.size());
  return out;
}

constexpr std::uint64_t kRead = kLandlockExecute | kLandlockReadFile | kLandlockReadDir;
constexpr std::uint64_t kFile = kLandlockWriteFile | kLandlockTruncate;
constexpr std::uint64_t kDirectory = kFile | kLandlockRemoveDir | kLandlockRemoveFile | kLandlockMakeDir |
                                     kLandlockMakeReg | kLandlockMakeSock | kLandlockMakeFifo | kLandlockMakeSym |
                                     kLandlockRefer;

TEST(LandlockPlan, HasARuleForEachWritablePlaceThatIsInNoOther) {
  const std::map<std::string, std::uint64_t> expected = {
      {"/", kRead},     {"/dev", kFile | kLandlockIoctlDev}, {"/dev/shm", kDirectory}, {"/home/me", kDirectory},
      {"/proc", kFile}, {"/srv/data/out", kDirectory},       {"/srv/log", kFile},      {"/tmp", kDirectory},
  };
  EXPECT_EQ(rules(plan_landlock(usual_view(), kReviewed, false)), expected);
}

TEST(LandlockPlan, HandlesWhatTheKernelKnows) {
  const auto handled = [](int abi) { return plan_landlock(usual_view(), abi, false).handled; };
  EXPECT_EQ(handled(0), 0U);
  EXPECT_EQ(handled(1), 0U) << "every rename between directories would be refused";
  EXPECT_EQ(handled(2), (kLandlockRefer << 1U) - 1);
  EXPECT_EQ(handled(3), (kLandlockTruncate << 1U) - 1);
  EXPECT_EQ(handled(4), handled(3));
  EXPECT_EQ(handled(5), (kLandlockIoctlDev << 1U) - 1);
  EXPECT_EQ(handled(99), handled(5)) << "what is not reviewed is not handled";
}

/// The kernel refuses rules with rights that are not handled, and rules without any.
TEST(LandlockPlan, GivesOnlyWhatIsHandled) {
  for (int abi = 0; abi <= 10; ++abi) {
    const Landlock landlock = plan_landlock(usual_view(), abi, false);
    EXPECT_EQ(landlock.rules.empty(), landlock.handled == 0) << abi;
    for (const LandlockRule& rule : landlock.rules) {
      EXPECT_EQ(rule.rights & ~landlock.handled, 0U) << abi << " " << rule.path;
      EXPECT_NE(rule.rights, 0U) << abi << " " << rule.path;
      EXPECT_EQ(rule.rights & (kLandlockMakeChar | kLandlockMakeBlock), 0U) << abi << " " << rule.path;
    }
    EXPECT_EQ(landlock.scopes, abi >= 6 ? kLandlockScopeAbstractSocket | kLandlockScopeSignal : 0U) << abi;
  }
}

/// Nothing gets more than its mount gives, but for what lies below something writable.
TEST(LandlockPlan, IsNoWiderThanTheMounts) {
  const Landlock landlock = plan_landlock(usual_view(), kReviewed, false);
  const auto rights_at = [&](const std::string& path) {
    std::uint64_t rights = 0;
    for (const LandlockRule& rule : landlock.rules)
      if (is_within(path, rule.path)) rights |= rule.rights;
    return rights;
  };
  for (const char* const path : {"/", "/etc/passwd", "/usr", "/usr/lib/python3/dist-packages", "/usr/local/lib",
                                 "/usr/local/lib/env", "/srv/data", "/srv"})
    EXPECT_EQ(rights_at(path), kRead) << path;
  EXPECT_EQ(rights_at("/srv/log") & kLandlockFileRights, rights_at("/srv/log") & ~std::uint64_t{kLandlockReadDir});
  // Rules cannot take away.
  EXPECT_EQ(rights_at("/home/me/project/.git"), kRead | kDirectory);
}

TEST(LandlockPlan, HasNoFileRulesWithNestedNamespaces) {
  const Landlock landlock = plan_landlock(usual_view(), 7, true);
  EXPECT_EQ(landlock.handled, 0U);
  EXPECT_TRUE(landlock.rules.empty());
  EXPECT_NE(landlock.scopes, 0U);
}

}  // namespace
}  // namespace vrun
