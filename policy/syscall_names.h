/// The names of system calls and their numbers, up to the newest that was reviewed (syscall_filter.h).
#pragma once

#include <optional>
#include <string_view>

#include "policy/syscall_filter.h"

namespace vrun {

/// Whether there is a call of the name on any architecture.
bool is_syscall_name(std::string_view name);

/// Nothing where the architecture has no such call.
std::optional<int> find_syscall(std::string_view name, Architecture architecture);

}  // namespace vrun
