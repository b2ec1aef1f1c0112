/// Files that vrun keeps for its next start.
#pragma once

#include <string>

namespace vrun {

/// Replaces the file at `path` whole, readable by its owner alone, and makes the directory it is in (0700). Failures
/// are passed over, and so are directories of somebody else: the next start is slower, and nothing else.
void store_file(const std::string& path, const std::string& text);

}  // namespace vrun
