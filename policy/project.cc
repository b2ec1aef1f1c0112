#include "policy/project.h"

#include <algorithm>
#include <array>
#include <string_view>

namespace vrun {
namespace {

/// Directories that hold everybody's files. None of them is taken for a project merely because somebody stands in it.
constexpr std::array<std::string_view, 17> kShared = {"/bin",   "/boot", "/dev", "/etc",  "/home", "/lib",
                                                      "/media", "/mnt",  "/opt", "/proc", "/root", "/run",
                                                      "/sbin",  "/srv",  "/sys", "/tmp",  "/var"};
/// Nothing below these is taken for one either: it belongs to the system.
constexpr std::array<std::string_view, 11> kSystem = {"/bin",  "/boot", "/dev",  "/etc", "/lib", "/lib64",
                                                      "/proc", "/run",  "/sbin", "/sys", "/usr"};

bool is_shared(std::string_view path) {
  return path == "/var/tmp" || std::find(kShared.begin(), kShared.end(), path) != kShared.end();
}

bool is_system(std::string_view path) {
  return std::any_of(kSystem.begin(), kSystem.end(), [&](std::string_view system) { return is_within(path, system); });
}

/// Whether `path` is the home directory of an account in the text of a passwd(5) file.
bool is_somebodys_home(std::string_view passwd, std::string_view path) {
  const std::string field = ":" + std::string(path) + ":";
  return passwd.find(field) != std::string_view::npos;
}

}  // namespace

bool holds_more_than_a_project(std::string_view path, std::string_view home) {
  return path == "/" || (!home.empty() && is_within(home, path)) || parent_path(path) == "/home" || is_shared(path) ||
         is_system(path);
}

std::string why_no_project(const RunFacts& facts) {
  const std::string& path = facts.project->real.path;
  if (path == "/") return "it is the root directory";
  if (path == facts.home) return "it is your home directory";
  if (is_within(facts.home, path)) return "your home directory lies in it";
  if (parent_path(path) == "/home" || is_somebodys_home(facts.passwd, path)) return "it is a home directory";
  if (is_shared(path)) return "everybody's files are in it";
  if (is_system(path)) return "it belongs to the operating system";
  for (const std::string& packages : facts.package_directories)
    if (is_within(path, packages)) return "it is in a directory of packages";
  if (is_within(path, facts.environment.real_path) && path != facts.environment.real_path) {
    const std::string below = path.substr(facts.environment.real_path.size());
    for (const std::string_view part : {"/bin", "/lib", "/lib64", "/include", "/share"})
      if (is_within(below, part)) return "it is a part of the environment";
  }
  return {};
}

}  // namespace vrun
