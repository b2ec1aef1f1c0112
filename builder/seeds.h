/// Where the wheels lie that an environment begins with.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "builder/wheel.h"
#include "policy/host/root.h"
#include "policy/interpreter.h"

namespace vrun::builder {

/// pip, and for Pythons older than 3.12 setuptools: what `python -m venv` installs.
std::vector<std::string> seed_projects(const Interpreter& python);

/// The path of the wheel of each of `projects`, in that order: from `wheel_directory` when it is not empty and has one,
/// else those that ensurepip of `python` would take. Throws Error, with the package to install, when there is none.
std::vector<std::string> find_seed_wheels(const Root& root, const Interpreter& python,
                                          const std::vector<std::string>& projects, std::string_view wheel_directory);

/// Reads the wheel and sees that it is made for `python`. Throws Error.
Wheel read_seed_wheel(const Root& root, const Interpreter& python, const std::string& path);

}  // namespace vrun::builder
