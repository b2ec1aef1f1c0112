/// Runs a command and lets one of its system calls fail, or kills the process that makes it, to see what is then left.
///
///   fault list LOG COMMAND...                      nothing fails; LOG gets each call, in lines as below
///   fault kill LOG PROCESS CALL COMMAND...         SIGKILL for the process instead of that call
///   fault ERROR LOG PROCESS CALL COMMAND...        that call is not made and answers with this errno (a number); 0 for
///                                                  "it did nothing", which is how setfsuid(2) fails
///
/// PROCESS is 0 for the command and counts up in the order in which processes are made; CALL counts from 0 within its
/// process. A line of LOG: "PROCESS CALL NAME START ERRNO...": START is "before" or "after" a descendant of the command
/// executed a program, and each ERRNO is one that the call can give on a machine that is at its limits. The exit status
/// is the command's, 128 + n after a signal, 99 when the fault came at no time, and 98 for a failure of this program's.
#include <elf.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/user.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstddef>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <map>
#include <string>
#include <vector>

namespace {

struct Call {
  long number;
  const char* name;
  std::vector<int> errors;
};

const Call& call_of(long number) {
#define CALL(name, ...)                \
  Call {                               \
    SYS_##name, #name, { __VA_ARGS__ } \
  }
  static const std::vector<Call> kCalls = {
    CALL(capset, EPERM),
    CALL(chdir, ENOMEM, EACCES),
    CALL(clone3, EAGAIN, ENOSPC, EPERM),
    CALL(clone, EAGAIN, ENOMEM),
    CALL(close),  // whatever it answers, the descriptor is closed (close(2)), which a call that is not made cannot do
    CALL(close_range, ENOMEM),
    CALL(execve, ENOMEM, EACCES),
    CALL(fchdir, EACCES),
    CALL(fchown, EPERM),
    CALL(fcntl, EMFILE, EINVAL),
    CALL(flock, ENOLCK),
    CALL(fsconfig, ENOMEM, EINVAL),
    CALL(fsmount, EPERM, ENOMEM),
    CALL(fsopen, EPERM, EMFILE),
    CALL(fstat, ENOMEM),
    CALL(fstatfs, EIO),
    CALL(ftruncate, ENOSPC),
    CALL(getcwd, ENOMEM),
    CALL(getdents64, EIO, ENOMEM),
    CALL(ioctl, EIO, ENOMEM),
    CALL(keyctl, EDQUOT, EPERM),
    CALL(landlock_add_rule, ENOMEM),
    CALL(landlock_create_ruleset, EMFILE),
    CALL(landlock_restrict_self, E2BIG),
    CALL(lseek, EINVAL),
    CALL(mkdirat, ENOSPC, ENOMEM),
    CALL(mmap, ENOMEM),
    CALL(mount_setattr, EPERM, ENOMEM),
    CALL(move_mount, ENOSPC, EPERM),
    CALL(mprotect, ENOMEM),
    CALL(newfstatat, ENOMEM, EIO),
    CALL(open_tree, EMFILE, ENOSPC, EPERM),
    CALL(openat, EMFILE, ENOMEM, EIO),
    CALL(openat2, EMFILE, ENOMEM, EIO),
    CALL(pipe2, EMFILE, ENFILE),
    CALL(pivot_root, EINVAL, EPERM),
    CALL(prctl, EPERM, EINVAL),
    CALL(pread64, EIO, 0),
    CALL(prlimit64, EPERM),
    CALL(read, EINTR, EIO, 0),
    CALL(readlinkat, EIO, ENOMEM),
    CALL(recvmsg, EINTR, ENOMEM),
    CALL(renameat, EIO),
    CALL(renameat2, EACCES, EINVAL),
    CALL(rt_sigaction, EINVAL),
    CALL(rt_sigprocmask, EINVAL),
    CALL(seccomp, EINVAL, ENOMEM),
    CALL(sendmsg, EINTR, ENOBUFS),
    CALL(setfsgid, 0),
    CALL(setfsuid, 0),
    CALL(setgroups, EPERM, ENOMEM),
    CALL(sethostname, EPERM),
    CALL(setpgid, EPERM),
    CALL(setresgid, EAGAIN, EINVAL),
    CALL(setresuid, EAGAIN, EINVAL),
    CALL(setrlimit, EPERM),
    CALL(setsid, EPERM),
    CALL(signalfd4, EMFILE, ENOMEM),
    CALL(socket, EMFILE, EACCES),
    CALL(socketpair, EMFILE, ENOMEM),
    CALL(statfs, EIO),
    CALL(statx, ENOMEM, EIO),
    CALL(symlinkat, ENOSPC),
    CALL(tee, ENOMEM),
    CALL(umount2, EBUSY, EPERM),
    CALL(unlinkat, EBUSY),
    CALL(wait4, EINTR),
    CALL(write, EINTR, EIO, ENOSPC, 0),
#if defined(__x86_64__)
    CALL(access, ENOMEM),
    CALL(dup2, EINTR, EBADF),
    CALL(mkdir, ENOSPC),
    CALL(open, EMFILE),
    CALL(poll, EINTR, ENOMEM),
    CALL(readlink, EIO, ENOMEM),
    CALL(rename, EIO),
#else
    CALL(dup3, EINTR, EBADF),
    CALL(faccessat, ENOMEM),
    CALL(ppoll, EINTR, ENOMEM),
#endif
  };
#undef CALL
  static const Call kOther = {-1, "other", {}};
  for (const Call& call : kCalls)
    if (call.number == number) return call;
  return kOther;
}

[[noreturn]] void fail(const char* what) {
  std::fprintf(stderr, "fault: %s: %s\n", what, std::strerror(errno));
  std::exit(98);
}

void set_call(pid_t pid, long number) {
#if defined(__x86_64__)
  if (::ptrace(PTRACE_POKEUSER, pid, offsetof(struct user, regs.orig_rax), number) != 0) fail("cannot skip a call");
#else
  int value = static_cast<int>(number);
  struct iovec part {
    &value, sizeof value
  };
  if (::ptrace(PTRACE_SETREGSET, pid, NT_ARM_SYSTEM_CALL, &part) != 0) fail("cannot skip a call");
#endif
}

void set_result(pid_t pid, long result) {
#if defined(__x86_64__)
  if (::ptrace(PTRACE_POKEUSER, pid, offsetof(struct user, regs.rax), result) != 0) fail("cannot set an errno");
#else
  struct user_regs_struct registers {};
  struct iovec part {
    &registers, sizeof registers
  };
  if (::ptrace(PTRACE_GETREGSET, pid, NT_PRSTATUS, &part) != 0) fail("cannot set an errno");
  registers.regs[0] = static_cast<unsigned long long>(result);
  if (::ptrace(PTRACE_SETREGSET, pid, NT_PRSTATUS, &part) != 0) fail("cannot set an errno");
#endif
}

struct Fault {
  int process = -1;
  long call = -1;
  bool kill = false;
  int error = 0;
};

struct Process {
  int number = 0;
  long calls = 0;
  bool began = false;     ///< its first stop is behind it
  bool skipping = false;  ///< the call is being skipped
};

class Tracer {
 public:
  Tracer(std::FILE* log, const Fault& fault, bool lists) : log_(log), fault_(fault), lists_(lists) {}
  /// To the end of `first`; its wait status.
  int trace(pid_t first);
  bool injected() const { return injected_; }

 private:
  void handle(pid_t pid, int status);
  void at_call(pid_t pid, Process& process);
  void go_on(pid_t pid, int signal);

  std::FILE* log_;
  Fault fault_;
  bool lists_;
  bool injected_ = false;
  bool started_ = false;
  int executed_ = 0;
  int made_ = 0;
  std::map<pid_t, Process> processes_;
};

void Tracer::go_on(pid_t pid, int signal) {
  const bool every_call = lists_ || !injected_ || processes_[pid].skipping;
  // It may have been killed meanwhile (ESRCH).
  ::ptrace(every_call ? PTRACE_SYSCALL : PTRACE_CONT, pid, nullptr, static_cast<long>(signal));
}

void Tracer::at_call(pid_t pid, Process& process) {
  struct __ptrace_syscall_info info {};
  if (::ptrace(PTRACE_GET_SYSCALL_INFO, pid, sizeof info, &info) <= 0) return;
  if (info.op == PTRACE_SYSCALL_INFO_EXIT) {
    if (process.skipping) set_result(pid, -fault_.error);
    process.skipping = false;
  }
  // What comes before the command was executed is this program's own.
  if (info.op != PTRACE_SYSCALL_INFO_ENTRY || executed_ == 0) return;
  const long number = process.calls++;
  const bool here = !lists_ && !injected_ && process.number == fault_.process && number == fault_.call;
  if (!lists_ && !here) return;
  const Call& call = call_of(static_cast<long>(info.entry.nr));
  std::string errors;
  for (const int error : call.errors) errors += " " + std::to_string(error);
  const std::string name = call.number < 0 ? std::to_string(info.entry.nr) : call.name;
  std::fprintf(log_, "%d %ld %s %s%s\n", process.number, number, name.c_str(), started_ ? "after" : "before",
               errors.c_str());
  if (!here) return;
  injected_ = true;
  if (fault_.kill) {
    ::kill(pid, SIGKILL);
  } else {
    process.skipping = true;
    set_call(pid, -1);
  }
}

void Tracer::handle(pid_t pid, int status) {
  const bool known = processes_.count(pid) != 0;
  Process& process = processes_[pid];
  // The first stop of a new process may come before the one that tells of it, and is then its first sight.
  if (!known) process.number = -1;
  if (!process.began) {
    process.began = true;
    if (process.number < 0) process.number = ++made_;
    return go_on(pid, 0);
  }
  const int event = status >> 16;
  const int signal = WSTOPSIG(status);
  if (signal == (SIGTRAP | 0x80)) {
    at_call(pid, process);
    return go_on(pid, 0);
  }
  if (event == PTRACE_EVENT_FORK || event == PTRACE_EVENT_VFORK || event == PTRACE_EVENT_CLONE) {
    unsigned long child = 0;
    ::ptrace(PTRACE_GETEVENTMSG, pid, nullptr, &child);
    if (processes_.count(static_cast<pid_t>(child)) == 0) processes_[static_cast<pid_t>(child)].number = ++made_;
    return go_on(pid, 0);
  }
  if (event == PTRACE_EVENT_EXEC) {
    // The first one is the command's own.
    started_ = ++executed_ > 1;
    return go_on(pid, 0);
  }
  go_on(pid, event == 0 ? signal : 0);
}

int Tracer::trace(pid_t first) {
  processes_[first] = {0, 0, true, false};
  for (;;) {
    int status = 0;
    const pid_t pid = ::waitpid(-1, &status, __WALL);
    if (pid < 0 && errno == EINTR) continue;
    if (pid < 0) fail("lost the command");
    if (WIFSTOPPED(status)) {
      handle(pid, status);
    } else {
      processes_.erase(pid);
      if (pid == first) return status;
    }
  }
}

int number_of(const char* word) { return static_cast<int>(std::strtol(word, nullptr, 10)); }

int run(char** words) {
  const std::string what = words[1];
  const bool lists = what == "list";
  char** command = words + (lists ? 3 : 5);
  std::FILE* log = std::fopen(words[2], "we");
  if (log == nullptr) fail("cannot open the log");
  Fault fault;
  if (!lists)
    fault = {number_of(words[3]), number_of(words[4]), what == "kill", what == "kill" ? 0 : number_of(words[1])};

  const pid_t child = ::fork();
  if (child < 0) fail("cannot fork");
  if (child == 0) {
    ::raise(SIGSTOP);
    ::execvp(command[0], command);
    fail("cannot execute the command");
  }
  int status = 0;
  if (::waitpid(child, &status, WUNTRACED) != child || !WIFSTOPPED(status)) fail("the command does not begin");
  constexpr long kOptions =
      PTRACE_O_TRACESYSGOOD | PTRACE_O_TRACEFORK | PTRACE_O_TRACEVFORK | PTRACE_O_TRACECLONE | PTRACE_O_TRACEEXEC;
  // PTRACE_SEIZE: with PTRACE_ATTACH each new process would begin with a SIGSTOP, and stay stopped when this one ends.
  if (::ptrace(PTRACE_SEIZE, child, nullptr, kOptions) != 0 || ::kill(child, SIGCONT) != 0) fail("cannot trace");
  Tracer tracer(log, fault, lists);
  status = tracer.trace(child);
  std::fclose(log);
  if (!lists && !tracer.injected()) return 99;
  // What the command left goes on, for this process lets go of it when it ends.
  return WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
}

}  // namespace

int main(int argc, char** argv) {
  const bool lists = argc > 3 && std::strcmp(argv[1], "list") == 0;
  if (argc < (lists ? 4 : 6)) {
    std::fputs("usage: fault list LOG COMMAND... | fault kill|ERRNO LOG PROCESS CALL COMMAND...\n", stderr);
    return 98;
  }
  return run(argv);
}
