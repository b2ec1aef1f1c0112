#include "policy/remedies.h"

#include <cerrno>

namespace vrun {
namespace {

std::string for_user_namespaces(int error_number, const MachineHints& machine) {
  if (error_number == ENOSPC) {
    if (machine.max_user_namespaces == 0)
      return "user namespaces are switched off here: sudo sysctl -w user.max_user_namespaces=15000";
    return "a limit on namespaces is used up: see /proc/sys/user/max_*_namespaces";
  }
  if (machine.unprivileged_userns_clone == 0)
    return "user namespaces are switched off here: sudo sysctl -w kernel.unprivileged_userns_clone=1";
  if (machine.apparmor_restrict_userns.value_or(0) != 0)
    return "AppArmor keeps programs without a profile from using user namespaces: install vrun's profile "
           "(contrib/apparmor) or sudo sysctl -w kernel.apparmor_restrict_unprivileged_userns=0";
  if (machine.seccomp_outside)
    return "a system-call filter around vrun, such as a container's, forbids namespaces: start the container with one "
           "that allows them, or run vrun outside of it";
  if (machine.in_chroot) return "user namespaces cannot be made inside a chroot: run vrun outside of it";
  if (error_number == ENOSYS || error_number == EINVAL) return "vrun needs Linux 5.15 or later with user namespaces";
  return {};
}

}  // namespace

std::string remedy(SetupStep step, int error_number, const MachineHints& machine) {
  switch (step) {
    case SetupStep::namespaces:
    case SetupStep::identity:
    case SetupStep::network:
      return for_user_namespaces(error_number, machine);
    case SetupStep::view:
      if (error_number == ENOSYS) return "vrun needs Linux 5.15 or later";
      if (error_number == ENOSPC)
        return "here ENOSPC means a limit on mounts, not the disk: see /proc/sys/fs/mount-max";
      if ((error_number == EACCES || error_number == EPERM) && machine.apparmor_restrict_userns.value_or(0) != 0)
        return for_user_namespaces(error_number, machine);
      return {};
    case SetupStep::proc:
      if (error_number == EPERM)
        return "the /proc around vrun is covered in parts, as in most containers, and the kernel then refuses a new "
               "one: "
               "start the container with an uncovered /proc (Docker: --security-opt systempaths=unconfined, Podman: "
               "--security-opt unmask=ALL)";
      return {};
    case SetupStep::owner_map:
      if (error_number == EINVAL || error_number == EPERM)
        return "its file system cannot show files of root to an unprivileged user: run vrun as the owner of the "
               "directory instead of root, or on another file system";
      return {};
    case SetupStep::limit:
      if (error_number == EACCES || error_number == EROFS || error_number == EPERM)
        return "the /proc/sys around vrun cannot be written, as in most containers";
      return {};
    case SetupStep::filter:
      if (error_number == EINVAL || error_number == ENOSYS)
        return "vrun needs a kernel with system-call filters (CONFIG_SECCOMP_FILTER)";
      return {};
  }
  return {};
}

}  // namespace vrun
