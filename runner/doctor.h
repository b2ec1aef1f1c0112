/// Tries, for vrun --doctor, what a run is made of, each part in a process of its own.
#pragma once

#include <vector>

#include "policy/doctor.h"
#include "policy/run_policy.h"

namespace vrun {

/// Each part once, in the order in which a run sets them up. Nothing of the machine is changed, and no environment is
/// needed. Throws Error when not even a process can be made.
std::vector<Trial> try_layers(const Caller& caller);

/// What the machine says about itself, with what only this process knows.
MachineHints look_at_machine();

}  // namespace vrun
