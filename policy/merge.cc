#include "policy/merge.h"

#include <algorithm>
#include <limits>
#include <string_view>

#include "policy/error.h"
#include "policy/host/root.h"
#include "policy/limits.h"
#include "policy/process_environment.h"

namespace vrun {
namespace {

/// Where a value stands in the order of its option: less is stricter.
std::size_t rank(const Option& option, std::string_view value) {
  if (option.stricter == Stricter::yes) return value == "true" ? 0 : 1;
  if (option.stricter == Stricter::no) return value == "true" ? 1 : 0;
  if (option.stricter == Stricter::smaller) {
    if (value.empty()) return std::numeric_limits<std::size_t>::max();
    return parse_limit(*find_limit(option.name), value);
  }
  const std::string bounded = "|" + std::string(option.choices) + "|";
  return bounded.find("|" + std::string(value) + "|");
}

bool is_ordered(const Option& option) {
  return option.stricter == Stricter::yes || option.stricter == Stricter::no || option.stricter == Stricter::earlier ||
         option.stricter == Stricter::smaller;
}

/// What two settings of a list cannot both be about: the directory of private memory, the name of a variable, the
/// whole value of everything else.
std::string key_of(const Setting& setting) {
  if (setting.option->kind == ValueKind::memory) return memory_directory(setting.value);
  if (setting.option->kind == ValueKind::variable) return setting.value.substr(0, setting.value.find('='));
  return setting.value;
}

/// Whether the option says something about a path that another one could say the contrary of.
bool names_path(const Option& option) {
  return option.repeatable && (option.kind == ValueKind::path || option.kind == ValueKind::memory);
}

template <typename Condition>
void remove_if(Settings& settings, Condition condition) {
  settings.erase(std::remove_if(settings.begin(), settings.end(), condition), settings.end());
}

const Setting* find(const Settings& settings, const Option& option) {
  const auto found =
      std::find_if(settings.begin(), settings.end(), [&](const Setting& setting) { return setting.option == &option; });
  return found == settings.end() ? nullptr : &*found;
}

/// Takes the place of what is said of the same option.
void replace(Settings& settings, const Setting& setting) {
  remove_if(settings, [&](const Setting& old) { return old.option == setting.option; });
  settings.push_back(setting);
}

void sort(Settings& settings) {
  std::stable_sort(settings.begin(), settings.end(),
                   [](const Setting& one, const Setting& other) { return one.option < other.option; });
}

/// Whether a run of `settings` gets what `asked`, of an option that opens with every value, asks for.
bool is_granted(const Settings& settings, const Setting& asked) {
  const std::string_view name = asked.option->name;
  if (name == "keep-env" && value_of(settings, *find_option("clear-env")) == "false" && is_passed(asked.value))
    return true;
  return std::any_of(settings.begin(), settings.end(), [&](const Setting& granted) {
    if (granted.option == asked.option && granted.value == asked.value) return true;
    const std::string_view by = granted.option->name;
    const bool shows = by == "rw" || (by == "ro" && name != "rw") || (by == "ro-try" && name == "ro-try");
    return names_path(*asked.option) && asked.option->kind == ValueKind::path && shows &&
           is_within(asked.value, granted.value);
  });
}

/// What was asked for in vain, and what grants it.
std::string notice(const Setting& asked) {
  const std::string name(asked.option->name);
  return asked.origin.text + " asks for " + name + " = " + quote(asked.value) +
         ", which a file of the project cannot grant; " +
         (asked.value == "false" ? "whoever set it to true can" : as_argument(asked) + " does");
}

bool is_direct(const Origin& origin) {
  return origin.source == Source::command_line || origin.source == Source::variable || origin.source == Source::user;
}

/// What a ceiling allows, for messages.
std::string most(const Ceiling& ceiling) {
  if (ceiling.values.empty()) return "nothing";
  std::string text;
  for (const std::string& value : ceiling.values) text += (text.empty() ? "" : ", ") + quote(value);
  return text;
}

/// Whether a ceiling of a list, or of a path, lets `setting` be.
bool is_below(const Setting& setting, const Ceiling& ceiling) {
  const bool is_path = setting.option->kind == ValueKind::path || setting.option->kind == ValueKind::memory;
  return std::any_of(ceiling.values.begin(), ceiling.values.end(), [&](const std::string& value) {
    return is_path ? is_within(key_of(setting), value) : key_of(setting) == value;
  });
}

}  // namespace

std::string value_of(const Settings& settings, const Option& option) {
  if (const Setting* setting = find(settings, option)) return setting->value;
  if (option.kind == ValueKind::flag) return "false";
  return std::string(option.choices.substr(0, option.choices.find('|')));
}

Settings overlay(const std::vector<Settings>& layers) {
  Settings merged;
  for (const Settings& layer : layers) {
    const Settings before = merged;
    for (const Setting& setting : layer) {
      const auto is_before = [&](const Setting& old) {
        return std::find(before.begin(), before.end(), old) != before.end();
      };
      if (names_path(*setting.option))
        remove_if(merged, [&](const Setting& old) {
          return names_path(*old.option) && old.option != setting.option && key_of(old) == key_of(setting) &&
                 is_before(old);
        });
      if (setting.option->name == "project")
        remove_if(merged, [&](const Setting& old) { return old.option->name == "no-project" && is_before(old); });
      if (setting.option->name == "no-project" && setting.value == "true")
        remove_if(merged, [&](const Setting& old) { return old.option->name == "project" && is_before(old); });
      if (!setting.option->repeatable) {
        replace(merged, setting);
        continue;
      }
      const auto same = std::find_if(merged.begin(), merged.end(), [&](const Setting& old) {
        return old.option == setting.option && key_of(old) == key_of(setting);
      });
      if (same == merged.end())
        merged.push_back(setting);
      else if (same->value != setting.value)
        *same = setting;
    }
  }
  sort(merged);
  return merged;
}

Merged tighten(Settings settings, const Settings& untrusted) {
  Merged merged;
  for (const Setting& asked : untrusted) {
    const Option& option = *asked.option;
    if (is_ordered(option)) {
      const std::size_t now = rank(option, value_of(settings, option));
      if (rank(option, asked.value) < now) replace(settings, asked);
    } else if (option.stricter == Stricter::more) {
      // The stricter of two sayings about one path.
      remove_if(settings, [&](const Setting& old) {
        return names_path(*old.option) && old.option != &option && key_of(old) == asked.value;
      });
      const auto same = [&](const Setting& old) { return old.option == &option && old.value == asked.value; };
      if (std::none_of(settings.begin(), settings.end(), same)) settings.push_back(asked);
    }
  }
  if (value_of(settings, *find_option("no-project")) == "true")
    remove_if(settings, [](const Setting& old) { return old.option->name == "project"; });
  sort(settings);
  // Only now, so that the order in which things are asked for does not matter.
  for (const Setting& asked : untrusted) {
    const Option& option = *asked.option;
    const bool wider = (is_ordered(option) && rank(option, asked.value) > rank(option, value_of(settings, option))) ||
                       (option.stricter == Stricter::fewer && !is_granted(settings, asked)) ||
                       (option.stricter == Stricter::unset && value_of(settings, option) != asked.value);
    // What a profile brings beside what it was chosen for is not asked for.
    if (wider && asked.origin.source == Source::project) merged.notices.push_back(notice(asked));
  }
  merged.settings = std::move(settings);
  return merged;
}

Merged lower(Settings settings, const std::vector<Ceiling>& ceilings) {
  Merged merged;
  for (const Ceiling& ceiling : ceilings) {
    const Option& option = *ceiling.option;
    const auto exceed = [&](const Setting& setting) {
      // Without the project of a profile, another directory would be the project.
      if (is_direct(setting.origin) || option.name == "project")
        throw Error(setting.origin.text + " asks for more than this machine allows: " + std::string(option.name) + " " +
                    quote(setting.value))
            .hint(ceiling.origin.text + " allows " + most(ceiling) + " at most");
      merged.notices.push_back(setting.origin.text + " is lowered: " + std::string(option.name) + " may be " +
                               most(ceiling) + " at most, by " + ceiling.origin.text);
    };
    if (is_ordered(option)) {
      const std::string now = value_of(settings, option);
      if (rank(option, now) <= rank(option, ceiling.values.at(0))) continue;
      if (const Setting* setting = find(settings, option)) exceed(*setting);
      replace(settings, {&option, ceiling.values.at(0), ceiling.origin});
    } else if (option.stricter == Stricter::more) {
      // Nothing that is named shows any of what everybody has to be without.
      for (const std::string& value : ceiling.values) {
        const auto shows = [&](const Setting& setting) {
          return setting.option != &option && setting.option->kind == ValueKind::path &&
                 is_within(setting.value, value);
        };
        for (const Setting& setting : settings)
          if (shows(setting))
            throw Error(setting.origin.text + " names what is hidden on this machine: " + quote(setting.value))
                .hint("by " + ceiling.origin.text);
        remove_if(settings, [&](const Setting& old) {
          return names_path(*old.option) && old.option != &option && key_of(old) == value;
        });
        const auto same = [&](const Setting& old) { return old.option == &option && old.value == value; };
        if (std::none_of(settings.begin(), settings.end(), same)) settings.push_back({&option, value, ceiling.origin});
      }
    } else {
      const auto above = [&](const Setting& setting) {
        const bool same = setting.option == &option || (option.name == "ro" && setting.option->name == "ro-try");
        return same && !is_below(setting, ceiling);
      };
      for (const Setting& setting : settings)
        if (above(setting)) exceed(setting);
      remove_if(settings, above);
    }
  }
  sort(settings);
  merged.settings = std::move(settings);
  return merged;
}

bool is_no_wider(const Settings& one, const Settings& other) {
  const auto has = [](const Settings& settings, const Setting& wanted) {
    return std::any_of(settings.begin(), settings.end(), [&](const Setting& setting) {
      return setting.option == wanted.option && setting.value == wanted.value;
    });
  };
  const bool without_project = value_of(one, *find_option("no-project")) == "true";
  return std::all_of(kOptions.begin(), kOptions.end(), [&](const Option& option) {
    switch (option.stricter) {
      case Stricter::no:
      case Stricter::yes:
      case Stricter::earlier:
      case Stricter::smaller:
        return rank(option, value_of(one, option)) <= rank(option, value_of(other, option));
      case Stricter::fewer:
        return std::all_of(one.begin(), one.end(),
                           [&](const Setting& setting) { return setting.option != &option || has(other, setting); });
      case Stricter::more:
        return std::all_of(other.begin(), other.end(),
                           [&](const Setting& setting) { return setting.option != &option || has(one, setting); });
      case Stricter::unset:
        return find(one, option) == nullptr
                   ? find(other, option) == nullptr || option.name != "project" || without_project
                   : value_of(one, option) == value_of(other, option);
      case Stricter::not_kept:
        return true;
    }
    return false;
  });
}

}  // namespace vrun
