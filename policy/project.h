/// Which directory may be the project without being named.
#pragma once

#include <string>

#include "policy/run_facts.h"

namespace vrun {

/// Why the current directory, RunFacts::project, is not shown unless --project names it: a clause for a message; empty
/// when it may be. Reads the facts about home, accounts, packages and environment.
std::string why_no_project(const RunFacts& facts);

}  // namespace vrun
