/// Which Python is meant: `--python SPEC`, or the python3 that PATH gives. No candidate is ever run.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "builder/version.h"
#include "policy/host/root.h"
#include "policy/interpreter.h"

namespace vrun::builder {

/// Where the search takes place. Everything comes from the caller, so that tests can make up a machine.
struct SearchContext {
  std::string working_directory;                          ///< absolute
  std::function<std::string(const char* name)> variable;  ///< of the process environment; empty when unset
};

/// A version that was asked for: "3.12", "3.13t", "python3.12", "cpython3.12", "pypy3.9", "pypy", ">=3.10,<3.13".
struct PythonRequest {
  Implementation implementation = Implementation::cpython;
  std::vector<int> release;  ///< {3, 12}; empty: any
  bool free_threaded = false;
  std::optional<Specifiers> specifiers;
  bool matches(const Interpreter& python) const;
};

/// Nothing when `spec` has none of the forms above.
std::optional<PythonRequest> parse_python_request(std::string_view spec);

/// The absolute path of the interpreter that `spec` stands for; it may be one of an environment and a link, but no
/// shim.
///
/// A spec with a "/" is a path of a file or of a directory with bin/python3; another one is looked for in PATH as a
/// program, then as a version in PATH, pyenv, uv, mise, asdf, conda, /usr/bin, /usr/local/bin and /opt. An empty spec
/// is python3 of PATH. Throws Error, with what was looked at, when there is none.
std::string find_python(const Root& root, const SearchContext& context, std::string_view spec);

/// What a shim of pyenv, mise or asdf stands for (a file in a directory named `shims`), by the rules of its manager: a
/// variable, a file in the working directory or above it, a file for the user. Nothing when the choice is "system".
/// Throws Error when it does not say.
std::optional<std::string> find_target_of_shim(const Root& root, const SearchContext& context, const std::string& shim);

}  // namespace vrun::builder
