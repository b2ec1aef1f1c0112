#include "policy/explanation.h"

#include <algorithm>
#include <utility>

#include "policy/layers.h"
#include "policy/merge.h"
#include "policy/reductions.h"

namespace vrun {
namespace {

std::vector<PolicyValue> effective_values(const Settings& settings) {
  std::vector<PolicyValue> values;
  for (const Option& option : kOptions) {
    if (!option.is_policy()) continue;
    const bool has_default = option.kind == ValueKind::flag || option.kind == ValueKind::choice;
    const std::string usual = has_default ? value_of({}, option) : "";
    bool said = false;
    for (const Setting& setting : settings) {
      if (setting.option != &option) continue;
      values.push_back({&option, setting.value, setting.origin.text, has_default && setting.value == usual});
      said = true;
    }
    if (!said && has_default) values.push_back({&option, usual, "profile default", true});
  }
  return values;
}

/// Whether a layer that something takes from is gone altogether.
bool is_gone(std::string_view layer, const Plan& plan) {
  if (layer == "network-namespace") return plan.network == Network::host;
  if (layer == "landlock") return plan.landlock.scopes == 0;
  if (layer == "landlock-files") return plan.landlock.handled == 0;
  if (layer == "namespace-limit" && plan.allows("userns")) return true;
  return layer == kLeftOut || plan.leaves_out(layer);
}

std::vector<LayerStatus> layer_statuses(const RunPolicy& policy, const Plan& plan) {
  std::vector<LayerStatus> statuses;
  const std::vector<Reduction> reductions = find_reductions(policy, plan);
  for (const std::string_view layer : kLayers) {
    LayerStatus status{layer, LayerShare::full, {}};
    for (const Reduction& reduction : reductions)
      if (reduction.layer == layer) status.by.push_back(reduction.by);
    if (!status.by.empty()) status.share = is_gone(layer, plan) ? LayerShare::none : LayerShare::reduced;
    statuses.push_back(std::move(status));
  }
  return statuses;
}

struct PlaceCollector {
  Places& places;
  void operator()(const MakeDirectory&) const {}
  void operator()(const MakeLink&) const {}
  void operator()(const MakeFile&) const {}
  void operator()(const MountMemory& step) const {
    if (step.path != "/") places.memory.emplace_back(step.path, step.size);
  }
  void operator()(const Bind& step) const {
    if (step.kind == FileKind::device) return;
    (step.access == Access::read_only ? places.read_only : places.writable).push_back(step.target);
  }
  void operator()(const Mask&) const {}
  void operator()(const Hold& step) const {
    // Entries of /proc are not anybody's to keep.
    if (step.access == Access::read_only && !is_within(step.path, "/proc")) places.kept.push_back(step.path);
  }
  void operator()(const MountProc&) const {}
  void operator()(const MountTerminals&) const {}
  /// Memory that only holds places for what is shown below it.
  void operator()(const Seal& step) const {
    places.memory.erase(std::remove_if(places.memory.begin(), places.memory.end(),
                                       [&](const auto& memory) { return memory.first == step.path; }),
                        places.memory.end());
  }
};

}  // namespace

std::string_view share_text(LayerShare share) {
  switch (share) {
    case LayerShare::full:
      return "full";
    case LayerShare::reduced:
      return "reduced";
    case LayerShare::none:
      return "none";
  }
  return "";
}

Places find_places(const std::vector<Step>& view) {
  Places places;
  for (const Step& step : view) std::visit(PlaceCollector{places}, step);
  return places;
}

Explanation explain(const Settings& settings, std::vector<std::string> notices, const RunPolicy& policy, Plan plan) {
  Explanation explanation;
  explanation.values = effective_values(settings);
  explanation.layers = layer_statuses(policy, plan);
  explanation.notices = std::move(notices);
  explanation.notices.insert(explanation.notices.end(), plan.notices.begin(), plan.notices.end());
  explanation.places = find_places(plan.view);
  explanation.plan = std::move(plan);
  return explanation;
}

}  // namespace vrun
