/// Random policies for tests of laws that hold for all of them; the same for the same seed.
#pragma once

#include <algorithm>
#include <iterator>
#include <random>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "policy/merge.h"
#include "policy/settings.h"

namespace vrun {

/// Random policies over few paths and names, so that they meet.
class RandomSettings {
 public:
  explicit RandomSettings(unsigned seed, std::vector<std::string> paths = {"/a", "/a/b", "/a/b/c", "/ab", "/d"})
      : engine_(seed), paths_(std::move(paths)) {}

  std::size_t below(std::size_t end) { return std::uniform_int_distribution<std::size_t>(0, end - 1)(engine_); }

  Settings settings(Source source) {
    Settings settings;
    for (std::size_t tries = below(9); tries > 0; --tries) {
      const Option& option = kOptions.at(below(kOptions.size()));
      if (!option.is_policy()) continue;
      const Setting made{&option, value(option), {source, "origin " + std::to_string(++origins_)}};
      if (std::none_of(settings.begin(), settings.end(), [&](const Setting& old) { return excludes(old, made); }))
        settings.push_back(made);
    }
    return settings;
  }

  std::vector<Ceiling> ceilings() {
    std::vector<Ceiling> ceilings;
    for (std::size_t count = below(4); ceilings.size() < count;) {
      const Option& option = kOptions.at(below(kOptions.size()));
      if (!option.is_policy() || option.name == "ro-try") continue;
      Ceiling ceiling{&option, {}, {Source::administrator, "ceiling"}};
      for (std::size_t values = option.repeatable ? below(3) : 1; ceiling.values.size() < values;) {
        std::string text = value(option);
        if (option.kind == ValueKind::memory) text = memory_directory(text);
        if (option.kind == ValueKind::variable) text = text.substr(0, text.find('='));
        ceiling.values.push_back(std::move(text));
      }
      ceilings.push_back(std::move(ceiling));
    }
    return ceilings;
  }

 private:
  /// What one table cannot have together: two values of what is no list, and two sayings about one path.
  static bool excludes(const Setting& one, const Setting& other) {
    if (one.option == other.option) return !one.option->repeatable || key(one) == key(other);
    const std::string_view names[] = {one.option->name, other.option->name};
    if (std::count(std::begin(names), std::end(names), "project") +
            std::count(std::begin(names), std::end(names), "no-project") ==
        2)
      return true;
    const auto is_path = [](const Setting& setting) {
      return setting.option->repeatable &&
             (setting.option->kind == ValueKind::path || setting.option->kind == ValueKind::memory);
    };
    return is_path(one) && is_path(other) && key(one) == key(other);
  }
  static std::string key(const Setting& setting) {
    if (setting.option->kind == ValueKind::memory) return memory_directory(setting.value);
    if (setting.option->kind == ValueKind::variable) return setting.value.substr(0, setting.value.find('='));
    return setting.value;
  }
  std::string one_of(const std::vector<std::string>& words) { return words.at(below(words.size())); }
  std::string path() { return one_of(paths_); }
  std::string value(const Option& option) {
    switch (option.kind) {
      case ValueKind::flag:
        return one_of({"true", "false"});
      case ValueKind::path:
        return path();
      case ValueKind::memory:
        return path() + ":size=" + one_of({"1", "2"});
      case ValueKind::choice:
        return one_of({"none", "host"});
      case ValueKind::opening:
        return one_of({"ptrace", "perf", "userns"});
      case ValueKind::layer:
        return one_of({"hidepid", "landlock", "seccomp"});
      case ValueKind::variable:
        return one_of({"A=1", "A=2", "LANG=C"});
      case ValueKind::name:
        return one_of({"A", "LANG", "LC_ALL"});
      case ValueKind::limit:
        return option.value == "TIME" ? one_of({"1s", "2s"}) : one_of({"1", "2"});
      case ValueKind::word:
        return "x";
    }
    return "";
  }
  std::mt19937 engine_;
  std::vector<std::string> paths_;
  int origins_ = 0;
};

}  // namespace vrun
