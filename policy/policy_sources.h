/// Where policy comes from on this machine, and whose word it is.
#pragma once

#include <string>
#include <vector>

#include "policy/host/root.h"
#include "policy/merge.h"
#include "policy/policy_file.h"
#include "policy/profiles.h"
#include "policy/run_policy.h"
#include "policy/settings.h"

namespace vrun {

/// Files of the administrator and of the caller.
struct TrustedFiles {
  std::vector<PolicyFile> files;  ///< in order of weight, the heavier later
  std::vector<Profile> profiles;  ///< of all of them
  std::vector<Ceiling> ceilings;
  std::string user_file;  ///< the caller's, when there is one, with links followed
};

/// Reads /etc/vrun/*.toml in the order of their names and vrun/config.toml in the caller's directory for settings.
/// Throws Error for one that is wrong, and for one that somebody else could have written: the file and the directory
/// have to belong to root, or for the caller's to the caller, and nobody else may write them. A group of the caller's
/// alone is nobody else.
TrustedFiles read_trusted_files(const Root& root, const Caller& caller);

/// What the files of a project ask for: vrun.toml, and [tool.vrun] of pyproject.toml. Their profiles are their own.
/// A link is followed as far as the project reaches.
Settings read_project_files(const Root& root, const std::string& project, const Caller& caller);

/// What is asked for on the command line and in variables.
struct Asked {
  Settings settings;
  std::optional<ProfileName> profile;
};

/// The caller's VRUN_* variables, as the options of the same names. Throws Error for a value that is none, and for a
/// name that looks like a misspelt one; others are left alone.
Asked read_policy_variables(const Caller& caller, const std::string& directory);

/// The effective policy, with where each of its values comes from.
struct EffectivePolicy {
  Settings settings;
  std::vector<Ceiling> ceilings;  ///< the administrator's, which the settings keep
  std::vector<std::string> notices;
};

/// The policy of a run as the plan wants it (make_run_policy), with the ceilings of paths.
RunPolicy run_policy_of(const EffectivePolicy& effective, const std::string& directory, const Root& root);

/// Reads all of them and merges them with what the command line says. A profile that is chosen begins anew: what less
/// weighty sources say beside their ceilings does not count. Throws Error when the run could write the caller's file.
EffectivePolicy decide_policy(const Root& root, const Caller& caller, const std::string& directory,
                              const Asked& command_line);

}  // namespace vrun
