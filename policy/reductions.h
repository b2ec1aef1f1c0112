/// Which layers a run would not have in full, and why: what --require refuses, and what is told of --without.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "policy/plan.h"

namespace vrun {

struct Reduction {
  std::string_view layer;  ///< of policy/layers.h
  std::string by;          ///< the option or the kernel that does it; a few words
};

/// Pure; for the run of `plan`, which was made from `policy` and `facts`.
std::vector<Reduction> find_reductions(const RunPolicy& policy, const RunFacts& facts, const Plan& plan);

/// Throws Error that names the first layer of RunPolicy::required that would not be had in full.
void check_required(const RunPolicy& policy, const RunFacts& facts, const Plan& plan);

}  // namespace vrun
