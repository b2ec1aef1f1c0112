#include "runner/sys/process.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <climits>
#include <cstring>

#include "policy/error.h"

namespace vrun::sys {

void fill_standard_descriptors() {
  // open(2) takes the lowest free number, so going up fills each gap.
  for (int fd = 0; fd <= 2; ++fd) {
    if (::fcntl(fd, F_GETFD) >= 0) continue;
    if (::open("/dev/null", fd == 0 ? O_RDONLY : O_WRONLY) != fd)
      throw Error("cannot open in place of a closed descriptor", "/dev/null", errno);
  }
}

void close_others(std::vector<int> kept) {
  std::sort(kept.begin(), kept.end());
  unsigned next = 3;
  const auto close_range = [](unsigned first, unsigned last) {
    if (first <= last && ::syscall(SYS_close_range, first, last, 0) != 0)
      throw Error("cannot close inherited descriptors", "", errno);
  };
  for (const int fd : kept) {
    if (fd < 0 || static_cast<unsigned>(fd) < next) continue;
    const auto number = static_cast<unsigned>(fd);
    if (number > next) close_range(next, number - 1);
    next = number + 1;
  }
  close_range(next, UINT_MAX);
}

Pipe make_pipe() {
  int ends[2];
  if (::pipe2(ends, O_CLOEXEC) != 0) throw Error("cannot make a pipe", "", errno);
  return {Fd(ends[0]), Fd(ends[1])};
}

sigset_t forwarded_signals() {
  sigset_t signals;
  ::sigemptyset(&signals);
  for (const int number : {SIGHUP, SIGINT, SIGQUIT, SIGTERM, SIGUSR1, SIGUSR2, SIGTSTP, SIGCONT, SIGWINCH}) {
    struct sigaction action {};
    ::sigaction(number, nullptr, &action);
    if (action.sa_handler != SIG_IGN) ::sigaddset(&signals, number);
  }
  return signals;
}

Fd signal_descriptor(const sigset_t& signals) {
  if (::sigprocmask(SIG_BLOCK, &signals, nullptr) != 0) throw Error("cannot block signals", "", errno);
  Fd fd(::signalfd(-1, &signals, SFD_CLOEXEC | SFD_NONBLOCK));
  if (!fd.valid()) throw Error("cannot wait for signals", "", errno);
  return fd;
}

bool reset_signals() {
  struct sigaction action {};
  action.sa_handler = SIG_DFL;
  for (int number = 1; number < NSIG; ++number) {
    // These, and the numbers that the C library keeps for itself, have no disposition to reset.
    if (number == SIGKILL || number == SIGSTOP || (number > SIGSYS && number < SIGRTMIN)) continue;
    if (::sigaction(number, &action, nullptr) != 0) return false;
  }
  sigset_t none;
  ::sigemptyset(&none);
  return ::sigprocmask(SIG_SETMASK, &none, nullptr) == 0;
}

bool set_resource_limits(const std::vector<ResourceLimit>& limits) {
  for (const ResourceLimit& limit : limits) {
    struct rlimit now {};
    if (::getrlimit(static_cast<__rlimit_resource>(limit.resource), &now) != 0) return false;
    const struct rlimit wanted {
      std::min<rlim_t>(limit.soft, now.rlim_max), std::min<rlim_t>(limit.hard, now.rlim_max)
    };
    if (::setrlimit(static_cast<__rlimit_resource>(limit.resource), &wanted) != 0) return false;
  }
  return true;
}

void forget_arguments(char** argv, char** environment, const char* name) {
  // The kernel lays the strings of both out as one block (execve(2)); it ends with the last one that lies behind its
  // predecessor.
  char* begin = argv[0];
  if (begin == nullptr) return;
  char* end = begin;
  for (char** list : {argv, environment})
    for (char** word = list; *word != nullptr; ++word)
      if (*word == end) end = *word + std::strlen(*word) + 1;
  const std::size_t room = static_cast<std::size_t>(end - begin);
  std::memset(begin, 0, room);
  std::strncpy(begin, name, room > 0 ? room - 1 : 0);
  ::prctl(PR_SET_NAME, name, 0, 0, 0);
}

void die_with_parent() {
  if (::prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0) != 0) throw Error("cannot tie the run to vrun's life", "", errno);
}

}  // namespace vrun::sys
