/// Where the verdict of a run is written to (--report, --meta).
#pragma once

#include <optional>
#include <string>

#include "policy/host/fd.h"
#include "policy/verdict.h"
#include "runner/redirect.h"

namespace vrun {

/// What the command line names; empty: nothing is written.
struct ReportNames {
  std::string report;  ///< an absolute path, or "fd:N"
  std::string meta;    ///< an absolute path
  bool wanted() const { return !report.empty() || !meta.empty(); }
};

/// A file that appears under its name, whole, once it is written. Until then the run, which may be able to write in the
/// same directory, has nothing that it could write to, read or put in its way.
class PendingFile {
 public:
  /// Opens what has to exist beforehand: the directory; or what is named itself, when that is a device, a pipe or
  /// "fd:N". Throws Error.
  explicit PendingFile(const std::string& name);
  /// Replaces whatever has the name. Throws Error, also when the directory was moved away meanwhile.
  void write(const std::string& text);

 private:
  std::string path_;
  Fd direct_;  ///< what is written to as it is
  Fd directory_;
  Fd unnamed_;  ///< in the directory; invalid on file systems that have no such files
};

/// Holds the verdict, and the files for it.
class VerdictFiles {
 public:
  ReportNames names;
  RunVerdict verdict;

  /// Opens the files. Throws Error, and nothing is written then; also when one of them is the other, or one of
  /// `streams`, or standard input is one of the outputs.
  void open(const StreamNames& streams);
  /// Writes the verdict; opens the files first where that was not tried. Throws Error.
  void write();

 private:
  bool tried_ = false;  ///< to open them
  std::optional<PendingFile> report_;
  std::optional<PendingFile> meta_;
};

}  // namespace vrun
