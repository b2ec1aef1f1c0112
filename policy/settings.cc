#include "policy/settings.h"

#include <algorithm>
#include <cstdint>
#include <optional>

#include "policy/error.h"
#include "policy/host/root.h"
#include "policy/layers.h"
#include "policy/limits.h"
#include "policy/nearest.h"
#include "policy/syscall_filter.h"

namespace vrun {
namespace {

constexpr std::string_view kSize = ":size=";
constexpr std::string_view kInProject = "./";

/// A path as files write it. What a shell would have replaced is refused, and so is what leads out of the project.
std::string check_file_path(const std::string& text, const Writing& writing) {
  if (text.starts_with("~/")) {
    if (!writing.home.starts_with('/')) throw Error(writing.subject + ": there is no home directory for", text);
    return absolute_path(text.substr(2), writing.home);
  }
  if (text.starts_with('~') || text.find_first_of("$`*?[") != std::string::npos)
    throw Error(writing.subject + " wants a path as it is, without variables and patterns, not " + quote(text))
        .hint("only '~/' is known, for the home directory");
  if (text.starts_with('/')) return absolute_path(text, "/");
  const std::string below = "/" + text + "/";
  if (below.find("/../") != std::string::npos)
    throw Error(writing.subject + " wants an absolute path, or one inside the project, not " + quote(text));
  if (!writing.base.empty()) return absolute_path(text, writing.base);
  return std::string(kInProject) + absolute_path(text, "/").substr(1);
}

std::string check_path(const std::string& text, const Writing& writing, std::string_view wanted) {
  if (text.empty()) throw Error(writing.subject + " wants a " + std::string(wanted));
  if (text.find('\0') != std::string::npos)
    throw Error(writing.subject + " wants a path, and that has no NUL byte in it");
  return writing.in_file ? check_file_path(text, writing) : absolute_path(text, writing.base);
}

/// DIR, or DIR:size=N, always with a size. A directory whose name ends like that is meant when ":size=" is given once
/// more.
std::string check_memory(const std::string& text, const Writing& writing) {
  std::uint64_t size = Memory().size;
  const std::size_t end = text.rfind(kSize);
  if (end != std::string::npos) {
    const auto given = parse_size(std::string_view(text).substr(end + kSize.size()));
    if (!given) throw Error(writing.subject + " wants a size such as 64M after ':size=', not " + quote(text));
    size = *given;
  }
  return check_path(text.substr(0, end), writing, "path") + std::string(kSize) + std::to_string(size);
}

bool is_name(std::string_view text) {
  constexpr std::string_view kLetters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz_";
  constexpr std::string_view kDigits = "0123456789";
  return !text.empty() && kDigits.find(text.front()) == std::string_view::npos &&
         std::all_of(text.begin(), text.end(), [&](char c) {
           return kLetters.find(c) != std::string_view::npos || kDigits.find(c) != std::string_view::npos;
         });
}

std::string check_variable(const std::string& text, const Writing& writing) {
  const std::size_t equals = text.find('=');
  if (equals == std::string::npos || equals == 0 || text.find('\0') != std::string::npos)
    throw Error(writing.subject + " wants NAME=VALUE, not " + quote(text));
  if (writing.in_file && !is_name(std::string_view(text).substr(0, equals)))
    throw Error(writing.subject + " wants the name of a variable, not " + quote(text.substr(0, equals)));
  return text;
}

std::string check_opening(const std::string& text, const Writing& writing) {
  if (find_opening(text) != nullptr) return text;
  std::vector<std::string_view> known;
  known.reserve(openings().size());
  for (const Opening& opening : openings()) known.push_back(opening.name);
  std::string all;
  for (const std::string_view one : known) all += (all.empty() ? "" : ", ") + std::string(one);
  throw Error(writing.in_file ? writing.subject + ": there is nothing to open by the name " + quote(text)
                              : "there is nothing to " + writing.subject + " by the name " + quote(text))
      .hint("the nearest is " + quote(nearest(text, known)) + ", all are " + all);
}

std::string check_layer(const Option& option, const std::string& text, const Writing& writing) {
  const std::vector<std::string_view> known = layers_of(option);
  if (std::find(known.begin(), known.end(), text) != known.end()) return text;
  throw Error(writing.in_file ? writing.subject + ": there is no such layer: " + quote(text)
                              : "there is no layer " + quote(text) + " for " + writing.subject)
      .hint("the nearest is " + quote(nearest(text, known)) + "; vrun(1) has all");
}

/// Written as limit_text has it, whatever the unit was.
std::string check_limit(const Option& option, const std::string& text, const Writing& writing) {
  const LimitDescription& limit = *find_limit(option.name);
  try {
    return limit_text(limit, parse_limit(limit, text));
  } catch (const Error& error) {
    // Its messages are about the option of the command line.
    const std::string prefix = "--" + std::string(option.name);
    if (!error.failure().starts_with(prefix)) throw;
    throw Error(writing.subject + std::string(error.failure().substr(prefix.size()))).hint(error.remedy());
  }
}

std::string check_choice(const Option& option, const std::string& text, const Writing& writing) {
  const std::string bounded = "|" + std::string(option.choices) + "|";
  if (!text.empty() && text.find('|') == std::string::npos && bounded.find("|" + text + "|") != std::string::npos)
    return text;
  std::string choices(option.choices);
  for (std::size_t at = 0; (at = choices.find('|', at)) != std::string::npos;) choices.replace(at, 1, " or ");
  throw Error(writing.subject + " is " + choices + ", not " + quote(text));
}

}  // namespace

std::string memory_directory(const std::string& value) { return value.substr(0, value.rfind(kSize)); }

std::vector<std::string_view> layers_of(const Option& option) {
  if (option.name == "without") return {kOptionalLayers.begin(), kOptionalLayers.end()};
  return {kLayers.begin(), kLayers.end()};
}

std::string check_value(const Option& option, const std::string& text, const Writing& writing) {
  switch (option.kind) {
    case ValueKind::flag:
      if (text != "true" && text != "false") throw Error(writing.subject + " is true or false, not " + quote(text));
      return text;
    case ValueKind::path:
      return check_path(text, writing, option.value == "DIR" ? "directory" : "path");
    case ValueKind::memory:
      return check_memory(text, writing);
    case ValueKind::choice:
      return check_choice(option, text, writing);
    case ValueKind::opening:
      return check_opening(text, writing);
    case ValueKind::layer:
      return check_layer(option, text, writing);
    case ValueKind::variable:
      return check_variable(text, writing);
    case ValueKind::name:
      if (!is_name(text)) throw Error(writing.subject + " wants the name of a variable, not " + quote(text));
      return text;
    case ValueKind::limit:
      return check_limit(option, text, writing);
    case ValueKind::word:
      if (text.empty()) throw Error(writing.subject + " wants a name");
      return text;
  }
  throw Error(writing.subject + " has a value of a kind that is not known");
}

RunPolicy make_run_policy(const Settings& settings, const std::string& directory, const Root& root) {
  RunPolicy policy;
  policy.project = directory;
  for (const Setting& setting : settings) {
    if (setting.option->name == "no-project" && setting.value == "true") policy.project.clear();
    if (setting.option->name == "project") {
      policy.project = setting.value;
      policy.project_named = true;
      // Whoever stands inside the project stays there.
      if (is_within(directory, policy.project)) policy.working_directory = directory;
    }
  }
  for (const Setting& setting : settings) {
    const std::string_view name = setting.option->name;
    const bool is_true = setting.value == "true";
    if (name == "ro" || (name == "ro-try" && (root.is_directory(setting.value) || root.is_regular(setting.value))))
      policy.shares.push_back({setting.value, Access::read_only});
    if (name == "rw") policy.shares.push_back({setting.value, Access::read_write});
    if (name == "hide") policy.hidden.push_back(setting.value);
    if (name == "tmpfs")
      policy.memory.push_back(
          {memory_directory(setting.value), parse_size(setting.value.substr(setting.value.rfind('=') + 1)).value()});
    if (name == "home") policy.home = setting.value;
    if (name == "cwd") policy.working_directory = setting.value;
    if (name == "env-rw") policy.environment_access = is_true ? Access::read_write : Access::read_only;
    if (name == "project-ro") policy.project_access = is_true ? Access::read_only : Access::read_write;
    if (name == "no-system") policy.no_system = is_true;
    if (name == "net") policy.network = setting.value == "host" ? Network::host : Network::none;
    if (name == "allow") policy.allowed.push_back(setting.value);
    if (name == "require") policy.required.push_back(setting.value);
    if (name == "without") policy.without.push_back(setting.value);
    if (const LimitDescription* limit = find_limit(name))
      policy.limits[limit->kind] = parse_limit(*limit, setting.value);
    if (name == "require-limits") policy.require_limits = is_true;
    if (name == "clear-env") policy.clear_variables = is_true;
    if (name == "keep-env") policy.kept_variables.push_back(setting.value);
    if (name == "setenv") {
      const std::size_t equals = setting.value.find('=');
      policy.set_variables.push_back({setting.value.substr(0, equals), setting.value.substr(equals + 1)});
    }
  }
  for (std::vector<std::string>* names : {&policy.allowed, &policy.required, &policy.without}) {
    std::sort(names->begin(), names->end());
    names->erase(std::unique(names->begin(), names->end()), names->end());
  }
  return policy;
}

std::string as_argument(const Setting& setting) {
  std::string text = "--" + std::string(setting.option->name);
  if (setting.option->kind == ValueKind::flag) return text;
  const std::string escaped = escape(setting.value);
  const bool plain = escaped == setting.value && escaped.find_first_of(" \"$&();<>|*?[]#~`!{}") == std::string::npos;
  return text + " " + (plain ? escaped : "'" + escaped + "'");
}

}  // namespace vrun
