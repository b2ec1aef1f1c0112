#include "builder/clear.h"

#include <fcntl.h>
#include <unistd.h>

#include "builder/disk.h"
#include "builder/text.h"
#include "policy/error.h"

namespace vrun::builder {
namespace {

/// Whether the directory `inner` is `outer` or lies below it, by what the directories are and not by their names.
bool lies_within(Fd inner, const struct stat& outer) {
  struct stat previous {};
  for (int depth = 0; inner.valid() && depth < 4096; ++depth) {
    struct stat status {};
    if (::fstat(inner.get(), &status) != 0) return false;
    if (status.st_dev == outer.st_dev && status.st_ino == outer.st_ino) return true;
    if (depth > 0 && status.st_dev == previous.st_dev && status.st_ino == previous.st_ino) return false;  // "/"
    previous = status;
    inner = Fd(::openat(inner.get(), "..", O_PATH | O_DIRECTORY | O_CLOEXEC));
  }
  return false;
}

/// A field of mountinfo, in which space, tab, newline and backslash are octal (proc(5)).
std::string decode(std::string_view field) {
  std::string out;
  for (std::size_t i = 0; i < field.size(); ++i) {
    if (field[i] == '\\' && i + 3 < field.size()) {
      out += static_cast<char>((field[i + 1] - '0') * 64 + (field[i + 2] - '0') * 8 + (field[i + 3] - '0'));
      i += 3;
    } else {
      out += field[i];
    }
  }
  return out;
}

/// A mount at or below `path` (links followed), or nothing. Without /proc there is no telling; removal stops at mount
/// points by itself.
std::string find_mount_within(const Root& root, const std::string& path) {
  constexpr std::size_t limit = 64U << 20U;
  const auto mounts = root.read_file("/proc/self/mountinfo", limit);
  std::string_view rest = mounts ? std::string_view(*mounts) : std::string_view();
  while (!rest.empty()) {
    std::string_view line = take_line(rest);
    for (int field = 0; field < 4; ++field) line.remove_prefix(std::min(line.find(' '), line.size() - 1) + 1);
    const std::string point = decode(line.substr(0, line.find(' ')));
    if (is_within(point, path)) return point;
  }
  return "";
}

}  // namespace

void check_clear(const Root& root, const Target& target, const std::string& home, NoEnvironment no_environment) {
  const std::string refusal = "cannot clear " + quote(target.path()) + ": ";
  if (lies_within(Fd(::open(".", O_PATH | O_DIRECTORY | O_CLOEXEC)), target.status()))
    throw Error(refusal + "the current directory is in it").hint("change to another directory first");
  if (!home.empty() && lies_within(Fd(::open(home.c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC)), target.status()))
    throw Error(refusal + "the home directory is in it");
  if (const std::string mount = find_mount_within(root, root.resolve(target.path()).path); !mount.empty())
    throw Error(refusal + "a file system is mounted at " + quote(mount)).hint("unmount it first");
  if (no_environment == NoEnvironment::cleared || is_empty_directory(target.fd())) return;
  struct stat status {};
  if (::fstatat(target.fd().get(), "pyvenv.cfg", &status, AT_SYMLINK_NOFOLLOW) != 0)
    throw Error(refusal + "it has files in it and is no environment (no pyvenv.cfg)")
        .hint("--force clears it all the same");
}

}  // namespace vrun::builder
