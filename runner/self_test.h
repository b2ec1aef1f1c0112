/// `vrun --self-test`: attempts that the layers of a run have to stop, made inside a run by vrun itself, so that
/// whoever installed it sees whether they hold on this kernel. The tests of the project try far more; these take an
/// instant, need nothing but vrun, and are harmless where they go through.
#pragma once

#include <string>
#include <vector>

#include "policy/plan.h"

namespace vrun {

/// The first word of the command line with which vrun makes the attempts; what follows it is for make_attempts.
inline constexpr const char* kAttemptsOption = "--self-test-inside";

/// Leaves behind what the attempts look for inside: a variable of the caller's, and an open directory of the host.
void plant(Caller& caller);

/// The path of this program, for the run to be shown. Throws Error when it was removed.
std::string own_path();

/// The command that makes the attempts in the run of `plan`, with what has to be known of the outside for them.
/// `format` is "table", "json" or "junit".
std::vector<std::string> self_test_command(const std::string& program, const Plan& plan, const char* format);

/// Makes the attempts and prints one line each, JSON, or XML. Returns the exit status: 0 when all were stopped, else 1.
int make_attempts(const std::vector<std::string>& arguments);

}  // namespace vrun
