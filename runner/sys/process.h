/// What a process is born with: descriptors, signals, the memory of its command line.
#pragma once

#include <sys/types.h>

#include <vector>

#include "policy/host/fd.h"
#include "policy/limits.h"

namespace vrun::sys {

/// Opens /dev/null on each of 0, 1 and 2 that is closed, so that no other descriptor ends up there. Throws Error.
void fill_standard_descriptors();

/// Closes every descriptor from 3 on, but those kept; -1 among them means none. Throws Error.
void close_others(std::vector<int> kept);

/// Pipe with close-on-exec on both ends. Throws Error.
struct Pipe {
  Fd read;
  Fd write;
};
Pipe make_pipe();

/// Signals that vrun passes on to the command, leaving out those that were ignored when vrun was started (nohup(1), a
/// shell's background jobs), and SIGCHLD.
sigset_t forwarded_signals();

/// Blocks `signals`, saving the mask that vrun was started with, and returns a signalfd(2) for them. Throws Error.
Fd signal_descriptor(const sigset_t& signals);

/// Default dispositions and nothing blocked, for a program about to be executed. False with errno set on failure.
bool reset_signals();

/// Sets what is lower than what already holds, for this process and its children. False with errno set on failure.
bool set_resource_limits(const std::vector<ResourceLimit>& limits);

/// Overwrites the memory behind argv and environ, where /proc/PID/cmdline and environ read, with `name`.
void forget_arguments(char** argv, char** environment, const char* name);

/// SIGKILL for the calling process when the thread that made it ends (PR_SET_PDEATHSIG). Throws Error.
void die_with_parent();

}  // namespace vrun::sys
