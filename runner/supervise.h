/// The outer half of a run: makes the namespaces, passes signals on, waits for the end.
#pragma once

#include "policy/unseen.h"
#include "policy/verdict.h"
#include "runner/fetch.h"
#include "runner/group.h"
#include "runner/init.h"
#include "runner/timing.h"

namespace vrun {

/// Who counts what a run uses.
struct Counting {
  const ControlGroup* group = nullptr;  ///< the run's; null when it has none
  bool account = false;                 ///< somebody wants to know, whatever the limits
  Fetcher* fetcher = nullptr;           ///< of what the run leaves; null when nothing is wanted
};

/// Carries the plan out and returns vrun's exit status, as docs/vrun.1 lists them. `verdict` gets what came of it.
/// Throws Error when the run could not be set up; the command has not been started then.
int supervise(const Planned& planned, const Arguments& arguments, const Counting& counting, Timing& timing,
              RunVerdict& verdict);

}  // namespace vrun
