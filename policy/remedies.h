/// Why a part of a run's set-up cannot be had on a machine, and what mends it: one table, for the line of a run that
/// could not start and for vrun --doctor.
#pragma once

#include <algorithm>
#include <array>
#include <optional>
#include <string>
#include <string_view>

#include "policy/machine.h"

namespace vrun {

/// The parts of a run's set-up that fail for reasons outside vrun.
enum class SetupStep { namespaces, identity, network, view, proc, owner_map, limit, keyring, filter, scopes, group };

/// The names of the causes; docs/troubleshooting.md has a section for each.
inline constexpr auto kCauses = std::to_array<std::string_view>(
    {"apparmor", "chroot", "covered-proc", "key-quota", "landlock-missing", "landlock-off", "mount-limit",
     "namespaces-off", "namespaces-used-up", "no-filter", "no-group", "no-owner-map", "old-kernel", "outer-filter",
     "outer-sandbox", "read-only-sysctl", "selinux"});

struct Remedy {
  std::string_view cause;   ///< of kCauses
  std::string explanation;  ///< what is the matter; a clause
  std::string command;      ///< a shell's command line that mends it; empty when no single one does
  std::string advice;       ///< what else there is to do, or to know; a clause, may be empty
};

/// Nothing when the cause is not known. Pure: the table tests hold it.
std::optional<Remedy> find_remedy(SetupStep step, int error_number, const MachineHints& machine);

/// The same as a clause for the end of an error's line; empty when nothing is known.
std::string remedy(SetupStep step, int error_number, const MachineHints& machine);

}  // namespace vrun
