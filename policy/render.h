/// A plan in words.
#pragma once

#include <string>

#include "policy/explanation.h"
#include "policy/plan.h"

namespace vrun {

/// One step on one line, as --explain --verbose and error messages have it, without a line end.
std::string render_step(const Step& step);

/// The whole plan for people. Names from outside are escaped, here and below.
std::string render_plan(const Plan& plan);

/// The effective policy, a value a line, with where it comes from.
std::string render_values(const std::vector<PolicyValue>& values);

/// On one page: what --explain prints. Lines have 80 columns where paths let them; of a long list its beginning is
/// there, and how many more there are. Values of the policy that are not the default are all there.
std::string render_page(const Explanation& explanation);

/// Everything: what --explain --verbose prints.
std::string render_explanation(const Explanation& explanation);

}  // namespace vrun
