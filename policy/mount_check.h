/// Compares the mounts that a run really has with those of its plan.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "policy/plan.h"

namespace vrun {

/// A line of mountinfo (proc_pid_mountinfo(5)).
struct Mount {
  std::string id;
  std::string parent;
  std::string device;
  std::string root;  ///< of its file system, the directory that is mounted
  std::string path;
  std::string options;
  std::string type;
  bool on_top = true;  ///< no other is mounted on it at the same place; only find_mount_difference finds that out
};

/// The lines of `mountinfo`. Throws Error for one that is none.
std::vector<Mount> parse_mounts(std::string_view mountinfo);

/// Reads the text of /proc/self/mountinfo (proc(5)) as the run sees it. Returns the first difference in words, nothing
/// when there is none: every mount of the plan is there once and on top, with its restrictions; every other one came
/// along with a directory that is shown, and is at least as restricted. Throws Error for what is no such text.
std::optional<std::string> find_mount_difference(const std::vector<Step>& view, std::string_view mountinfo);

}  // namespace vrun
