/// The order of a build: reads the facts, plans, writes, and says what happened.
#pragma once

#include "builder/json.h"
#include "builder/options.h"

namespace vrun::builder {

/// Makes the environments of `request`, one after the other. What was done of it is in `report` also when this throws
/// Error; notices, and with --verbose the steps, are on standard error.
void build(const BuildRequest& request, BuildReport& report);

}  // namespace vrun::builder
