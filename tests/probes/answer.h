/// The words in which the probes answer, and the child in which they ask.
#pragma once

#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstdio>
#include <string>
#include <utility>

using Name = std::pair<int, const char*>;

#define NAME(x) \
  Name { x, #x }
inline constexpr std::array kErrors = {
    NAME(EPERM),           NAME(ENOENT),      NAME(ESRCH),        NAME(EINTR),         NAME(EIO),
    NAME(ENXIO),           NAME(E2BIG),       NAME(ENOEXEC),      NAME(EBADF),         NAME(ECHILD),
    NAME(EAGAIN),          NAME(ENOMEM),      NAME(EACCES),       NAME(EFAULT),        NAME(ENOTBLK),
    NAME(EBUSY),           NAME(EEXIST),      NAME(EXDEV),        NAME(ENODEV),        NAME(ENOTDIR),
    NAME(EISDIR),          NAME(EINVAL),      NAME(ENFILE),       NAME(EMFILE),        NAME(ENOTTY),
    NAME(ETXTBSY),         NAME(EFBIG),       NAME(ENOSPC),       NAME(ESPIPE),        NAME(EROFS),
    NAME(EMLINK),          NAME(EPIPE),       NAME(ENAMETOOLONG), NAME(ENOSYS),        NAME(ENOTEMPTY),
    NAME(ELOOP),           NAME(EOVERFLOW),   NAME(EOPNOTSUPP),   NAME(EAFNOSUPPORT),  NAME(EPROTONOSUPPORT),
    NAME(ESOCKTNOSUPPORT), NAME(ENOPROTOOPT), NAME(ENETUNREACH),  NAME(EADDRNOTAVAIL), NAME(ECONNREFUSED),
    NAME(ENOKEY),          NAME(EUSERS),      NAME(ENOTSOCK),     NAME(EDESTADDRREQ),  NAME(EPROTOTYPE),
    NAME(ENODATA),         Name{0, "OK"}};
inline constexpr std::array kSignals = {NAME(SIGHUP),  NAME(SIGINT),  NAME(SIGQUIT), NAME(SIGILL),  NAME(SIGABRT),
                                        NAME(SIGKILL), NAME(SIGUSR1), NAME(SIGSEGV), NAME(SIGUSR2), NAME(SIGPIPE),
                                        NAME(SIGALRM), NAME(SIGTERM), NAME(SIGCONT), NAME(SIGSYS)};
#undef NAME

template <typename Table>
std::string name_of(const Table& table, int number) {
  for (const auto& [value, name] : table)
    if (value == number) return name;
  return std::to_string(number);
}

/// Runs `ask`, which returns an errno, in a child of its own: an answer may kill or change the process.
template <typename Ask>
std::string in_child(Ask ask) {
  std::array<int, 2> ends{};
  if (::pipe(ends.data()) != 0) return "no pipe";
  const pid_t child = ::fork();
  if (child < 0) return "no child";
  if (child == 0) {
    ::alarm(5);
    const int answer = ask();
    const ssize_t written = ::write(ends[1], &answer, sizeof answer);
    ::_exit(written == sizeof answer ? 0 : 1);
  }
  ::close(ends[1]);
  int answer = 0;
  const bool answered = ::read(ends[0], &answer, sizeof answer) == sizeof answer;
  ::close(ends[0]);
  int status = 0;
  ::waitpid(child, &status, 0);
  if (answered) return name_of(kErrors, answer);
  return WIFSIGNALED(status) ? name_of(kSignals, WTERMSIG(status)) : "no answer";
}
