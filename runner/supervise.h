/// The outer half of a run: makes the namespaces, passes signals on, waits for the end.
#pragma once

#include "policy/plan.h"
#include "runner/init.h"
#include "runner/timing.h"

namespace vrun {

/// Carries the plan out and returns vrun's exit status, as docs/vrun.1 lists them. Throws Error when the run could not
/// be set up; the command has not been started then.
int supervise(const Plan& plan, const Arguments& arguments, Timing& timing);

}  // namespace vrun
