#include "runner/store.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstdio>

#include "policy/host/fd.h"
#include "policy/host/root.h"

namespace vrun {
namespace {

/// Whether a directory is the caller's. Root with somebody else's HOME must not make anything there, nor where a link
/// of theirs leads.
bool is_own(const Fd& directory) {
  struct stat status {};
  return directory.valid() && ::fstat(directory.get(), &status) == 0 && status.st_uid == ::geteuid();
}

/// Opens the caller's own directory at `path`, whose parent exists, and makes it when it is missing; invalid when it is
/// somebody else's, or would have to be made in somebody else's.
Fd open_own(const std::string& path) {
  const Fd parent(::open(parent_path(path).c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC));
  struct stat status {};
  if (!parent.valid() || ::fstat(parent.get(), &status) != 0) return Fd();
  const std::string name = base_name(path);
  // In root's, such as /tmp, an ordinary user makes only what it may.
  if (status.st_uid == ::geteuid() || status.st_uid == 0) ::mkdirat(parent.get(), name.c_str(), 0700);
  Fd directory(::openat(parent.get(), name.c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC));
  return is_own(directory) ? std::move(directory) : Fd();
}

}  // namespace

void store_file(const std::string& path, const std::string& text) {
  const std::string directory = parent_path(path);
  const Fd cache = open_own(parent_path(directory));
  if (!cache.valid()) return;
  ::mkdirat(cache.get(), base_name(directory).c_str(), 0700);
  const Fd place(::openat(cache.get(), base_name(directory).c_str(), O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
  if (!is_own(place)) return;
  const std::string name = base_name(path);
  // One name and a lock, not a name for each process: what a vrun that was killed here left, the next one takes over.
  const std::string temporary = name + ".new";
  const Fd file(
      ::openat(place.get(), temporary.c_str(), O_CREAT | O_WRONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC, 0600));
  if (!file.valid() || ::flock(file.get(), LOCK_EX | LOCK_NB) != 0) return;
  struct stat opened {};
  struct stat named {};
  // Whoever had the lock before may have renamed this very file; its content is not to be touched then.
  if (::fstat(file.get(), &opened) != 0 ||
      ::fstatat(place.get(), temporary.c_str(), &named, AT_SYMLINK_NOFOLLOW) != 0 || opened.st_dev != named.st_dev ||
      opened.st_ino != named.st_ino || !S_ISREG(opened.st_mode) || opened.st_nlink != 1)
    return;
  const bool written = ::ftruncate(file.get(), 0) == 0 &&
                       ::write(file.get(), text.data(), text.size()) == static_cast<ssize_t>(text.size());
  if (!written || ::renameat(place.get(), temporary.c_str(), place.get(), name.c_str()) != 0)
    ::unlinkat(place.get(), temporary.c_str(), 0);
}

}  // namespace vrun
