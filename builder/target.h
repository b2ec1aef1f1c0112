/// ENV_DIR on disk, before it is written to.
#pragma once

#include <sys/stat.h>

#include <string>

#include "policy/host/fd.h"

namespace vrun::builder {

/// ENV_DIR on disk. While one exists, an existing ENV_DIR is locked against other builders.
class Target {
 public:
  /// Opens `directory` (absolute, normalised). Waits at most a minute for another builder to finish with it. Throws
  /// Error when something else than a directory stands there, a symbolic link among it.
  explicit Target(std::string directory);

  const std::string& path() const { return path_; }
  bool exists() const { return fd_.valid(); }
  /// Of an existing directory.
  const Fd& fd() const { return fd_; }
  const struct stat& status() const { return status_; }

 private:
  friend class Writer;
  std::string path_;
  std::string parent_path_;
  std::string name_;
  Fd parent_;  ///< invalid when it does not exist
  Fd fd_;
  struct stat status_ {};
};

}  // namespace vrun::builder
