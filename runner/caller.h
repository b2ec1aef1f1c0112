/// Who calls: read from this process.
#pragma once

#include <string>
#include <string_view>

#include "policy/host/root.h"
#include "policy/run_policy.h"

namespace vrun {

/// Effective ids, environment variables (an entry without "=" is left out, the first of two with one name counts) and
/// whether the caller is root in a sense that matters: root of the machine, or of a user namespace with more ids.
Caller read_caller(const Root& root, char** environment);

/// getcwd(3); throws Error when the current directory is gone or out of reach.
std::string current_directory();

}  // namespace vrun
