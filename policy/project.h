/// Which directory may be the project without being named.
#pragma once

#include <string>
#include <string_view>

#include "policy/run_facts.h"

namespace vrun {

/// Why the current directory, RunFacts::project, is not shown unless --project names it: a clause for a message; empty
/// when it may be. Reads the facts about home, accounts, packages and environment.
std::string why_no_project(const RunFacts& facts);

/// Whether the directory `path` holds so much beside a project that it is not to be shown merely because something in
/// it was named: "/", the home directory `home` and what is above it, everybody's files, the operating system's. Both
/// paths are absolute and without links; `home` may be empty.
bool holds_more_than_a_project(std::string_view path, std::string_view home);

}  // namespace vrun
