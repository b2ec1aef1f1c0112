/// Reading a host through a directory handle that stands for its "/".
///
/// Everything that vrun and vbuild learn about a machine is read through a Root, so that tests can hand over a
/// directory that looks like another distribution. Absolute symbolic links resolve inside the root (openat2(2),
/// RESOLVE_IN_ROOT) and magic links are never followed.
#pragma once

#include <sys/stat.h>

#include <cerrno>
#include <initializer_list>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "policy/host/fd.h"

namespace vrun {

/// Which file a path named when it was looked at; compared again when it is used, so that a swap in between is noticed.
struct FileIdentity {
  dev_t device = 0;
  ino_t inode = 0;
  bool operator==(const FileIdentity&) const = default;
};

/// A symbolic link that was followed: the absolute path at which it stands, and its text.
struct Link {
  std::string path;
  std::string target;
  bool operator==(const Link&) const = default;
};

/// A path with every symbolic link followed.
struct Resolved {
  std::string path;         ///< absolute, no symbolic link in it, no "." or ".."
  std::vector<Link> links;  ///< the links met, in the order in which they were met
  struct stat status {};    ///< of the final file
  FileIdentity identity() const { return {status.st_dev, status.st_ino}; }
};

class Root {
 public:
  /// The running system's "/".
  static Root system();
  /// A directory of the host that stands for "/"; for tests.
  static Root at(const std::string& directory);

  /// Opens `path` (absolute) below this root with openat2. Adds O_CLOEXEC. Returns an invalid Fd and leaves errno set
  /// on failure, for absence is often an answer. Never blocks on a FIFO when O_NONBLOCK or O_PATH is given.
  Fd open(std::string_view path, int flags) const;
  /// stat(2) and lstat(2); nothing when the path does not exist or leads through a file that is no directory
  /// (ENOENT, ENOTDIR). Throws Error for every other failure.
  std::optional<struct stat> stat(std::string_view path) const;
  std::optional<struct stat> lstat(std::string_view path) const;
  /// lstat(2) of each of `names` in the directory `path`, which is opened once; nothing where there is none.
  std::vector<std::optional<struct stat>> lstat_each(std::string_view path,
                                                     const std::vector<std::string_view>& names) const;
  /// Whether it exists, the caller can get to it, and it is one.
  bool is_directory(std::string_view path) const;
  bool is_regular(std::string_view path) const;
  /// The text of a symbolic link; nothing when `path` is not one or does not exist.
  std::optional<std::string> read_link(std::string_view path) const;
  /// The content of a regular file; nothing when it does not exist. Throws Error when it is not a regular file, cannot
  /// be read or is larger than `limit` bytes. `status`, when given, gets that of the file that was read.
  std::optional<std::string> read_file(std::string_view path, std::size_t limit, struct stat* status = nullptr) const;
  /// Names in a directory without "." and "..", sorted; empty when it does not exist or cannot be read.
  std::vector<std::string> list(std::string_view path) const;
  /// One listing of a directory, told apart by the types that the file system gives: names of directories (and of what
  /// it gives no type for), and of everything else. Both sorted.
  struct Listing {
    bool readable = true;  ///< false: it exists and its names cannot be read
    bool complete = true;  ///< false: it has more names than were to be read
    std::vector<std::string> directories;
    std::vector<std::string> others;
  };
  Listing list_by_type(std::string_view path) const;
  /// The same, where files may be many: of everything else only what is among `wanted`, and no more than `budget` names
  /// are read, which it is lowered by.
  Listing list_by_type(std::string_view path, std::initializer_list<std::string_view> wanted,
                       std::size_t& budget) const;
  /// The names of `list` that may be directories: directories, links, and what the file system gives no type for.
  std::vector<std::string> list_directories(std::string_view path) const;
  /// Follows every symbolic link of `path` component by component. Throws Error (ENOENT, ENOTDIR, EACCES, ELOOP after
  /// 40 links, as the kernel counts).
  Resolved resolve(std::string_view path) const;

  int fd() const { return directory_.get(); }

 private:
  Root(Fd directory, bool is_system) : directory_(std::move(directory)), is_system_(is_system) {}
  /// stat(2), or lstat(2) of the last component; false with errno set on failure.
  bool look(std::string_view path, bool follow, struct stat& status) const;
  /// The same, with nothing when it is absent, or when errno is `also_absent`. Throws Error for every other failure.
  std::optional<struct stat> look_if_there(std::string_view path, bool follow, int also_absent = ENOENT) const;

  Fd directory_;
  bool is_system_;
};

/// readlinkat(2): the text of the link `name` in the directory `fd`, or of the link `fd` itself when `name` is empty;
/// nothing, with errno set, when it is none.
std::optional<std::string> link_text(int fd, const std::string& name);

/// The content of the regular file `fd`, opened for reading; `path` is for messages. Throws Error as Root::read_file
/// does.
std::string read_regular(const Fd& fd, std::string_view path, std::size_t limit, struct stat* status = nullptr);

/// `path` made absolute against `base` (absolute) and freed of "//", "." and ".." by text alone, as
/// os.path.abspath does. Never ends in "/", except for "/" itself.
std::string absolute_path(std::string_view path, std::string_view base);
/// The entries of a list such as PATH, parted by ":"; without empty ones, which would mean the current directory.
std::vector<std::string> list_entries(std::string_view list);
/// Text before and after the last "/": dirname("/usr/bin") is "/usr", dirname("/usr") is "/".
std::string parent_path(std::string_view path);
std::string base_name(std::string_view path);
/// Joins with exactly one "/" between.
std::string join(std::string_view directory, std::string_view name);
/// Whether `path` is `directory` or lies below it, by text (both normalised).
bool is_within(std::string_view path, std::string_view directory);

}  // namespace vrun
