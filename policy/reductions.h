/// Which layers a run would not have in full, and why: what --require refuses, and what is told of --without.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "policy/plan.h"

namespace vrun {

/// Pure; for the run of `plan`, which was made from `policy`.
std::vector<Reduction> find_reductions(const RunPolicy& policy, const Plan& plan);

/// Throws Error that names the first layer of RunPolicy::required that would not be had in full.
void check_required(const RunPolicy& policy, const Plan& plan);

}  // namespace vrun
