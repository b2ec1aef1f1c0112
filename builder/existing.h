/// What stands at ENV_DIR before a build.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "builder/seeds.h"
#include "builder/version.h"
#include "policy/environment.h"
#include "policy/host/root.h"
#include "policy/interpreter.h"

namespace vrun::builder {

/// A distribution in a package directory, by the name of its .dist-info directory.
struct InstalledDistribution {
  std::string project;  ///< normalised
  std::string dist_info;
  Version version;
  /// Modules of one file that its RECORD lists beside its packages, such as easy_install.py of old setuptools.
  std::vector<std::string> modules;
  bool recorded = false;  ///< has a RECORD with something in it; without, what is there cannot be told from debris
};

/// The state of one name in bin.
struct ExistingProgram {
  enum class State {
    missing,
    current,  ///< leads to the interpreter that the build is for
    foreign,  ///< leads to another file
    dangling  ///< a link to nothing
  };
  std::string name;
  State state = State::missing;
  bool link = false;
};

struct Existing {
  bool environment = false;  ///< has a pyvenv.cfg
  /// Nothing when it cannot be read, is refused or has no `home`; a build writes a new one.
  std::optional<PyvenvConfig> config;
  bool lib64 = false;       ///< exists, links followed
  bool lib64_link = false;  ///< is a link to "lib"
  std::vector<ExistingProgram> programs;
  /// Names in bin of the interpreters of other Pythons ("python3.9", "pypy3"), which no longer fit.
  std::vector<std::string> outdated_programs;
  std::vector<InstalledDistribution> distributions;  ///< pip, setuptools and the seeds in `site_packages`
};

/// Reads the directory at `directory` (absolute). `programs` are the names in bin to look at, `site_packages` is
/// relative, `seeds` are what the build is to install.
Existing read_existing(const Root& root, const std::string& directory, const Interpreter& python,
                       const std::vector<std::string>& programs, std::string_view site_packages,
                       const std::vector<Seed>& seeds = {});

}  // namespace vrun::builder
