/// vrun --why: whether and how a run could reach something, by which rule of its plan, and which option changes that.
///
/// What is asked about is told from its form: a word with "/" in it is a path, HOST:PORT an address, the name of a
/// system call that call, and any other word that can be one, a variable.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "policy/host/root.h"
#include "policy/plan.h"
#include "policy/run_facts.h"
#include "policy/syscall_filter.h"

namespace vrun {

enum class QuestionKind { path, address, call, variable };
/// "path", "address", "call", "variable".
std::string_view kind_text(QuestionKind kind);

struct Question {
  QuestionKind kind = QuestionKind::path;
  std::string text;  ///< a path: absolute and normalised
  std::string host;  ///< of an address, without brackets
};
/// Paths are made absolute against `directory`. Throws Error for what is none of the four.
Question parse_question(const std::string& text, const std::string& directory);

/// A path as the run would look it up.
struct PathFacts {
  std::string path;                   ///< with the links followed that the run would meet
  bool circle = false;                ///< they lead round in one, or are too many
  bool by_run = false;                ///< one of them lies where the run can make links
  std::optional<struct stat> status;  ///< of the host's file that the view would show at `path`, shown or not
};
/// Follows the links of the view that `plan` builds, and those of the host that it shows.
PathFacts read_path_facts(const Root& root, const Plan& plan, const std::string& path);

struct Verdict {
  QuestionKind kind = QuestionKind::path;
  std::string asked;
  std::string path;  ///< where the links of a path lead that the run would meet; empty when it meets none
  bool reachable = false;
  std::string how;     ///< "read-only", "EPERM", ...; a few words
  std::string rule;    ///< why; a clause
  std::string step;    ///< of the plan, as --explain --verbose has it; empty when it is none
  std::string change;  ///< which option changes it; a clause, empty when none does
};

// Pure. They answer for the run of `plan`, which was made from `policy` and `facts`.

Verdict why_path(const Question& question, const PathFacts& path, const RunPolicy& policy, const RunFacts& facts,
                 const Plan& plan);
Verdict why_address(const Question& question, const Plan& plan);
Verdict why_call(const Question& question, const Plan& plan, Architecture architecture);
Verdict why_variable(const Question& question, const RunPolicy& policy, const Caller& caller, const Plan& plan);

/// Answers a question of any kind, looking at the host where it is a path.
Verdict answer(const Question& question, const Root& root, const RunPolicy& policy, const RunFacts& facts,
               const Caller& caller, const Plan& plan);

/// For people, one line each; what is from outside is escaped.
std::string render_verdict(const Verdict& verdict);

}  // namespace vrun
