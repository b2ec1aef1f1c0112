#include "policy/ceilings.h"

#include <algorithm>
#include <string_view>

#include "policy/error.h"

namespace vrun {
namespace {

/// `option` names `path`.
void check(const PathCeiling& ceiling, std::string_view option, const HostPath& path) {
  const bool holds = ceiling.option == option || ceiling.option == "hide";
  if (!holds) return;
  const bool inside = std::any_of(ceiling.directories.begin(), ceiling.directories.end(),
                                  [&](const std::string& directory) { return is_within(path.real.path, directory); });
  if (inside == (ceiling.option != "hide")) return;
  std::string most;
  for (const std::string& directory : ceiling.directories) most += (most.empty() ? "" : ", ") + quote(directory);
  throw Error(std::string(option) + " " + quote(path.asked) + " leads to " + quote(path.real.path) +
              ", which is more than this machine allows")
      .hint(ceiling.origin + (ceiling.option == "hide" ? " hides " + most
                                                       : " allows " + (most.empty() ? "nothing" : most) + " at most"));
}

}  // namespace

void check_ceilings(const RunPolicy& policy, const RunFacts& facts) {
  for (const PathCeiling& ceiling : facts.ceilings) {
    for (std::size_t i = 0; i < facts.shares.size(); ++i)
      check(ceiling, policy.shares[i].access == Access::read_write ? "rw" : "ro", facts.shares[i]);
    for (const HostPath& memory : facts.memory) check(ceiling, "tmpfs", memory);
    if (facts.named_home) check(ceiling, "home", *facts.named_home);
    if (facts.project) check(ceiling, "project", *facts.project);
  }
}

}  // namespace vrun
