/// What building a view needs of the kernel: one call a kind of step. The real one is runner/view.h; tests record.
#pragma once

#include "policy/plan.h"

namespace vrun {

class Kernel {
 public:
  virtual ~Kernel() = default;
  // Each throws Error naming the path when it fails.
  virtual void make_directory(const MakeDirectory& step) = 0;
  virtual void make_link(const MakeLink& step) = 0;
  virtual void make_file(const MakeFile& step) = 0;
  virtual void mount_memory(const MountMemory& step) = 0;
  virtual void bind(const Bind& step) = 0;
  virtual void mask(const Mask& step) = 0;
  virtual void hold(const Hold& step) = 0;
  virtual void mount_proc(const MountProc& step) = 0;
  virtual void mount_terminals(const MountTerminals& step) = 0;
  virtual void seal(const Seal& step) = 0;
};

}  // namespace vrun
