/// Small files of the kernel's, and names for files of vrun's own.
#pragma once

#include <string>

namespace vrun::sys {

/// The text of a file below an open directory, such as one of proc(5) or cgroups(7), to its end or to 8 MiB; empty when
/// it, or what it tells of, is gone or closed to this process.
std::string read_at(int directory, const char* name);

/// `prefix` and a number that nobody can foresee (getrandom(2)). Throws Error when there is none to be had.
std::string random_name(const std::string& prefix);

}  // namespace vrun::sys
