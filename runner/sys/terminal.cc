#include "runner/sys/terminal.h"

#include <fcntl.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <cerrno>

#include "policy/error.h"

namespace vrun::sys {

Terminal open_terminal(int like, bool translates) {
  constexpr const char* kDoing = "cannot open a terminal of the run's own:";
  Terminal terminal;
  terminal.master = Fd(::open("/dev/ptmx", O_RDWR | O_NOCTTY | O_CLOEXEC));
  int unlock = 0;
  if (!terminal.master.valid() || ::ioctl(terminal.master.get(), TIOCSPTLCK, &unlock) != 0)
    throw Error(kDoing, "/dev/ptmx", errno);
  // By descriptor: no path of another devpts can get in between (ioctl_tty(2), TIOCGPTPEER).
  terminal.slave = Fd(::ioctl(terminal.master.get(), TIOCGPTPEER, O_RDWR | O_NOCTTY | O_CLOEXEC));
  if (!terminal.slave.valid()) throw Error(kDoing, "/dev/ptmx", errno);
  struct termios modes {};
  if (::tcgetattr(like, &modes) == 0) {
    if (!translates) modes.c_oflag &= ~static_cast<tcflag_t>(OPOST);
    ::tcsetattr(terminal.slave.get(), TCSANOW, &modes);
  }
  copy_window_size(like, terminal.master.get());
  return terminal;
}

void take_terminal(int slave) {
  if (::ioctl(slave, TIOCSCTTY, 0) != 0) throw Error("cannot give the run its terminal", "", errno);
}

void copy_window_size(int from, int to) {
  // A terminal without a size (a serial line) leaves the other as it is.
  struct winsize size {};
  if (::ioctl(from, TIOCGWINSZ, &size) == 0) ::ioctl(to, TIOCSWINSZ, &size);
}

bool in_foreground(int terminal) {
  // A terminal that does not control this session (ENOTTY) has no job control: everybody may read it.
  const pid_t foreground = ::tcgetpgrp(terminal);
  return foreground < 0 || foreground == ::getpgrp();
}

TerminalModes::TerminalModes(int terminal) : terminal_(terminal) {
  struct termios modes {};
  if (::tcgetattr(terminal, &modes) == 0) modes_ = modes;
}

void TerminalModes::make_raw() {
  if (!modes_ || raw_) return;
  struct termios modes = *modes_;
  ::cfmakeraw(&modes);
  raw_ = ::tcsetattr(terminal_, TCSADRAIN, &modes) == 0;
}

void TerminalModes::restore() {
  if (!raw_) return;
  ::tcsetattr(terminal_, TCSADRAIN, &*modes_);
  raw_ = false;
}

}  // namespace vrun::sys
