/// What came of a run: a value, and its lines for isolate's readers (docs/verdict.md; as JSON: runner/json.h).
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "policy/limits.h"
#include "policy/reductions.h"

namespace vrun {

enum class RunStatus {
  ok,            ///< the command ended by itself with 0
  nonzero,       ///< by itself, with another status
  signal,        ///< by a signal, of itself or of another process of the run
  time,          ///< the run went beyond --cpu-time
  wall,          ///< beyond --wall
  memory,        ///< beyond --memory
  output,        ///< beyond --output-max
  killed,        ///< by somebody who killed its first process, by a machine without memory, or for what it made
  not_executed,  ///< the command does not exist, or cannot be executed
  setup_error,   ///< the run could not be set up; the command was not started
};
const char* status_name(RunStatus status);

/// A file that was fetched with --get, or was not.
struct Fetched {
  std::string path;  ///< in the run
  std::uint64_t bytes = 0;
  std::string refused;  ///< why; empty when it was fetched
};

struct RunVerdict {
  RunStatus status = RunStatus::setup_error;
  std::optional<LimitKind> limit;  ///< that the run went beyond
  std::optional<int> exit_code;    ///< of the command, when it ended by itself
  std::optional<int> signal;       ///< that ended the command
  bool insisted = false;           ///< it was ended for a name that it made again and again (runner/guard.h)
  bool oom_killed = false;         ///< the kernel killed for want of memory, as memory.events of the group says
  int vrun_status = 0;             ///< vrun's own exit status
  std::string message;             ///< as on standard error; empty when there is nothing to say

  std::chrono::microseconds wall{0};
  std::chrono::microseconds cpu{0};  ///< of all processes; at least user and system
  std::chrono::microseconds user{0};
  std::chrono::microseconds system{0};
  std::optional<std::uint64_t> memory_peak;  ///< bytes, of all processes and files in memory at once
  std::uint64_t rss_peak = 0;                ///< bytes, of the largest process
  std::optional<std::uint64_t> tasks_peak;   ///< processes and threads at once, as far as was seen
  std::uint64_t switches_voluntary = 0;
  std::uint64_t switches_forced = 0;
  std::optional<std::uint64_t> output_bytes;  ///< of 1, as far as vrun passed it on; nothing when it did not go through
  std::optional<std::uint64_t> error_bytes;   ///< of 2, the same; nothing also when it is the same as 1
  bool truncated = false;                     ///< output was lost to --output-max

  Limits limits;
  Controllers controllers;
  bool measurable = false;
  bool pids_reached = false;  ///< a process or thread was refused for --pids, as pids.events of the group says

  std::vector<Reduction> reductions;  ///< layers that the run did not have in full

  std::string environment;
  std::string python;
  std::vector<std::string> command;
  std::string kernel;  ///< release
  std::vector<Fetched> results;
};

/// Who ended it, when it was ended.
std::optional<std::string> killed_by(const RunVerdict& verdict);
/// "SIGKILL", or "signal 40" for one without a name.
std::string signal_name(int number);

/// Lines "key:value" with the keys that isolate(1) writes.
std::string verdict_meta(const RunVerdict& verdict);

}  // namespace vrun
