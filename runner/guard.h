/// Names that tools of the host would trust or execute, and that a run makes where there were none: each is moved
/// aside, as it appears and once more when every process of the run has ended. Why not before: docs/decisions/0003.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "policy/host/fd.h"
#include "policy/host/root.h"
#include "policy/plan.h"

namespace vrun {

class Guard {
 public:
  /// `names` are the plan's.
  explicit Guard(const std::vector<GuardedName>& names) : plan_(names) {}

  /// Before the command is started, and where nothing is inherited any more: holds the directories open, and has SIGIO,
  /// which is blocked, come for each new name in them. Throws Error.
  void begin(const Root& root);
  /// Milliseconds after which `look` is due without a signal; -1: never.
  int timeout() const { return told_ ? -1 : 100; }
  /// Moves aside what is there.
  void look();
  /// The same once nothing runs any more: what it cannot do is a failure.
  void finish();

  /// The name that the run made again and again.
  const std::string& insisted() const { return insisted_; }
  /// What was moved, and what could not be looked at or moved; a line each, escaped.
  const std::vector<std::string>& notes() const { return notes_; }
  const std::vector<std::string>& failures() const { return failures_; }

 private:
  struct Place {
    std::string path;
    Fd directory;
    bool failed = false;  ///< said so
  };
  struct Name {
    const GuardedName* plan;
    std::size_t place;
    int times = 0;
  };
  void look_at(Name& name);
  void move_aside(Name& name, int directory, const std::string& made, const std::string& path);
  void watch(int directory, const std::string& below);
  void fail(Place& place, const std::string& operation, const std::string& path, int error_number);

  const std::vector<GuardedName>& plan_;
  std::vector<Place> places_;
  std::vector<Name> names_;
  std::vector<Fd> watched_;
  bool told_ = true;  ///< by the kernel, of every directory
  bool ended_ = false;
  std::string insisted_;
  std::vector<std::string> notes_;
  std::vector<std::string> failures_;
};

}  // namespace vrun
