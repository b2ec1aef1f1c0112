/// What is known of a Python interpreter without running it.
///
/// The facts come from the file itself (ELF symbols and strings), from the layout of the tree around it (the landmark
/// `lib/pythonX.Y/os.py`, as CPython's own getpath looks for it) and from the data files of its standard library.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "policy/host/elf.h"
#include "policy/host/root.h"

namespace vrun {

enum class Implementation { cpython, pypy };

/// A version as in PY_VERSION_HEX (Include/patchlevel.h).
struct PythonVersion {
  int major = 0;
  int minor = 0;
  int micro = 0;
  char level = 'f';  ///< 'a' alpha, 'b' beta, 'c' candidate, 'f' final
  int serial = 0;
  /// "3.11.2", the form of the `version` key of pyvenv.cfg: without level and serial.
  std::string text() const;
  /// "3.11"
  std::string minor_text() const;
  auto operator<=>(const PythonVersion&) const = default;
};

struct Interpreter {
  /// Absolute path of the executable, by the most stable name that still lies in its tree: a linked tree keeps its
  /// name, a link to the binary alone is followed (research: "home").
  std::string executable;
  /// The same file with every link followed.
  std::string real_executable;
  /// Symbolic links met on the way from the path that was given to `real_executable`; they must exist in a view too.
  std::vector<Link> links;
  FileIdentity identity;  ///< of `real_executable`

  Implementation implementation = Implementation::cpython;
  PythonVersion version;  ///< X.Y.0 where a Python older than 3.11, or PyPy, does not say its exact version
  bool free_threaded = false;
  bool debug = false;
  bool is_64bit = true;
  std::uint16_t machine = 0;  ///< e_machine of the ELF header (elf(5))

  std::string prefix;      ///< sys.base_prefix: the directory above `lib`
  std::string platlibdir;  ///< "lib" or "lib64", sys.platlibdir
  std::string stdlib;      ///< directory of os.py
  std::string multiarch;   ///< "x86_64-linux-gnu"; empty when not known
  std::string loader;      ///< PT_INTERP, the program that the kernel starts it with; empty when static
  std::string libpython;   ///< shared libpython in use, every link followed; empty when static
  /// Where the program looks for `libpython`, seen from its own directory: "../lib/libpython3.12.so.1.0" of a RUNPATH
  /// `$ORIGIN/../lib`. Empty when it is found by an absolute path, which holds for a copy of the program too.
  std::string libpython_from_program;
  std::string wheel_directory;  ///< WHEEL_PKG_DIR of the build configuration; empty when not set
  bool debian_layout = false;   ///< site.py speaks of dist-packages

  /// "python3.11", "python3.13t", "pypy3.9": the name of the library directory.
  std::string library_name() const;
  /// The tag in names of bytecode files: "cpython-311", "pypy39".
  std::string cache_tag() const;
};

/// Whether to read the build configuration (_sysconfigdata, some 50 KiB) too, which only `wheel_directory` comes from.
enum class BuildConfiguration { read, skip };

/// Reads the facts of the interpreter at `path` (absolute; a link, a file in a virtual environment's bin, a shim of
/// pyenv are all resolved to the base interpreter). Throws Error when it is missing, not executable, not an ELF file,
/// truncated, for another machine than this program's, or when no standard library is found for it.
///
/// A shim of pyenv stands for the version that the file `version` beside its `shims` directory names; PYENV_VERSION and
/// .python-version files are the caller's to look at, who then asks for the interpreter that they name.
Interpreter read_interpreter(const Root& root, std::string_view path,
                             BuildConfiguration configuration = BuildConfiguration::read);

/// The library `name` that `elf`, the file at `path` (absolute, without links), needs: as ld.so(8) finds it, but
/// without ld.so.cache. Throws Error when it exists and cannot be reached.
std::optional<Resolved> find_shared_library(const Root& root, const Elf& elf, std::string_view name,
                                            std::string_view path);

}  // namespace vrun
