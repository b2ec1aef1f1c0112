/// How long each step of a run took (vrun --timing).
#pragma once

#include <cstdint>
#include <string>

namespace vrun {

/// The ends of the steps so far, in memory that vrun and pid 1 of the run share: each goes on where the other one left
/// off, since one waits while the other works. Without --timing there is no such memory, and a mark costs a branch.
class Timing {
 public:
  /// The time before the first mark counts from here. Throws Error when there is no memory to share.
  explicit Timing(bool wanted);
  ~Timing();
  Timing(const Timing&) = delete;
  Timing& operator=(const Timing&) = delete;

  /// The step `name`, a literal, ends now.
  void mark(const char* name) noexcept;
  /// A line for each step, in microseconds, and one for all of them; empty when nothing was wanted.
  std::string text() const;

 private:
  struct Shared;
  Shared* shared_ = nullptr;
};

}  // namespace vrun
