#include "runner/redirect.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>

#include "policy/error.h"
#include "policy/host/fd.h"

namespace vrun {
namespace {

bool is_null(const struct stat& status) {
  return S_ISCHR(status.st_mode) && ::major(status.st_rdev) == 1 && ::minor(status.st_rdev) == 3;
}

Fd open_stream(int stream, const std::string& path) {
  const char* const doing = stream == 0 ? "cannot read standard input from" : "cannot write output to";
  // Without waiting for the other end of a FIFO.
  const int access = stream == 0 ? O_RDONLY : O_WRONLY | O_CREAT;
  Fd file(::open(path.c_str(), access | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC, 0666));
  struct stat status {};
  if (!file.valid() || ::fstat(file.get(), &status) != 0) {
    const int error_number = errno;
    throw Error(doing, path, error_number);
  }
  if (is_null(status)) return file;
  if (!S_ISREG(status.st_mode)) throw Error(std::string(doing) + " " + quote(path) + ": it is not a regular file");
  if (stream != 0 && status.st_nlink != 1)
    throw Error(std::string(doing) + " " + quote(path) + ": it has other names too");
  return file;
}

/// Whether both are open, and one file.
bool are_same(const Fd& file, const Fd& other) {
  struct stat status {};
  struct stat others {};
  return file.valid() && other.valid() && ::fstat(file.get(), &status) == 0 && ::fstat(other.get(), &others) == 0 &&
         status.st_dev == others.st_dev && status.st_ino == others.st_ino;
}

}  // namespace

void redirect_streams(const StreamNames& paths) {
  std::array<Fd, 3> files;
  for (std::size_t i = 0; i < files.size(); ++i)
    if (!paths[i].empty()) files[i] = open_stream(static_cast<int>(i), paths[i]);
  const bool joined = are_same(files[1], files[2]);
  for (const std::size_t i : {std::size_t{1}, std::size_t{2}}) {
    struct stat status {};
    if (!files[i].valid() || (::fstat(files[i].get(), &status) == 0 && is_null(status))) continue;
    if (::ftruncate(files[i].get(), 0) == 0) continue;
    const int error_number = errno;
    throw Error("cannot write output to", paths[i], error_number);
  }
  if (!paths[2].empty()) {
    const int kept = ::fcntl(2, F_DUPFD_CLOEXEC, 3);
    FILE* const messages = kept < 0 ? nullptr : ::fdopen(kept, "w");
    if (messages == nullptr) throw Error("cannot keep standard error", "", errno);
    std::setvbuf(messages, nullptr, _IONBF, 0);
    stderr = messages;  // a variable in glibc (stdout(3))
  }
  for (int stream = 0; stream < 3; ++stream) {
    const int source = stream == 2 && joined ? 1 : files[static_cast<std::size_t>(stream)].get();
    if (source >= 0 && ::dup2(source, stream) != stream) throw Error("cannot redirect a standard stream", "", errno);
  }
}

}  // namespace vrun
