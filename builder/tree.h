/// Reading what lies below a directory that somebody else may have filled, and may be changing: by directory handle, no
/// link followed, nothing that could block opened, nothing without a bound.
#pragma once

#include <sys/stat.h>

#include <cstddef>
#include <optional>
#include <string>
#include <vector>

#include "policy/host/fd.h"
#include "policy/host/root.h"

namespace vrun::builder {

/// Most names that are read of one directory. The largest known package directories have a tenth of it.
inline constexpr std::size_t kMaximumNames = 50'000;

class Tree {
 public:
  /// Opens the directory at `path` (absolute, links followed). Throws Error.
  Tree(const Root& root, std::string path);

  /// As given.
  const std::string& path() const { return path_; }
  /// Where `relative` is, for messages.
  std::string at(const std::string& relative) const { return join(path_, relative); }

  // Every `relative` below is a path without "..", or "." for the directory itself. A link on the way to it is ELOOP.

  /// lstat(2); nothing when there is none. Throws Error for every other failure.
  std::optional<struct stat> lstat(const std::string& relative) const;
  /// The text of a symbolic link; nothing when there is none.
  std::optional<std::string> read_link(const std::string& relative) const;
  /// Opens a regular file for reading; an invalid Fd when there is none. Throws Error, also when it is something else.
  Fd open_file(const std::string& relative) const;
  /// The content of a regular file; nothing when there is none. Throws Error, also when it is larger than `limit`.
  std::optional<std::string> read(const std::string& relative, std::size_t limit) const;
  /// The first `limit` bytes of an open file. Throws Error.
  std::string read_start(const Fd& file, const std::string& relative, std::size_t limit) const;

  struct Listing {
    std::vector<std::string> names;  ///< sorted, without "." and ".."
    bool complete = true;            ///< false: there are more than kMaximumNames
  };
  /// Empty when there is no such directory. Throws Error when it cannot be read or is something else.
  Listing list(const std::string& relative) const;
  /// The same with the status of each entry; without those that are gone by then.
  struct Entry {
    std::string name;
    struct stat status {};
  };
  std::vector<Entry> list_with_status(const std::string& relative, bool& complete) const;

 private:
  std::string path_;
  Fd fd_;
};

}  // namespace vrun::builder
