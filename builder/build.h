/// vbuild as a whole: reads the facts, plans, writes, and says what happened.
#pragma once

#include <string>
#include <vector>

namespace vrun::builder {

/// The program. `arguments` are those after its name. Returns the exit status: 0, 1 after a failure, 2 after a usage
/// error.
int run(const std::vector<std::string>& arguments);

}  // namespace vrun::builder
