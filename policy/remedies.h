/// What a user can do about a step of the set-up that the kernel refused.
#pragma once

#include <optional>
#include <string>

namespace vrun {

/// The parts of a run's set-up that fail for reasons outside vrun.
enum class SetupStep { namespaces, identity, network, view, proc, owner_map, limit, filter };

/// What this machine says about itself, read only after a failure and only to explain it.
struct MachineHints {
  bool in_chroot = false;
  bool seccomp_outside = false;                   ///< this process already runs under a system-call filter
  std::optional<long> max_user_namespaces;        ///< /proc/sys/user/max_user_namespaces
  std::optional<long> unprivileged_userns_clone;  ///< Debian's and Arch's older switch
  std::optional<long> apparmor_restrict_userns;   ///< Ubuntu 23.10 and later
};

/// A clause for the end of an error's line; empty when nothing is known. Pure: the table tests hold it.
std::string remedy(SetupStep step, int error_number, const MachineHints& machine);

}  // namespace vrun
