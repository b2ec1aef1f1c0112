/// Pythons that applications bring along: /usr/lib/APPLICATION/.../lib/pythonX.Y/site-packages and the like.
///
/// Nothing names them but a search of all of /usr, which takes as long as a hundred starts. Its result is kept in an
/// index file and searched anew when one of the directories in which applications are installed has changed.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "policy/host/root.h"

namespace vrun {

/// What the index depends on: identity and time of change of the directories in which applications get one of their
/// own.
std::string package_index_key(const Root& root);

/// Every directory of packages (site-packages, dist-packages in a pythonX.Y or pypyX.Y) and every virtual environment
/// below /usr, six levels down.
std::vector<std::string> search_packages_below_usr(const Root& root);

/// The index file's text, and back; nothing when it is not an index or was made for another key.
std::string format_package_index(const std::string& key, const std::vector<std::string>& directories);
std::optional<std::vector<std::string>> parse_package_index(std::string_view text, const std::string& key);

/// Most bytes of an index that are read.
inline constexpr std::size_t kMaximumIndexSize = 256UL * 1024;

}  // namespace vrun
