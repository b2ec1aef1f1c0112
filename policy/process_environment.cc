#include "policy/process_environment.h"

#include <algorithm>
#include <array>
#include <map>
#include <string>

#include "policy/host/root.h"
#include "policy/layers.h"

namespace vrun {
namespace {

/// Taken over from the caller: language, terminal, reproducibility and Python's own harmless switches.
constexpr std::array<std::string_view, 17> kPassed = {"CI",
                                                      "COLORTERM",
                                                      "COLUMNS",
                                                      "FORCE_COLOR",
                                                      "LANG",
                                                      "LANGUAGE",
                                                      "LINES",
                                                      "NO_COLOR",
                                                      "PYTHONDEVMODE",
                                                      "PYTHONDONTWRITEBYTECODE",
                                                      "PYTHONHASHSEED",
                                                      "PYTHONIOENCODING",
                                                      "PYTHONUNBUFFERED",
                                                      "PYTHONUTF8",
                                                      "SOURCE_DATE_EPOCH",
                                                      "TERM",
                                                      "TZ"};
constexpr std::size_t kMaximumValue = 32 * 1024;

bool is_term(std::string_view value) {
  return value.size() <= 64 && std::all_of(value.begin(), value.end(), [](char c) {
           return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
                  std::string_view("._+-").find(c) != std::string_view::npos;
         });
}

/// TZ may name a file (tzset(3)); only names below the zoneinfo directory and POSIX rules are let through.
bool is_zone(std::string_view value) {
  return value.find('/') != 0 && value.find(':') != 0 && value.find("..") == std::string_view::npos;
}

}  // namespace

std::string find_variable(const std::vector<Variable>& variables, std::string_view name) {
  for (const Variable& variable : variables)
    if (variable.name == name) return variable.value;
  return {};
}

bool is_passed(std::string_view name) {
  return name.starts_with("LC_") || std::find(kPassed.begin(), kPassed.end(), name) != kPassed.end();
}

bool is_passed_on(const Variable& variable) {
  if (!is_passed(variable.name) || variable.value.size() > kMaximumValue ||
      variable.value.find('\n') != std::string::npos)
    return false;
  if (variable.name == "TERM") return is_term(variable.value);
  if (variable.name == "TZ") return is_zone(variable.value);
  return true;
}

std::vector<Variable> make_variables(const RunPolicy& policy, const Caller& caller, std::string_view environment,
                                     std::string_view home, std::string_view name, bool system_packages) {
  std::map<std::string, std::string> variables;
  for (const Variable& variable : caller.variables)
    if (!kept("variables") || (!policy.clear_variables && is_passed_on(variable)))
      variables.insert_or_assign(variable.name, variable.value);

  const std::string home_directory(home);
  const auto set = [&](const char* key, std::string value) { variables.insert_or_assign(key, std::move(value)); };
  set("PATH", join(environment, "bin") + ":/usr/local/bin:/usr/bin:/bin");
  set("VIRTUAL_ENV", std::string(environment));
  set("HOME", home_directory);
  set("USER", std::string(name));
  set("LOGNAME", std::string(name));
  set("SHELL", "/bin/sh");
  set("TMPDIR", "/tmp");
  set("GIT_CONFIG_NOSYSTEM", "1");
  set("GIT_TERMINAL_PROMPT", "0");
  set("PIP_CONFIG_FILE", "/dev/null");
  set("PIP_DISABLE_PIP_VERSION_CHECK", "1");
  set("PIP_NO_INPUT", "1");
  set("PYTHON_KEYRING_BACKEND", "keyring.backends.null.Keyring");
  set("VRUN", "1");
  if (!system_packages) set("PYTHONNOUSERSITE", "1");

  for (const std::string& kept : policy.kept_variables)
    for (const Variable& variable : caller.variables)
      if (variable.name == kept) variables.insert_or_assign(variable.name, variable.value);
  for (const Variable& variable : policy.set_variables) variables.insert_or_assign(variable.name, variable.value);

  std::vector<Variable> sorted;
  sorted.reserve(variables.size());
  for (auto& [key, value] : variables) sorted.push_back({key, std::move(value)});
  return sorted;
}

}  // namespace vrun
