/// Whose word a file is.
#pragma once

#include <sys/stat.h>

#include <optional>
#include <string>

namespace vrun::builder {

/// Why somebody else than root and the caller can have made what has this status, or can change it: a clause such as
/// "it belongs to uid 1001". Nothing when nobody else can. `trusted` is one more uid whose files count as ours.
///
/// A group that may write is somebody else, but for root's and one with the number of the owner: many systems give each
/// user a group of the same number and let it write.
std::optional<std::string> find_other_writer(const struct stat& status, std::optional<uid_t> trusted = std::nullopt);

}  // namespace vrun::builder
