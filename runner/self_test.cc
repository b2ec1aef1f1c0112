#include "runner/self_test.h"

#include <dirent.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <sched.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <charconv>
#include <cstdio>
#include <cstdlib>
#include <functional>
#include <memory>
#include <string_view>

#include "policy/error.h"
#include "policy/host/fd.h"
#include "policy/syscall_filter.h"

namespace vrun {
namespace {

constexpr std::array<const char*, 7> kNamespaces = {"user", "mnt", "pid", "net", "ipc", "uts", "cgroup"};
// Each with its lock, but for keeping capabilities, which is only locked (capabilities(7)).
constexpr int kAllSecurebits = 0xef;
constexpr const char* kPlantedVariable = "VRUN_SELF_TEST_PLANTED";
constexpr unsigned long kTiocsti = 0x5412;

/// What the run compares with, passed as arguments NAME=VALUE.
struct Outside {
  pid_t pid = 0;                        ///< of vrun
  std::vector<std::string> namespaces;  ///< as /proc/self/ns has them
  std::vector<std::string> hidden;      ///< directories of packages
  std::vector<std::string> allowed;
  std::string environment;  ///< empty when it may be changed
  bool shares_network = false;
  bool file_rules = false;  ///< Landlock's
  std::string format = "table";
  bool allows(std::string_view name) const { return std::find(allowed.begin(), allowed.end(), name) != allowed.end(); }
};

Outside parse(const std::vector<std::string>& arguments) {
  Outside outside;
  for (const std::string& argument : arguments) {
    const std::string name = argument.substr(0, argument.find('='));
    const std::string value = argument.substr(std::min(name.size() + 1, argument.size()));
    if (name == "pid") std::from_chars(value.data(), value.data() + value.size(), outside.pid);
    if (name == "namespace") outside.namespaces.push_back(value);
    if (name == "hidden") outside.hidden.push_back(value);
    if (name == "allowed") outside.allowed.push_back(value);
    if (name == "environment") outside.environment = value;
    if (name == "network") outside.shares_network = value == "host";
    if (name == "landlock") outside.file_rules = true;
    if (name == "format") outside.format = value;
  }
  return outside;
}

std::string link_text(const std::string& path) {
  std::array<char, 256> text{};
  const ssize_t size = ::readlink(path.c_str(), text.data(), text.size());
  return size < 0 ? "" : std::string(text.data(), static_cast<std::size_t>(size));
}

/// What `attempt` returns, from a process of its own: it may change or end the process.
std::string in_child(const std::function<std::string()>& attempt) {
  int ends[2];
  if (::pipe2(ends, O_CLOEXEC) != 0) throw Error("cannot make a pipe", "", errno);
  const pid_t child = ::fork();
  if (child < 0) throw Error("cannot fork", "", errno);
  if (child == 0) {
    const std::string answer = attempt();
    const ssize_t written = ::write(ends[1], answer.data(), answer.size());
    ::_exit(written < 0 ? 1 : 0);
  }
  ::close(ends[1]);
  std::array<char, 256> text{};
  const ssize_t size = ::read(ends[0], text.data(), text.size());
  ::close(ends[0]);
  int status = 0;
  ::waitpid(child, &status, 0);
  if (size > 0) return {text.data(), static_cast<std::size_t>(size)};
  return WIFSIGNALED(status) ? "signal " + std::to_string(WTERMSIG(status)) : "nothing";
}

std::string answer_of(long result) { return result < 0 ? errno_name(errno) : "OK"; }

/// Each call that has one answer, whatever its arguments, with arguments that no kernel acts on.
std::string refused_calls(const Outside& outside, std::size_t& count) {
  const bool x86 = native_architecture() == Architecture::x86_64;
  std::string wrong;
  for (const SyscallRule& rule : syscall_rules()) {
    const int number = x86 ? rule.x86_64 : rule.aarch64;
    const bool open = std::any_of(outside.allowed.begin(), outside.allowed.end(), [&](const std::string& name) {
      const Opening* opening = find_opening(name);
      return opening != nullptr &&
             std::find(opening->calls.begin(), opening->calls.end(), rule.name) != opening->calls.end();
    });
    // vhangup has no arguments, and hangs up.
    if (number < 0 || open || !rule.clauses.empty() || rule.name == "vhangup") continue;
    ++count;
    const std::string answer = in_child([&] { return answer_of(::syscall(number, -1L, -1L, -1L, -1L, -1L, -1L)); });
    if (answer != errno_name(rule.otherwise)) wrong += (wrong.empty() ? "" : " ") + std::string(rule.name);
  }
  return wrong.empty() ? "refused" : "not refused: " + wrong;
}

/// Without the resolution by openat2 that the outside uses: it does not exist inside.
std::string read_small(const char* path) {
  const Fd file(::open(path, O_RDONLY | O_CLOEXEC));
  std::array<char, 16384> text{};
  const ssize_t size = ::read(file.get(), text.data(), text.size());
  return size < 0 ? errno_name(errno) : std::string(text.data(), static_cast<std::size_t>(size));
}

std::string status_field(std::string_view name) {
  const std::string status = read_small("/proc/self/status");
  const std::size_t at = status.find("\n" + std::string(name) + ":\t");
  if (at == std::string::npos) return "missing";
  const std::size_t begin = at + name.size() + 3;
  return status.substr(begin, status.find('\n', begin) - begin);
}

std::string capabilities() {
  for (const char* set : {"CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb"})
    if (const std::string value = status_field(set); value != std::string(16, '0')) return set + (" " + value);
  return "none";
}

std::string connect_to(int family, int type) {
  const int opened = ::socket(family, type | SOCK_CLOEXEC, 0);
  if (opened < 0) return errno_name(errno);
  struct sockaddr_in address {};
  address.sin_family = AF_INET;
  address.sin_port = htons(9);
  address.sin_addr.s_addr = htonl(0xC0000201);  // 192.0.2.1 is nobody's (RFC 5737); a datagram socket sends nothing
  return answer_of(::connect(opened, reinterpret_cast<const struct sockaddr*>(&address), sizeof address));
}

std::string readable_directories(const std::vector<std::string>& directories) {
  std::size_t readable = 0;
  for (const std::string& path : directories) {
    const std::unique_ptr<DIR, int (*)(DIR*)> directory(::opendir(path.c_str()), ::closedir);
    std::size_t entries = 0;
    while (directory != nullptr && ::readdir(directory.get()) != nullptr) ++entries;
    readable += entries > 2 ? 1 : 0;  // "." and ".."
  }
  return readable == 0 ? "empty or absent" : std::to_string(readable) + " can be read";
}

std::string extra_descriptors() {
  const std::unique_ptr<DIR, int (*)(DIR*)> directory(::opendir("/proc/self/fd"), ::closedir);
  if (directory == nullptr) return errno_name(errno);
  const std::string own = std::to_string(::dirfd(directory.get()));
  std::size_t extra = 0;
  while (const struct dirent* entry = ::readdir(directory.get())) {
    const std::string_view fd = entry->d_name;
    extra += fd != "." && fd != ".." && fd != "0" && fd != "1" && fd != "2" && fd != own ? 1 : 0;
  }
  return extra == 0 ? "none" : std::to_string(extra);
}

struct Attempt {
  std::string layer;
  std::string tried;
  std::string wanted;
  std::string answer;
  bool stopped() const { return answer == wanted; }
};

std::vector<Attempt> try_all(const Outside& outside) {
  std::vector<Attempt> attempts;
  const auto add = [&](const char* layer, std::string tried, std::string wanted, std::string answer) {
    attempts.push_back({layer, std::move(tried), std::move(wanted), std::move(answer)});
  };
  const auto call = [&](const char* layer, const char* tried, int wanted, const std::function<long()>& attempt) {
    add(layer, tried, errno_name(wanted), in_child([&] { return answer_of(attempt()); }));
  };

  constexpr const char* kFilter = "system-call filter";
  std::size_t count = 0;
  std::string refused = refused_calls(outside, count);
  add(kFilter, std::to_string(count) + " system calls that it refuses", "refused", std::move(refused));
  add(kFilter, "its mode", "2", status_field("Seccomp"));
  if (!outside.allows("userns"))
    call(kFilter, "a process in a user namespace", EPERM, [] {
      const long child = ::syscall(SYS_clone, CLONE_NEWUSER | SIGCHLD, 0, 0, 0, 0);
      if (child == 0) ::_exit(0);
      return child;
    });
  call(kFilter, "typing into a terminal", EPERM, [] { return ::ioctl(0, kTiocsti, "x"); });
  for (const int family : {AF_PACKET, AF_VSOCK, AF_ALG})
    call(kFilter,
         family == AF_PACKET  ? "a packet socket"
         : family == AF_VSOCK ? "a socket to a hypervisor"
                              : "a socket to the kernel's cryptography",
         EAFNOSUPPORT, [family] { return ::socket(family, family == AF_ALG ? SOCK_SEQPACKET : SOCK_DGRAM, 0); });
  call(kFilter, "a raw socket", EPROTONOSUPPORT, [] { return ::socket(AF_INET, SOCK_RAW, IPPROTO_ICMP); });
  call(kFilter, "a set-user-ID file", EPERM, [] { return ::chmod("/nonexistent", 04755); });
  call(kFilter, "a core dump", EPERM, [] {
    const struct rlimit limit { RLIM_INFINITY, RLIM_INFINITY };
    return ::setrlimit(RLIMIT_CORE, &limit);
  });

  add("capabilities", "capabilities in any set", "none", capabilities());
  add("capabilities", "securebits that are not locked", "none",
      ::prctl(PR_GET_SECUREBITS, 0, 0, 0, 0) == kAllSecurebits ? "none" : "some");
  add("no_new_privs", "programs that give privileges", "1", status_field("NoNewPrivs"));
  add("user", "being root", "no", ::geteuid() == 0 ? "yes" : "no");
  if (!outside.allows("userns"))
    add("namespace limit", "user namespaces that may be made", "0\n", read_small("/proc/sys/user/max_user_namespaces"));
  for (std::size_t i = 0; i < std::min(kNamespaces.size(), outside.namespaces.size()); ++i) {
    if (outside.shares_network && kNamespaces[i] == std::string_view("net")) continue;
    const bool same = link_text(std::string("/proc/self/ns/") + kNamespaces[i]) == outside.namespaces[i];
    add("namespaces", std::string("the host's ") + kNamespaces[i] + " namespace", "no", same ? "yes" : "no");
  }
  call("namespaces", "a process of the host", ESRCH, [&] { return ::kill(outside.pid, 0); });
  if (!outside.shares_network)
    add("namespaces", "another machine", "ENETUNREACH", in_child([] { return connect_to(AF_INET, SOCK_DGRAM); }));
  for (const char* file : {"environ", "mem", "root"}) {
    std::string answer =
        in_child([&] { return answer_of(::open((std::string("/proc/1/") + file).c_str(), O_RDONLY)); });
    // A kernel that still has the directory of pid 1 says EPERM, one that looks it up anew ENOENT.
    if (answer == "EPERM" || answer == "ENOENT") answer = "closed";
    add("first process", std::string("its ") + file, "closed", std::move(answer));
  }
  add("session", "the session of the caller", "no", ::getsid(0) == 0 ? "yes" : "no");
  add("descriptors", "descriptors beside 0, 1 and 2", "none", extra_descriptors());
  add("variables", "a variable of the caller", "absent", std::getenv(kPlantedVariable) != nullptr ? "there" : "absent");
  for (const char* path : {"/etc/shadow", "/etc/ssh", "/boot", "/sys", "/dev/mem"})
    call("view", path, ENOENT, [&] {
      struct stat status {};
      return ::lstat(path, &status);
    });
  add("view", std::to_string(outside.hidden.size()) + " directories of packages", "empty or absent",
      readable_directories(outside.hidden));
  const auto make_file = [&](const char* tried, const std::string& directory) {
    call("read-only mounts", tried, EROFS,
         [&] { return ::open(directory.c_str(), O_TMPFILE | O_WRONLY | O_CLOEXEC, 0600); });
  };
  if (outside.file_rules)
    call("Landlock", "a device file", EACCES, [] { return ::mknod("/tmp/vrun-self-test", S_IFCHR | 0600, 0x103); });
  make_file("a file in /", "/");
  make_file("a file in /usr", "/usr");
  make_file("a file in /etc", "/etc");
  if (!outside.environment.empty()) make_file("a file in the environment", outside.environment);
  return attempts;
}

std::string without_newline(std::string text) {
  text.erase(std::remove(text.begin(), text.end(), '\n'), text.end());
  return text;
}

/// Nothing in the texts needs escaping: they are ours, numbers, and names of errors and calls.
std::string json(const std::vector<Attempt>& attempts, bool holds) {
  std::string out = "{\"schema\": \"vrun.self_test/1\", \"version\": \"" VRUN_VERSION "\", \"holds\": ";
  out += holds ? "true" : "false";
  out += ", \"attempts\": [";
  for (const Attempt& attempt : attempts) {
    out += &attempt == attempts.data() ? "\n" : ",\n";
    out += "  {\"layer\": \"" + attempt.layer + "\", \"tried\": \"" + attempt.tried + "\", \"wanted\": \"" +
           without_newline(attempt.wanted) + "\", \"answer\": \"" + without_newline(attempt.answer) +
           "\", \"stopped\": " + (attempt.stopped() ? "true" : "false") + "}";
  }
  return out + "\n]}\n";
}

std::string xml_text(std::string_view text) {
  std::string out;
  for (const char c : text) {
    if (c == '&')
      out += "&amp;";
    else if (c == '<')
      out += "&lt;";
    else if (c == '"')
      out += "&quot;";
    else
      out += c;
  }
  return out;
}

/// As the readers of JUnit's reports know them: an attempt that goes through is a failure.
std::string junit(const std::vector<Attempt>& attempts, std::size_t through) {
  std::string out = "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<testsuite name=\"vrun --self-test\" tests=\"" +
                    std::to_string(attempts.size()) + "\" failures=\"" + std::to_string(through) + "\" errors=\"0\">\n";
  for (const Attempt& attempt : attempts) {
    out += "  <testcase classname=\"vrun." + xml_text(attempt.layer) + "\" name=\"" + xml_text(attempt.tried) + "\"";
    if (attempt.stopped())
      out += "/>\n";
    else
      out += ">\n    <failure message=\"it answered " + xml_text(without_newline(attempt.answer)) + ", not " +
             xml_text(without_newline(attempt.wanted)) + "\"/>\n  </testcase>\n";
  }
  return out + "</testsuite>\n";
}

std::string table(const std::vector<Attempt>& attempts, std::size_t through) {
  std::string out;
  for (const Attempt& attempt : attempts) {
    std::array<char, 512> line{};
    std::snprintf(line.data(), line.size(), "%-8s %-19s %-38s %s\n", attempt.stopped() ? "stopped" : "THROUGH",
                  attempt.layer.c_str(), attempt.tried.c_str(), without_newline(attempt.answer).c_str());
    out += line.data();
  }
  out += std::to_string(attempts.size()) + " attempts, " +
         (through == 0 ? "all were stopped" : std::to_string(through) + " went through") + "\n";
  return out;
}

}  // namespace

void plant(Caller& caller) {
  caller.variables.push_back({kPlantedVariable, "1"});
  // Meant to be inherited: without O_CLOEXEC, and never closed.
  if (::open("/", O_PATH | O_DIRECTORY) < 0) throw Error("cannot open", "/", errno);
}

std::string own_path() {
  std::string path = link_text("/proc/self/exe");
  struct stat status {};
  if (path.empty() || ::lstat(path.c_str(), &status) != 0)
    throw Error("cannot find vrun's own program for the self-test", "/proc/self/exe", path.empty() ? errno : ENOENT);
  return path;
}

std::vector<std::string> self_test_command(const std::string& program, const Plan& plan, const char* format) {
  std::vector<std::string> words = {program, kAttemptsOption, "pid=" + std::to_string(::getpid())};
  words.push_back("format=" + std::string(format));
  for (const char* kind : kNamespaces) words.push_back("namespace=" + link_text(std::string("/proc/self/ns/") + kind));
  for (const std::string& name : plan.allowed) words.push_back("allowed=" + name);
  if (plan.landlock.handled != 0) words.emplace_back("landlock");
  if (plan.network == Network::host) words.emplace_back("network=host");
  for (const Step& step : plan.view) {
    const Bind* bind = std::get_if<Bind>(&step);
    if (bind != nullptr && bind->access == Access::read_only && bind->target == plan.environment)
      words.push_back("environment=" + plan.environment);
  }
  for (const std::string& path : plan.hidden_packages) {
    // One with something shown below it is covered by memory in which that has its place.
    const bool empty = std::none_of(plan.view.begin(), plan.view.end(), [&](const Step& step) {
      const MountMemory* memory = std::get_if<MountMemory>(&step);
      return memory != nullptr && memory->path == path;
    });
    if (empty) words.push_back("hidden=" + path);
  }
  return words;
}

int make_attempts(const std::vector<std::string>& arguments) {
  const Outside outside = parse(arguments);
  const std::vector<Attempt> attempts = try_all(outside);
  const auto through = static_cast<std::size_t>(
      std::count_if(attempts.begin(), attempts.end(), [](const Attempt& attempt) { return !attempt.stopped(); }));
  const std::string text = outside.format == "json"    ? json(attempts, through == 0)
                           : outside.format == "junit" ? junit(attempts, through)
                                                       : table(attempts, through);
  if (std::fputs(text.c_str(), stdout) < 0 || std::fflush(stdout) != 0)
    throw Error("cannot write standard output", "", errno);
  return through == 0 ? 0 : 1;
}

}  // namespace vrun
