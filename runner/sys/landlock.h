/// Landlock (landlock(7)): restrictions that a process lays upon itself and its children.
#pragma once

#include <cstdint>

#include "policy/host/fd.h"

namespace vrun::sys {

/// The version of Landlock's interface; 0 where the kernel has none, or does not let it be used. Throws Error.
int landlock_abi();

/// Rules, and then their effect.
class Ruleset {
 public:
  /// From `restrict_self` on, the rights `handled` are only where a rule gives them, and `scopes` keep to the processes
  /// below this one; both are bits of policy/landlock.h that the kernel knows. Throws Error.
  Ruleset(std::uint64_t handled, std::uint64_t scopes);

  /// Gives `rights` to the file `fd`, or to the directory and all that is in it; false with errno when it is of a file
  /// system that has no rules.
  bool allow(int fd, std::uint64_t rights);
  /// For this process and its children, for good; needs no_new_privs or CAP_SYS_ADMIN. Throws Error.
  void restrict_self();

 private:
  Fd fd_;
};

}  // namespace vrun::sys
