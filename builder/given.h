/// Wheels that the user names (`--install`): which of them can be used, and what of them is to be known.
#pragma once

#include <string>
#include <vector>

#include "builder/wheel.h"
#include "policy/host/root.h"
#include "policy/interpreter.h"

namespace vrun::builder {

/// Reads the wheels at `paths` (absolute) and sees that they fit `python` and each other. Throws Error for one that is
/// not there, is damaged, or is for other Pythons or machines, and for two of one project.
std::vector<Wheel> read_given_wheels(const Root& root, const Interpreter& python,
                                     const std::vector<std::string>& paths);

}  // namespace vrun::builder
