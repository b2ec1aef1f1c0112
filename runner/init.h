/// Pid 1 of a run: builds the view, gives up every right, starts the command, reaps, and reports how it ended.
#pragma once

#include <linux/filter.h>

#include <vector>

#include "policy/host/fd.h"
#include "policy/plan.h"
#include "runner/relay.h"
#include "runner/timing.h"
#include "runner/view.h"

namespace vrun {

/// The original argv and environ of this process, to be forgotten.
struct Arguments {
  char** argv = nullptr;
  char** environment = nullptr;
};

/// Never returns: the process ends with the run. Set-up failures are reported, and then the command was not started.
/// Takes the run's ends of the channels and of standard input, output and error.
[[noreturn]] void run_init(const Plan& plan, PreparedSources sources, const std::vector<sock_filter>& filter, Fd orders,
                           Fd reports, Streams streams, const Arguments& arguments, Timing& timing);

}  // namespace vrun
