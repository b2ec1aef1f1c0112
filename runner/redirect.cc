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
  // Without waiting for the other end of a FIFO. What there is, is cut off only once it is known to be a file.
  const int access = stream == 0 ? O_RDONLY : O_WRONLY | O_CREAT;
  Fd file(::open(path.c_str(), access | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC, 0666));
  struct stat status {};
  if (!file.valid() || ::fstat(file.get(), &status) != 0) {
    const int error_number = errno;
    throw Error(doing, path, error_number);
  }
  if (is_null(status)) return file;
  if (!S_ISREG(status.st_mode)) throw Error(std::string(doing) + " " + quote(path) + ": it is not a regular file");
  if (stream == 0) return file;
  if (status.st_nlink != 1) throw Error(std::string(doing) + " " + quote(path) + ": it has other names too");
  if (::ftruncate(file.get(), 0) != 0) {
    const int error_number = errno;
    throw Error(doing, path, error_number);
  }
  return file;
}

}  // namespace

void redirect_streams(const std::array<std::string, 3>& paths) {
  std::array<Fd, 3> files;
  for (int stream = 0; stream < 3; ++stream) {
    const auto i = static_cast<std::size_t>(stream);
    // One file for both keeps their order.
    if (!paths[i].empty() && (stream != 2 || paths[2] != paths[1])) files[i] = open_stream(stream, paths[i]);
  }
  if (!paths[2].empty()) {
    const int kept = ::fcntl(2, F_DUPFD_CLOEXEC, 3);
    FILE* const messages = kept < 0 ? nullptr : ::fdopen(kept, "w");
    if (messages == nullptr) throw Error("cannot keep standard error", "", errno);
    std::setvbuf(messages, nullptr, _IONBF, 0);
    stderr = messages;  // a variable in glibc (stdout(3))
  }
  for (int stream = 0; stream < 3; ++stream) {
    const auto i = static_cast<std::size_t>(stream);
    const int source = stream == 2 && !paths[2].empty() && paths[2] == paths[1] ? 1 : files[i].get();
    if (source >= 0 && ::dup2(source, stream) != stream) throw Error("cannot redirect a standard stream", "", errno);
  }
}

}  // namespace vrun
