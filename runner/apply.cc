#include "runner/apply.h"

namespace vrun {
namespace {

struct Applier {
  Kernel& kernel;
  void operator()(const MakeDirectory& step) const { kernel.make_directory(step); }
  void operator()(const MakeLink& step) const { kernel.make_link(step); }
  void operator()(const MakeFile& step) const { kernel.make_file(step); }
  void operator()(const MountMemory& step) const { kernel.mount_memory(step); }
  void operator()(const Bind& step) const { kernel.bind(step); }
  void operator()(const Mask& step) const { kernel.mask(step); }
  void operator()(const Hold& step) const { kernel.hold(step); }
  void operator()(const MountProc& step) const { kernel.mount_proc(step); }
  void operator()(const MountTerminals& step) const { kernel.mount_terminals(step); }
  void operator()(const Seal& step) const { kernel.seal(step); }
};

}  // namespace

void apply_view(const std::vector<Step>& steps, Kernel& kernel, const std::function<void(const Step&)>& before) {
  for (const Step& step : steps) {
    before(step);
    std::visit(Applier{kernel}, step);
  }
}

}  // namespace vrun
