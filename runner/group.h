/// The control group of a run (cgroups(7), version 2): counts and holds all its processes together.
#pragma once

#include <sys/types.h>

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "policy/host/fd.h"
#include "policy/limits.h"

namespace vrun {

// Each of these takes an open directory of a cgroup2 file system, or one made like it.

/// Writes the limits that have a controller, as far as the group has it, and says which it has. Throws Error when the
/// kernel refuses a value.
Controllers set_group_limits(int group, const Limits& limits);

/// What a group says of the processes that are and were in it.
struct GroupAccount {
  std::chrono::microseconds cpu{0};
  std::chrono::microseconds user{0};
  std::chrono::microseconds system{0};
  std::optional<std::uint64_t> memory_peak;  ///< bytes; what is in use now, on kernels that remember no peak
  std::optional<std::uint64_t> tasks_peak;
  std::uint64_t limit_kills = 0;   ///< times that memory.max was reached and nothing could be freed
  std::uint64_t oom_killed = 0;    ///< processes killed for want of memory, the machine's included
  std::uint64_t pids_refused = 0;  ///< times that pids.max was reached
};
GroupAccount read_group_account(int group);

/// The cgroup2 directory with this process in it; invalid when there is none. `self` is an open /proc/self.
Fd open_own_group(int self);

/// A group of the run's own. When it goes, what is in it is killed, it is removed, and vrun is where it was before,
/// also when vrun dies first: a process that does nothing but wait sees to it.
class ControlGroup {
 public:
  /// Makes one in `parent`, after turning on there what the limits need, as far as the caller may. When vrun alone is
  /// in `parent`, which then must not have controllers for its children, it goes into a group beside the new one.
  /// Throws Error when none can be made.
  static ControlGroup make(Fd parent, const Limits& limits);

  ControlGroup(ControlGroup&& other) noexcept;
  ControlGroup& operator=(ControlGroup&&) = delete;
  ~ControlGroup();

  const Controllers& controllers() const { return controllers_; }
  /// For CLONE_INTO_CGROUP.
  int directory() const { return directory_.get(); }
  GroupAccount account() const { return read_group_account(directory_.get()); }

 private:
  ControlGroup() = default;
  /// Whether vrun and its remover have left the parent.
  bool move_aside();
  /// `missing` are the controllers that the parent has not turned on.
  void start_remover(const std::vector<std::string>& missing);

  Fd parent_;
  Fd directory_;
  std::string name_;
  Controllers controllers_;
  Fd life_;  ///< its end tells the remover to go to work, a byte before that vrun was moved
  pid_t remover_ = -1;
};

}  // namespace vrun
