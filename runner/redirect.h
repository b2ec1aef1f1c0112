/// Files in the place of vrun's own standard streams (--stdin, --stdout, --stderr).
#pragma once

#include <array>
#include <string>

namespace vrun {

/// Absolute paths of what is to be on 0, 1 and 2; empty: what is there stays.
using StreamNames = std::array<std::string, 3>;

/// Puts the files with these names in place of the standard streams. A link is not followed, and nothing but a regular
/// file, without other names when it is written to, or /dev/null is taken, for who wrote in that directory last may not
/// be trusted. One file for both outputs is opened once, which keeps their order. What vrun itself has to say goes on
/// to where standard error was. Throws Error, and then no file has lost what was in it.
void redirect_streams(const StreamNames& paths);

}  // namespace vrun
