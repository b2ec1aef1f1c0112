#include "policy/doctor.h"

#include <algorithm>

#include "policy/error.h"
#include "policy/layers.h"

namespace vrun {
namespace {

Finding find_out(const Trial& trial, const MachineHints& machine) {
  Finding finding{trial.part, trial.layers, LayerState::whole, "", std::nullopt};
  if (trial.works) return finding;
  finding.state = trial.spared ? LayerState::reduced : LayerState::impossible;
  if (!trial.possible) {
    finding.failure = "it needs a user namespace";
    return finding;
  }
  finding.failure = trial.failure;
  finding.remedy = find_remedy(trial.step, trial.error_number, machine);
  return finding;
}

std::size_t count(const Diagnosis& diagnosis, LayerState state) {
  return static_cast<std::size_t>(std::count_if(diagnosis.findings.begin(), diagnosis.findings.end(),
                                                [state](const Finding& finding) { return finding.state == state; }));
}

}  // namespace

std::string_view state_text(LayerState state) {
  switch (state) {
    case LayerState::whole:
      return "protected";
    case LayerState::reduced:
      return "reduced";
    case LayerState::impossible:
      return "impossible";
  }
  return "";
}

LayerState Diagnosis::state() const {
  LayerState worst = LayerState::whole;
  for (const Finding& finding : findings) worst = std::max(worst, finding.state);
  return worst;
}

Diagnosis diagnose(const std::vector<Trial>& trials, const MachineHints& machine) {
  Diagnosis diagnosis{machine.kernel, machine.distribution, {}};
  for (const Trial& trial : trials) diagnosis.findings.push_back(find_out(trial, machine));
  return diagnosis;
}

std::string render_diagnosis(const Diagnosis& diagnosis) {
  constexpr std::size_t kState = 12;
  constexpr std::size_t kPart = 20;
  std::string out;
  for (const Finding& finding : diagnosis.findings) {
    std::string line(state_text(finding.state));
    line.resize(kState, ' ');
    line += finding.part;
    if (!finding.layers.empty()) line.resize(kState + kPart, ' ');
    for (const std::string_view layer : finding.layers) (line += layer) += layer == finding.layers.back() ? "" : " ";
    out += line + "\n";
    const auto add = [&](std::string_view what, const std::string& text) {
      if (!text.empty()) out += std::string(kState, ' ') + std::string(what) + text + "\n";
    };
    add("", finding.failure);
    if (!finding.remedy) continue;
    add("cause: ", finding.remedy->explanation);
    add("to mend it: ", finding.remedy->command);
    add(finding.remedy->command.empty() ? "to mend it: " : "", finding.remedy->advice);
    const bool optional = std::all_of(finding.layers.begin(), finding.layers.end(), [](std::string_view layer) {
      return std::find(kOptionalLayers.begin(), kOptionalLayers.end(), layer) != kOptionalLayers.end();
    });
    if (finding.state == LayerState::impossible && optional && !finding.layers.empty())
      add("to run with less protection: --without ", std::string(finding.layers.front()));
  }
  const std::size_t impossible = count(diagnosis, LayerState::impossible);
  const std::size_t reduced = count(diagnosis, LayerState::reduced);
  out += escape("Linux " + diagnosis.kernel) + ": ";
  if (impossible != 0)
    out += "no run can start here; " + std::to_string(impossible) + " of " + std::to_string(diagnosis.findings.size()) +
           " parts are impossible\n";
  else if (reduced != 0)
    out += "runs start, with " + std::to_string(reduced) + " of " + std::to_string(diagnosis.findings.size()) +
           " parts reduced\n";
  else
    out += "every layer can be had\n";
  return out;
}

}  // namespace vrun
