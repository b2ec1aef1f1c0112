#include "policy/nearest.h"

#include <algorithm>
#include <numeric>

namespace vrun {

std::size_t distance(std::string_view one, std::string_view other) {
  std::vector<std::size_t> row(other.size() + 1);
  std::iota(row.begin(), row.end(), std::size_t{0});
  for (std::size_t i = 0; i < one.size(); ++i) {
    std::size_t diagonal = row[0];
    row[0] = i + 1;
    for (std::size_t j = 0; j < other.size(); ++j) {
      const std::size_t replaced = diagonal + (one[i] == other[j] ? 0 : 1);
      diagonal = row[j + 1];
      row[j + 1] = std::min({replaced, row[j] + 1, diagonal + 1});
    }
  }
  return row.back();
}

std::string_view nearest(std::string_view name, const std::vector<std::string_view>& known) {
  return *std::min_element(known.begin(), known.end(), [&](std::string_view one, std::string_view other) {
    return distance(one, name) < distance(other, name);
  });
}

std::string_view misspelt(std::string_view name, const std::vector<std::string_view>& known) {
  const std::string_view found = nearest(name, known);
  const std::size_t wrong = distance(name, found);
  return wrong <= 2 && 2 * wrong <= name.size() + 1 ? found : std::string_view();
}

}  // namespace vrun
