/// `vbuild --inspect`: what can be known of an environment and of its Python by reading. Nothing is run.
#pragma once

#include <sys/stat.h>

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "builder/seeds.h"
#include "builder/tree.h"
#include "policy/environment.h"
#include "policy/host/root.h"
#include "policy/interpreter.h"

namespace vrun::builder {

/// A distribution as the name of its .dist-info directory gives it.
struct Distribution {
  std::string name;  ///< as written: "zope_interface"
  std::string version;
  std::string directory;  ///< of the .dist-info, relative to the environment
};

/// What --inspect shows. Where an environment is damaged, some of it is missing and `problem` says why.
struct Inspection {
  std::string path;  ///< absolute, as given
  std::string real_path;
  std::optional<PyvenvConfig> config;
  std::string python;              ///< path/bin/python, or python3 where there is no such name
  std::vector<Link> python_links;  ///< from there to the file of the interpreter, as far as they lead
  std::optional<Interpreter> base;
  std::vector<std::string> package_directories;  ///< of the base, hidden by vrun unless system packages are on
  std::vector<std::string> site_packages;        ///< of the environment, relative to it
  std::vector<Distribution> distributions;       ///< in these, sorted
  bool distributions_complete = true;            ///< false: a directory has more names than are read
  std::vector<std::string> wheels;               ///< that a build with this Python would install
  std::string wheels_problem;                    ///< why it has none
  std::string problem;                           ///< why vrun would refuse the environment; empty when it would not
};

/// Reads the environment at `path` (absolute); `sources` are where a build would look for wheels. Throws Error when
/// there is no directory, or one without pyvenv.cfg.
Inspection inspect(const Root& root, std::string_view path, const WheelSources& sources = {});

/// For people: a line for each fact, aligned, everything from outside escaped.
std::string to_text(const Inspection& inspection);

// Shared with doctor.cc and repair.cc.

/// The package directories of an environment, relative to it: "lib/python3.11/site-packages" for every Python that has
/// one in lib, and in lib64 where that is a directory of its own. Throws Error.
std::vector<std::string> find_site_packages(const Tree& environment);

/// The distributions in the directory `site_packages`; `complete` becomes false when there are too many names. Throws
/// Error.
std::vector<Distribution> find_distributions(const Tree& environment, const std::string& site_packages, bool& complete);

/// The version that pyvenv.cfg gives, as far as it is numbers: {3, 11, 2} of "3.11.2.final.0"; empty without any.
std::vector<int> version_numbers(const PyvenvConfig& config);

/// "CPython 3.11.2", "PyPy 3.9.16".
std::string describe_version(const Interpreter& python);

/// "python", "python3.11", "python3.13t", "pypy3": the names of interpreters in bin.
bool is_program_name(std::string_view name);

/// stat(2) for which every failure is absence.
std::optional<struct stat> find_target(const Root& root, const std::string& path);

/// Whether the micro part of the version is known; a Python before 3.11 does not always say, and has 0 then.
bool knows_micro(const Interpreter& python);

/// "3.11" of {3, 11, 2}.
std::string minor_text(const std::vector<int>& numbers);

}  // namespace vrun::builder
