/// What an environment consists of: a value, made from facts and a request without any effect. write.h carries it out
/// and decides nothing.
#pragma once

#include <sys/types.h>

#include <cstddef>
#include <ctime>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "builder/activation.h"
#include "builder/bytecode.h"
#include "builder/existing.h"
#include "builder/installed.h"
#include "builder/options.h"
#include "builder/wheel.h"
#include "policy/interpreter.h"

namespace vrun::builder {

// Entries. Every path is relative to the environment. Modes are what the umask leaves of 0777 and 0666, unless stated.

struct Directory {
  std::string path;
  /// Whether it belongs to one distribution, and is replaced with everything in it where it exists.
  bool owned = false;
  bool operator==(const Directory&) const = default;
};
struct SymbolicLink {
  std::string path;
  std::string target;
  bool operator==(const SymbolicLink&) const = default;
};
struct TextFile {
  std::string path;
  std::string content;
  std::optional<mode_t> mode;  ///< exactly this one
  bool operator==(const TextFile&) const = default;
};
/// A copy of a file of the host, with mode 0755.
struct CopiedProgram {
  std::string path;
  std::string source;
  bool operator==(const CopiedProgram&) const = default;
};
/// A file out of a wheel, verified while it is written.
struct WheelFile {
  std::string path;
  std::size_t wheel = 0;
  std::size_t member = 0;
  std::optional<mode_t> mode = {};  ///< exactly this one
  std::string bytecode = {};        ///< path of its compiled form, which is written too; empty without
  bool operator==(const WheelFile&) const = default;
};
using Entry = std::variant<Directory, SymbolicLink, TextFile, CopiedProgram, WheelFile>;

/// What goes from an existing environment, where it exists.
struct Removal {
  std::string path;
  bool when_empty = false;  ///< a directory, which stays when something is left in it
  /// A file that stands where a directory is to be, or in a directory that stands where a file is to be: it goes when
  /// the new one is put there, and not before.
  bool in_the_way = false;
  bool operator==(const Removal&) const = default;
};

struct Layout {
  std::vector<Entry> entries;        ///< parents first, then what is in .dist-info directories, pyvenv.cfg last
  std::vector<Removal> removals;     ///< in this order, before what is in .dist-info directories
  std::vector<std::string> notices;  ///< one line each, for people
  std::optional<std::time_t> time;   ///< of the last change of everything that is written; nothing: when it is
};

/// Everything that a layout is made from.
struct BuildFacts {
  Interpreter python;
  std::string base_executable;    ///< what bin/python is to lead to: a path of `python`
  std::string invoked;            ///< sys.executable of a `python -m venv` that would build the same
  std::string invoked_real;       ///< with every link followed
  std::string directory;          ///< ENV_DIR, absolute
  std::string working_directory;  ///< for `--prompt .`
  mode_t umask = 022;
  std::optional<std::time_t> source_date;  ///< SOURCE_DATE_EPOCH
  std::vector<Template> templates;
  std::vector<Wheel> wheels;                   ///< to install: seeds, then those that were given
  std::vector<ReplacedDistribution> replaced;  ///< what of the same projects as those given is there
  std::optional<Existing> existing;            ///< what is kept; nothing when the environment begins empty
};

/// The names that the interpreter has in bin. The first one is that of `base_executable`.
std::vector<std::string> program_names(const Interpreter& python, const std::string& base_executable);

/// Where a copy of the program of `python` looks for its library, relative to the environment:
/// "lib/libpython3.12.so.1.0". Empty when it finds the library where it is. Throws Error when that would be outside of
/// the environment.
std::string library_of_copy(const Interpreter& python);

/// Where packages go: "lib/python3.11/site-packages".
std::string site_packages(const Interpreter& python);

/// And where those that depend on the platform go: "lib64/python3.11/site-packages" on some distributions.
std::string platform_site_packages(const Interpreter& python);

/// Both, where they are different directories.
std::vector<std::string> package_directories(const BuildFacts& facts);

/// The modules of the wheel `wheel` in `layout` that lie in package directories: what an interpreter would compile when
/// it imports them.
std::vector<UnpackedModule> find_modules(const Layout& layout, std::size_t wheel, const BuildFacts& facts);

/// Throws Error for wheels that cannot be installed together, or would put a file in the place of one of the
/// environment's own.
Layout plan_layout(const BuildRequest& request, const BuildFacts& facts);

/// The text of pyvenv.cfg; its keys depend on the version of the Python.
std::string config_text(const BuildRequest& request, const BuildFacts& facts);

}  // namespace vrun::builder
