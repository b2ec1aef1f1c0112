#include "runner/store.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstdio>

#include "policy/host/fd.h"
#include "policy/host/root.h"

namespace vrun {

void store_file(const std::string& path, const std::string& text) {
  const std::string directory = parent_path(path);
  ::mkdir(parent_path(directory).c_str(), 0700);
  ::mkdir(directory.c_str(), 0700);
  const Fd place(::open(directory.c_str(), O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
  if (!place.valid()) return;
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
