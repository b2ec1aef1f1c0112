/// JSON, for programs: what --json prints and --report writes. Text from outside that is not UTF-8 is given with \xNN
/// for each such byte, and in a report, whose text is the command's own, with U+FFFD.
#pragma once

#include <string>

#include "policy/doctor.h"
#include "policy/explanation.h"
#include "policy/verdict.h"
#include "policy/why.h"

namespace vrun {

// Each is one object of the schema named beside it, and an end of line.

std::string to_json(const Diagnosis& diagnosis);      ///< vrun.doctor/1
std::string to_json(const Explanation& explanation);  ///< vrun.explain/1, docs/explain.schema.json
std::string to_json(const RunVerdict& verdict);       ///< vrun.verdict/1, docs/verdict.schema.json
std::string to_json(const Verdict& verdict);          ///< vrun.why/1

}  // namespace vrun
