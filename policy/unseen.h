/// What a command that failed may have missed: files of this machine that its run did not show.
///
/// Nobody watches what a command opens. What is said here follows from the words of the command, its file, its exit
/// status and the plan, and is looked for after the failure alone. A link that the run could have made is not
/// followed: what it leads to would be named, with advice to show it, by the word of the command.
#pragma once

#include <string>
#include <vector>

#include "policy/plan.h"
#include "policy/run_facts.h"

namespace vrun {

/// A plan, and what it was made from.
struct Planned {
  const Root& root;
  const RunPolicy& policy;
  const RunFacts& facts;
  const Caller& caller;
  const Plan& plan;
};

/// For the end of the message that a command was not found: where it is outside of the run, and how to reach it there.
/// A clause that begins with "; ", empty when it is nowhere.
std::string explain_missing_command(const Planned& planned);

/// The same for a command that was found, and whose interpreter or loader was not.
std::string explain_missing_interpreter(const Planned& planned);

/// The same for a run whose working directory was not found.
std::string explain_missing_directory(const Planned& planned);

/// For a command that ended with `exit_code`, which is not 0: what it needs or was told to use, which is there outside
/// and which its run did not show. At most two lines, without vrun's name, escaped.
std::vector<std::string> explain_failure(const Planned& planned, int exit_code);

}  // namespace vrun
