/// Where a user's own files are.
#pragma once

#include <string>
#include <string_view>

namespace vrun {

/// The directory for one kind of a user's files by the XDG Base Directory Specification: `value`, that of the variable
/// for it (such as XDG_CACHE_HOME), else `usual` (".cache") in `home`, the value of HOME. Absolute and normalised.
/// Values that are not absolute are ignored, as the specification says; empty when that leaves none.
std::string user_directory(std::string_view value, std::string_view home, std::string_view usual);

}  // namespace vrun
