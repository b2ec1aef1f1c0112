/// Carrying out a layout. A new environment appears whole or not at all; an existing one has its files replaced one by
/// one, pyvenv.cfg last.
#pragma once

#include <sys/stat.h>

#include <string>
#include <vector>

#include "builder/layout.h"
#include "builder/wheel.h"
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

/// What becomes of the content of an existing directory.
enum class OldContent { kept, removed };

enum class Outcome {
  written,
  /// Another builder made ENV_DIR meanwhile; nothing was changed. Look again.
  overtaken,
};

/// Writes `layout` to `target`. `wheels` are those that its entries refer to. Throws Error, and then nothing is left
/// behind: a new ENV_DIR and its new parents are gone, an existing one is as before or, when the failure came while its
/// files were being replaced, has whole old and whole new files. SIGINT, SIGTERM and SIGHUP take effect afterwards.
Outcome write_environment(Target& target, const Layout& layout, const std::vector<Wheel>& wheels,
                          OldContent old_content);

}  // namespace vrun::builder
