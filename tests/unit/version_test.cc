#include "builder/version.h"

#include <gtest/gtest.h>

namespace vrun::builder {
namespace {

TEST(Version, OrdersAsPep440) {
  // The list of the PEP ("Summary of permitted suffixes and relative ordering"), and what else has an order.
  const char* const ordered[]{"1.dev0",
                              "1.0.dev456",
                              "1.0a1",
                              "1.0a2.dev456",
                              "1.0a12.dev456",
                              "1.0a12",
                              "1.0b1.dev456",
                              "1.0b2",
                              "1.0b2.post345.dev456",
                              "1.0b2.post345",
                              "1.0rc1.dev456",
                              "1.0rc1",
                              "1.0",
                              "1.0+abc.5",
                              "1.0+abc.7",
                              "1.0+5",
                              "1.0+5.a",
                              "1.0+5.0",
                              "1.0.post456.dev34",
                              "1.0.post456",
                              "1.0.post456+1",
                              "1.0.15",
                              "1.1.dev1",
                              "1.1",
                              "1.10",
                              "23.0.1",
                              "24.2",
                              "26.3.dev0",
                              "26.3",
                              "2026.1",
                              "1!0.1.dev1",
                              "1!0.1",
                              "1!24.2+x",
                              "2!0.1"};
  for (std::size_t i = 1; i < std::size(ordered); ++i) {
    const auto smaller = parse_version(ordered[i - 1]);
    const auto greater = parse_version(ordered[i]);
    ASSERT_TRUE(smaller && greater) << ordered[i];
    EXPECT_LT(*smaller, *greater) << ordered[i - 1] << " and " << ordered[i];
  }
  EXPECT_EQ(parse_version("24.2"), parse_version("24.2.0"));
  EXPECT_EQ(parse_version("0!24.2+1.a"), parse_version("24.2.0+1.a"));
}

TEST(Version, TakesNothingElse) {
  for (const char* const text :
       {"",          "a",    "1.",         ".1",       "1.0 ",    "1.0+",  "1.0+a.",  "1.0+.a",      "1.0+a_b",
        "1.0+a+b",   "!1",   "1!",         "1!!1",     "a!1",     "1!2!3", "1.0c1",   "v1",          "1..2",
        "1.0+Local", "1.0a", "1.0+\u00e9", "1.0.post", "1.0+a b", "1.0-1", "1.0+1-2", "99999999999", "1.0+99999999999"})
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
      {">=3.12, ", "3.11.2", false},
      {">=3.11,", "3.11.2", true},
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
      {"==1.0", "1.0+local", true},
      {"!=1.0", "1.0+local", false},
      {"==1.0+local", "1.0+local", true},
      {"==1.0+local", "1.0", false},
      {"==1.0.*", "1.0+local", true},
      {"<=1.0", "1.0+local", true},
      {">1.0", "1.0+local", false},
      {">1.0", "1.0.post1", false},
      {">1.0.post1", "1.0.post2", true},
      {">1.0", "1.0.1", true},
      {"<1.0", "1.0rc1", false},
      {"<1.0", "1.0.dev1", false},
      {"<1.0rc2", "1.0rc1", true},
      {"<1.0", "0.9rc1", true},
      {">=1.0", "1!0.1", true},
      {"==1.0.*", "1!1.0", false},
      {"!=1.0.*", "1!1.0", true},
      {"==1!1.*", "1!1.5", true},
      {"~=1!1.2", "1!1.5", true},
      {"~=1.2", "1!1.5", false},
  };
  for (const auto& test : cases) {
    const auto specifiers = Specifiers::parse(test.specifiers);
    ASSERT_TRUE(specifiers) << test.specifiers;
    EXPECT_EQ(specifiers->hold(*parse_version(test.version)), test.holds) << test.specifiers << " " << test.version;
  }
  for (const char* const text : {"3.7", ">=", ">=3.8,,<4", "===3.8", ">=3.*", "~=3", ">= three", ",", "three,",
                                 ">1.0+a", "~=1.0+a", "==1.0+a.*"})
    EXPECT_FALSE(Specifiers::parse(text)) << text;
}

TEST(Specifiers, SayWhetherTheyAskForPrereleases) {
  const auto asks = [](const char* text) { return Specifiers::parse(text)->name_prerelease(); };
  EXPECT_TRUE(asks(">=1.0,==2.0rc1"));
  EXPECT_TRUE(asks(">=1.0.dev0"));
  EXPECT_FALSE(asks(">=1.0,==2.*,!=2.1.post1"));
  EXPECT_FALSE(asks(""));
}

}  // namespace
}  // namespace vrun::builder
