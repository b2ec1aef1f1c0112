/// The layers of a run by name, and test builds without one of them.
///
/// Whether every layer has a test that notices its absence is found out by leaving it out: tests/all/layers.py builds
/// vrun once for each name below, with the CMake variable VRUN_LEAVE_OUT, and wants tests to fail. The variable is
/// empty in every other build; the choice is made by the compiler, so that a program has no switch to turn a layer off
/// with, but for the few that --without names.
#pragma once

#include <algorithm>
#include <array>
#include <string_view>

#include "policy/left_out.h"

namespace vrun {

/// docs/layers/ has a page for each group. The user and the mount namespace are missing, for nothing can be set up
/// without them.
inline constexpr auto kLayers = std::to_array<std::string_view>(
    {// namespaces
     "pid-namespace", "network-namespace", "ipc-namespace", "uts-namespace", "cgroup-namespace", "namespace-limit",
     // identity and privileges
     "unprivileged-user", "supplementary-groups", "capabilities", "bounding-set", "securebits", "no-new-privs",
     "set-user-id-refusal",
     // the view
     "hidden-packages", "hidden-environments", "hidden-proc", "read-only-proc", "hidepid", "read-only",
     "read-only-below", "nosuid", "nodev", "seal", "memory-limits", "protected-files", "absent-names",
     "pinned-directories", "private-mounts", "same-source", "no-links", "read-back",
     // processes
     "session", "death-signal", "undumpable", "forgotten-arguments", "session-keyring", "core-limit", "oom-score",
     "default-signals",
     // what is inherited
     "descriptors", "closed-streams", "stream-kinds", "pipes", "terminal", "variables",
     // system calls and files
     "seccomp", "landlock", "landlock-files"});

/// Those that --without leaves out of a run: what a machine may lack while runs on it are still worth something. All
/// others are there in every run.
inline constexpr auto kOptionalLayers = std::to_array<std::string_view>(
    {"hidepid", "landlock", "landlock-files", "namespace-limit", "seccomp", "session-keyring"});

/// The layer that this build leaves out; empty in all but test builds.
inline constexpr std::string_view kLeftOut{VRUN_LEAVE_OUT, sizeof VRUN_LEAVE_OUT - 1};

constexpr bool is_layer(std::string_view name) {
  return std::find(kLayers.begin(), kLayers.end(), name) != kLayers.end();
}
static_assert(std::all_of(kOptionalLayers.begin(), kOptionalLayers.end(), is_layer));
static_assert(kLeftOut.empty() || is_layer(kLeftOut), "VRUN_LEAVE_OUT names no layer of policy/layers.h");

/// Whether this build has the layer. A name that is none does not compile.
consteval bool kept(std::string_view layer) {
  if (!is_layer(layer)) throw "not a name in kLayers";
  return layer != kLeftOut;
}

}  // namespace vrun
