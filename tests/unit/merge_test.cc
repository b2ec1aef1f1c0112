// Merging policies: laws that hold for thousands of random ones, and the cases that people meet.
#include "policy/merge.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <set>
#include <string>

#include "policy/error.h"
#include "tests/unit/random_settings.h"

namespace vrun {
namespace {

constexpr int kPolicies = 2000;

std::multiset<std::string> values_of(const Settings& settings) {
  std::multiset<std::string> values;
  for (const Setting& setting : settings) values.insert(std::string(setting.option->name) + "=" + setting.value);
  return values;
}

std::string text_of(const Settings& settings) {
  std::string text;
  for (const std::string& value : values_of(settings)) text += value + "\n";
  return text;
}

TEST(Overlay, OfAPolicyWithItselfIsThatPolicy) {
  RandomSettings random(1);
  for (int i = 0; i < kPolicies; ++i) {
    const Settings one = overlay({random.settings(Source::user)});
    EXPECT_EQ(values_of(overlay({one, one})), values_of(one)) << text_of(one);
    EXPECT_EQ(overlay({one}), one);
    EXPECT_EQ(overlay({{}, one, {}}), one);
  }
}

TEST(Overlay, IsAssociative) {
  RandomSettings random(2);
  for (int i = 0; i < kPolicies; ++i) {
    const Settings a = overlay({random.settings(Source::administrator)});
    const Settings b = overlay({random.settings(Source::user)});
    const Settings c = overlay({random.settings(Source::command_line)});
    EXPECT_EQ(values_of(overlay({overlay({a, b}), c})), values_of(overlay({a, b, c}))) << text_of(a) << "--\n"
                                                                                       << text_of(b) << "--\n"
                                                                                       << text_of(c);
  }
}

TEST(Tighten, NeverWidens) {
  RandomSettings random(3);
  int narrowed = 0;
  for (int i = 0; i < kPolicies; ++i) {
    const Settings trusted = overlay({random.settings(Source::user), random.settings(Source::command_line)});
    const Settings untrusted = random.settings(Source::project);
    const Settings effective = tighten(trusted, untrusted).settings;
    EXPECT_TRUE(is_no_wider(effective, trusted)) << text_of(trusted) << "-- tightened by\n"
                                                 << text_of(untrusted) << "-- is\n"
                                                 << text_of(effective);
    narrowed += is_no_wider(trusted, effective) ? 0 : 1;
  }
  EXPECT_GT(narrowed, kPolicies / 4) << "the order does not tell them apart";
}

TEST(Tighten, TwiceIsOnceAndTheOrderDoesNotMatter) {
  RandomSettings random(4);
  for (int i = 0; i < kPolicies; ++i) {
    const Settings trusted = overlay({random.settings(Source::command_line)});
    const Settings a = random.settings(Source::project);
    const Settings b = random.settings(Source::project);
    const Settings by_a = tighten(trusted, a).settings;
    EXPECT_EQ(tighten(by_a, a).settings, by_a);
    EXPECT_EQ(values_of(tighten(by_a, b).settings), values_of(tighten(tighten(trusted, b).settings, a).settings))
        << text_of(trusted) << "--\n"
        << text_of(a) << "--\n"
        << text_of(b);
    Settings both = a;
    both.insert(both.end(), b.begin(), b.end());
    EXPECT_EQ(values_of(tighten(by_a, b).settings), values_of(tighten(trusted, both).settings));
  }
}

TEST(Tighten, SaysWhatItDidNotGrant) {
  RandomSettings random(5);
  for (int i = 0; i < kPolicies; ++i) {
    const Settings trusted = overlay({random.settings(Source::command_line)});
    const Settings untrusted = random.settings(Source::project);
    const Merged merged = tighten(trusted, untrusted);
    for (const Setting& asked : untrusted) {
      // What is in the result was granted, and says nothing.
      const bool granted = values_of(merged.settings).count(std::string(asked.option->name) + "=" + asked.value) != 0;
      const bool said = std::any_of(merged.notices.begin(), merged.notices.end(), [&](const std::string& notice) {
        return notice.starts_with(asked.origin.text + " asks");
      });
      EXPECT_FALSE(granted && said) << asked.option->name << "=" << asked.value;
    }
  }
}

/// Throws for what is asked for directly, so the policies here come from profiles, which are lowered.
TEST(Lower, KeepsEveryCeiling) {
  RandomSettings random(6);
  for (int i = 0; i < kPolicies; ++i) {
    const Settings trusted = overlay({random.settings(Source::profile)});
    const std::vector<Ceiling> ceilings = random.ceilings();
    Settings lowered;
    try {
      lowered = lower(trusted, ceilings).settings;
    } catch (const Error& error) {
      const std::string text = error.what();
      EXPECT_TRUE(text.find("hidden on this machine") != std::string::npos ||
                  text.find(": project ") != std::string::npos)
          << text;
      continue;
    }
    EXPECT_TRUE(is_no_wider(lowered, trusted)) << text_of(trusted) << "--\n" << text_of(lowered);
    EXPECT_EQ(values_of(lower(lowered, ceilings).settings), values_of(lowered));
    // No ceiling is passed by what a project's file says afterwards.
    EXPECT_TRUE(is_no_wider(tighten(lowered, random.settings(Source::project)).settings, lowered));
    for (const Ceiling& ceiling : ceilings)
      for (const Setting& setting : lowered)
        if (setting.option == ceiling.option && setting.option->stricter == Stricter::fewer) {
          EXPECT_FALSE(ceiling.values.empty());
        }
  }
}

Setting setting(const char* option, const std::string& value, Source source = Source::command_line) {
  return {find_option(option), value, {source, "origin"}};
}

TEST(Order, TellsEveryOptionApart) {
  for (const Option& option : kOptions) {
    if (option.stricter == Stricter::not_kept) continue;
    const char* name = option.name.data();
    const bool is_flag = option.kind == ValueKind::flag;
    const std::string wide = option.stricter == Stricter::yes   ? "false"
                             : is_flag                          ? "true"
                             : option.kind == ValueKind::choice ? "host"
                                                                : "/x";
    const std::string strict = option.stricter == Stricter::yes   ? "true"
                               : is_flag                          ? "false"
                               : option.kind == ValueKind::choice ? "none"
                                                                  : "";
    Settings one = strict.empty() ? Settings{} : Settings{setting(name, strict)};
    Settings other = {setting(name, wide)};
    if (option.stricter == Stricter::smaller) other = {setting(name, option.value == "TIME" ? "1s" : "1")};
    if (option.stricter == Stricter::more || option.stricter == Stricter::smaller) std::swap(one, other);
    EXPECT_TRUE(is_no_wider(one, one)) << name;
    // Without a project that is named there is another one.
    EXPECT_EQ(is_no_wider(one, other), option.name != "project") << name;
    EXPECT_EQ(is_no_wider(other, one), false) << name;
  }
}

}  // namespace
}  // namespace vrun
