/// The command line of vrun.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "policy/host/root.h"
#include "policy/run_policy.h"
#include "policy/settings.h"
#include "policy/why.h"
#include "runner/fetch.h"
#include "runner/redirect.h"
#include "runner/report.h"

namespace vrun {

enum class Mode { run, explain, self_test, why, doctor, profiles, help, version };

struct Invocation {
  Mode mode = Mode::run;
  bool json = false;                  ///< --json, of --explain, --self-test, --why and --doctor
  bool verbose = false;               ///< --verbose, of --explain
  bool junit = false;                 ///< --junit, of --self-test
  std::string cgroup;                 ///< --cgroup, a path made absolute
  std::vector<FetchRequest> fetches;  ///< --get
  StreamNames streams;                ///< --stdin, --stdout, --stderr
  bool timing = false;                ///< --timing: say how long each step of the run took
  Question question;                  ///< of --why
  RunPolicy policy;
  Settings settings;                 ///< what the policy was made from, and where each value comes from
  std::vector<std::string> notices;  ///< what was asked for in vain
};

/// Reads `arguments` (argv without the program's name), and what other sources say beside it (policy_sources.h). The
/// head, up to `--` or the first word after ENV_DIR, is vrun's; nothing behind it is looked at. Paths are made absolute
/// against `directory`, the current one. Throws Error for an option that does not exist, a missing or malformed value,
/// a policy file that is wrong or not to be trusted, and when no environment is named or found. `reports` is filled
/// first, so that a failure can be reported too.
Invocation parse_arguments(const std::vector<std::string>& arguments, const Caller& caller,
                           const std::string& directory, const Root& root, ReportNames& reports);

/// What --help prints.
std::string help_text();

}  // namespace vrun
