/// What an environment begins with, and where the wheels of it lie.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "builder/version.h"
#include "builder/wheel.h"
#include "policy/host/root.h"
#include "policy/interpreter.h"

namespace vrun::builder {

/// A distribution that an environment begins with: "pip", "pip==24.2", "wheel>=0.40,<1".
struct Seed {
  std::string project;  ///< normalised
  Specifiers versions;
  std::string text;  ///< as it was asked for
};

/// Nothing when `text` is not a name (PEP 508), with version specifiers or without.
std::optional<Seed> parse_seed(std::string_view text);

/// pip, and for Pythons older than 3.12 setuptools: what `python -m venv` installs.
std::vector<Seed> default_seeds(const Interpreter& python);

/// `defaults`, each replaced by what `asked` has of its project, and then the others of `asked`.
std::vector<Seed> choose_seeds(std::vector<Seed> defaults, const std::vector<Seed>& asked);

/// Where wheels are looked for beside the places of the Python and of its distribution.
struct WheelSources {
  std::string directory;  ///< --wheel-dir, absolute; looked into first. Empty: none.
  /// Gives the variables that say where virtualenv keeps wheels; those places come last. Empty: they are left out.
  std::function<std::string(const char* name)> variable;
};

/// The path of a wheel for each of `seeds`, in that order: from `sources.directory`, WHEEL_PKG_DIR, ensurepip's own
/// directory, those that distributions use, virtualenv's cache and package.
///
/// In WHEEL_PKG_DIR and ensurepip's directory it is the file that ensurepip would take, unless a version was asked for;
/// everywhere else the newest that fits, a pre-release where there is nothing else or when one was asked for. Where
/// others put files, what somebody else can have written (trust.h) or what is for other Pythons is passed over. Throws
/// Error, with all places and what is in them, when there is none.
std::vector<std::string> find_seed_wheels(const Root& root, const Interpreter& python, const std::vector<Seed>& seeds,
                                          const WheelSources& sources);

/// Reads the wheel and sees that it is made for `python`, and that nobody else can have written it where it is not in
/// one of the Python's own directories. The owner of `named_directory`, which the caller of vbuild asked for, is nobody
/// else; empty when there is none. Throws Error.
Wheel read_seed_wheel(const Root& root, const Interpreter& python, const std::string& path,
                      const std::string& named_directory = {});

}  // namespace vrun::builder
