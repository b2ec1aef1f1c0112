// The Pythons of this machine, for tests that compare with what they say of themselves.
#pragma once

#include <string>
#include <vector>

namespace vrun {

/// CPython from 3.8 on, the system's and pyenv's, and the system's PyPy.
std::vector<std::string> pythons_of_this_machine();

/// Standard output of a program, started without a shell.
std::string output_of(const std::vector<std::string>& command);

}  // namespace vrun
