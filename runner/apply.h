/// Carries a plan's view out, step by step, in order.
#pragma once

#include <vector>

#include "policy/plan.h"
#include "runner/kernel.h"

namespace vrun {

/// Stops at the first step that fails, with the Error that the kernel interface threw.
void apply_step(const Step& step, Kernel& kernel);
void apply_view(const std::vector<Step>& steps, Kernel& kernel);

}  // namespace vrun
