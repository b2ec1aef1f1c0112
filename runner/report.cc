#include "runner/report.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <charconv>
#include <cstdint>
#include <cstdio>

#include "policy/error.h"
#include "policy/host/root.h"
#include "runner/sys/files.h"

namespace vrun {
namespace {

constexpr const char* kDescriptor = "fd:";
constexpr const char* kDoing = "cannot write the report";

[[noreturn]] void fail(const std::string& path) {
  const int error_number = errno;
  throw Error(kDoing, path, error_number);
}

void write_all(int fd, const std::string& text, const std::string& path) {
  for (std::size_t done = 0; done < text.size();) {
    const ssize_t count = ::write(fd, text.data() + done, text.size() - done);
    if (count >= 0) {
      done += static_cast<std::size_t>(count);
    } else if (errno == EAGAIN) {
      struct pollfd event {
        fd, POLLOUT, 0
      };
      ::poll(&event, 1, -1);
    } else if (errno != EINTR) {
      fail(path);
    }
  }
}

/// A copy of a descriptor that the caller lends, which has to be open for writing.
Fd lent_descriptor(const std::string& name) {
  int number = -1;
  const char* const begin = name.data() + std::string_view(kDescriptor).size();
  const char* const end = name.data() + name.size();
  const auto parsed = std::from_chars(begin, end, number);
  if (parsed.ec != std::errc() || parsed.ptr != end || number < 0)
    throw Error("--report wants a file or fd:N, not " + quote(name));
  const int flags = ::fcntl(number, F_GETFL);
  if (flags < 0) fail(name);
  if ((flags & O_ACCMODE) == O_RDONLY) throw Error(kDoing, name, EBADF).hint("it is not open for writing");
  Fd copy(::fcntl(number, F_DUPFD_CLOEXEC, 3));
  if (!copy.valid()) fail(name);
  return copy;
}

}  // namespace

PendingFile::PendingFile(const std::string& name) : path_(name) {
  if (name.starts_with(kDescriptor)) {
    direct_ = lent_descriptor(name);
    return;
  }
  // A link may be an earlier run's, and lead to a disk: it is replaced, as a file is, but for /dev/stdout and its like.
  const bool follows = parent_path(name) == "/dev";
  struct stat status {};
  if (::fstatat(AT_FDCWD, name.c_str(), &status, follows ? 0 : AT_SYMLINK_NOFOLLOW) == 0 && !S_ISREG(status.st_mode) &&
      !S_ISLNK(status.st_mode)) {
    if (S_ISDIR(status.st_mode)) throw Error(kDoing, name, EISDIR);
    // Without waiting for a reader of a FIFO that may never come.
    direct_ = Fd(::open(name.c_str(), O_WRONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK | (follows ? 0 : O_NOFOLLOW)));
    if (!direct_.valid()) fail(name);
    return;
  }
  directory_ = Fd(::open(parent_path(name).c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!directory_.valid()) fail(name);
  unnamed_ = Fd(::openat(directory_.get(), ".", O_TMPFILE | O_WRONLY | O_CLOEXEC, 0666));
  // What kernels and file systems say that cannot do it (open(2), O_TMPFILE).
  if (!unnamed_.valid() && errno != EOPNOTSUPP && errno != EISDIR && errno != ENOENT && errno != EINVAL) fail(name);
  if (!unnamed_.valid() && ::faccessat(directory_.get(), ".", W_OK | X_OK, AT_EACCESS) != 0) fail(name);
}

void PendingFile::write(const std::string& text) {
  if (direct_.valid()) return write_all(direct_.get(), text, path_);
  struct stat held {};
  struct stat named {};
  if (::fstat(directory_.get(), &held) != 0 || ::stat(parent_path(path_).c_str(), &named) != 0) fail(path_);
  if (held.st_dev != named.st_dev || held.st_ino != named.st_ino)
    throw Error(std::string(kDoing) + ": the directory was replaced during the run:", parent_path(path_));
  const std::string temporary = sys::random_name(".vrun-");
  Fd file = std::move(unnamed_);
  if (file.valid()) {
    write_all(file.get(), text, path_);
    const std::string link = "/proc/self/fd/" + std::to_string(file.get());
    if (::linkat(AT_FDCWD, link.c_str(), directory_.get(), temporary.c_str(), AT_SYMLINK_FOLLOW) != 0) fail(path_);
  } else {
    file =
        Fd(::openat(directory_.get(), temporary.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0666));
    if (!file.valid()) fail(path_);
    write_all(file.get(), text, path_);
  }
  if (::renameat(directory_.get(), temporary.c_str(), directory_.get(), base_name(path_).c_str()) == 0) return;
  const int error_number = errno;
  ::unlinkat(directory_.get(), temporary.c_str(), 0);
  throw Error(kDoing, path_, error_number);
}

void VerdictFiles::open() {
  tried_ = true;
  if (!names.report.empty()) report_.emplace(names.report);
  if (!names.meta.empty()) meta_.emplace(names.meta);
}

void VerdictFiles::write() {
  if (!tried_) open();
  if (report_) report_->write(verdict_json(verdict));
  if (meta_) meta_->write(verdict_meta(verdict));
}

}  // namespace vrun
