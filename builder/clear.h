/// What --clear must not touch.
#pragma once

#include <string>

#include "builder/target.h"
#include "policy/host/root.h"

namespace vrun::builder {

enum class NoEnvironment { refused, cleared };

/// Throws Error when emptying `target` (an existing directory) would take something away that is not just an
/// environment: the home directory `home`, the current directory, a directory above one of them, a mount point or
/// something mounted below. Unless asked for, also a directory with files in it that has no pyvenv.cfg.
void check_clear(const Root& root, const Target& target, const std::string& home, NoEnvironment no_environment);

}  // namespace vrun::builder
