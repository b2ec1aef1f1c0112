/// What a machine says about itself, read only after a failure and only to explain it: whether something works is found
/// out by trying it.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "policy/host/root.h"

namespace vrun {

struct MachineHints {
  bool is_root = false;    ///< the caller has uid 0
  bool in_chroot = false;  ///< the caller's "/" is not that of the first process
  std::string program;     ///< vrun's own path; empty when it is not known

  bool seccomp_outside = false;    ///< this process already runs under a system-call filter
  bool nested = false;             ///< in a user namespace below another one, such as a rootless container's
  bool selinux_enforcing = false;  ///< SELinux is there, and enforcing
  std::string container;  ///< "docker", "podman", "kubernetes", or what systemd calls it; empty: no sign of one
  std::string service;    ///< the unit of systemd that vrun runs in, when it is a service
  /// Kinds of namespaces that none may be made of, as /proc/sys/user/max_KIND_namespaces calls them.
  std::vector<std::string> zero_limits;
  std::optional<long> unprivileged_userns_clone;  ///< Debian's and Arch's older switch
  std::optional<long> apparmor_restrict_userns;   ///< Ubuntu 23.10 and later
  std::string kernel;                             ///< "6.12.1-amd64", as uname(2) has it; empty when not known
  // os-release(5)
  std::string distribution;          ///< ID
  std::string distribution_version;  ///< VERSION_ID
  std::string distribution_name;     ///< VERSION_CODENAME
};

/// Reads everything but is_root, in_chroot and program, which are the process' own. Never throws: what cannot be read
/// is not known.
MachineHints read_machine(const Root& root);

/// Whether `release`, as MachineHints::kernel, is of that version or later; false when it is not known.
bool is_kernel_since(const std::string& release, int major, int minor);

}  // namespace vrun
