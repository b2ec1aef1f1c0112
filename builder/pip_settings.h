/// What pip in the sandbox gets of the caller's settings: how packages are found, and nothing that says where things
/// are written.
#pragma once

#include <string>
#include <vector>

#include "policy/host/root.h"
#include "policy/run_policy.h"

namespace vrun::builder {

struct PipSettings {
  std::vector<std::string> requirements;  ///< absolute paths
  std::vector<std::string> shown;         ///< absolute paths that pip has to read
  std::vector<Variable> set;
  std::vector<std::string> kept;  ///< names of variables
  std::string directory;          ///< where pip starts; what "./name" in a requirement is relative to
  /// Whether only wheels are installed. The build of a source distribution would run code of an index beside the
  /// credentials for it; somebody who wants that says so by PIP_NO_BINARY or PIP_ONLY_BINARY.
  bool only_wheels = true;
};

/// Reads no content. `requirements` are absolute paths; `variable` is getenv(3) with "" for none. Throws Error when a
/// file of requirements does not exist.
PipSettings read_pip_settings(const Root& root, const std::vector<std::string>& requirements,
                              std::string (*variable)(const char* name));

}  // namespace vrun::builder
