/// Small files of the kernel's, names for files of vrun's own, and names that others make.
#pragma once

#include <string>

namespace vrun::sys {

/// The text of a file below an open directory, such as one of proc(5) or cgroups(7), to its end or to 8 MiB; empty when
/// it, or what it tells of, is gone or closed to this process.
std::string read_at(int directory, const char* name);

/// `prefix` and a number that nobody can foresee (getrandom(2)). Throws Error when there is none to be had.
std::string random_name(const std::string& prefix);

/// Has SIGIO come to this process for each new name in `directory`, open for reading, as long as that is open
/// (F_NOTIFY). False with errno set where the kernel does not tell.
bool signal_new_names(int directory);

/// Renames within `directory`, where nothing may have the name `to`. False with errno set on failure: EEXIST when
/// something has, EINVAL where the file system cannot tell.
bool rename_to_new(int directory, const std::string& from, const std::string& to);

}  // namespace vrun::sys
