/// Where Pythons keep packages that are not their standard library: what a view hides.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "policy/host/root.h"
#include "policy/interpreter.h"

namespace vrun {

/// The package directories of `base` that exist: its site-packages and dist-packages in every place where the
/// distributions of docs/package-directories.md put them, without the user site. Absolute, every link followed, sorted,
/// none within another.
std::vector<std::string> find_package_directories(const Root& root, const Interpreter& base);

/// The package directories of every Python whose library lies below `prefix` (such as /usr): one listing of each library
/// directory, no walk. Also the directories in which conda and pyenv keep further environments and package caches
/// (`envs`, `pkgs`) where `prefix` is one of theirs.
std::vector<std::string> find_package_directories_below(const Root& root, std::string_view prefix);

/// The user site of `base` for a home directory: `~/.local/lib/pythonX.Y/site-packages` (site.USER_SITE).
std::string user_site(const Interpreter& base, std::string_view home);

/// Virtual environments that are easy to come upon in `directory`: itself, its entries, and the entries of `.tox`,
/// `.nox`, `.venvs` and `envs` in it. One listing of each, no walk. Every link followed, sorted.
std::vector<std::string> find_environments(const Root& root, std::string_view directory);

}  // namespace vrun
