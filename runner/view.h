/// Builds a view with the kernel's mount calls, in the mount namespace of the calling process.
#pragma once

#include <map>
#include <string>

#include "policy/host/fd.h"
#include "policy/remedies.h"
#include "runner/kernel.h"

namespace vrun {

/// Sources that were opened with the caller's rights before the run's namespaces were made, as detached mounts by
/// target path.
using PreparedSources = std::map<std::string, Fd>;

/// Opens the source of every Bind and maps its owner where the plan says so: for root, who can pass through directories
/// that the run's user cannot, and may make id-mapped mounts. An owner map that is not required and that the file
/// system does not support is left out. Throws Error for everything else that fails, with `step` at what was being
/// done.
PreparedSources prepare_sources(const Plan& plan, SetupStep& step);

class LinuxView : public Kernel {
 public:
  /// Cuts the mount namespace off from its parent and opens what is needed. Takes ownership of `prepared`.
  explicit LinuxView(PreparedSources prepared);

  void make_directory(const MakeDirectory& step) override;
  void make_link(const MakeLink& step) override;
  void make_file(const MakeFile& step) override;
  void mount_memory(const MountMemory& step) override;
  void bind(const Bind& step) override;
  void mask(const Mask& step) override;
  void hold(const Hold& step) override;
  void mount_proc(const MountProc& step) override;
  void mount_terminals(const MountTerminals& step) override;
  void seal(const Seal& step) override;

  /// Makes the view the root of this process and its children; the host's mounts are gone from the namespace.
  void enter();

 private:
  /// The directory in which the last component of `path` stands, inside the view. Valid until the next call.
  int parent_of(const std::string& path);
  Fd open_inside(const std::string& path) const;
  /// Begins the view in the file system `memory`.
  void start(const Fd& memory);
  /// Attaches `mount` at `path` of the view; `doing` begins the message of a failure.
  void attach_at(const Fd& mount, const std::string& path, const char* doing);

  PreparedSources prepared_;
  Fd host_;             ///< the host's "/", in this namespace
  Fd root_;             ///< the view's
  Fd empty_directory_;  ///< on a read-only mount, as the next
  Fd empty_file_;
  Fd parent_;  ///< of `parent_path_`, kept between steps: neighbours stand in the same directory
  std::string parent_path_;
  std::string made_;  ///< the directory or file that was made last
};

}  // namespace vrun
