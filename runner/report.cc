#include "runner/report.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <charconv>
#include <cstdint>
#include <string_view>
#include <utility>
#include <vector>

#include "policy/error.h"
#include "policy/host/root.h"
#include "runner/json.h"
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

/// The number of the descriptor that is named, by one of the names that the system has for it, too: those are links,
/// and where one leads to a file it is the descriptor that is meant, with its place in the file.
std::optional<int> named_descriptor(const std::string& name) {
  if (name == "/dev/stdout") return 1;
  if (name == "/dev/stderr") return 2;
  for (const std::string_view prefix : {kDescriptor, "/dev/fd/", "/proc/self/fd/"}) {
    if (!name.starts_with(prefix)) continue;
    int number = -1;
    const char* const end = name.data() + name.size();
    const auto parsed = std::from_chars(name.data() + prefix.size(), end, number);
    if (parsed.ec != std::errc() || parsed.ptr != end || number < 0)
      throw Error("a report goes to a file or fd:N, not to " + quote(name));
    return number;
  }
  return std::nullopt;
}

/// A copy of a descriptor that the caller lends, which has to be open for writing.
Fd lent_descriptor(int number, const std::string& name) {
  const int flags = ::fcntl(number, F_GETFL);
  if (flags < 0) fail(name);
  if ((flags & O_ACCMODE) == O_RDONLY) throw Error(kDoing, name, EBADF).hint("it is not open for writing");
  Fd copy(::fcntl(number, F_DUPFD_CLOEXEC, 3));
  if (!copy.valid()) fail(name);
  return copy;
}

/// What tells files apart: what is there now, and the place of the name, where something is to be.
struct Identity {
  using File = std::pair<dev_t, ino_t>;
  std::optional<File> file;
  std::optional<std::pair<File, std::string>> place;

  bool same(const Identity& other) const { return (file && file == other.file) || (place && place == other.place); }
};

Identity identity_of(const std::string& path, std::optional<int> descriptor) {
  Identity identity;
  struct stat status {};
  const int failed =
      descriptor ? ::fstat(*descriptor, &status) : ::fstatat(AT_FDCWD, path.c_str(), &status, AT_SYMLINK_NOFOLLOW);
  // Many may write to /dev/null, or to one terminal.
  if (failed == 0 && S_ISCHR(status.st_mode)) return identity;
  if (failed == 0) identity.file = {status.st_dev, status.st_ino};
  if (!descriptor && ::stat(parent_path(path).c_str(), &status) == 0)
    identity.place = {{status.st_dev, status.st_ino}, base_name(path)};
  return identity;
}

/// Refuses files of which one is another, for what is written to one would be lost or end up in the other. Both outputs
/// may go to one file.
void check_distinct(const ReportNames& names, const StreamNames& streams) {
  struct Named {
    const char* option;
    std::string path;
    Identity identity;
  };
  std::vector<Named> files;
  const auto add = [&](const char* option, const std::string& path, std::optional<int> descriptor) {
    if (!path.empty()) files.push_back({option, path, identity_of(path, descriptor)});
  };
  add("--report", names.report, named_descriptor(names.report));
  add("--meta", names.meta, named_descriptor(names.meta));
  add("--stdin", streams[0], {});
  add("--stdout", streams[1], {});
  if (streams[1].empty() || !identity_of(streams[1], {}).same(identity_of(streams[2], {})))
    add("--stderr", streams[2], {});
  for (std::size_t i = 0; i < files.size(); ++i)
    for (std::size_t other = i + 1; other < files.size(); ++other)
      if (files[i].identity.same(files[other].identity))
        throw Error(std::string(files[i].option) + " and " + files[other].option + " name the same file",
                    files[other].path)
            .hint("give each a file of its own");
}

}  // namespace

PendingFile::PendingFile(const std::string& name) : path_(name) {
  if (const auto number = named_descriptor(name)) {
    direct_ = lent_descriptor(*number, name);
    return;
  }
  // A link may be an earlier run's, and lead to a disk: it is replaced, as a file is.
  struct stat status {};
  if (::fstatat(AT_FDCWD, name.c_str(), &status, AT_SYMLINK_NOFOLLOW) == 0 && !S_ISREG(status.st_mode) &&
      !S_ISLNK(status.st_mode)) {
    if (S_ISDIR(status.st_mode)) throw Error(kDoing, name, EISDIR);
    // Without waiting for a reader of a FIFO that may never come.
    direct_ = Fd(::open(name.c_str(), O_WRONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK | O_NOFOLLOW));
    if (!direct_.valid() && errno == ENXIO && S_ISFIFO(status.st_mode))
      throw Error(kDoing, name, ENXIO).hint("nobody reads from this FIFO; start its reader first");
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

void VerdictFiles::open(const StreamNames& streams) {
  tried_ = true;
  check_distinct(names, streams);
  if (!names.report.empty()) report_.emplace(names.report);
  if (!names.meta.empty()) meta_.emplace(names.meta);
}

void VerdictFiles::write() {
  if (!tried_) open({});
  if (report_) report_->write(to_json(verdict));
  if (meta_) meta_->write(verdict_meta(verdict));
}

}  // namespace vrun
