/// Landlock (landlock(7)).
#pragma once

namespace vrun::sys {

/// Whether this kernel can do what `scope_to_run` does: Linux 6.12 and later, with Landlock switched on.
bool can_scope_to_run();

/// Keeps this process and its children from connecting to abstract Unix sockets (unix(7)) of processes outside and from
/// signalling them: what a shared network namespace would let through. Needs no_new_privs. Throws Error.
void scope_to_run();

}  // namespace vrun::sys
