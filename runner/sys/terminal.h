/// Terminals: the caller's, and a pseudo-terminal of the run's own (pty(7), tty_ioctl(4)).
#pragma once

#include <sys/types.h>
#include <termios.h>

#include <optional>

#include "policy/host/fd.h"

namespace vrun::sys {

/// Both ends of a pseudo-terminal.
struct Terminal {
  Fd master;
  Fd slave;
};

/// Opens a pseudo-terminal in the devpts that /dev/ptmx of this process's root leads to, set up like the terminal
/// `like`: its modes and its size. Without `translates`, output passes through unchanged, for the other terminal still
/// adds its carriage returns. Throws Error.
Terminal open_terminal(int like, bool translates);

/// Makes `slave` the controlling terminal of this session, which has none. Throws Error.
void take_terminal(int slave);

/// Copies the window size of one terminal to another; the kernel tells the other's foreground process group.
void copy_window_size(int from, int to);

/// Whether this process is in the foreground of `terminal`, and so may read it and set its modes.
bool in_foreground(int terminal);

/// The modes of a terminal, put back when they were changed. `raw` passes every byte through as it is, for another
/// terminal's line discipline to handle (cfmakeraw(3)).
class TerminalModes {
 public:
  /// Remembers the modes of `terminal`, which stays the caller's.
  explicit TerminalModes(int terminal);
  ~TerminalModes() { restore(); }
  TerminalModes(const TerminalModes&) = delete;
  TerminalModes& operator=(const TerminalModes&) = delete;

  void make_raw();
  void restore();
  bool raw() const { return raw_; }

 private:
  int terminal_;
  std::optional<struct termios> modes_;
  bool raw_ = false;
};

}  // namespace vrun::sys
