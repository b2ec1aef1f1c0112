#include "runner/json.h"

#include <nlohmann/json.hpp>

#include "policy/error.h"

namespace vrun {
namespace {

using Json = nlohmann::ordered_json;

/// Indented, and in ASCII: a terminal shows it as it is.
std::string finish(const Json& json) { return json.dump(2, ' ', true) + "\n"; }

/// What is not known is null.
Json known(const std::string& text) { return text.empty() ? Json() : Json(escape(text)); }

/// The same for texts of ours, in which paths are escaped already.
Json given(const std::string& text) { return text.empty() ? Json() : Json(text); }

}  // namespace

std::string to_json(const Diagnosis& diagnosis) {
  Json parts = Json::array();
  for (const Finding& finding : diagnosis.findings) {
    Json part = {{"part", finding.part},
                 {"layers", finding.layers},
                 {"state", state_text(finding.state)},
                 {"failure", known(finding.failure)},
                 {"cause", nullptr},
                 {"explanation", nullptr},
                 {"command", nullptr},
                 {"advice", nullptr}};
    if (finding.remedy) {
      part["cause"] = finding.remedy->cause;
      part["explanation"] = finding.remedy->explanation;
      if (!finding.remedy->command.empty()) part["command"] = finding.remedy->command;
      if (!finding.remedy->advice.empty()) part["advice"] = finding.remedy->advice;
    }
    parts.push_back(std::move(part));
  }
  return finish({{"schema", "vrun.doctor/1"},
                 {"version", VRUN_VERSION},
                 {"kernel", known(diagnosis.kernel)},
                 {"distribution", known(diagnosis.distribution)},
                 {"state", state_text(diagnosis.state())},
                 {"runs", diagnosis.state() != LayerState::impossible},
                 {"parts", std::move(parts)}});
}

std::string to_json(const Verdict& verdict) {
  return finish({{"schema", "vrun.why/1"},
                 {"version", VRUN_VERSION},
                 {"kind", kind_text(verdict.kind)},
                 {"asked", escape(verdict.asked)},
                 {"leads_to", known(verdict.path)},
                 {"reachable", verdict.reachable},
                 {"how", verdict.how},
                 {"because", given(verdict.rule)},
                 {"step", given(verdict.step)},
                 {"option", given(verdict.change)}});
}

}  // namespace vrun
