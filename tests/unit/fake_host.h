/// A directory that looks like another machine, for tests of everything that reads a host through a Root.
///
///     FakeHost host = FakeHost::debian();
///     host.environment("/home/me/env", "/usr/bin/python3");
///     Environment environment = read_environment(host.root(), "/home/me/env");
///
/// Everything lies in a private temporary directory that is removed with the FakeHost. Paths are those that the code
/// under test sees ("/usr/bin/python3"); `on_disk` gives the real one.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "policy/error.h"
#include "policy/host/elf.h"
#include "policy/host/root.h"

namespace vrun {

/// What a fake ELF file contains; written by `fake_elf`. The defaults make an empty program of this machine.
struct FakeElf {
  bool is_64bit = true;
  std::uint16_t machine = kNativeMachine;
  std::uint16_t type = 3;                 ///< e_type; 3 is ET_DYN
  std::string interpreter;                ///< PT_INTERP
  std::vector<std::string> needed;        ///< DT_NEEDED
  std::string runpath;                    ///< DT_RUNPATH
  std::string rpath;                      ///< DT_RPATH
  std::uint32_t python_version = 0;       ///< value of the data symbol Py_Version; no such symbol when 0
  std::vector<std::string> strings = {};  ///< in .rodata, each with a NUL after it
  std::string data = {};                  ///< in .data, after the value of Py_Version
};
std::string fake_elf(const FakeElf& content);

/// How `FakeHost::python` installs a Python.
struct FakePython {
  std::string prefix = "/usr";
  std::string version = "3.11.2";  ///< X.Y.Z with a0, b1, rc2 allowed after it
  std::string platlibdir = "lib";  ///< directory of the standard library below the prefix
  bool shared = false;             ///< with libpythonX.Y.so.1.0 in platlibdir, found by $ORIGIN
  bool free_threaded = false;
  bool debian = false;                       ///< site.py speaks of dist-packages
  std::string multiarch = kNativeMultiarch;  ///< last part of the name of extension modules
  std::vector<std::string> packages = {};    ///< directories to make that hold a package, absolute
  std::string wheel_directory = {};          ///< WHEEL_PKG_DIR in _sysconfigdata
  std::uint16_t machine = kNativeMachine;
  std::string loader = "/lib64/ld-linux-x86-64.so.2";  ///< PT_INTERP; no such file is made
};

class FakeHost {
 public:
  /// An empty machine: nothing but "/".
  FakeHost();
  ~FakeHost();
  FakeHost(FakeHost&& other) noexcept;
  FakeHost& operator=(FakeHost&&) = delete;
  FakeHost(const FakeHost&) = delete;
  FakeHost& operator=(const FakeHost&) = delete;

  /// Each makes the missing parents too. What stands at `path` is replaced, unless it is a directory.
  FakeHost& directory(std::string_view path, mode_t mode = 0755);
  FakeHost& file(std::string_view path, std::string_view content = "", mode_t mode = 0644);
  FakeHost& link(std::string_view path, std::string_view target);
  FakeHost& fifo(std::string_view path);
  /// Removes a file, a link, or a directory with everything in it.
  FakeHost& remove(std::string_view path);

  /// Installs a Python: bin/pythonX.Y with bin/python3 and bin/python pointing to it, a standard library (os.py,
  /// site.py, encodings, lib-dynload, _sysconfigdata), an empty site-packages and the package directories asked for.
  FakeHost& python(const FakePython& python);
  /// An environment as `python3 -m venv` makes it from `base`, such as "/usr/bin/python3": pyvenv.cfg, links in bin,
  /// lib. `version` must be the X.Y.Z of that Python; `library` its directory ("python3.13t") where not pythonX.Y.
  FakeHost& environment(std::string_view path, std::string_view base, std::string_view version = "3.11.2",
                        std::string_view library = "");

  /// Ready-made machines. Each has /etc, /tmp, /home/me and Pythons with a system package `syspkg` in every place where
  /// that distribution may put one.
  static FakeHost debian();      ///< 12: /usr/bin/python3 -> python3.11, dist-packages, merged /usr
  static FakeHost fedora();      ///< 3.13.0, standard library in /usr/lib64, wheels in /usr/share/python-wheels
  static FakeHost arch();        ///< 3.12.1, /usr/lib64 -> lib
  static FakeHost alpine();      ///< 3.12.1, musl, /bin and /lib not merged into /usr
  static FakeHost pyenv();       ///< Debian, and 3.12.1 (default) and 3.9.18 in /home/me/.pyenv/versions, with shims
  static FakeHost conda();       ///< Debian, and 3.12.1 in /home/me/miniconda3 with one more environment `data`
  static FakeHost uv_managed();  ///< Debian, and 3.12.1 and free-threaded 3.13.0 in /home/me/.local/share/uv/python
  static FakeHost homebrew();    ///< Debian, and 3.12.1 in /home/linuxbrew/.linuxbrew
  static FakeHost usr_local();   ///< Debian, and 3.13.0 built from source in /usr/local, as in container images
  static FakeHost opt();         ///< Debian, and 3.12.1 in /opt/python -> python-3.12.1, beside another application
  static FakeHost deadsnakes();  ///< Debian, and 3.13.0 beside its own Python in /usr
  static FakeHost nix();         ///< Debian, and 3.12.1 and a package for it in /nix/store

  const Root& root() const { return root_; }
  /// The path on the machine that runs the test.
  std::string on_disk(std::string_view path) const;

 private:
  std::string directory_;
  Root root_;
};

/// The message of the Error that `action` throws; "no error" when it throws none.
template <typename Action>
std::string message_of(Action action) {
  try {
    action();
  } catch (const Error& error) {
    return error.what();
  }
  return "no error";
}

}  // namespace vrun
