/// Making namespaces and what has to be set in fresh ones.
#pragma once

#include <sys/types.h>

#include <cstdint>

#include "policy/host/fd.h"
#include "policy/plan.h"

namespace vrun::sys {

/// clone3(2) into new namespaces, of the kinds that `flags` (CLONE_NEW*, clone(2)) name. Returns like fork(2): 0 in the
/// child, -1 with errno set on failure.
/// `group`, unless it is -1, is the directory of the control group that the child is born in.
pid_t clone_into(std::uint64_t flags, int group = -1);

/// The same into new user, mount, pid, ipc, uts and cgroup namespaces, and a network namespace unless the host's is
/// shared. The child is pid 1 of the new pid namespace.
pid_t clone_into_namespaces(Network network, int group);

/// Gives the user namespace of `child` its only ids: `identity` maps to itself; setgroups(2) is denied for good
/// (user_namespaces(7)). Throws Error.
void write_id_maps(pid_t child, const Identity& identity);
/// Makes `child` and all that it starts the first to be ended when the machine is out of memory
/// (proc_pid_oom_score_adj(5)). Root's cannot lower it again: the least value is that which a process with
/// CAP_SYS_RESOURCE wrote. Throws Error.
void raise_oom_score(pid_t child);

/// A user namespace that maps files of `owner` to the run's ids, for id-mapped mounts. Throws Error.
Fd make_owner_map(const OwnerMap& owner, const Identity& identity);

/// Brings up "lo" in the network namespace of the calling process. Throws Error.
void raise_loopback();

/// Sets the number of user namespaces that may be made below this one to zero. Throws Error.
void forbid_user_namespaces();

}  // namespace vrun::sys
