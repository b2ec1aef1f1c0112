/// The mount calls of Linux 5.2 and later, which work on descriptors (fsopen(2), open_tree(2), mount_setattr(2),
/// move_mount(2)). Each returns an invalid Fd or false on failure and leaves errno set.
#pragma once

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "policy/host/fd.h"

namespace vrun::sys {

/// Opens `path` below `directory` as O_PATH plus `flags`. Symbolic links anywhere in it are refused with ELOOP, and so
/// is leaving `directory` (EXDEV). "" and "." are the directory itself.
Fd open_beneath(int directory, const std::string& path, int flags);
/// The same with `flags` alone, and without leaving the mount of `directory` (EXDEV). Reading a FIFO or a device may
/// wait, unless `flags` say otherwise.
Fd open_on_mount(int directory, const std::string& path, int flags);

/// A new file system of kind `type` with these parameters, as a mount that is attached nowhere yet.
Fd new_mount(const char* type, const std::vector<std::pair<std::string, std::string>>& parameters, unsigned attributes);

/// A copy of the mount tree at `fd`, attached nowhere yet.
Fd copy_tree(int fd);

/// Sets attributes (MOUNT_ATTR_*) on a mount, or on all mounts in the tree, and cuts it off from its peers: a copy of a
/// shared mount would otherwise get what the host mounts there later, without these attributes.
bool set_attributes(int mount, std::uint64_t attributes, bool recursive);

/// Shows files of the user namespace's mapped owner as the mapped ids (MOUNT_ATTR_IDMAP).
bool set_owner_map(int mount, int user_namespace);

/// Attaches a detached mount on top of `target`.
bool attach(int mount, int target);
/// The same on top of `name` in `directory`; not of what a link of that name leads to.
bool attach_in(int mount, int directory, const char* name);

/// Detaches the topmost mount at the current directory.
bool detach_here();

/// Makes `root` the process's root and lets go of everything that was there before.
bool enter_root(int root);

/// Stops mounts of this namespace from reaching others and others from reaching it.
bool make_private(int root);

}  // namespace vrun::sys
