/// Asks the kernel one thing and prints its answer in words: the integration tests run it inside and outside of vrun.
///
///   probe syscall NR [ARG...]   one system call by number, in a child: "OK", "EPERM", ..., "SIGSYS" when it was killed
///   probe syscalls              the same for each line "NR [ARG...]" of standard input
///   probe int80 | x32           a call through another ABI
///   probe fds                   the open descriptors, in one line
///   probe descriptors           what descriptors 0, 1 and 2 are: "null", "pipe", "file", "terminal", "closed", ...
///   probe state FILE            into FILE, what the kernel says about this process: its privileges, mounts, ...
///   probe signals               prints "ready", then the name of each signal that arrives, until SIGUSR2 ends it with
///   probe argv0 PATH [ARG...]   executes PATH with exactly these words as argv; without any, argv is empty
///   probe kill-self NUMBER      ends by that signal
///   probe exit NUMBER           ends with that status
///   probe deny ERRNO NR[,NR...] COMMAND...   executes it under a filter that answers so to these system calls
///   probe attack PID NAME...    tries each of these attacks of tests/attacks/attacks.cc, those on another process on
///                               PID: "NAME ANSWER" a line
///
/// An argument of a system call is a number in C's notation, "@TEXT" for a pointer to TEXT, or "buffer" for a pointer
/// to 64 KiB of zeros.
#include <fcntl.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <iostream>
#include <iterator>
#include <sstream>
#include <string>
#include <string_view>
#include <vector>

#include "attacks/attacks.h"
#include "probes/answer.h"

namespace {

using Words = std::vector<std::string>;

int call(long number, const std::array<long, 6>& a) {
  errno = 0;
  const long result = ::syscall(number, a[0], a[1], a[2], a[3], a[4], a[5]);
  // A call that makes a process returns twice.
  if (result == 0 && (number == SYS_clone || number == SYS_clone3)) ::_exit(0);
  return result == -1 ? errno : 0;
}

std::string ask_syscall(const Words& words) {
  static std::array<char, 65536> buffer;
  const auto number = static_cast<long>(std::strtoull(words.at(0).c_str(), nullptr, 0));
  std::array<long, 6> arguments{};
  for (std::size_t i = 1; i < words.size() && i <= arguments.size(); ++i) {
    const std::string& word = words[i];
    if (word == "buffer")
      arguments[i - 1] = reinterpret_cast<long>(buffer.data());
    else if (word.front() == '@')
      arguments[i - 1] = reinterpret_cast<long>(word.c_str() + 1);
    else if (word.front() == '-')
      arguments[i - 1] = std::strtol(word.c_str(), nullptr, 0);
    else
      arguments[i - 1] = static_cast<long>(std::strtoull(word.c_str(), nullptr, 0));
  }
  return in_child([&] { return call(number, arguments); });
}

int ask_syscalls() {
  for (std::string line; std::getline(std::cin, line);) {
    std::istringstream stream(line);
    Words words;
    for (std::string word; stream >> word;) words.push_back(word);
    // Not endl's flush: a child must not inherit, and print again, what is still in the buffer.
    std::cout << ask_syscall(words) << std::endl;
  }
  return 0;
}

std::string ask_int80() {
#if defined(__x86_64__)
  return in_child([] {
    long result = 0;
    // i386's getpid
    __asm__ volatile("int $0x80" : "=a"(result) : "a"(20) : "memory", "r8", "r9", "r10", "r11");
    return result > 0 ? 0 : static_cast<int>(-result);
  });
#else
  return "not here";
#endif
}

std::string ask_x32() {
  constexpr long kX32Getpid = 0x40000000 | 39;
  return in_child([] { return call(kX32Getpid, {}); });
}

int print_fds() {
  struct rlimit limit {};
  ::getrlimit(RLIMIT_NOFILE, &limit);
  // A descriptor may be above a limit that was lowered after it was opened.
  const auto end = static_cast<int>(limit.rlim_max > 1048576 ? 1048576 : limit.rlim_max);
  std::string text;
  for (int fd = 0; fd < end; ++fd)
    if (::fcntl(fd, F_GETFD) >= 0) text += std::to_string(fd) + " ";
  std::cout << text << std::endl;
  return 0;
}

std::string kind_of(int fd) {
  struct stat status {};
  if (::fstat(fd, &status) != 0) return "closed";
  if (::isatty(fd) != 0) return "terminal";
  if (S_ISCHR(status.st_mode)) return status.st_rdev == ::makedev(1, 3) ? "null" : "device";
  if (S_ISFIFO(status.st_mode)) return "pipe";
  if (S_ISSOCK(status.st_mode)) return "socket";
  return S_ISDIR(status.st_mode) ? "directory" : "file";
}

/// To the file `path` when given, for standard output may be what is asked about.
int print_descriptors(const char* path) {
  const std::string text = kind_of(0) + " " + kind_of(1) + " " + kind_of(2) + "\n";
  const int out = path == nullptr ? 1 : ::open(path, O_CREAT | O_WRONLY | O_TRUNC, 0644);
  return ::write(out, text.data(), text.size()) == static_cast<ssize_t>(text.size()) ? 0 : 1;
}

std::string text_of(const std::string& path) {
  std::ifstream file(path);
  return std::string(std::istreambuf_iterator<char>(file), {});
}

/// Everything that layers of a run show of themselves to the process inside, without what differs from run to run.
int write_state(const std::string& path) {
  std::ofstream out(path, std::ios::app);
  std::istringstream status(text_of("/proc/self/status"));
  for (std::string line; std::getline(status, line);)
    for (const char* key : {"Uid:", "Gid:", "Groups:", "Cap", "NoNewPrivs:", "Seccomp", "SigBlk:", "SigIgn:", "NSpid:"})
      if (line.rfind(key, 0) == 0) out << line << "\n";
  out << "securebits " << ::prctl(PR_GET_SECUREBITS) << "\nmask " << std::oct << ::umask(0) << std::dec << "\n";
  out << "session " << (::getsid(0) == ::getpid()) << "\ndescriptors";
  for (int fd = 0; fd < 64; ++fd)
    if (std::array<char, 256> target{};
        ::readlink(("/proc/self/fd/" + std::to_string(fd)).c_str(), target.data(), 255) > 0)
      out << " " << fd;
  out << "\n";
  for (const char* name : {"uid_map", "gid_map", "setgroups", "limits", "cgroup"})
    out << name << "\n" << text_of(std::string("/proc/self/") + name);
  for (const char* name : {"cgroup", "ipc", "mnt", "net", "pid", "user", "uts"}) {
    std::array<char, 256> target{};
    if (::readlink((std::string("/proc/self/ns/") + name).c_str(), target.data(), target.size() - 1) > 0)
      out << "namespace " << target.data() << "\n";
  }
  // Landlock's rules answer before everything else does.
  const int made = ::mknod("/tmp/vrun-probe-whiteout", S_IFCHR | 0600, 0x103);
  out << "a device " << (made == 0 ? "OK" : std::to_string(errno)) << "\n";
  if (made == 0) ::unlink("/tmp/vrun-probe-whiteout");
  out << "user namespaces " << text_of("/proc/sys/user/max_user_namespaces");
  out << "network " << text_of("/proc/self/net/dev") << "host name " << text_of("/proc/sys/kernel/hostname");
  // mount(8): ids, and the numbers of memory's devices, differ each time.
  std::istringstream mounts(text_of("/proc/self/mountinfo"));
  for (std::string line; std::getline(mounts, line);) {
    std::istringstream fields(line);
    std::string field;
    for (int i = 0; std::getline(fields, field, ' '); ++i)
      if (i > 2) out << field << " ";
    out << "\n";
  }
  out << "end" << std::endl;
  return out ? 0 : 1;
}

void print_signal(int number) {
  const int saved = errno;
  for (const auto& [value, name] : kSignals) {
    if (value != number) continue;
    if (::write(1, name, std::strlen(name)) < 0 || ::write(1, "\n", 1) < 0) ::_exit(9);
  }
  if (number == SIGUSR2) ::_exit(7);
  errno = saved;
}

int print_signals() {
  struct sigaction action {};
  action.sa_handler = print_signal;
  for (const int number : {SIGTERM, SIGINT, SIGHUP, SIGQUIT, SIGUSR1, SIGUSR2, SIGCONT})
    ::sigaction(number, &action, nullptr);
  std::cout << "ready" << std::endl;
  for (;;) ::pause();
}

int execute(char** words) {
  char* path = *words++;
  std::array<char*, 1> environment = {nullptr};
  ::execve(path, words, environment.data());
  std::cerr << "probe: cannot execute " << path << ": " << name_of(kErrors, errno) << std::endl;
  return 99;
}

int number_of(const std::string& word) { return static_cast<int>(std::strtol(word.c_str(), nullptr, 10)); }

int deny(char** words) {
  std::vector<sock_filter> filter = {BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(seccomp_data, nr))};
  const auto error = static_cast<std::uint32_t>(number_of(words[0]));
  std::istringstream calls(words[1]);
  for (std::string call; std::getline(calls, call, ',');) {
    filter.push_back(BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, static_cast<std::uint32_t>(number_of(call)), 0, 1));
    filter.push_back(BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | error));
  }
  filter.push_back(BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW));
  const sock_fprog program{static_cast<unsigned short>(filter.size()), filter.data()};
  if (::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0 || ::prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) != 0)
    return 97;
  ::execvp(words[2], words + 2);
  return 99;
}

int run(int argc, char** argv) {
  const std::string_view what = argc > 1 ? argv[1] : "";
  const Words rest(argv + (argc > 2 ? 2 : argc), argv + argc);
  if (what == "syscalls") return ask_syscalls();
  if (what == "fds") return print_fds();
  if (what == "descriptors") return print_descriptors(argc > 2 ? argv[2] : nullptr);
  if (what == "signals") return print_signals();
  if (what == "int80" || what == "x32") {
    std::cout << (what == "x32" ? ask_x32() : ask_int80()) << std::endl;
    return 0;
  }
  if (rest.empty()) return 98;
  if (what == "syscall") {
    std::cout << ask_syscall(rest) << std::endl;
    return 0;
  }
  if (what == "attack") return try_attacks(rest);
  if (what == "argv0") return execute(argv + 2);
  if (what == "state") return write_state(rest[0]);
  if (what == "exit") return number_of(rest[0]);
  if (what == "deny" && rest.size() > 2) return deny(argv + 2);
  if (what == "kill-self") {
    ::kill(::getpid(), number_of(rest[0]));
    ::pause();
  }
  return 98;
}

}  // namespace

int main(int argc, char** argv) { return run(argc, argv); }
