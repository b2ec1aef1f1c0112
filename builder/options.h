/// The command line of vbuild.
#pragma once

#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "builder/seeds.h"

namespace vrun::builder {

enum class Programs { links, copies };
/// --compile: where bytecode comes from.
enum class Compile {
  automatic,  ///< the cache, when it has it
  now,        ///< the cache, which is filled first
  no,
};

/// What to build: the options of `python3 -m venv`, and those that vbuild adds.
struct BuildRequest {
  std::vector<std::string> directories;  ///< as given
  bool system_site_packages = false;
  Programs programs = Programs::links;
  bool programs_given = false;  ///< --symlinks or --copies was
  Compile compile = Compile::automatic;
  bool clear = false;
  bool force = false;  ///< clear a directory that is no environment, too
  bool upgrade = false;
  bool with_pip = true;               ///< pip is one of those that the environment begins with
  bool default_seeds = true;          ///< begin with what venv installs
  std::vector<Seed> seeds = {};       ///< --seed, each project once
  std::optional<std::string> prompt;  ///< as given; "." stands for the name of the current directory
  bool upgrade_deps = false;
  std::vector<std::string> wheels;        ///< --install, as given
  std::vector<std::string> requirements;  ///< files of requirements that pip is to install, as given
  bool scm_ignore_files = true;
  std::string python;           ///< --python SPEC; empty: the python3 of PATH
  std::string wheel_directory;  ///< as given; empty: where the Python has its wheels
  bool verbose = false;
  bool json = false;  ///< say on standard output what was done
};

/// --inspect
struct InspectRequest {
  std::string directory;  ///< as given
  bool json = false;
};

/// --doctor
struct DoctorRequest {
  std::string directory;  ///< as given
  bool fix = false;
  bool json = false;
};

/// Text that was asked for, for standard output: the help or the version.
struct Information {
  std::string text;
};
/// Why the command line cannot be used, in one line without an end.
struct UsageError {
  std::string reason;
};

/// Reads `arguments` (without the program's name). Options may be shortened as long as they stay unambiguous, repeated,
/// and stand after directories, as argparse has it.
std::variant<BuildRequest, InspectRequest, DoctorRequest, Information, UsageError> parse_options(
    const std::vector<std::string>& arguments);

/// The usage line that precedes a UsageError on standard error, with its end of line.
extern const char* const kUsage;

}  // namespace vrun::builder
