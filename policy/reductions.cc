#include "policy/reductions.h"

#include <algorithm>

#include "policy/error.h"
#include "policy/landlock.h"
#include "policy/layers.h"

namespace vrun {

std::vector<Reduction> find_reductions(const RunPolicy& policy, const Plan& plan) {
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
  found.insert(found.end(), plan.opened.begin(), plan.opened.end());
  // Of the newest Landlock that has rights for what a plan says (policy/landlock.h).
  if (plan.landlock.scopes == 0 && !plan.leaves_out("landlock"))
    found.push_back({"landlock", "the kernel's Landlock, which is older than Linux 6.12"});
  if ((plan.landlock.handled & kLandlockIoctlDev) == 0 && !plan.allows("userns") && !plan.leaves_out("landlock-files"))
    found.push_back({"landlock-files", "the kernel's Landlock, which is older than Linux 6.10"});
  return found;
}

void check_required(const RunPolicy& policy, const Plan& plan) {
  if (policy.required.empty()) return;
  for (const Reduction& reduction : find_reductions(policy, plan))
    if (std::find(policy.required.begin(), policy.required.end(), reduction.layer) != policy.required.end())
      throw Error("the run would not have the layer " + quote(reduction.layer) +
                  " in full, as --require wants: " + reduction.by);
}

}  // namespace vrun
