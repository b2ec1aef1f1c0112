#include "builder/version.h"

#include <gtest/gtest.h>

namespace vrun::builder {
namespace {

TEST(Version, OrdersAsPep440) {
  const char* const ordered[]{"1.0.dev1", "1.0a1.dev1",     "1.0a1",     "1.0a2",    "1.0b1", "1.0rc1",
                              "1.0",      "1.0.post1.dev1", "1.0.post1", "1.1.dev0", "1.1",   "1.10",
                              "23.0.1",   "24.2",           "26.3.dev0", "26.3"};
  for (std::size_t i = 1; i < std::size(ordered); ++i) {
    const auto smaller = parse_version(ordered[i - 1]);
    const auto greater = parse_version(ordered[i]);
    ASSERT_TRUE(smaller && greater) << ordered[i];
    EXPECT_LT(*smaller, *greater) << ordered[i - 1] << " and " << ordered[i];
  }
  EXPECT_EQ(parse_version("24.2"), parse_version("24.2.0"));
  const char* const rest[]{"1.0", "1.0+abc", "1.0+abc.1", "1.0+1", "1.0+2", "1.0+10", "1.0.post1", "1!0.1"};
  for (std::size_t i = 1; i < std::size(rest); ++i) {
    ASSERT_TRUE(parse_version(rest[i])) << rest[i];
    EXPECT_LT(*parse_version(rest[i - 1]), *parse_version(rest[i])) << rest[i - 1] << " and " << rest[i];
  }
}

TEST(Version, TakesNothingElse) {
  for (const char* const text : {"", "a", "1.", ".1", "1.0 ", "1.0+", "1.0+a..b", "1.0+A", "!1", "1!", "x!1", "1.0c1",
                                 "v1", "1..2", "99999999999", "1.0.post", "1.0a"})
    EXPECT_FALSE(parse_version(text)) << text;
}

TEST(Specifiers, HoldAsPep440) {
  const struct {
    const char* specifiers;
    const char* version;
    bool holds;
  } cases[]{
      {">=3.7", "3.11.2", true},
      {">=3.12", "3.11.2", false},
      {">=3.8, !=3.9.*", "3.9.1", false},
      {">=3.8,!=3.9.*", "3.10.1", true},
      {"==3.11.*", "3.11.9", true},
      {"==3.1.*", "3.11.9", false},
      {"<4", "3.13.0", true},
      {"<3.13", "3.13.0", false},
      {"~=3.10", "3.13.0", true},
      {"~=3.10.2", "3.11.0", false},
      {"~=3.10.2", "3.10.4", true},
      {"==3.11.2", "3.11.2", true},
      {">3.11", "3.11.0", false},
      {"<=3.11", "3.11.0", true},
      {"", "3.11.0", true},
      {"==2.0", "2.0+cpu", true},
      {"!=2.0", "2.0+cpu", false},
      {">2.0", "2.0+cpu", false},
      {"==2.0+cpu", "2.0+cpu", true},
      {"==2.0+cpu", "2.0", false},
      {"<1!1", "2.0", true},
  };
  for (const auto& test : cases) {
    const auto specifiers = Specifiers::parse(test.specifiers);
    ASSERT_TRUE(specifiers) << test.specifiers;
    EXPECT_EQ(specifiers->hold(*parse_version(test.version)), test.holds) << test.specifiers << " " << test.version;
  }
  for (const char* const text : {"3.7", ">=", ">=3.8,,<4", "===3.8", ">=3.*", "~=3", ">= three"})
    EXPECT_FALSE(Specifiers::parse(text)) << text;
}

}  // namespace
}  // namespace vrun::builder
