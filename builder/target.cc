#include "builder/target.h"

#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

#include <cerrno>
#include <ctime>

#include "policy/error.h"
#include "policy/host/root.h"

namespace vrun::builder {

Target::Target(std::string directory) : path_(std::move(directory)) {
  parent_path_ = parent_path(path_);
  name_ = base_name(path_);
  if (name_.empty()) throw Error("cannot make an environment of", path_);
  parent_ = Fd(::open(parent_path_.c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC));
  if (!parent_.valid()) {
    if (errno == ENOENT) return;
    throw Error("cannot use the directory of", path_, errno);
  }
  for (;;) {
    if (::fstatat(parent_.get(), name_.c_str(), &status_, AT_SYMLINK_NOFOLLOW) != 0) {
      if (errno == ENOENT) return;
      throw Error("cannot look at", path_, errno);
    }
    if (S_ISLNK(status_.st_mode))
      throw Error("cannot make an environment in " + quote(path_) + ": it is a symbolic link")
          .hint("name the directory that it leads to");
    if (!S_ISDIR(status_.st_mode))
      throw Error("cannot make an environment in " + quote(path_) + ": it is not a directory");
    Fd fd(::openat(parent_.get(), name_.c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
    if (!fd.valid()) {
      if (errno == ENOENT) return;
      throw Error("cannot open", path_, errno);
    }
    constexpr int wait_milliseconds = 5;
    constexpr int longest_wait = 60'000;
    for (int waited = 0; ::flock(fd.get(), LOCK_EX | LOCK_NB) != 0; waited += wait_milliseconds) {
      // A file system without locks (NFS has none for directories) leaves what renaming gives: whole files.
      if (errno != EWOULDBLOCK && errno != EINTR) break;
      if (waited >= longest_wait)
        throw Error("cannot change " + quote(path_) + ": another builder has been at it for a minute");
      const timespec pause{.tv_sec = 0, .tv_nsec = wait_milliseconds * 1'000'000};
      ::nanosleep(&pause, nullptr);
    }
    // The one who had the lock may have put another directory here.
    struct stat opened {};
    struct stat named {};
    if (::fstat(fd.get(), &opened) == 0 && ::fstatat(parent_.get(), name_.c_str(), &named, AT_SYMLINK_NOFOLLOW) == 0 &&
        opened.st_dev == named.st_dev && opened.st_ino == named.st_ino) {
      status_ = opened;
      fd_ = std::move(fd);
      return;
    }
  }
}

}  // namespace vrun::builder
