/// What is carried out to start a run: a value, made from facts without effects, printed by --explain --verbose, walked
/// by runner/apply. Nothing is decided after it.
#pragma once

#include <algorithm>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "policy/host/root.h"
#include "policy/run_facts.h"
#include "policy/run_policy.h"

namespace vrun {

/// Ids as the mount shows them: files of `from` on the file system appear as the run's own, and what the run writes
/// belongs to `from` (mount_setattr(2), MOUNT_ATTR_IDMAP).
struct OwnerMap {
  unsigned uid = 0;
  unsigned gid = 0;
  /// Whether a file system without id-mapped mounts stops the run: it does where the run is to write.
  bool required = false;
  bool operator==(const OwnerMap&) const = default;
};

// The steps that build the view, in the words of what comes to be, not of the system calls that do it. Every path is
// absolute, normalised and free of symbolic links; targets are paths inside the view, sources paths of the host.

struct MakeDirectory {
  std::string path;
  unsigned mode = 0755;
};
struct MakeLink {
  std::string path;
  std::string target;
};
struct MakeFile {
  std::string path;
  std::string content;
};
/// A private writable directory in memory.
struct MountMemory {
  std::string path;
  std::uint64_t size = 0;    ///< bytes
  std::uint64_t inodes = 0;  ///< most files, directories and links
  unsigned mode = 0755;
  bool executable = true;  ///< false: noexec
};
enum class FileKind { directory, file, device };
/// With whose rights root's run reaches a source: what the command line names with the caller's; what a link in a
/// project or an environment may have led to with those of the run's own user.
enum class Reach { run, caller };
/// Shows `source` of the host at `target`, with the mounts below it; always nosuid, and nodev unless it is a device.
struct Bind {
  std::string source;
  std::string target;
  Access access = Access::read_only;
  FileKind kind = FileKind::directory;
  /// The file that was looked at when the decision was made; another one under the same name stops the run.
  std::optional<FileIdentity> identity;
  std::optional<OwnerMap> owner;
  Reach reach = Reach::run;
};
/// Covers a directory or file of the view with an empty read-only one.
struct Mask {
  std::string path;
  FileKind kind = FileKind::directory;
};
/// Mounts a path of the view onto itself: read-only, or writable as it was, so that it cannot be renamed away.
struct Hold {
  std::string path;
  Access access = Access::read_only;
};
struct MountProc {
  std::string path;
  bool hidepid = true;  ///< processes that this one may not trace are not seen (proc(5), "ptraceable")
};
struct MountTerminals {  ///< a devpts instance of its own
  std::string path;
};
/// Makes a directory of our own memory file system read-only, now that everything in it is made.
struct Seal {
  std::string path;
};

/// A closed set: a new kind breaks the build of every visitor.
using Step =
    std::variant<MakeDirectory, MakeLink, MakeFile, MountMemory, Bind, Mask, Hold, MountProc, MountTerminals, Seal>;

/// Who the command is, to the kernel and to itself.
struct Identity {
  unsigned uid = 0;
  unsigned gid = 0;
  bool drop = false;  ///< the caller is root and becomes `uid` and `gid`
  std::string name;   ///< for passwd(5) inside
  std::string home;
};

/// What Landlock is told (policy/landlock.h has the bits, and makes it).
struct LandlockRule {
  std::string path;  ///< in the view, without links
  std::uint64_t rights = 0;
  bool operator==(const LandlockRule&) const = default;
};
struct Landlock {
  std::uint64_t handled = 0;  ///< rights that a file has only from a rule; 0: no rules
  std::uint64_t scopes = 0;
  std::vector<LandlockRule> rules;
};

/// A name in what the run can write, which tools of the host would trust or execute, and which is not there yet: what
/// the run makes of it is moved aside (docs/decisions/0003).
struct GuardedName {
  std::string base;                      ///< a mount of the view that is shown of the host, which the run cannot move
  std::string below;                     ///< the name relative to it
  std::optional<FileIdentity> identity;  ///< of `base`, where it is known
  /// The text of the symbolic link that stands there, and is not to become another; nothing where nothing is.
  std::optional<std::string> link;
  std::string path() const { return join(base, below); }
  bool operator==(const GuardedName&) const = default;
};

/// A layer that a run does not have in full.
struct Reduction {
  std::string_view layer;  ///< of policy/layers.h
  std::string by;          ///< the option or the kernel that does it; a few words
};

struct Plan {
  Identity identity;
  Network network = Network::none;
  std::vector<std::string> allowed;  ///< RunPolicy::allowed
  std::vector<std::string> without;  ///< RunPolicy::without
  Limits limits;
  std::vector<ResourceLimit> resource_limits;  ///< that hold some of the limits, for a run without a control group
  bool require_limits = false;                 ///< RunPolicy::require_limits
  bool hands_out_memory = false;               ///< vrun gets the run's memory file systems, to count or to fetch from
  std::string host_name;
  std::vector<Step> view;
  Landlock landlock;
  std::vector<GuardedName> guarded;  ///< sorted by their path
  std::vector<Variable> variables;   ///< the command's whole environment, sorted by name
  std::string working_directory;
  std::vector<std::string> command;

  // For people.
  std::string environment;
  std::string interpreter;
  std::string python_version;
  bool system_packages = false;
  std::string project;                       ///< empty: none is shown
  std::vector<std::string> shown_packages;   ///< package directories in view, the environment's first
  std::vector<std::string> hidden_packages;  ///< package directories that are covered or left out
  std::vector<std::string> hidden_environments;
  std::vector<std::string> hidden_named;  ///< by --hide
  bool environments_complete = true;      ///< false: some lie further down than the search for them goes
  std::vector<std::string> notices;       ///< one line each, printed on stderr before the run
  std::vector<Reduction> opened;          ///< by --ro and --rw of what is hidden or protected otherwise

  /// Whether --allow names the opening.
  bool allows(std::string_view opening) const {
    return std::find(allowed.begin(), allowed.end(), opening) != allowed.end();
  }
  /// Whether --without names the layer.
  bool leaves_out(std::string_view layer) const {
    return std::find(without.begin(), without.end(), layer) != without.end();
  }
};

/// Decides everything about a run. Throws Error when what is asked for contradicts itself or cannot be kept: a share or
/// project that would show `/`, /proc, /sys or /dev.
Plan plan_run(const RunPolicy& policy, const RunFacts& facts, const Caller& caller);

/// The files that the run tries for its command, in order (execvp(3)); not absolute when the command or an entry of the
/// run's PATH is not.
std::vector<std::string> program_candidates(const Plan& plan);

}  // namespace vrun
