// The table of options, and what is made from it.
#include "policy/option_table.h"

#include <gtest/gtest.h>

#include <cctype>
#include <fstream>
#include <map>
#include <regex>
#include <set>
#include <string>
#include <vector>

#include "policy/nearest.h"
#include "policy/option_texts.h"
#include "runner/options.h"
#include "tests/unit/golden.h"

namespace vrun {
namespace {

std::set<std::string> names() {
  std::set<std::string> names;
  for (const Option& option : kOptions) names.insert(std::string(option.name));
  return names;
}

TEST(OptionTable, HasEveryNameAndLetterOnce) {
  EXPECT_EQ(names().size(), kOptions.size());
  std::multiset<char> letters;
  for (const Option& option : kOptions) letters.insert(option.letter);
  for (const char letter : letters) EXPECT_TRUE(letter == 0 || letters.count(letter) == 1) << letter;
}

TEST(OptionTable, SaysWhatItsTextsNeed) {
  for (const Option& option : kOptions) {
    EXPECT_TRUE(std::regex_match(std::string(option.name), std::regex("[a-z]+(-[a-z]+)*"))) << option.name;
    EXPECT_FALSE(option.help.empty()) << option.name;
    EXPECT_EQ(option.help.find_first_of("[]\n\\"), std::string_view::npos) << option.name;
    EXPECT_EQ(option.value.empty(), option.kind == ValueKind::flag) << option.name;
    EXPECT_EQ(option.choices.empty(), option.kind != ValueKind::choice) << option.name;
    const bool is_list = option.stricter == Stricter::fewer || option.stricter == Stricter::more;
    const bool is_flag = option.stricter == Stricter::yes || option.stricter == Stricter::no;
    if (option.is_policy()) {
      EXPECT_EQ(option.repeatable, is_list) << option.name;
      EXPECT_EQ(option.kind == ValueKind::choice, option.stricter == Stricter::earlier) << option.name;
      EXPECT_EQ(option.kind == ValueKind::flag, is_flag) << option.name;
    }
    EXPECT_EQ(option.is_policy(), option.section != Section::about) << option.name;
    EXPECT_EQ(option.is_policy(), option.no_key.empty()) << option.name;
  }
}

TEST(OptionTable, IsWhatHelpPrints) {
  const std::string help = help_text();
  std::set<std::string> helped;
  const std::regex word("--([a-z][a-z-]*)");
  for (std::sregex_iterator at(help.begin(), help.end(), word), end; at != end; ++at) helped.insert((*at)[1]);
  EXPECT_EQ(helped, names());
  for (const Option& option : kOptions) {
    if (option.letter != 0) {
      EXPECT_NE(help.find(std::string("-") + option.letter + ", --" + std::string(option.name)), std::string::npos)
          << option.name;
    }
  }
}

TEST(OptionTable, MakesTheCompletions) {
  expect_golden("../../contrib/completions/vrun.bash", bash_completion());
  expect_golden("../../contrib/completions/_vrun", zsh_completion());
  expect_golden("../../contrib/completions/vrun.fish", fish_completion());
}

TEST(OptionTable, MakesTheSchema) { expect_golden("../../docs/vrun.schema.json", json_schema()); }

/// Every key is described in the manual page of the format, and no other.
TEST(OptionTable, IsWhatTheManualOfTheFormatDescribes) {
  std::ifstream page(std::string(VRUN_TEST_DATA) + "/../../docs/vrun.toml.5");
  std::multiset<std::string> described;
  for (std::string line; std::getline(page, line);) {
    std::smatch found;
    if (std::regex_match(line, found, std::regex("\\.It Ic ([a-z-]+)( .*)?"))) described.insert(found[1]);
  }
  std::multiset<std::string> keys = {"extends", "version"};
  for (const Option& option : kOptions)
    if (option.is_policy()) keys.insert(std::string(option.name));
  EXPECT_EQ(described, keys);
}

/// The list of what a project's file can do is the rule of merging: what has an order that such a file can move down.
TEST(OptionTable, IsWhatTheManualSaysOfProjects) {
  std::ifstream page(std::string(VRUN_TEST_DATA) + "/../../docs/vrun.toml.5");
  std::set<std::string> described;
  bool is_there = false;
  for (std::string line; std::getline(page, line);) {
    if (line.starts_with(".S")) is_there = line == ".Sh HOW SOURCES ARE MERGED";
    std::smatch found;
    if (is_there && std::regex_match(line, found, std::regex("\\.Ic ([a-z-]+)( [.,])?"))) described.insert(found[1]);
  }
  std::set<std::string> wanted;
  for (const Option& option : kOptions)  // limits are one word there
    if (option.stricter == Stricter::yes || option.stricter == Stricter::no || option.stricter == Stricter::earlier ||
        option.stricter == Stricter::more)
      wanted.insert(std::string(option.name));
  EXPECT_EQ(described, wanted);
}

/// What has no key is a list that people can read, with the reason for each.
TEST(OptionTable, IsWhatTheManualSaysHasNoKey) {
  std::ifstream page(std::string(VRUN_TEST_DATA) + "/../../docs/vrun.toml.5");
  std::map<std::string, std::string> described;
  std::vector<std::string> items;
  bool is_there = false;
  for (std::string line; std::getline(page, line);) {
    if (line.starts_with(".S")) is_there = line == ".Ss Options without a key";
    if (!is_there) continue;
    if (line.starts_with(".It ")) {
      items.clear();
      const std::regex word("-([a-z-]+)");
      for (std::sregex_iterator at(line.begin(), line.end(), word), end; at != end; ++at) items.push_back((*at)[1]);
    } else if (!line.starts_with(".")) {
      for (const std::string& item : items) described[item] += (described[item].empty() ? "" : " ") + line;
    }
  }
  std::map<std::string, std::string> wanted;
  for (const Option& option : kOptions) {
    if (option.is_policy()) continue;
    std::string reason(option.no_key);
    reason.front() = static_cast<char>(std::toupper(reason.front()));
    wanted[std::string(option.name)] = reason + ".";
  }
  EXPECT_EQ(described, wanted);
}

TEST(Nearest, CountsLetters) {
  EXPECT_EQ(distance("", ""), 0U);
  EXPECT_EQ(distance("net", "net"), 0U);
  EXPECT_EQ(distance("nte", "net"), 2U);
  EXPECT_EQ(distance("", "net"), 3U);
  EXPECT_EQ(distance("environment", "env"), 8U);
}

TEST(Nearest, IsNotEverythingThatIsLeft) {
  EXPECT_EQ(nearest("hid", {"net", "hide", "home"}), "hide");
  EXPECT_EQ(misspelt("hid", {"net", "hide", "home"}), "hide");
  EXPECT_EQ(misspelt("ned", {"net", "hide"}), "net");
  EXPECT_EQ(misspelt("x", {"ro", "rw"}), "");
  EXPECT_EQ(misspelt("memory", {"net", "hide", "home"}), "");
  EXPECT_EQ(misspelt("", {"net"}), "");
}

}  // namespace
}  // namespace vrun
