#include "policy/host/root.h"

#include <dirent.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <climits>

#include "policy/error.h"

namespace vrun {
namespace {

/// As many links as the kernel follows in one look-up (MAXSYMLINKS, path_resolution(7)).
constexpr int kMaximumLinks = 40;

/// openat2 wants a path relative to the root: "/" itself is ".".
std::string below_root(std::string_view path) {
  const std::size_t start = path.find_first_not_of('/');
  return start == std::string_view::npos ? "." : std::string(path.substr(start));
}

bool means_absent(int error_number) { return error_number == ENOENT || error_number == ENOTDIR; }

Fd open_how_below(int root, std::string_view path, struct open_how& how) {
  if (path.find('\0') != std::string_view::npos) {
    errno = ENOENT;  // no file has such a name; the kernel would see a shorter one
    return Fd();
  }
  const std::string relative = below_root(path);
  long fd = -1;
  // RESOLVE_IN_ROOT answers EAGAIN when a rename raced with ".."; openat2(2) says to try again.
  do {
    fd = ::syscall(SYS_openat2, root, relative.c_str(), &how, sizeof how);
  } while (fd < 0 && (errno == EINTR || errno == EAGAIN));
  return Fd(static_cast<int>(fd));
}

/// The sorted names of an open directory that `wanted` accepts by type and name; none when `fd` is invalid. Stops when
/// `more`, asked before each name, says so.
template <typename Wanted, typename More>
std::vector<std::string> list_while(Fd fd, Wanted wanted, More more) {
  std::vector<std::string> names;
  if (!fd.valid()) {
    // What the caller cannot read, its run cannot read either. Anything else would be taken for an empty directory.
    const int error_number = errno;
    if (means_absent(error_number) || error_number == EACCES || error_number == ELOOP) return names;
    throw Error("cannot list a directory", "", error_number);
  }
  // readdir(3) takes three calls more for each directory, to look at a descriptor that is known here.
  alignas(dirent64) std::array<char, 32768> buffer;
  for (;;) {
    const ssize_t size = ::getdents64(fd.get(), buffer.data(), buffer.size());
    if (size == 0 || (size < 0 && errno == ENOENT)) break;  // ENOENT: it was removed meanwhile
    if (size < 0) throw Error("cannot list a directory", "", errno);
    for (ssize_t offset = 0; offset < size;) {
      const auto* entry = reinterpret_cast<const dirent64*>(buffer.data() + offset);
      offset += entry->d_reclen;
      const std::string_view name = entry->d_name;
      if (name == "." || name == "..") continue;
      if (!more()) return names;
      if (wanted(entry->d_type, name)) names.emplace_back(name);
    }
  }
  std::sort(names.begin(), names.end());
  return names;
}

template <typename Wanted>
std::vector<std::string> list_if(Fd fd, Wanted wanted) {
  return list_while(std::move(fd), std::move(wanted), [] { return true; });
}

}  // namespace

Root Root::system() {
  Root root = at("/");
  root.is_system_ = true;
  return root;
}

Root Root::at(const std::string& directory) {
  Fd fd(::open(directory.c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC));
  if (!fd.valid()) throw Error("cannot open", directory, errno);
  return Root(std::move(fd), false);
}

bool Root::look(std::string_view path, bool follow, struct stat& status) const {
  // Below the system's own "/" the kernel resolves links as openat2 does here, and a look takes one call instead of
  // three. Only what leads through /proc could be a magic link.
  if (is_system_ && !is_within(path, "/proc") && path.find('\0') == std::string_view::npos)
    return ::fstatat(directory_.get(), below_root(path).c_str(), &status, follow ? 0 : AT_SYMLINK_NOFOLLOW) == 0;
  const Fd fd = open(path, follow ? O_PATH : O_PATH | O_NOFOLLOW);
  return fd.valid() && ::fstat(fd.get(), &status) == 0;
}

Fd Root::open(std::string_view path, int flags) const {
  struct open_how how {};
  how.flags = static_cast<unsigned>(flags) | O_CLOEXEC;
  how.resolve = RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS;
  return open_how_below(directory_.get(), path, how);
}

std::optional<struct stat> Root::look_if_there(std::string_view path, bool follow, int also_absent) const {
  struct stat status {};
  if (look(path, follow, status)) return status;
  const int error_number = errno;
  if (means_absent(error_number) || error_number == also_absent) return std::nullopt;
  throw Error("cannot look at", path, error_number);
}

std::optional<struct stat> Root::stat(std::string_view path) const { return look_if_there(path, true); }

std::optional<struct stat> Root::lstat(std::string_view path) const { return look_if_there(path, false); }

std::vector<std::optional<struct stat>> Root::lstat_each(std::string_view path,
                                                         const std::vector<std::string_view>& names) const {
  std::vector<std::optional<struct stat>> found(names.size());
  const Fd directory = open(path, O_PATH | O_DIRECTORY);
  if (!directory.valid()) {
    const int error_number = errno;
    if (means_absent(error_number)) return found;
    throw Error("cannot look into", path, error_number);
  }
  for (std::size_t i = 0; i < names.size(); ++i) {
    struct stat status {};
    if (::fstatat(directory.get(), std::string(names[i]).c_str(), &status, AT_SYMLINK_NOFOLLOW) == 0) {
      found[i] = status;
    } else if (const int error_number = errno; !means_absent(error_number)) {
      throw Error("cannot look at", join(path, names[i]), error_number);
    }
  }
  return found;
}

// What lies behind a directory that the caller may not pass through is not there for it, nor for a run of its.
bool Root::is_directory(std::string_view path) const {
  const auto status = look_if_there(path, true, EACCES);
  return status && S_ISDIR(status->st_mode);
}

bool Root::is_regular(std::string_view path) const {
  const auto status = look_if_there(path, true, EACCES);
  return status && S_ISREG(status->st_mode);
}

std::optional<std::string> Root::read_link(std::string_view path) const {
  const Fd fd = open(path, O_PATH | O_NOFOLLOW);
  return fd.valid() ? link_text(fd.get(), "") : std::nullopt;
}

std::optional<std::string> Root::read_file(std::string_view path, std::size_t limit, struct stat* status) const {
  const Fd fd = open(path, O_RDONLY | O_NONBLOCK | O_NOCTTY);
  if (!fd.valid()) {
    const int error_number = errno;
    if (means_absent(error_number)) return std::nullopt;
    throw Error("cannot read", path, error_number);
  }
  return read_regular(fd, path, limit, status);
}

std::optional<std::string> link_text(int fd, const std::string& name) {
  std::array<char, PATH_MAX> buffer;
  const ssize_t length = ::readlinkat(fd, name.c_str(), buffer.data(), buffer.size());
  if (length <= 0) return std::nullopt;
  return std::string(buffer.data(), static_cast<std::size_t>(length));
}

std::string read_regular(const Fd& fd, std::string_view path, std::size_t limit, struct stat* status) {
  struct stat opened {};
  if (::fstat(fd.get(), &opened) != 0) throw Error("cannot read", path, errno);
  if (!S_ISREG(opened.st_mode)) throw Error(quote(path) + " is not a regular file");
  if (status != nullptr) *status = opened;
  std::string content;
  content.reserve(std::min(static_cast<std::size_t>(opened.st_size), limit));
  std::array<char, 16384> buffer{};
  for (;;) {
    const ssize_t count = ::read(fd.get(), buffer.data(), buffer.size());
    if (count < 0) {
      if (errno == EINTR) continue;
      throw Error("cannot read", path, errno);
    }
    content.append(buffer.data(), static_cast<std::size_t>(count));
    if (content.size() > limit)
      throw Error(quote(path) + " is larger than " + std::to_string(limit) + " bytes, the most that is read of it");
    // Files of the kernel's tell no size, or one that is not theirs, and are read to their end.
    if (count == 0 || content.size() == static_cast<std::size_t>(opened.st_size)) return content;
  }
}

std::vector<std::string> Root::list(std::string_view path) const {
  return list_if(open(path, O_RDONLY | O_DIRECTORY), [](unsigned char, std::string_view) { return true; });
}

std::vector<std::string> Root::list_directories(std::string_view path) const {
  return list_if(open(path, O_RDONLY | O_DIRECTORY), [](unsigned char type, std::string_view) {
    return type == DT_DIR || type == DT_LNK || type == DT_UNKNOWN;
  });
}

Root::Listing Root::list_by_type(std::string_view path) const {
  Listing listing;
  Fd directory = open(path, O_RDONLY | O_DIRECTORY);
  listing.readable = directory.valid() || means_absent(errno);
  listing.others = list_if(std::move(directory), [&](unsigned char type, std::string_view name) {
    if (type == DT_DIR || type == DT_UNKNOWN) listing.directories.emplace_back(name);
    return type != DT_DIR;
  });
  std::sort(listing.directories.begin(), listing.directories.end());
  return listing;
}

Root::Listing Root::list_by_type(std::string_view path, std::initializer_list<std::string_view> wanted,
                                 std::size_t& budget) const {
  Listing listing;
  Fd directory = open(path, O_RDONLY | O_DIRECTORY);
  listing.readable = directory.valid() || means_absent(errno);
  const auto choose = [&](unsigned char type, std::string_view name) {
    if (type == DT_DIR || type == DT_UNKNOWN) listing.directories.emplace_back(name);
    return type != DT_DIR && std::find(wanted.begin(), wanted.end(), name) != wanted.end();
  };
  listing.others = list_while(std::move(directory), choose, [&] {
    listing.complete = budget > 0;
    if (listing.complete) --budget;
    return listing.complete;
  });
  std::sort(listing.others.begin(), listing.others.end());
  std::sort(listing.directories.begin(), listing.directories.end());
  return listing;
}

Resolved Root::resolve(std::string_view path) const {
  Resolved result;
  std::string done;        // resolved so far; empty means "/"
  std::string todo(path);  // relative to `done`
  for (;;) {
    // Most paths have no link (left) in them, and one system call shows it.
    struct open_how how {};
    how.flags = O_PATH | O_CLOEXEC;
    how.resolve = RESOLVE_IN_ROOT | RESOLVE_NO_SYMLINKS;
    if (const Fd fd = open_how_below(directory_.get(), done + "/" + todo, how); fd.valid()) {
      if (::fstat(fd.get(), &result.status) != 0) throw Error("cannot look at", path, errno);
      result.path = absolute_path(done + "/" + todo, "/");
      return result;
    }
    if (errno != ELOOP) throw Error("cannot find", path, errno);
    const auto follow = [&](std::string_view target) {
      if (result.links.size() >= kMaximumLinks) throw Error("cannot follow", path, ELOOP);
      result.links.push_back({done, std::string(target)});
      todo.insert(0, target);
      done.erase(target.front() == '/' ? 0 : done.rfind('/'));
    };

    // Most often it is the last name.
    const std::string whole = done + "/" + todo;
    const std::string last = base_name(whole);
    if (!last.empty() && last != "." && last != "..") {
      const std::string directory = parent_path(whole);
      const Fd fd = open_how_below(directory_.get(), directory, how);
      if (const auto target = fd.valid() ? link_text(fd.get(), last) : std::nullopt) {
        done = absolute_path(whole, "/");
        todo.clear();
        follow(*target);
        continue;
      }
    }

    // Go on to the next link and put its text in its place.
    for (;;) {
      const std::size_t start = todo.find_first_not_of('/');
      if (start == std::string::npos) throw Error("cannot follow", path, ELOOP);  // the link went away in between
      const std::size_t end = std::min(todo.find('/', start), todo.size());
      const std::string name = todo.substr(start, end - start);
      todo.erase(0, end);
      if (name == ".") continue;
      if (name == "..") {
        done.erase(done.empty() ? 0 : done.rfind('/'));
        continue;
      }
      done += "/" + name;
      if (const auto target = read_link(done)) {
        follow(*target);
        break;
      }
    }
  }
}

std::string absolute_path(std::string_view path, std::string_view base) {
  std::string joined;
  if (path.empty() || path.front() != '/') joined.append(base).append("/");
  joined.append(path);
  std::string out;
  std::size_t position = 0;
  while (position < joined.size()) {
    const std::size_t end = std::min(joined.find('/', position), joined.size());
    const std::string_view name(joined.data() + position, end - position);
    if (name == "..") {
      out.erase(out.empty() ? 0 : out.rfind('/'));
    } else if (!name.empty() && name != ".") {
      out.append("/").append(name);
    }
    position = end + 1;
  }
  return out.empty() ? "/" : out;
}

std::vector<std::string> list_entries(std::string_view list) {
  std::vector<std::string> entries;
  while (!list.empty()) {
    const std::string_view entry = list.substr(0, list.find(':'));
    list.remove_prefix(std::min(list.size(), entry.size() + 1));
    if (!entry.empty()) entries.emplace_back(entry);
  }
  return entries;
}

std::string parent_path(std::string_view path) {
  const std::size_t slash = path.rfind('/');
  return slash == std::string_view::npos || slash == 0 ? "/" : std::string(path.substr(0, slash));
}

std::string base_name(std::string_view path) { return std::string(path.substr(path.rfind('/') + 1)); }

std::string join(std::string_view directory, std::string_view name) {
  std::string out(directory);
  if (out.empty() || out.back() != '/') out += '/';
  return out.append(name);
}

bool is_within(std::string_view path, std::string_view directory) {
  if (directory == "/") return true;
  return path.substr(0, directory.size()) == directory &&
         (path.size() == directory.size() || path[directory.size()] == '/');
}

}  // namespace vrun
