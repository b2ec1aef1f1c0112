/// Environment variables: the caller's, and the command's.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "policy/run_policy.h"

namespace vrun {

/// The value of the variable of that name; empty too when there is none.
std::string find_variable(const std::vector<Variable>& variables, std::string_view name);

/// Whether a variable of the caller's is passed on without being named, unless --clear-env is given.
bool is_passed(std::string_view name);

/// The variables that a run starts with: an allow-list of the caller's, those that describe the sandbox, those kept by
/// name and those set, later ones replacing earlier ones. Sorted by name. `environment` is the path of ENV_DIR, `home`
/// and `name` the home directory and user name inside.
std::vector<Variable> make_variables(const RunPolicy& policy, const Caller& caller, std::string_view environment,
                                     std::string_view home, std::string_view name, bool system_packages);

/// Whether a variable of the caller's is one that every run gets, with a value that is harmless.
bool is_passed_on(const Variable& variable);

}  // namespace vrun
