/// Files in the place of vrun's own standard streams (--stdin, --stdout, --stderr).
#pragma once

#include <array>
#include <string>

namespace vrun {

/// Puts the files with these absolute paths on 0, 1 and 2; an empty path leaves what is there. A link is not followed,
/// and nothing but a regular file, without other names when it is written to, or /dev/null is taken, for who wrote in
/// that directory last may not be trusted. What vrun itself has to say goes on to where standard error was. Throws
/// Error.
void redirect_streams(const std::array<std::string, 3>& paths);

}  // namespace vrun
