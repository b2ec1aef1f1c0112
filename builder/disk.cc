#include "builder/disk.h"

#include <dirent.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <linux/openat2.h>
#include <sys/file.h>
#include <sys/ioctl.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <memory>
#include <vector>

#include "policy/error.h"
#include "policy/host/root.h"

namespace vrun::builder {
namespace {

constexpr std::size_t kRandomPart = 6;
/// Directories that are open at once while a tree is removed.
constexpr int kDeepest = 64;

Fd open_how(int directory, const std::string& path, int flags, mode_t mode, std::uint64_t resolve) {
  struct open_how how {};
  how.flags = static_cast<unsigned>(flags) | O_CLOEXEC;
  how.mode = mode;
  how.resolve = resolve;
  long fd = -1;
  // RESOLVE_BENEATH answers EAGAIN when a rename raced with the look-up; openat2(2) says to try again.
  do {
    fd = ::syscall(SYS_openat2, directory, path.c_str(), &how, sizeof how);
  } while (fd < 0 && (errno == EINTR || errno == EAGAIN));
  return Fd(static_cast<int>(fd));
}

std::vector<DirectoryEntry> list(int directory, std::string_view path) {
  const int fd = ::openat(directory, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  const std::unique_ptr<DIR, int (*)(DIR*)> stream(fd < 0 ? nullptr : ::fdopendir(fd), ::closedir);
  if (!stream) {
    const int error_number = errno;
    if (fd >= 0) ::close(fd);
    throw Error("cannot list", path, error_number);
  }
  std::vector<DirectoryEntry> entries;
  for (;;) {
    errno = 0;
    const dirent* const entry = ::readdir(stream.get());
    if (entry == nullptr) {
      if (errno != 0) throw Error("cannot list", path, errno);
      return entries;
    }
    const std::string_view name = entry->d_name;
    if (name == "." || name == "..") continue;
    bool is_directory = entry->d_type == DT_DIR;
    if (entry->d_type == DT_UNKNOWN) {
      struct stat status {};
      is_directory = ::fstatat(directory, entry->d_name, &status, AT_SYMLINK_NOFOLLOW) == 0 && S_ISDIR(status.st_mode);
    }
    entries.push_back({std::string(name), is_directory});
  }
}

/// Removes the tree below one directory. `top` is where directories go that lie too deep to be reached with one open
/// directory for each level; they are removed from there.
class Remover {
 public:
  Remover(int top, std::string_view keep) : top_(top), keep_(keep) {}

  void run(std::string_view path) {
    do {
      moved_ = 0;
      content(top_, 0, path);
    } while (moved_ > 0);
  }

 private:
  void content(int directory, int depth, std::string_view path) {
    for (const DirectoryEntry& entry : list(directory, path)) {
      if (depth == 0 && entry.name == keep_) continue;
      const std::string entry_path = join(path, entry.name);
      if (!entry.directory) {
        if (::unlinkat(directory, entry.name.c_str(), 0) != 0 && errno != ENOENT)
          throw Error("cannot remove", entry_path, errno);
        continue;
      }
      if (depth == kDeepest && move_up(directory, entry.name)) continue;
      // A mount point is not entered: what is mounted there belongs to somebody else.
      const Fd below = open_how(directory, entry.name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW, 0,
                                RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_XDEV);
      if (!below.valid()) throw Error("cannot remove", entry_path, errno);
      content(below.get(), depth + 1, entry_path);
      if (::unlinkat(directory, entry.name.c_str(), AT_REMOVEDIR) != 0 && errno != ENOENT)
        throw Error("cannot remove", entry_path, errno);
    }
  }

  bool move_up(int directory, const std::string& name) {
    const std::string new_name = ".vbuild-deep-" + std::to_string(count_++);
    if (::syscall(SYS_renameat2, directory, name.c_str(), top_, new_name.c_str(), RENAME_NOREPLACE) != 0) return false;
    ++moved_;
    return true;
  }

  int top_;
  std::string_view keep_;
  int count_ = 0;
  int moved_ = 0;
};

}  // namespace

Fd open_beneath(int directory, const std::string& path, int flags, mode_t mode) {
  return open_how(directory, path, flags, mode, RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS);
}

std::string random_name(const std::string& prefix) {
  constexpr std::string_view letters = "abcdefghijklmnopqrstuvwxyz012345";
  std::array<unsigned char, kRandomPart> bytes{};
  while (::getrandom(bytes.data(), bytes.size(), 0) != static_cast<ssize_t>(bytes.size()))
    if (errno != EINTR) throw Error("cannot get random bytes", "", errno);
  std::string name = prefix;
  for (const unsigned char byte : bytes) name += letters[byte % letters.size()];
  return name;
}

void write_all(const Fd& file, std::string_view content, std::string_view path) {
  while (!content.empty()) {
    const ssize_t count = ::write(file.get(), content.data(), content.size());
    if (count < 0) {
      if (errno == EINTR) continue;
      throw Error("cannot write", path, errno);
    }
    content.remove_prefix(static_cast<std::size_t>(count));
  }
}

void copy_content(const std::string& source, const Fd& target, std::string_view path) {
  const Fd from(::open(source.c_str(), O_RDONLY | O_CLOEXEC | O_NOCTTY));
  if (!from.valid()) throw Error("cannot read", source, errno);
  if (::ioctl(target.get(), FICLONE, from.get()) == 0) return;
  // Not a file system with shared blocks. copy_file_range has the kernel copy, but not between all file systems.
  ssize_t count = 0;
  do {
    count = ::copy_file_range(from.get(), nullptr, target.get(), nullptr, std::size_t{1} << 30U, 0);
  } while (count > 0 || (count < 0 && errno == EINTR));
  if (count < 0 && errno != EXDEV && errno != EINVAL && errno != ENOSYS && errno != EOPNOTSUPP)
    throw Error("cannot write", path, errno);
  // What is left, and on some file systems that is everything.
  std::vector<char> buffer(std::size_t{1} << 16U);
  for (;;) {
    count = ::read(from.get(), buffer.data(), buffer.size());
    if (count == 0) return;
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) throw Error("cannot read", source, errno);
    write_all(target, std::string_view(buffer.data(), static_cast<std::size_t>(count)), path);
  }
}

void remove_content(const Fd& directory, std::string_view keep, std::string_view path) {
  Remover(directory.get(), keep).run(path);
}

void remove_tree(int directory, const std::string& name, std::string_view path) {
  if (::unlinkat(directory, name.c_str(), 0) == 0 || errno == ENOENT) return;
  if (errno != EISDIR && errno != EPERM) throw Error("cannot remove", path, errno);
  const Fd tree = open_how(directory, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW, 0,
                           RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_XDEV);
  if (!tree.valid()) throw Error("cannot remove", path, errno);
  remove_content(tree, "", path);
  if (::unlinkat(directory, name.c_str(), AT_REMOVEDIR) != 0 && errno != ENOENT)
    throw Error("cannot remove", path, errno);
}

Stage::Stage(int parent, std::string path, const std::string& prefix) : parent_(parent), path_(std::move(path)) {
  for (int attempt = 0; attempt < 100; ++attempt) {
    std::string name = random_name(prefix);
    if (::mkdirat(parent, name.c_str(), 0777) != 0) {
      if (errno == EEXIST) continue;
      throw Error("cannot make a directory in", path_, errno);
    }
    Fd fd(::openat(parent, name.c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
    // Until it is locked, this looks like the stage of a dead builder to another one, who may be about to remove it,
    // have it locked to that end, or be done with it.
    if (!fd.valid()) {
      const int error_number = errno;
      if (error_number == ENOENT) continue;
      ::unlinkat(parent, name.c_str(), AT_REMOVEDIR);
      throw Error("cannot open", join(path_, name), error_number);
    }
    struct stat status {};
    if (::flock(fd.get(), LOCK_EX | LOCK_NB) != 0 && errno == EWOULDBLOCK) continue;
    if (::fstat(fd.get(), &status) != 0) {
      const int error_number = errno;
      ::unlinkat(parent, name.c_str(), AT_REMOVEDIR);
      throw Error("cannot look at", join(path_, name), error_number);
    }
    if (status.st_nlink == 0) continue;
    fd_ = std::move(fd);
    name_ = std::move(name);
    return;
  }
  throw Error("cannot make a directory in", path_, EEXIST);
}

Stage::~Stage() {
  if (name_.empty()) return;
  try {
    remove_tree(parent_, name_, join(path_, name_));
  } catch (const Error&) {
    // There is an error under way that matters more; the next build of this environment tries again.
  }
}

void remove_stale_stages(int parent, std::string_view path, std::string_view prefix) {
  std::vector<DirectoryEntry> entries;
  try {
    entries = list(parent, path);
  } catch (const Error&) {
    return;  // a directory can be writable and not readable
  }
  for (const DirectoryEntry& entry : entries) {
    if (!entry.directory || entry.name.size() != prefix.size() + kRandomPart || !entry.name.starts_with(prefix))
      continue;
    const Fd fd(::openat(parent, entry.name.c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
    struct stat status {};
    if (!fd.valid() || ::fstat(fd.get(), &status) != 0 || status.st_uid != ::geteuid()) continue;
    if (::flock(fd.get(), LOCK_EX | LOCK_NB) != 0) continue;
    try {
      remove_tree(parent, entry.name, join(path, entry.name));
    } catch (const Error&) {
      // See above; it stays until somebody can.
    }
  }
}

std::vector<DirectoryEntry> list_directory(const Fd& directory, std::string_view path) {
  return list(directory.get(), path);
}

bool is_empty_directory(const Fd& directory) { return list(directory.get(), "").empty(); }

}  // namespace vrun::builder
