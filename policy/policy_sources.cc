#include "policy/policy_sources.h"

#include <fcntl.h>
#include <sys/xattr.h>

#include <algorithm>
#include <cerrno>
#include <string_view>

#include "policy/error.h"
#include "policy/nearest.h"
#include "policy/private_group.h"
#include "policy/project.h"

namespace vrun {
namespace {

constexpr const char* kAdministrators = "/etc/vrun";
constexpr std::string_view kSuffix = ".toml";
constexpr std::string_view kPrefix = "VRUN_";

/// Whether what has `status` is writable, beside the owner's own writing, only by a group in which `uid` is alone.
bool only_own_group_writes(const Root& root, const struct stat& status, const std::string& path, unsigned uid) {
  constexpr std::size_t kMaximum = std::size_t{1024} * 1024;
  if ((status.st_mode & S_IWOTH) != 0) return false;
  // With an access control list the bits of the group are the most that any entry of it grants (acl(5)).
  const Fd fd = root.open(path, O_RDONLY | O_NONBLOCK | O_NOCTTY);
  struct stat opened {};
  if (!fd.valid() || ::fstat(fd.get(), &opened) != 0 || opened.st_dev != status.st_dev ||
      opened.st_ino != status.st_ino || ::fgetxattr(fd.get(), "system.posix_acl_access", nullptr, 0) >= 0 ||
      (errno != ENODATA && errno != ENOTSUP))
    return false;
  try {
    const auto passwd = root.read_file("/etc/passwd", kMaximum);
    const auto group = root.read_file("/etc/group", kMaximum);
    return passwd && group && is_private_group(*passwd, *group, uid, status.st_gid);
  } catch (const Error&) {
    return false;  // what cannot be read proves nothing, and the refusal has its own remedy
  }
}

/// Throws Error when anybody but root and `uid` could have written what has `status`.
void check_trust(const Root& root, const struct stat& status, const std::string& path, unsigned uid) {
  if (status.st_uid != 0 && status.st_uid != uid)
    throw Error("cannot trust " + quote(path) + ": it belongs to uid " + std::to_string(status.st_uid))
        .hint(uid == 0 ? "it has to be root's" : "it has to be yours or root's");
  if ((status.st_mode & (S_IWGRP | S_IWOTH)) != 0 && !only_own_group_writes(root, status, path, uid))
    throw Error("cannot trust " + quote(path) + ": others may write it").hint("chmod go-w " + escape(path));
}

void read_trusted(const Root& root, const std::string& path, unsigned uid, const FileContext& context,
                  TrustedFiles& found) {
  struct stat status {};
  const std::optional<std::string> text = root.read_file(path, kMaximumPolicyFile, &status);
  if (!text) return;
  check_trust(root, status, path, uid);
  PolicyFile file = parse_policy_file(*text, context);
  for (Profile& profile : file.profiles) {
    const auto same = [&](const Profile& other) { return other.name == profile.name; };
    if (is_built_in_profile(profile.name))
      throw Error(profile.origin.text + ": vrun has a profile " + quote(profile.name) + " of its own")
          .hint("give this one another name, and extends = \"" + profile.name + "\"");
    if (const auto other = std::find_if(found.profiles.begin(), found.profiles.end(), same);
        other != found.profiles.end())
      throw Error(profile.origin.text + ": there is a profile " + quote(profile.name) + " already")
          .hint("in " + other->origin.text);
    found.profiles.push_back(std::move(profile));
  }
  std::move(file.ceilings.begin(), file.ceilings.end(), std::back_inserter(found.ceilings));
  found.files.push_back(std::move(file));
}

/// The text of a file of a project; nothing when there is none. A link that leads out of the project would have any
/// file of the caller's end up in a message.
std::optional<std::string> read_inside(const Root& root, const std::string& project, const std::string& path,
                                       std::size_t limit) {
  constexpr int kFlags = O_RDONLY | O_NONBLOCK | O_NOCTTY | O_NOFOLLOW;
  Fd fd = root.open(path, kFlags);
  if (!fd.valid() && errno == ELOOP) {
    const std::string real = root.resolve(path).path;
    if (!is_within(real, root.resolve(project).path))
      throw Error("cannot follow " + quote(path) + ": it leads out of the project");
    fd = root.open(real, kFlags);
  }
  if (!fd.valid()) {
    const int error_number = errno;
    if (error_number == ENOENT || error_number == ENOTDIR) return std::nullopt;
    throw Error("cannot read", path, error_number);
  }
  return read_regular(fd, path, limit);
}

/// Adds what a file of a project asks for to `asked`.
void add_project_file(PolicyFile file, const std::string& home, Settings& asked) {
  for (const Profile& profile : file.profiles)
    if (is_built_in_profile(profile.name))
      throw Error(profile.origin.text + ": vrun has a profile " + quote(profile.name) + " of its own");
  if (file.extends)
    for (Setting& setting : find_profile(*file.extends, file.profiles, home)) asked.push_back(std::move(setting));
  std::move(file.settings.begin(), file.settings.end(), std::back_inserter(asked));
}

/// NO_PROJECT for no-project.
std::string variable_name(const Option& option) {
  std::string name(option.name);
  for (char& c : name) c = c == '-' ? '_' : static_cast<char>(c >= 'a' && c <= 'z' ? c - 'a' + 'A' : c);
  return name;
}

/// The values in a variable: paths are parted as in PATH, names by commas, and what may have both in it by lines.
std::vector<std::string> parts_of(const Option& option, const std::string& value) {
  if (!option.repeatable) return {value};
  const bool is_name =
      option.kind == ValueKind::name || option.kind == ValueKind::opening || option.kind == ValueKind::layer;
  const char between = is_name ? ',' : option.kind == ValueKind::path ? ':' : '\n';
  std::vector<std::string> parts;
  for (std::size_t begin = 0; begin <= value.size();) {
    const std::size_t end = std::min(value.find(between, begin), value.size());
    if (end > begin) parts.push_back(value.substr(begin, end - begin));
    begin = end + 1;
  }
  return parts;
}

/// Relative paths of files, now that it is known where the project is; without one they are left out.
Settings with_project(Settings settings, const std::string& directory) {
  std::string project = directory;
  for (const Setting& setting : settings) {
    if (setting.option->name == "project") project = absolute_path(setting.value, directory);
    if (setting.option->name == "no-project" && setting.value == "true") project.clear();
  }
  Settings out;
  for (Setting& setting : settings) {
    const bool is_path = setting.option->kind == ValueKind::path || setting.option->kind == ValueKind::memory;
    if (is_path && !setting.value.starts_with('/')) {
      if (project.empty()) continue;
      setting.value = absolute_path(setting.value, setting.option->name == "project" ? directory : project);
    }
    out.push_back(std::move(setting));
  }
  return out;
}

/// Where links lead; the path itself when it leads nowhere, as will be said.
std::string real_path(const Root& root, const std::string& path) {
  try {
    return root.resolve(path).path;
  } catch (const Error&) {
    return path;
  }
}

/// Throws Error when a file of the project takes the project away, and with it the protection of its files, while
/// something else shows them writable: the run could do more then.
void check_still_protected(const Root& root, const std::string& project, const Settings& settings) {
  const auto taken = std::find_if(settings.begin(), settings.end(), [](const Setting& setting) {
    return setting.option->name == "no-project" && setting.value == "true";
  });
  if (taken == settings.end()) return;
  const std::string real = real_path(root, project);
  for (const Setting& setting : settings) {
    if (setting.option->name != "rw" && setting.option->name != "home") continue;
    const std::string shown = real_path(root, setting.value);
    if (is_within(real, shown) || is_within(shown, real))
      throw Error(taken->origin.text + ": the project would be shown all the same, and without the protection of its " +
                  "files, by " + as_argument(setting))
          .hint("if that is meant, say --no-project yourself");
  }
}

/// Throws Error when the run could write `file`, the caller's own: it would decide about every later run.
void check_out_of_reach(const Root& root, const std::string& file, const RunPolicy& policy, const std::string& home) {
  if (file.empty()) return;
  std::vector<std::string> writable;
  if (policy.project_access == Access::read_write && !policy.project.empty() &&
      (policy.project_named || !holds_more_than_a_project(policy.project, home)))
    writable.push_back(policy.project);
  if (!policy.home.empty()) writable.push_back(policy.home);
  for (const Share& share : policy.shares)
    if (share.access == Access::read_write) writable.push_back(share.path);
  for (const std::string& path : writable) {
    const std::string real = real_path(root, path);
    if (!is_within(file, real)) continue;
    const std::string directory = parent_path(file);
    const auto covers = [&](const std::string& named) { return is_within(file, named) && is_within(named, real); };
    const bool covered = std::any_of(policy.hidden.begin(), policy.hidden.end(), covers) ||
                         std::any_of(policy.shares.begin(), policy.shares.end(), [&](const Share& share) {
                           return share.access == Access::read_only && covers(share.path);
                         });
    if (!covered)
      throw Error("the run could write " + quote(file) + ", which decides about your runs, by " + quote(path))
          .hint("keep it out of reach with: --hide " + escape(directory));
  }
}

}  // namespace

TrustedFiles read_trusted_files(const Root& root, const Caller& caller) {
  TrustedFiles found;
  const Fd directory = root.open(kAdministrators, O_RDONLY | O_DIRECTORY | O_NONBLOCK);
  if (directory.valid()) {
    struct stat status {};
    if (::fstat(directory.get(), &status) != 0) throw Error("cannot look at", kAdministrators, errno);
    check_trust(root, status, kAdministrators, 0);
    for (const std::string& name : root.list(kAdministrators)) {
      const std::string path = join(kAdministrators, name);
      if (name.size() > kSuffix.size() && name.ends_with(kSuffix) && !name.starts_with('.'))
        read_trusted(root, path, 0, {path, Source::administrator, "", caller.home}, found);
    }
  } else if (errno != ENOENT) {
    throw Error("cannot read", kAdministrators, errno);
  }
  if (caller.config_directory.empty()) return found;
  const std::string path = join(caller.config_directory, "vrun/config.toml");
  const std::size_t before = found.files.size();
  try {
    read_trusted(root, path, caller.uid, {path, Source::user, "", caller.home}, found);
  } catch (const Error& error) {
    // A home that the caller may not enter, as that of root's after sudo, has no file of the caller's.
    if (error.error_number() != EACCES) throw;
  }
  if (found.files.size() > before) {
    const Resolved real = root.resolve(path);
    for (const std::string& place : {parent_path(path), parent_path(real.path)})
      if (const auto status = root.stat(place)) check_trust(root, *status, place, caller.uid);
    found.user_file = real.path;
  }
  return found;
}

Settings read_project_files(const Root& root, const std::string& project, const Caller& caller) {
  Settings asked;
  const auto context = [&](const std::string& path) {
    return FileContext{path, Source::project, project, caller.home};
  };
  const std::string pyproject = join(project, "pyproject.toml");
  if (const auto text = read_inside(root, project, pyproject, kMaximumPyproject))
    add_project_file(parse_pyproject(*text, context(pyproject)), caller.home, asked);
  const std::string own = join(project, "vrun.toml");
  if (const auto text = read_inside(root, project, own, kMaximumPolicyFile))
    add_project_file(parse_policy_file(*text, context(own)), caller.home, asked);
  return asked;
}

Asked read_policy_variables(const Caller& caller, const std::string& directory) {
  Asked asked;
  for (const Variable& variable : caller.variables) {
    if (!variable.name.starts_with(kPrefix) || variable.value.empty()) continue;
    const std::string name = variable.name.substr(kPrefix.size());
    const Origin origin{Source::variable, escape(variable.name)};
    if (name == "ENV") continue;
    if (name == "PROFILE") {
      asked.profile = ProfileName{variable.value, origin};
      continue;
    }
    const auto* const option = std::find_if(kOptions.begin(), kOptions.end(), [&](const Option& one) {
      return one.is_policy() && variable_name(one) == name;
    });
    if (option != kOptions.end()) {
      for (const std::string& part : parts_of(*option, variable.value))
        asked.settings.push_back(
            {option, check_value(*option, part, {origin.text, directory, caller.home, false}), origin});
      continue;
    }
    std::vector<std::string> known = {"ENV", "PROFILE"};
    for (const Option& one : kOptions)
      if (one.is_policy()) known.push_back(variable_name(one));
    const std::vector<std::string_view> views(known.begin(), known.end());
    const std::string_view meant = misspelt(name, views);
    if (name.size() > 2 && !meant.empty() && distance(name, meant) < 2)
      throw Error("there is no variable " + quote(variable.name)).hint("did you mean VRUN_" + std::string(meant) + "?");
  }
  return asked;
}

RunPolicy run_policy_of(const EffectivePolicy& effective, const std::string& directory, const Root& root) {
  RunPolicy policy = make_run_policy(effective.settings, directory, root);
  for (const Ceiling& ceiling : effective.ceilings)
    if (ceiling.option->kind == ValueKind::path || ceiling.option->kind == ValueKind::memory)
      policy.ceilings.push_back({std::string(ceiling.option->name), ceiling.values, ceiling.origin.text});
  return policy;
}

EffectivePolicy decide_policy(const Root& root, const Caller& caller, const std::string& directory,
                              const Asked& command_line) {
  const TrustedFiles trusted = read_trusted_files(root, caller);
  const Asked variables = read_policy_variables(caller, directory);

  std::vector<Settings> layers;
  const auto add = [&](const std::optional<ProfileName>& profile, const Settings& settings) {
    if (profile) {
      layers.clear();
      layers.push_back(find_profile(*profile, trusted.profiles, caller.home));
    }
    layers.push_back(settings);
  };
  for (const PolicyFile& file : trusted.files) add(file.extends, file.settings);
  add(variables.profile, variables.settings);
  add(command_line.profile, command_line.settings);

  EffectivePolicy effective;
  effective.ceilings = trusted.ceilings;
  Merged merged = lower(with_project(overlay(layers), directory), trusted.ceilings);
  effective.notices = std::move(merged.notices);

  // The project that is asked for, before a file of its own may take it away.
  const RunPolicy asked = make_run_policy(merged.settings, directory, root);
  const bool has_project =
      !asked.project.empty() && (asked.project_named || !holds_more_than_a_project(asked.project, caller.home));
  if (has_project) {
    Merged tightened = tighten(std::move(merged.settings), read_project_files(root, asked.project, caller));
    merged.settings = std::move(tightened.settings);
    std::move(tightened.notices.begin(), tightened.notices.end(), std::back_inserter(effective.notices));
    check_still_protected(root, asked.project, merged.settings);
  }
  effective.settings = with_project(std::move(merged.settings), directory);
  check_out_of_reach(root, trusted.user_file, make_run_policy(effective.settings, directory, root), caller.home);
  return effective;
}

}  // namespace vrun
