/// Where Pythons keep packages that are not their standard library: what a view hides.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "policy/host/root.h"
#include "policy/interpreter.h"

namespace vrun {

/// Whether a directory of this name may hold a standard library: python3.11, python3.13t, pypy3.9.
bool is_standard_library_name(std::string_view name);

/// The package directories of `base` that exist: its site-packages and dist-packages in every place where the
/// distributions of docs/package-directories.md put them, without the user site. Absolute, every link followed, sorted,
/// none within another.
std::vector<std::string> find_package_directories(const Root& root, const Interpreter& base);

/// The package directories of every Python whose library lies below `prefix` (such as /usr): one listing of each
/// library directory, no walk. Also the directories in which conda and pyenv keep further environments and package
/// caches
/// (`envs`, `pkgs`) where `prefix` is one of theirs.
std::vector<std::string> find_package_directories_below(const Root& root, std::string_view prefix);

/// The user site of `base` for a home directory: `~/.local/lib/pythonX.Y/site-packages` (site.USER_SITE).
std::string user_site(const Interpreter& base, std::string_view home);

/// How far a search for environments goes: directories so many levels down, so many of them in all, and so many names
/// in them. The cost of a start stays bounded however large a project is.
inline constexpr int kSearchDepth = 5;
inline constexpr int kSearchDirectories = 1000;
inline constexpr std::size_t kSearchNames = 100'000;

struct EnvironmentSearch {
  std::vector<std::string> found;         ///< absolute, no link in them, sorted
  std::vector<std::string> packages;      ///< package directories of Pythons that are not environments, likewise
  std::vector<std::string> repositories;  ///< .git and .hg, directories and files, likewise
  bool complete = true;                   ///< false: there are more directories than were looked into
};

/// Virtual environments in `directory` (a path without links), itself included, from the top down, and package
/// directories of other Pythons (lib/pythonX.Y/site-packages). Links are not followed: what they lead to is found where
/// it is or lies elsewhere. A directory that cannot be read counts as one to be hidden; .git, which a run cannot write,
/// is passed over. Names that are usual for environments come first on each level. What is inside an environment is
/// hidden with it and not searched, except on the way to `environment`, the one that is shown; that itself is left out.
EnvironmentSearch find_environments(const Root& root, std::string_view directory, std::string_view environment);

}  // namespace vrun
