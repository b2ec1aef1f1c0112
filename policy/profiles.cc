#include "policy/profiles.h"

#include <algorithm>

#include "policy/error.h"
#include "policy/nearest.h"

namespace vrun {
namespace {

/// So that a chain of profiles ends.
constexpr std::size_t kMaximumChain = 16;

const BuiltInProfile* find_built_in(std::string_view name) {
  const auto& all = built_in_profiles();
  const auto found = std::find_if(all.begin(), all.end(), [&](const auto& profile) { return profile.name == name; });
  return found == all.end() ? nullptr : &*found;
}

Profile read_built_in(const BuiltInProfile& profile, const std::string& home) {
  const std::string name(profile.name);
  PolicyFile file = parse_policy_file(profile.text, {"profile " + name, Source::profile, "", home});
  return {name, file.extends, std::move(file.settings), {Source::profile, "profile " + name}};
}

std::string first_comment(std::string_view text) {
  const std::string_view line = text.substr(0, text.find('\n'));
  return std::string(line.substr(std::min(line.find_first_not_of("# "), line.size())));
}

}  // namespace

const std::vector<BuiltInProfile>& built_in_profiles() {
  static const std::vector<BuiltInProfile> profiles = {
#include "policy/profiles_text.inc"
  };
  return profiles;
}

bool is_built_in_profile(std::string_view name) { return find_built_in(name) != nullptr; }

Settings find_profile(const ProfileName& chosen, const std::vector<Profile>& known, const std::string& home) {
  std::vector<Settings> layers;
  ProfileName wanted = chosen;
  for (;;) {
    if (layers.size() == kMaximumChain)
      throw Error(wanted.origin.text +
                  ": profiles extend each other in a circle, or too many each other: " + quote(wanted.name));
    Profile profile;
    const auto found =
        std::find_if(known.begin(), known.end(), [&](const Profile& one) { return one.name == wanted.name; });
    if (const BuiltInProfile* built_in = find_built_in(wanted.name)) {
      profile = read_built_in(*built_in, home);
    } else if (found != known.end()) {
      profile = *found;
    } else {
      std::vector<std::string_view> names;
      for (const BuiltInProfile& one : built_in_profiles()) names.push_back(one.name);
      for (const Profile& one : known) names.emplace_back(one.name);
      throw Error(wanted.origin.text + ": there is no profile " + quote(wanted.name))
          .hint("the nearest is " + quote(nearest(wanted.name, names)) + ", all are printed by: vrun --profiles");
    }
    for (Setting& setting : profile.settings) {
      setting.origin.source = Source::profile;
      const std::string name = "profile " + profile.name;
      setting.origin.text = is_built_in_profile(profile.name) ? name : name + ", " + setting.origin.text;
    }
    layers.push_back(std::move(profile.settings));
    if (!profile.extends) break;
    wanted = *profile.extends;
  }
  std::reverse(layers.begin(), layers.end());
  return overlay(layers);
}

std::string profiles_text(const std::vector<Profile>& known) {
  std::string out;
  const auto line = [&](std::string name, const std::string& what) {
    name.resize(std::max<std::size_t>(name.size() + 1, 13), ' ');
    out += name + what + "\n";
  };
  for (const BuiltInProfile& profile : built_in_profiles())
    line(std::string(profile.name), first_comment(profile.text));
  for (const Profile& profile : known)
    line(profile.name, profile.origin.text + (profile.extends ? ", extends " + profile.extends->name : ""));
  return out;
}

}  // namespace vrun
