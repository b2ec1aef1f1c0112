/// A plan in words.
#pragma once

#include <string>

#include "policy/plan.h"
#include "policy/settings.h"

namespace vrun {

/// One step on one line, as --explain and error messages have it, without a line end.
std::string render_step(const Step& step);

/// The effective policy, a value a line, with where it comes from: what --explain prints before the plan.
std::string render_settings(const Settings& settings);

/// The whole plan for people: what --explain prints. Names from outside are escaped.
std::string render_plan(const Plan& plan);

}  // namespace vrun
