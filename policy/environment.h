/// A virtual environment on disk, as PEP 405 defines it: a directory with pyvenv.cfg.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "policy/host/root.h"
#include "policy/interpreter.h"

namespace vrun {

/// pyvenv.cfg as CPython 3.8 to 3.15, virtualenv and uv write it and as getpath and site.py read it: keys without
/// regard to case, values stripped, text after the first "=".
struct PyvenvConfig {
  std::optional<std::string> home;
  /// True also when the key is missing: site.py's default.
  bool include_system_site_packages = true;
  std::optional<std::string> version;          ///< `version`, else `version_info`
  std::optional<std::string> prompt;           ///< without the quotes that venv or virtualenv put around it
  std::optional<std::string> base_executable;  ///< virtualenv
  std::optional<std::string> executable;       ///< CPython 3.11 and later
};

/// Most bytes of a pyvenv.cfg that are read.
inline constexpr std::size_t kMaximumConfigSize = 64 * 1024;

/// Parses the text of a pyvenv.cfg. `path` is for messages. Throws Error naming path, line and reason where supported
/// CPythons would disagree about the file: a key given twice, a NUL byte, text that is not UTF-8, a byte order mark,
/// a lone carriage return, white space that only some versions strip.
PyvenvConfig parse_pyvenv_config(std::string_view text, std::string_view path);

enum class EnvironmentKind {
  venv,   ///< has pyvenv.cfg and a base interpreter
  conda,  ///< has conda-meta/, no pyvenv.cfg, and its interpreter in it: the prefix is both
};

struct Environment {
  EnvironmentKind kind = EnvironmentKind::venv;
  std::string path;         ///< absolute, as given (links kept): the path in its scripts
  std::string real_path;    ///< every link followed
  FileIdentity identity;    ///< of the directory
  std::vector<Link> links;  ///< met from `path` to `real_path`, and from its python to the base interpreter
  PyvenvConfig config;
  std::string python;  ///< real_path/bin/python, or python3 where there is no such name
  Interpreter base;
};

/// Reads an environment without running anything of it. `path` is absolute. Throws Error, with a hint, when there is
/// none (missing, a file, a directory without pyvenv.cfg, unreadable), when pyvenv.cfg is refused, when its interpreter
/// is missing, dangling, a script, or for another architecture, and when `home` and the link of bin/python disagree.
Environment read_environment(const Root& root, std::string_view path);

/// Whether `path` is a directory with a directory named conda-meta and no pyvenv.cfg: a prefix that conda, mamba or
/// pixi made.
bool is_conda_environment(const Root& root, std::string_view path);

/// Reads such a prefix. The result has no configuration to speak of and does not include system packages; its base is
/// the interpreter in it. Throws Error, with a hint, when it has no Python of its own.
Environment read_conda_environment(const Root& root, std::string_view path);

/// Whether `path` is a directory with a file named pyvenv.cfg.
bool is_environment(const Root& root, std::string_view path);

}  // namespace vrun
