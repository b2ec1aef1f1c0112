#include "builder/claims.h"

#include "builder/scripts.h"
#include "builder/text.h"
#include "policy/error.h"
#include "policy/host/root.h"

namespace vrun::builder {

bool is_of_environment(const std::string& path) {
  return path == "pyvenv.cfg" || path == "lib64" || path == ".gitignore" ||
         (path.starts_with("bin/") && path.find('/', 4) == std::string::npos && is_reserved_program(base_name(path)));
}

void Claims::add(const std::string& path, std::size_t wheel) {
  const Wheel& claimant = wheels_[wheel];
  const auto refuse = [&](const std::string& reason) {
    throw Error("cannot install the wheel " + quote(claimant.archive.path()) + ": " + reason);
  };
  if (is_of_environment(path)) refuse("its file " + quote(path) + " would take the place of one of the environment");
  for (const std::string& packages : packages_) {
    if (!path.starts_with(packages + "/")) continue;
    const std::string top = path.substr(packages.size() + 1, path.find('/', packages.size() + 1) - packages.size() - 1);
    if (top.ends_with(".dist-info") && top != claimant.dist_info)
      refuse("its file " + quote(path) + " would belong to another distribution");
  }
  const auto [other, added] = owners_.emplace(path, wheel);
  if (added) return;
  if (other->second == wheel) refuse("it has two files for " + quote(path));
  throw Error("cannot install the wheels " + quote(wheels_[other->second].archive.path()) + " and " +
              quote(claimant.archive.path()) + " together: both have " + quote(path));
}

void Claims::check_directories() const {
  for (const auto& [path, wheel] : owners_)
    for (std::size_t slash = path.find('/'); slash != std::string::npos; slash = path.find('/', slash + 1))
      if (const auto file = owners_.find(path.substr(0, slash)); file != owners_.end())
        throw Error("cannot install the wheel " + quote(wheels_[file->second].archive.path()) + ": its file " +
                    quote(file->first) + " would be in the way of " + quote(path));
}

bool Claims::has_at_or_above(const std::string& path) const {
  for (std::size_t slash = path.find('/'); slash != std::string::npos; slash = path.find('/', slash + 1))
    if (has(path.substr(0, slash))) return true;
  return has(path);
}

bool Claims::has_below(const std::string& path) const {
  const auto first = owners_.lower_bound(path + "/");
  return first != owners_.end() && first->first.starts_with(path + "/");
}

}  // namespace vrun::builder
