#include "runner/sys/mount.h"

#include <fcntl.h>
#include <linux/mount.h>
#include <linux/openat2.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>

#include "policy/layers.h"

// <sys/mount.h> of newer C libraries and <linux/mount.h> cannot be included together.
extern "C" int umount2(const char* target, int flags) noexcept;

#ifndef AT_RECURSIVE
#define AT_RECURSIVE 0x8000
#endif

namespace vrun::sys {
namespace {

constexpr int kMntDetach = 2;                    // MNT_DETACH, umount(2)
constexpr std::uint64_t kMsPrivate = 1UL << 18;  // MS_PRIVATE, mount(2)

Fd owned(long result) { return Fd(static_cast<int>(result)); }

bool set(int mount, struct mount_attr& attributes, bool recursive) {
  const unsigned flags = AT_EMPTY_PATH | (recursive ? unsigned{AT_RECURSIVE} : 0U);
  return ::syscall(SYS_mount_setattr, mount, "", flags, &attributes, sizeof attributes) == 0;
}

}  // namespace

namespace {

constexpr std::uint64_t kNoLinks = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS;

Fd open_below(int directory, const std::string& path, int flags, std::uint64_t resolve) {
  struct open_how how {};
  how.flags = static_cast<unsigned>(O_CLOEXEC | flags);
  how.resolve = resolve;
  const std::size_t start = path.find_first_not_of('/');
  const char* relative = start == std::string::npos ? "." : path.c_str() + start;
  long fd = -1;
  do {
    fd = ::syscall(SYS_openat2, directory, relative, &how, sizeof how);
  } while (fd < 0 && (errno == EINTR || errno == EAGAIN));
  return owned(fd);
}

}  // namespace

Fd open_beneath(int directory, const std::string& path, int flags) {
  // RESOLVE_IN_ROOT alone follows links, those in absolute form too, to where they lead.
  return open_below(directory, path, O_PATH | flags, kept("no-links") ? kNoLinks : RESOLVE_IN_ROOT);
}

Fd open_on_mount(int directory, const std::string& path, int flags) {
  return open_below(directory, path, flags, kNoLinks | RESOLVE_NO_XDEV);
}

Fd new_mount(const char* type, const std::vector<std::pair<std::string, std::string>>& parameters,
             unsigned attributes) {
  const Fd context = owned(::syscall(SYS_fsopen, type, FSOPEN_CLOEXEC));
  if (!context.valid()) return {};
  for (const auto& [key, value] : parameters)
    if (::syscall(SYS_fsconfig, context.get(), FSCONFIG_SET_STRING, key.c_str(), value.c_str(), 0) != 0) return {};
  if (::syscall(SYS_fsconfig, context.get(), FSCONFIG_CMD_CREATE, nullptr, nullptr, 0) != 0) return {};
  return owned(::syscall(SYS_fsmount, context.get(), FSMOUNT_CLOEXEC, attributes));
}

Fd copy_tree(int fd) {
  return owned(::syscall(SYS_open_tree, fd, "", AT_EMPTY_PATH | AT_RECURSIVE | OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC));
}

bool set_attributes(int mount, std::uint64_t attributes, bool recursive) {
  struct mount_attr change {};
  change.attr_set = attributes;
  if (kept("private-mounts")) change.propagation = kMsPrivate;
  return set(mount, change, recursive);
}

bool set_owner_map(int mount, int user_namespace) {
  struct mount_attr change {};
  change.attr_set = MOUNT_ATTR_IDMAP;
  change.userns_fd = static_cast<std::uint64_t>(user_namespace);
  return set(mount, change, true);
}

bool attach(int mount, int target) {
  return ::syscall(SYS_move_mount, mount, "", target, "", MOVE_MOUNT_F_EMPTY_PATH | MOVE_MOUNT_T_EMPTY_PATH) == 0;
}

bool attach_in(int mount, int directory, const char* name) {
  return ::syscall(SYS_move_mount, mount, "", directory, name, MOVE_MOUNT_F_EMPTY_PATH) == 0;
}

bool detach_here() { return ::umount2(".", kMntDetach) == 0; }

bool enter_root(int root) {
  // pivot_root(2), NOTES: with both arguments ".", the old root ends up on top of the new one, where it is let go.
  return ::fchdir(root) == 0 && ::syscall(SYS_pivot_root, ".", ".") == 0 && detach_here() && ::chdir("/") == 0;
}

bool make_private(int root) {
  struct mount_attr change {};
  change.propagation = kMsPrivate;
  return set(root, change, true);
}

}  // namespace vrun::sys
