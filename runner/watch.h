/// The limits of a run that vrun itself has to watch, and the account of what the run used.
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>

#include "policy/limits.h"
#include "runner/group.h"
#include "runner/tree.h"

namespace vrun {

/// Costs nothing, not even a descriptor, when nothing has to be watched.
class Watch {
 public:
  using Clock = std::chrono::steady_clock;  ///< CLOCK_MONOTONIC, which stands still while the machine is suspended

  /// `account`: somebody wants to know what the run used, whatever its limits.
  /// `group`: the run's control group, which counts and holds what it has controllers for; null when there is none.
  Watch(const Limits& limits, bool account, const ControlGroup* group)
      : limits_(limits), account_(account), group_(group) {}

  /// Pid 1 of the run exists and is about to be told to go on. Throws Error when there is no timer.
  void begin(pid_t init);
  /// Whether the kernel lets vrun look at the run; known from `begin` on.
  bool measurable() const { return measurable_; }
  /// A directory on a memory file system of the run's; borrowed.
  void add_memory(int directory) {
    if (tree_) tree_->add_memory(directory);
  }

  /// Readable when `look` is due; -1 when it never is.
  int timer() const { return timer_.get(); }
  /// Measures, and sets the timer anew.
  void look();
  /// The run has ended, after using at least this much processor time, as far as pid 1 waited for it. Returns the last
  /// account of the group.
  std::optional<GroupAccount> end(std::chrono::microseconds cpu);

  /// The limit that the run went beyond.
  std::optional<LimitKind> fired() const { return fired_; }
  std::chrono::microseconds cpu() const { return cpu_; }
  std::chrono::microseconds wall() const {
    return std::chrono::duration_cast<std::chrono::microseconds>(end_ - begin_);
  }
  /// The most that was seen at once; nothing when nobody looked.
  std::optional<std::uint64_t> memory_peak() const { return memory_peak_; }
  std::optional<std::uint64_t> tasks_peak() const { return tasks_peak_; }

 private:
  bool measures() const { return (tree_ && measurable_) || (group_ != nullptr && limits_[LimitKind::cpu_time]); }
  void measure();
  Clock::time_point deadline() const;
  void set_timer(Clock::time_point when);
  void look_at_tree();
  void check_cpu_time();
  void fire(LimitKind kind) {
    if (!fired_) fired_ = kind;
  }

  const Limits& limits_;
  bool account_;
  const ControlGroup* group_;
  bool measurable_ = false;
  std::optional<Tree> tree_;
  Fd timer_;
  Clock::time_point begin_{};
  Clock::time_point end_{};
  Clock::time_point next_measure_{};
  std::optional<LimitKind> fired_;
  std::chrono::microseconds cpu_{0};
  std::optional<std::uint64_t> memory_peak_;
  std::optional<std::uint64_t> tasks_peak_;
};

}  // namespace vrun
