/// Profiles: whole policies with a name, of vrun itself and of files.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "policy/policy_file.h"

namespace vrun {

/// One of vrun's own, as it lies in policy/profiles/.
struct BuiltInProfile {
  std::string_view name;
  std::string_view text;
};
/// In the order in which --profiles prints them.
const std::vector<BuiltInProfile>& built_in_profiles();
bool is_built_in_profile(std::string_view name);

/// The settings of the profile `chosen`, over those of what it extends. Looked for among vrun's own, then in `known`.
/// Throws Error when there is none of the name, or when profiles extend each other in a circle. `home` is the caller's.
Settings find_profile(const ProfileName& chosen, const std::vector<Profile>& known, const std::string& home);

/// What --profiles prints: a line for each, with the first line of its text as what it is for.
std::string profiles_text(const std::vector<Profile>& known);

}  // namespace vrun
