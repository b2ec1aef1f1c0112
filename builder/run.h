/// vbuild as a whole: what the command line asks for is carried out, and what came of it printed.
#pragma once

#include <string>
#include <vector>

namespace vrun::builder {

/// The program. `arguments` are those after its name. Returns the exit status: 0, 1 after a failure, 2 after a usage
/// error.
int run(const std::vector<std::string>& arguments);

}  // namespace vrun::builder
