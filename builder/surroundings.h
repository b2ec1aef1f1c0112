/// What the caller of the program brings: variables, and the directory that it is in.
#pragma once

#include <string>

#include "builder/seeds.h"

namespace vrun::builder {

/// The value of a variable of the environment, "" without one.
std::string variable(const char* name);

/// Absolute. Throws Error when it is gone or cannot be reached.
std::string working_directory();

/// Where to look for the wheels of seeds; `asked` is --wheel-dir, empty without. `working_directory` is absolute.
WheelSources wheel_sources(const std::string& asked, const std::string& working_directory);

}  // namespace vrun::builder
