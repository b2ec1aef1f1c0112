#include "policy/reductions.h"

#include <algorithm>

#include "policy/error.h"
#include "policy/landlock.h"
#include "policy/layers.h"

namespace vrun {
namespace {

/// What the command line shows of what a run without it would not have, or could not write.
void add_shares(const RunPolicy& policy, const RunFacts& facts, const Plan& plan, std::vector<Reduction>& found) {
  for (std::size_t i = 0; i < facts.shares.size(); ++i) {
    const std::string& path = facts.shares[i].real.path;
    const bool writable = policy.shares[i].access == Access::read_write;
    if (is_within(path, facts.environment.real_path)) continue;
    const auto is_in = [&](const std::vector<std::string>& places) {
      return std::any_of(places.begin(), places.end(),
                         [&](const std::string& place) { return is_within(path, place); });
    };
    const std::string option = (writable ? "--rw " : "--ro ") + escape(facts.shares[i].asked);
    if (is_in(facts.package_directories)) found.push_back({"hidden-packages", option});
    if (is_in(facts.environments)) found.push_back({"hidden-environments", option});
    if (writable && !plan.project.empty() && is_in(facts.protected_paths)) found.push_back({"protected-files", option});
  }
}

}  // namespace

std::vector<Reduction> find_reductions(const RunPolicy& policy, const RunFacts& facts, const Plan& plan) {
  std::vector<Reduction> found;
  if (!kLeftOut.empty()) found.push_back({kLeftOut, "this is a test build"});
  for (const std::string& layer : plan.without)
    found.push_back({*std::find(kOptionalLayers.begin(), kOptionalLayers.end(), layer), "--without " + layer});
  if (plan.network == Network::host) found.push_back({"network-namespace", "--net=host"});
  for (const std::string& name : plan.allowed) {
    found.push_back({"seccomp", "--allow " + name});
    if (name != "userns") continue;
    found.push_back({"namespace-limit", "--allow userns"});
    found.push_back({"landlock-files", "--allow userns"});
  }
  if (policy.environment_access == Access::read_write) found.push_back({"read-only", "--env-rw"});
  if (plan.system_packages) found.push_back({"hidden-packages", "the environment includes the system's packages"});
  add_shares(policy, facts, plan, found);
  // Of the newest Landlock that has rights for what a plan says (policy/landlock.h).
  const auto is_whole = [&](std::string_view layer) {
    return std::none_of(found.begin(), found.end(), [&](const Reduction& one) { return one.layer == layer; });
  };
  if (plan.landlock.scopes == 0 && is_whole("landlock"))
    found.push_back({"landlock", "the kernel's Landlock, which is older than Linux 6.12"});
  if ((plan.landlock.handled & kLandlockIoctlDev) == 0 && is_whole("landlock-files"))
    found.push_back({"landlock-files", "the kernel's Landlock, which is older than Linux 6.10"});
  return found;
}

void check_required(const RunPolicy& policy, const RunFacts& facts, const Plan& plan) {
  if (policy.required.empty()) return;
  for (const Reduction& reduction : find_reductions(policy, facts, plan))
    if (std::find(policy.required.begin(), policy.required.end(), reduction.layer) != policy.required.end())
      throw Error("the run would not have the layer " + quote(reduction.layer) +
                  " in full, as --require wants: " + reduction.by);
}

}  // namespace vrun
