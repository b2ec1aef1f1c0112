/// The command line of vrun.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "policy/host/root.h"
#include "policy/run_policy.h"
#include "policy/why.h"

namespace vrun {

enum class Mode { run, explain, self_test, why, doctor, help, version };

struct Invocation {
  Mode mode = Mode::run;
  bool json = false;    ///< --json, of --self-test, --why and --doctor
  bool junit = false;   ///< --junit, of --self-test
  bool timing = false;  ///< --timing: say how long each step of the run took
  Question question;    ///< of --why
  RunPolicy policy;
};

/// Reads `arguments` (argv without the program's name). The head, up to `--` or the first word after ENV_DIR, is
/// vrun's; nothing behind it is looked at. Paths are made absolute against `directory`, the current one. Throws Error
/// for an option that does not exist, a missing or malformed value, and when no environment is named or found.
Invocation parse_arguments(const std::vector<std::string>& arguments, const Caller& caller,
                           const std::string& directory, const Root& root);

/// What --help prints.
std::string help_text();

}  // namespace vrun
