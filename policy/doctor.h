/// vrun --doctor: which layers of a run this machine can have, as found by trying each, and what mends the others.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "policy/remedies.h"

namespace vrun {

/// What came of setting one part of a run up, in a process made for it.
struct Trial {
  std::string_view part = {};                 ///< "user namespace"
  std::vector<std::string_view> layers = {};  ///< those of policy/layers.h that it is about; may be empty
  /// Whether a run starts without it, with less protection; otherwise its failure stops every run.
  bool spared = false;
  bool works = true;
  bool possible = true;  ///< false: it was not tried, for it needs a user namespace, which failed
  SetupStep step = SetupStep::namespaces;
  int error_number = 0;      ///< of the failure; 0 when it was not a system call's
  std::string failure = {};  ///< as the line of a run would say it, without a remedy
};

enum class LayerState {
  whole,       ///< "protected"
  reduced,     ///< runs start, and lack it or a part of it
  impossible,  ///< no run starts
};
std::string_view state_text(LayerState state);

struct Finding {
  std::string_view part;
  std::vector<std::string_view> layers;
  LayerState state = LayerState::whole;
  std::string failure;
  std::optional<Remedy> remedy;
};

struct Diagnosis {
  std::string kernel;  ///< as MachineHints
  std::string distribution;
  std::vector<Finding> findings;

  /// The worst of all.
  LayerState state() const;
};

/// Pure.
Diagnosis diagnose(const std::vector<Trial>& trials, const MachineHints& machine);

/// For people: a line for each part, under those that are not whole what is the matter and what mends it.
std::string render_diagnosis(const Diagnosis& diagnosis);

}  // namespace vrun
