/// What --explain tells of a run: the policy with where its values come from, the layers, and what is where in the
/// view. One value, from which the page, the whole text and the JSON are made.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "policy/plan.h"
#include "policy/settings.h"

namespace vrun {

/// One value of one option as it counts for the run; a list has one of these for each of its values.
struct PolicyValue {
  const Option* option = nullptr;
  std::string value;
  std::string origin;       ///< for people, escaped; "profile default" when nobody said anything
  bool is_default = false;  ///< a run of which nothing is said has the same
};

/// How much of a layer (policy/layers.h) a run has.
enum class LayerShare { full, reduced, none };
/// "full", "reduced", "none".
std::string_view share_text(LayerShare share);
struct LayerStatus {
  std::string_view layer;
  LayerShare share = LayerShare::full;
  std::vector<std::string> by;  ///< options, or what of the machine, that take from it
};

/// What of a view people ask about. Paths are those of the view, sorted; devices and what vrun makes up itself are left
/// out.
struct Places {
  std::vector<std::string> read_only;                         ///< shown of the host
  std::vector<std::string> writable;                          ///< shown of the host
  std::vector<std::string> kept;                              ///< in what is writable, and read-only all the same
  std::vector<std::pair<std::string, std::uint64_t>> memory;  ///< private and writable, with the most bytes in it
};
/// Pure.
Places find_places(const std::vector<Step>& view);

struct Explanation {
  std::vector<PolicyValue> values;   ///< in the order of the options' table
  std::vector<LayerStatus> layers;   ///< all of kLayers
  std::vector<std::string> notices;  ///< one line each, of what was asked for in vain and of what is worth knowing
  Places places;
  Plan plan;
};

/// Pure. `plan` was made from `policy`, and that from `settings`; `notices` came of making them.
Explanation explain(const Settings& settings, std::vector<std::string> notices, const RunPolicy& policy, Plan plan);

}  // namespace vrun
