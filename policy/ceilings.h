/// Ceilings of paths: where what is named has to be, by the administrator's word. Merging compares texts; this is for
/// what they lead to.
#pragma once

#include "policy/run_facts.h"
#include "policy/run_policy.h"

namespace vrun {

/// Throws Error for a share, a home directory or a project that leads out of the directories of a ceiling, or into one
/// that is hidden from everybody. Reads RunFacts::ceilings, whose directories have no links in them.
void check_ceilings(const RunPolicy& policy, const RunFacts& facts);

}  // namespace vrun
