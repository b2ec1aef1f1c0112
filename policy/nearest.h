/// What somebody who misspelt a name may have meant.
#pragma once

#include <cstddef>
#include <string_view>
#include <vector>

namespace vrun {

/// How many letters have to be added, taken away or replaced to make one word of the other.
std::size_t distance(std::string_view one, std::string_view other);

/// The one of `known`, which is not empty, with the least distance to `name`; of several the first.
std::string_view nearest(std::string_view name, const std::vector<std::string_view>& known);

/// The same when it is near enough for `name` to be a misspelling of it, else an empty text.
std::string_view misspelt(std::string_view name, const std::vector<std::string_view>& known);

}  // namespace vrun
