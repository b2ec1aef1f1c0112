/// A plan in words.
#pragma once

#include <string>

#include "policy/plan.h"

namespace vrun {

/// One step on one line, as --explain and error messages have it, without a line end.
std::string render_step(const Step& step);

/// The whole plan for people: what --explain prints. Names from outside are escaped.
std::string render_plan(const Plan& plan);

}  // namespace vrun
