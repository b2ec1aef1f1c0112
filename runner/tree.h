/// What the processes of a run use, all together, as /proc tells: for a run without a control group that would count.
#pragma once

#include <sys/types.h>

#include <chrono>
#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <vector>

#include "policy/host/fd.h"

namespace vrun {

struct TreeUse {
  std::chrono::nanoseconds cpu{0};  ///< of what lives, and of what has ended: the larger one of two accounts of that
  std::uint64_t memory = 0;         ///< bytes
  std::uint64_t tasks = 0;          ///< processes and threads
  bool complete = true;             ///< false: it took too long, and something is missing
};

/// Of one process.
struct ProcessStat {
  pid_t parent = 0;
  std::uint64_t started = 0;             ///< in clock ticks; tells processes apart that had the same number
  std::chrono::nanoseconds own{0};       ///< processor time
  std::chrono::nanoseconds children{0};  ///< that of the children that it waited for, and of theirs
  std::uint64_t threads = 0;
};

/// The processes below pid 1 of a run, itself not counted.
class Tree {
 public:
  using Clock = std::chrono::steady_clock;

  /// `proc` is an open directory of proc(5), or one made like it. The run's own memory file systems, from which
  /// nothing is counted twice, come by add_memory.
  Tree(Fd proc, pid_t init) : proc_(std::move(proc)), init_(init) {}
  /// A directory on a memory file system of the run's, which counts with all that is stored in it; borrowed.
  void add_memory(int directory) { memory_.push_back(directory); }
  /// A file system with memory files that have no name (memfd_create(2)), System V and shared anonymous memory: all of
  /// the kernel's are on one, which this process has to find out, once. Without it these count where they are mapped.
  void find_unnamed();

  /// Whether the kernel lets the run be looked at. False also when it is gone.
  bool measurable() const;
  /// Measures; memory too when `suspicious` is given. When there seems to be more of it than that, what processes share
  /// is told apart, which takes longer; up to there each counts it. A process that ends meanwhile may be left out.
  /// The run decides how much there is to look at, such as descriptors by the million: at `until` it is given up.
  TreeUse measure(std::optional<std::uint64_t> suspicious, Clock::time_point until = Clock::time_point::max());

 private:
  /// Calls `visit` with the number, the open directory and the stat of pid 1 and of all below.
  /// False when it had to stop at `until`.
  bool walk(Clock::time_point until, const std::function<void(pid_t, int, const ProcessStat&)>& visit) const;
  Fd open_process(pid_t pid) const;
  void remember(pid_t pid, const ProcessStat& stat);
  std::chrono::nanoseconds settle_missing();

  /// What was last seen of a process.
  struct Seen {
    std::uint64_t started = 0;
    std::chrono::nanoseconds own{0};
    std::uint64_t look = 0;
  };

  Fd proc_;
  pid_t init_;
  std::vector<int> memory_;
  dev_t unnamed_ = 0;
  std::map<pid_t, Seen> seen_;
  std::uint64_t look_ = 0;             ///< the number of this measurement
  std::chrono::nanoseconds ended_{0};  ///< processor time that was seen of processes that are gone
};

}  // namespace vrun
