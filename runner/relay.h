/// Standard input, output and error of a run, as far as they go through vrun.
///
/// The run never gets a descriptor of the caller's, but for /dev/null and its like. What it holds it can open anew
/// through /proc/self/fd in either direction: a file with all the caller's rights, a pipe's other end, which may be a
/// script that the caller's shell goes on reading; a socket is in the caller's network; a terminal can be typed into
/// and left in a bad state; a directory leads to the whole host. So vrun copies, and the run has pipes and a terminal
/// of its own.
#pragma once

#include <poll.h>
#include <sys/types.h>

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "policy/host/fd.h"
#include "policy/plan.h"
#include "runner/sys/terminal.h"

namespace vrun {

enum class StreamKind {
  harmless,  ///< /dev/null, /dev/zero, /dev/full: handed on as it is
  terminal,
  file,
  pipe,
  socket,
};

/// What 0, 1 and 2 are for the run, and its ends of the pipes.
struct Streams {
  std::array<StreamKind, 3> kinds{};
  std::array<Fd, 3> pipes;
  /// 2 is the same as 1 (`2>&1`) and shares its pipe, which keeps the order of what is written.
  bool error_is_output = false;
  /// Which of 0, 1 and 2 is the caller's terminal: its modes and size are the model. -1 when none is.
  int terminal = -1;
};

/// Bytes on their way from one descriptor to another.
class Flow {
 public:
  /// `stream`: which of 0, 1 and 2 of the run it serves by a pipe; nothing for the terminal.
  Flow(int from, int to, std::optional<std::size_t> stream) : from_(from), to_(to), stream_(stream) {}
  std::optional<std::size_t> stream() const { return stream_; }
  bool wants_input() const { return from_ >= 0 && begin_ == end_; }
  bool wants_output() const { return begin_ != end_; }
  int from() const { return from_; }
  int to() const { return to_; }
  /// Reads once into the empty buffer. No more is read after the end or an error.
  void read_once();
  /// Writes once. After an error everything is thrown away; `error_number` tells.
  void write_once();
  bool ended() const { return from_ < 0 && begin_ == end_; }
  /// Throws away all but the first `count` bytes of what is held.
  void keep(std::size_t count) {
    total_ -= held() - count;
    end_ = begin_ + count;
  }
  void end() { from_ = -1, begin_ = end_ = 0; }
  int error_number() const { return error_number_; }
  /// Bytes read and not written, and bytes read in all.
  std::size_t held() const { return end_ - begin_; }
  unsigned long long total() const { return total_; }

 private:
  int from_;
  int to_;
  std::optional<std::size_t> stream_;
  int error_number_ = 0;
  std::size_t begin_ = 0;
  std::size_t end_ = 0;
  unsigned long long total_ = 0;
  std::vector<char> buffer_;
};

/// From a pipe of the caller's to one of the run's, taking from the first only what the run has taken from the second:
/// who reads the caller's pipe next, such as a loop in a shell, finds the rest. tee(2) copies without taking.
class Tap {
 public:
  Tap(int from, int to, int run_end) : from_(from), to_(to), run_end_(run_end) {}
  /// Waiting for more; otherwise for the run to take what was offered.
  bool wants_input() const { return from_ >= 0 && offered_ == 0; }
  bool wants_output() const { return offered_ != 0; }
  bool ended() const { return from_ < 0; }
  /// What was offered is not all taken though there is room: the run made its pipe larger, and room says nothing.
  bool stalled() const { return stalled_; }
  int from() const { return from_; }
  int to() const { return to_; }
  void offer();
  void settle();

 private:
  int from_;
  int to_;
  int run_end_;  ///< a reading end of the run's pipe, only to ask what is left in it
  std::size_t offered_ = 0;
  bool stalled_ = false;
};

class Relay {
 public:
  /// Looks at 0, 1 and 2 and makes the pipes. Throws Error, also for a descriptor of a kind that cannot be copied.
  explicit Relay(const Identity& identity);

  /// What pid 1 of the run is given.
  Streams& streams() { return streams_; }
  /// Passes on no more than this of what the run writes, to its terminal or to 1 and 2 together.
  void limit_output(std::uint64_t bytes) { output_left_ = bytes; }
  /// How much the run wrote to 1 or 2, or its terminal in their place; nothing when that does not go through vrun.
  std::optional<unsigned long long> passed_on(int fd) const;
  /// Whether the run wrote more than that.
  bool truncated() const { return truncated_; }
  /// After the run has its ends: keeps only vrun's own.
  void close_run_ends();
  /// The run's terminal exists: from now on it is connected to the caller's.
  void connect_terminal(Fd master);

  /// Adds what is waited for to `events`; `handle` acts on the answers to those, which start at `first`.
  void add_events(std::vector<struct pollfd>& events) const;
  /// Milliseconds after which `handle` is due without an event; -1: never.
  int timeout() const { return tap_ && tap_->stalled() ? 10 : in_background() ? 200 : -1; }
  void handle(const std::vector<struct pollfd>& events, std::size_t first);

  /// The caller's terminal changed its size.
  void resize();
  /// vrun is about to stop, or goes on after a stop: the caller's terminal gets its modes back, or is taken again if
  /// vrun is in the foreground.
  void suspend();
  void resume();
  /// The run wants to read its terminal; said when it did not at first.
  void want_input();

  /// Every process of the run has ended: copies what is left, leaves to the caller the input that was not consumed,
  /// gives the terminal back.
  void finish();
  /// What happened to output that could not be written; nothing when all was.
  std::optional<std::string> lost_output() const;

 private:
  void open_pipe(std::size_t stream, const Identity& identity);
  void close_ended();
  void read(Flow& flow);
  /// Whether the terminal would be read if it were vrun's to read. Nobody tells a job that goes on in the background
  /// that it was brought to the foreground (`bg`, `fg`): it is not stopped, so it gets no SIGCONT.
  bool in_background() const { return reads_terminal_ && modes_ && !modes_->raw(); }

  Streams streams_;
  std::array<Fd, 3> pipes_;  ///< vrun's ends
  Fd input_end_;             ///< the run's end of standard input's pipe, to ask what is left in it
  std::optional<Tap> tap_;
  std::vector<Flow> flows_;  ///< the first is standard input's when that is a file or a socket
  Fd master_;
  std::optional<sys::TerminalModes> modes_;
  bool reads_terminal_ = false;
  std::optional<std::uint64_t> output_left_;
  bool truncated_ = false;
};

}  // namespace vrun
