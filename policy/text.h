/// Pieces of text.
#pragma once

#include <string_view>
#include <vector>

namespace vrun {

/// What stands between the separators, empty pieces included: one more than there are separators.
std::vector<std::string_view> split(std::string_view text, char separator);

}  // namespace vrun
