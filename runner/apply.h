/// Carries a plan's view out, step by step, in order.
#pragma once

#include <functional>
#include <vector>

#include "policy/plan.h"
#include "runner/kernel.h"

namespace vrun {

/// Stops at the first step that fails, with the Error that the kernel interface threw. `before` is told of each step
/// that is about to be carried out.
void apply_view(const std::vector<Step>& steps, Kernel& kernel, const std::function<void(const Step&)>& before);

}  // namespace vrun
