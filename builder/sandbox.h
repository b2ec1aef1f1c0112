/// Running an environment's Python for vbuild: always by vrun, which shows it the environment and what it is given.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "builder/pip_settings.h"
#include "policy/host/root.h"
#include "policy/run_policy.h"

namespace vrun::builder {

/// The path of the vrun that belongs to this vbuild: beside its program, in the tree that it was built in, or in PATH,
/// `path`, where nobody else than root and the caller can change file and directory. Relative directories of PATH are
/// not looked at. `doing` is what it is for: "run pip". Throws Error, with the remedy, when there is none.
std::string find_vrun(const Root& root, const std::string& path, std::string_view doing);

/// What a command in the sandbox is given beside the environment.
struct SandboxOptions {
  std::vector<std::string> shown = {};  ///< absolute paths, read-only
  std::vector<Variable> set = {};
  std::vector<std::string> kept = {};  ///< names of variables of this process
  bool network = false;                ///< the caller's; without it, none
  std::string directory = {};          ///< where it starts; empty: its own home directory
  bool output = false;                 ///< its standard output goes to standard error, and nowhere otherwise
};

/// Runs `arguments` with the Python of the environment `environment` (absolute), which it can write to, in a sandbox
/// without a project, and ends with this process. Gives its exit status in words, empty for 0; its errors have been
/// printed by then. Throws Error when vrun cannot be started.
std::string run_in_sandbox(const std::string& vrun, const std::string& environment, const SandboxOptions& options,
                           const std::vector<std::string>& arguments);

/// Has pip install `arguments` (options and requirements of `pip install`) into the environment. Throws Error that
/// begins with `doing`, a clause such as "cannot upgrade pip in '/env'", when it does not succeed.
void run_pip(const std::string& vrun, const std::string& environment, const PipSettings& settings, bool verbose,
             const std::vector<std::string>& arguments, const std::string& doing);

}  // namespace vrun::builder
