#include "runner/sys/files.h"

#include <fcntl.h>
#include <sys/random.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <cstdint>
#include <cstdio>

#include "policy/error.h"
#include "policy/host/fd.h"

namespace vrun::sys {
namespace {

constexpr std::size_t kMostText = 8UL * 1024 * 1024;

}  // namespace

std::string read_at(int directory, const char* name) {
  const Fd file(::openat(directory, name, O_RDONLY | O_CLOEXEC));
  std::string text;
  while (file.valid() && text.size() < kMostText) {
    char buffer[4096];
    const ssize_t count = ::read(file.get(), buffer, sizeof buffer);
    if (count <= 0) break;
    text.append(buffer, static_cast<std::size_t>(count));
  }
  return text;
}

std::string random_name(const std::string& prefix) {
  std::uint64_t random = 0;
  if (::getrandom(&random, sizeof random, 0) != static_cast<ssize_t>(sizeof random))
    throw Error("cannot get random bytes", "", errno);
  return prefix + std::to_string(random);
}

bool signal_new_names(int directory) {
  // dnotify, not inotify: the end of a watch of inotify's waits for all processors, which takes longer than a whole run
  // (7 to 19 ms against 0.03 ms), and a user can have few. A signal that is pending already does not come twice, so
  // that no queue overflows. DN_CREATE covers what is renamed or linked into the directory.
  return ::fcntl(directory, F_NOTIFY, DN_CREATE | DN_MULTISHOT) == 0;
}

bool rename_to_new(int directory, const std::string& from, const std::string& to) {
  return ::syscall(SYS_renameat2, directory, from.c_str(), directory, to.c_str(), RENAME_NOREPLACE) == 0;
}

}  // namespace vrun::sys
