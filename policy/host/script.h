/// Reading the first line of a script (execve(2), "Interpreter scripts").
#pragma once

#include <string>

#include "policy/host/fd.h"

namespace vrun {

/// The interpreter that the script open as `file` names, as written; empty for what is no script, or cannot be read.
std::string read_script_interpreter(const Fd& file);

}  // namespace vrun
