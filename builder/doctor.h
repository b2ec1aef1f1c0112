/// `vbuild --doctor`: what is wrong with an environment, found by reading alone. Mending is in repair.h.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "policy/host/root.h"

namespace vrun::builder {

enum class Severity {
  error,    ///< something does not work, or others can change what runs
  warning,  ///< it works, but not as the environment says, or not for long
  note      ///< worth knowing; nothing to do
};

enum class Check { configuration, programs, base, version, record, script, ownership, pth };

struct Finding {
  Severity severity = Severity::error;
  Check check = Check::configuration;
  std::string path;    ///< what it is about; absolute
  std::string text;    ///< one line, escaped
  std::string remedy;  ///< what to do, escaped; empty when there is nothing
};

struct Diagnosis {
  std::string path;  ///< of the environment, absolute, as given
  std::vector<Finding> findings;
  std::vector<std::string> mended;  ///< what --fix did, a line each, escaped

  int count(Severity severity) const;
  /// Whether there are findings other than notes.
  bool sick() const { return count(Severity::error) + count(Severity::warning) > 0; }
};

/// "error", "configuration" and so on, as they are printed.
std::string_view name_of(Severity severity);
std::string_view name_of(Check check);

/// Looks at the environment at `path` (absolute). Throws Error only when there is no directory, or one that never was
/// an environment.
Diagnosis diagnose(const Root& root, std::string_view path);

/// For people: a line for each finding and one below it for its remedy, then what was mended and a summary.
std::string to_text(const Diagnosis& diagnosis);

}  // namespace vrun::builder
