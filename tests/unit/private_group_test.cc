// Groups of one user alone: what the files of accounts prove, and that everything else is no.
#include "policy/private_group.h"

#include <gtest/gtest.h>

#include <string>

namespace vrun {
namespace {

constexpr const char* kPasswd =
    "root:x:0:0:root:/root:/bin/sh\n"
    "# a comment\n\n"
    "you:x:1001:1001::/home/you:/bin/sh\n"
    "me:x:1000:1000:Me,,,:/home/me:/bin/sh\n";
constexpr const char* kGroup =
    "root:x:0:\n"
    "users:x:100:me,you\n"
    "you:x:1001:\n"
    "me:x:1000:\n";

bool with_passwd(const std::string& line) { return is_private_group(kPasswd + line, kGroup, 1000, 1000); }
bool with_group(const std::string& line) { return is_private_group(kPasswd, kGroup + line, 1000, 1000); }
/// With `me` of /etc/group written otherwise.
bool with_own_group(const std::string& line) {
  return is_private_group(kPasswd, "root:x:0:\nyou:x:1001:\n" + line, 1000, 1000);
}

TEST(PrivateGroup, IsTheOneThatUseraddMakes) {
  EXPECT_TRUE(is_private_group(kPasswd, kGroup, 1000, 1000));
  EXPECT_TRUE(is_private_group(kPasswd, kGroup, 1001, 1001));
  EXPECT_TRUE(with_own_group("me:x:1000:me\n"));
  EXPECT_TRUE(with_own_group("me:!:1000:"));
  EXPECT_TRUE(with_own_group("me:*:1000:"));
  EXPECT_TRUE(with_own_group("me::1000:"));
  EXPECT_TRUE(with_passwd("another:x:1002:100::/:/bin/sh\n"));
  EXPECT_TRUE(with_group("other:x:1002:me,you\n"));
}

TEST(PrivateGroup, IsNoOtherGroup) {
  EXPECT_FALSE(is_private_group(kPasswd, kGroup, 1000, 100)) << "not the primary one";
  EXPECT_FALSE(is_private_group(kPasswd, kGroup, 1000, 1001)) << "somebody else's";
  EXPECT_FALSE(is_private_group(kPasswd, kGroup, 1002, 1002)) << "of nobody";
  EXPECT_FALSE(is_private_group(kPasswd, kGroup, 0, 0)) << "root's";
  EXPECT_FALSE(is_private_group("root:x:1000:0::/:\n", "root:x:0:\n", 1000, 0)) << "root's group";
  EXPECT_FALSE(is_private_group("", "", 1000, 1000));
  EXPECT_FALSE(is_private_group(kPasswd, "", 1000, 1000));
  EXPECT_FALSE(is_private_group("", kGroup, 1000, 1000)) << "a user without an entry";
  EXPECT_FALSE(with_own_group("users:x:1000:\n")) << "it has another name";
  EXPECT_FALSE(with_own_group("me:x:1002:\n")) << "its name has another number";
}

TEST(PrivateGroup, HasNobodyElseInIt) {
  EXPECT_FALSE(with_own_group("me:x:1000:you\n"));
  EXPECT_FALSE(with_own_group("me:x:1000:me,you\n"));
  EXPECT_FALSE(with_own_group("me:x:1000:me,\n"));
  EXPECT_FALSE(with_own_group("me:$6$salt$hash:1000:\n")) << "whoever knows the password enters it";
  EXPECT_FALSE(with_passwd("another:x:1002:1000::/:/bin/sh\n")) << "somebody else's primary group";
  EXPECT_FALSE(with_passwd("another:x:1000:1002::/:/bin/sh\n")) << "the user has another group too";
  EXPECT_FALSE(with_passwd("another:x:1000:1000::/:/bin/sh\n")) << "the user has two names";
  EXPECT_FALSE(with_passwd("me:x:1002:1002::/:/bin/sh\n")) << "somebody else has the name";
  EXPECT_FALSE(with_group("me:x:1000:you\n"));
  EXPECT_FALSE(with_group("me:x:1002:\n"));
  EXPECT_FALSE(with_group("also:x:1000:you\n"));
}

TEST(PrivateGroup, IsNotProvenByWhatCannotBeRead) {
  for (const char* line : {"+", "+::::::", "-you::::::", "+@net::::::", "short:x:1002", "long:x:1002:1002::/:/bin/sh:x",
                           ":x:1002:1002::/:", "x:x:1002x:1002::/:", "x:x::1002::/:", "x:x:1002:-1::/:",
                           "x:x:1002: 1000::/:", "x:x:4294968296:1002::/:", "x:x:1002:4294968296::/:"})
    EXPECT_FALSE(with_passwd(line)) << line;
  for (const char* line : {"+", "+:::", "-you:::", "short:x:1002",
                           "long:x:1002::", ":x:1002:", "x:x::", "x:x:+1000:", "x:x:1002x:", "x:x:4294968296:"})
    EXPECT_FALSE(with_group(line)) << line;
}

}  // namespace
}  // namespace vrun
