/// Finding a control group for a run.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "policy/limits.h"
#include "policy/run_policy.h"
#include "runner/group.h"

namespace vrun {

/// `wanted` is what --cgroup says: "none"; "own", below the group in which vrun is; the path of a group that has been
/// delegated to the caller; "systemd", which has systemd-run start vrun anew with `arguments` in a group of its own; or
/// empty: whatever there is, when a limit wants it, and below vrun's own when only an account is wanted.
///
/// Does not return when vrun is started anew. Throws Error when what was asked for by name cannot be had.
std::optional<ControlGroup> find_group(const std::string& wanted, const Limits& limits, bool account,
                                       const Caller& caller, const std::vector<std::string>& arguments);

/// Whether a run with limits on memory, processes and processor time can be held by a control group here: one is made
/// below vrun's own and removed again; systemd, where it would be asked instead, is not. Throws Error when neither
/// holds all of them.
void try_group(const Caller& caller);

/// The words of systemd-run with which vrun, at `program`, is started anew; `wanted` as above.
std::vector<std::string> scope_command(const std::string& wanted, bool for_user, const std::string& program,
                                       const std::vector<std::string>& arguments);

}  // namespace vrun
