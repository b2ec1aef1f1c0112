/// Standard input, output and error of a run, as far as they go through vrun.
///
/// A terminal of the caller's stays outside: the run has one of its own, so that it cannot type into the caller's, read
/// what is meant for others or leave it in a bad state. A regular file stays outside too: whoever holds a descriptor of
/// one can open it anew through /proc/self/fd, with all the caller's rights. In both cases vrun copies. Pipes, sockets
/// and /dev/null are handed on as they are.
#pragma once

#include <poll.h>
#include <sys/types.h>

#include <array>
#include <optional>
#include <string>
#include <vector>

#include "policy/host/fd.h"
#include "policy/plan.h"
#include "runner/sys/terminal.h"

namespace vrun {

enum class StreamKind { direct, terminal, file };

/// What 0, 1 and 2 are for the run, and its ends of the pipes that stand for files.
struct Streams {
  std::array<StreamKind, 3> kinds{};
  std::array<Fd, 3> pipes;
  /// 2 is the same file as 1 (`2>&1`) and shares its pipe, which keeps the order of what is written.
  bool error_is_output = false;
  /// Which of 0, 1 and 2 is the caller's terminal: its modes and size are the model. -1 when none is.
  int terminal = -1;
};

/// Bytes on their way from one descriptor to another.
class Flow {
 public:
  Flow(int from, int to) : from_(from), to_(to) {}
  bool wants_input() const { return from_ >= 0 && begin_ == end_; }
  bool wants_output() const { return begin_ != end_; }
  int from() const { return from_; }
  int to() const { return to_; }
  /// Reads once into the empty buffer. No more is read after the end or an error.
  void read_once();
  /// Writes once. After an error everything is thrown away; `error_number` tells.
  void write_once();
  bool ended() const { return from_ < 0 && begin_ == end_; }
  void end() { from_ = -1, begin_ = end_ = 0; }
  int error_number() const { return error_number_; }
  /// Bytes read and not written.
  std::size_t held() const { return end_ - begin_; }

 private:
  int from_;
  int to_;
  int error_number_ = 0;
  std::size_t begin_ = 0;
  std::size_t end_ = 0;
  std::vector<char> buffer_;
};

class Relay {
 public:
  /// Looks at 0, 1 and 2 and makes the pipes. Pipes without a name become the run's own where root gives up its rights,
  /// for otherwise /dev/stdout could not be opened in the run. Throws Error.
  explicit Relay(const Identity& identity);

  /// What pid 1 of the run is given.
  Streams& streams() { return streams_; }
  /// After the run has its ends: keeps only vrun's own.
  void close_run_ends();
  /// The run's terminal exists: from now on it is connected to the caller's.
  void connect_terminal(Fd master);

  /// Adds what is waited for to `events`; `handle` acts on the answers to those, which start at `first`.
  void add_events(std::vector<struct pollfd>& events) const;
  void handle(const std::vector<struct pollfd>& events, std::size_t first);

  /// The caller's terminal changed its size.
  void resize();
  /// vrun is about to stop, or goes on after a stop: the caller's terminal gets its modes back, or is taken again if
  /// vrun is in the foreground.
  void suspend();
  void resume();
  /// The run wants to read its terminal; said when it did not at first.
  void want_input();

  /// Every process of the run has ended: copies what is left, puts the position of a file on standard input to what was
  /// consumed, gives the terminal back.
  void finish();
  /// What happened to output that could not be written; nothing when all was.
  std::optional<std::string> lost_output() const;

 private:
  std::vector<Flow> flows_;
  Streams streams_;
  std::array<Fd, 3> pipes_;        ///< vrun's ends
  Fd input_pipe_;                  ///< the reading end of standard input's pipe, to ask what is left in it
  std::optional<std::size_t> input_flow_;
  Fd master_;
  std::optional<sys::TerminalModes> modes_;
  bool reads_terminal_ = false;
};

}  // namespace vrun
