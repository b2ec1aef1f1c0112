/// Policy files: TOML, read strictly. What is not understood is an error with file, line and column, for a policy that
/// is followed in part protects in part.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "policy/merge.h"
#include "policy/settings.h"

namespace vrun {

/// The version of the format, which a file may name with `version = 1`.
inline constexpr int kPolicyVersion = 1;
/// The largest policy file that is read, in bytes, and the largest pyproject.toml, which holds other things too.
inline constexpr std::size_t kMaximumPolicyFile = std::size_t{64} * 1024;
inline constexpr std::size_t kMaximumPyproject = std::size_t{1024} * 1024;

/// A profile that is chosen by name.
struct ProfileName {
  std::string name;
  Origin origin;  ///< of the choice
};

/// [profile.NAME]
struct Profile {
  std::string name;
  std::optional<ProfileName> extends;
  Settings settings;
  Origin origin;
};

/// What one file says.
struct PolicyFile {
  std::optional<ProfileName> extends;
  Settings settings;
  std::vector<Profile> profiles;
  std::vector<Ceiling> ceilings;
};

/// Whose file it is, and where.
struct FileContext {
  std::string path;  ///< for messages; "profile ci" for one that is built in
  Source source = Source::project;
  std::string project;  ///< what relative paths are in; empty: the project, wherever that will be
  std::string home;     ///< of the caller
};

/// Reads the text of a policy file. Throws Error for whatever is wrong with it.
PolicyFile parse_policy_file(std::string_view text, const FileContext& context);

/// The same for a pyproject.toml: what is in its table [tool.vrun]; nothing when it has none. Other tables are not
/// looked at, but the file has to be TOML when it mentions vrun at all.
PolicyFile parse_pyproject(std::string_view text, const FileContext& context);

}  // namespace vrun
