/// Changes on disk that never follow a symbolic link: everything is named by an open directory and a path below it.
#pragma once

#include <sys/types.h>

#include <string>
#include <string_view>
#include <vector>

#include "policy/host/fd.h"

namespace vrun::builder {

/// openat2(2) with RESOLVE_BENEATH and RESOLVE_NO_SYMLINKS, close-on-exec. An invalid Fd and errno on failure; a link
/// anywhere in `path` is ELOOP.
Fd open_beneath(int directory, const std::string& path, int flags, mode_t mode = 0);

/// Writes everything. `path` is for messages. Throws Error.
void write_all(const Fd& file, std::string_view content, std::string_view path);

/// Copies the content of the file `source` (absolute, links followed): shared blocks where the file system has them.
/// Throws Error.
void copy_content(const std::string& source, const Fd& target, std::string_view path);

/// Removes a file, or a directory with everything in it; nothing when it does not exist. Stops at mount points. `path`
/// is that of `name` for messages. Throws Error.
void remove_tree(int directory, const std::string& name, std::string_view path);

/// Removes what is in an open directory, but for the entry `keep`. Throws Error.
void remove_content(const Fd& directory, std::string_view keep, std::string_view path);

/// A directory for work in progress, locked by this process, and removed with everything in it unless it is released.
///
/// Its name is `prefix` and six random characters. A name of that kind whose lock is free belongs to a builder that
/// died.
class Stage {
 public:
  /// Throws Error. `path` is that of `parent`, for messages.
  Stage(int parent, std::string path, const std::string& prefix);
  ~Stage();
  Stage(const Stage&) = delete;
  Stage& operator=(const Stage&) = delete;

  const Fd& fd() const { return fd_; }
  const std::string& name() const { return name_; }
  /// Leaves the directory where it is now: it was renamed, or is removed by somebody else.
  void release() { name_.clear(); }

 private:
  int parent_;
  std::string path_;
  std::string name_;
  Fd fd_;
};

/// Removes the stages of dead builders in `parent`. What cannot be removed is left: it is in nobody's way.
void remove_stale_stages(int parent, std::string_view path, std::string_view prefix);

/// `prefix` and six random characters. Throws Error.
std::string random_name(const std::string& prefix);

struct DirectoryEntry {
  std::string name;
  bool directory = false;
};

/// The entries of an open directory, without "." and "..", in no order. Reads through an own file description, so that
/// the position of `directory` does not matter. Throws Error.
std::vector<DirectoryEntry> list_directory(const Fd& directory, std::string_view path);

/// Whether a directory has no entries.
bool is_empty_directory(const Fd& directory);

}  // namespace vrun::builder
