#include "runner/group.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <string_view>
#include <utility>

#include "policy/error.h"
#include "policy/mount_check.h"
#include "runner/sys/files.h"
#include "runner/sys/privileges.h"
#include "runner/sys/process.h"

namespace vrun {
namespace {

constexpr const char* kAside = "vrun-itself";

/// False with errno set.
bool write_file(int directory, const char* name, const std::string& text) {
  const Fd file(::openat(directory, name, O_WRONLY | O_CLOEXEC | O_NOFOLLOW));
  return file.valid() && ::write(file.get(), text.data(), text.size()) == static_cast<ssize_t>(text.size());
}

bool has(int directory, const char* name) { return ::faccessat(directory, name, F_OK, 0) == 0; }

std::optional<std::uint64_t> number(std::string_view text) {
  std::uint64_t value = 0;
  if (std::from_chars(text.data(), text.data() + text.size(), value).ec != std::errc()) return std::nullopt;
  return value;
}

/// The number behind `key` in a file of lines "key number".
std::uint64_t value_of(std::string_view text, std::string_view key) {
  while (!text.empty()) {
    const std::string_view line = text.substr(0, text.find('\n'));
    text.remove_prefix(std::min(line.size() + 1, text.size()));
    if (line.size() > key.size() && line.starts_with(key) && line[key.size()] == ' ')
      return number(line.substr(key.size() + 1)).value_or(0);
  }
  return 0;
}

std::vector<std::string> words_of(std::string_view text) {
  std::vector<std::string> words;
  while (!text.empty()) {
    const std::string_view word = text.substr(0, text.find_first_of(" \n"));
    text.remove_prefix(std::min(word.size() + 1, text.size()));
    if (!word.empty()) words.emplace_back(word);
  }
  return words;
}

bool has_word(std::string_view text, const std::string& word) {
  const std::vector<std::string> words = words_of(text);
  return std::find(words.begin(), words.end(), word) != words.end();
}

std::vector<std::string> wanted_controllers(const Limits& limits) {
  std::vector<std::string> names;
  if (limits[LimitKind::memory] || limits[LimitKind::swap]) names.emplace_back("memory");
  if (limits[LimitKind::pids]) names.emplace_back("pids");
  if (limits[LimitKind::cpus]) names.emplace_back("cpu");
  return names;
}

/// Undoes ControlGroup::move_aside, this process included.
void move_back(int parent, const std::vector<std::string>& enabled) {
  for (const std::string& name : enabled) write_file(parent, "cgroup.subtree_control", "-" + name);
  const Fd aside(::openat(parent, kAside, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
  if (!aside.valid()) return;
  for (const std::string& pid : words_of(sys::read_at(aside.get(), "cgroup.procs")))
    write_file(parent, "cgroup.procs", pid);
  ::unlinkat(parent, kAside, AT_REMOVEDIR);
}

/// Kills what is in the group and removes it.
void remove_group(int parent, const char* name) {
  const Fd group(::openat(parent, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
  if (!group.valid()) return;
  write_file(group.get(), "cgroup.kill", "1");
  const Fd events(::openat(group.get(), "cgroup.events", O_RDONLY | O_CLOEXEC));
  // A group is busy until the last process in it is gone, of which its events tell.
  for (int tries = 0; ::unlinkat(parent, name, AT_REMOVEDIR) != 0 && errno == EBUSY && tries < 1000; ++tries) {
    struct pollfd event {
      events.get(), POLLPRI, 0
    };
    char text[64];
    if (::pread(events.get(), text, sizeof text, 0) < 0) return;
    ::poll(&event, 1, 10);
  }
}

}  // namespace

Controllers set_group_limits(int group, const Limits& limits) {
  Controllers controllers;
  controllers.group = true;
  controllers.memory = has(group, "memory.max");
  controllers.swap = has(group, "memory.swap.max");
  controllers.pids = has(group, "pids.max");
  controllers.cpu = has(group, "cpu.max");
  const auto set = [&](const char* name, const std::string& value, const char* option) {
    if (write_file(group, name, value)) return;
    const int error_number = errno;
    throw Error("cannot hold --" + std::string(option) + ": cannot write to the run's control group", name,
                error_number);
  };
  if (const auto& memory = limits[LimitKind::memory]; memory && controllers.memory) {
    set("memory.max", std::to_string(*memory), "memory");
    // Otherwise some of the run's processes would be killed, and the others go on with whatever that leaves.
    set("memory.oom.group", "1", "memory");
  }
  // Without a limit of its own, memory that is swapped out would be free.
  if ((limits[LimitKind::memory] || limits[LimitKind::swap]) && controllers.swap)
    set("memory.swap.max", std::to_string(limits[LimitKind::swap].value_or(0)), "swap");
  // Pid 1 is one more.
  if (const auto& pids = limits[LimitKind::pids]; pids && controllers.pids)
    set("pids.max", std::to_string(*pids + 1), "pids");
  if (const auto& cpus = limits[LimitKind::cpus]; cpus && controllers.cpu)
    set("cpu.max", std::to_string(*cpus * 100) + " 100000", "cpus");
  return controllers;
}

GroupAccount read_group_account(int group) {
  GroupAccount account;
  const std::string cpu = sys::read_at(group, "cpu.stat");
  account.cpu = std::chrono::microseconds(value_of(cpu, "usage_usec"));
  account.user = std::chrono::microseconds(value_of(cpu, "user_usec"));
  account.system = std::chrono::microseconds(value_of(cpu, "system_usec"));
  account.memory_peak = number(sys::read_at(group, has(group, "memory.peak") ? "memory.peak" : "memory.current"));
  account.tasks_peak = number(sys::read_at(group, has(group, "pids.peak") ? "pids.peak" : "pids.current"));
  if (account.tasks_peak && *account.tasks_peak > 0) --*account.tasks_peak;  // pid 1
  const std::string memory = sys::read_at(group, "memory.events");
  account.limit_kills = value_of(memory, "oom");
  account.oom_killed = value_of(memory, "oom_kill");
  account.pids_refused = value_of(sys::read_at(group, "pids.events"), "max");
  return account;
}

Fd open_own_group(int self) {
  // "0::/path", relative to the root of the cgroup namespace; the mount may begin further down, and then shows less.
  const std::string groups = sys::read_at(self, "cgroup");
  const std::size_t at = groups.starts_with("0::") ? 0 : groups.find("\n0::");
  if (at == std::string::npos) return {};
  const std::size_t begin = groups.find('/', at);
  std::string path = groups.substr(begin, groups.find('\n', begin) - begin);
  for (const Mount& mount : parse_mounts(sys::read_at(self, "mountinfo"))) {
    if (mount.type != "cgroup2") continue;
    std::string_view below = path;
    if (mount.root != "/") {
      if (!below.starts_with(mount.root)) continue;
      below.remove_prefix(mount.root.size());
    }
    Fd directory(::open((mount.path + std::string(below)).c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    if (directory.valid() && has(directory.get(), "cgroup.procs")) return directory;
  }
  return {};
}

ControlGroup ControlGroup::make(Fd parent, const Limits& limits) {
  ControlGroup group;
  group.parent_ = std::move(parent);
  const int at = group.parent_.get();
  if (!has(at, "cgroup.procs")) throw Error("it is no directory of a cgroup2 file system");
  // The root of all groups is the machine's, and what is turned on there is turned on for everybody.
  const bool is_root = !has(at, "cgroup.events");
  const std::string available = sys::read_at(at, "cgroup.controllers");
  const std::string enabled = sys::read_at(at, "cgroup.subtree_control");
  std::vector<std::string> missing;
  for (const std::string& name : wanted_controllers(limits))
    if (!is_root && !has_word(enabled, name) && has_word(available, name)) missing.push_back(name);
  group.name_ = sys::random_name("vrun-");
  // Before anything is made that would stay when vrun is killed.
  group.start_remover(missing);
  // Controllers are for groups without processes (cgroups(7), "no internal processes"): some cannot be turned on beside
  // one, and with the others no group below could have processes.
  if (!missing.empty() && (sys::read_at(at, "cgroup.procs").empty() || group.move_aside()))
    for (const std::string& name : missing) write_file(at, "cgroup.subtree_control", "+" + name);
  if (::mkdirat(at, group.name_.c_str(), 0755) != 0) throw Error("cannot make a control group", "", errno);
  group.directory_ = Fd(::openat(at, group.name_.c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
  if (!group.directory_.valid()) throw Error("cannot open a control group that was just made", "", errno);
  // As somebody else may have left it, for a group with processes and controllers.
  if (sys::read_at(group.directory_.get(), "cgroup.type").starts_with("domain invalid"))
    throw Error("groups below it cannot have processes, for it has some itself, and controllers");
  group.controllers_ = set_group_limits(group.directory_.get(), limits);
  return group;
}

/// A group for vrun alone, as systemd-run makes one, has two processes: vrun and its remover.
bool ControlGroup::move_aside() {
  std::vector<std::string> ours = {std::to_string(::getpid()), std::to_string(remover_)};
  std::vector<std::string> there = words_of(sys::read_at(parent_.get(), "cgroup.procs"));
  std::sort(ours.begin(), ours.end());
  std::sort(there.begin(), there.end());
  if (there != ours) return false;
  // From here on there is something to undo.
  if (::write(life_.get(), "", 1) != 1) return false;
  if (::mkdirat(parent_.get(), kAside, 0755) != 0 && errno != EEXIST) return false;
  const std::string processes = std::string(kAside) + "/cgroup.procs";
  return std::all_of(ours.begin(), ours.end(),
                     [&](const std::string& pid) { return write_file(parent_.get(), processes.c_str(), pid); });
}

void ControlGroup::start_remover(const std::vector<std::string>& missing) {
  sys::Pipe life = sys::make_pipe();
  remover_ = ::fork();
  if (remover_ < 0) throw Error("cannot start a process", "", errno);
  if (remover_ > 0) {
    life_ = std::move(life.write);
    return;
  }
  life.write.reset();
  // Out of reach of the terminal and of signals for vrun's process group; nothing of vrun's stays open.
  ::setsid();
  sigset_t all;
  ::sigfillset(&all);
  ::sigprocmask(SIG_BLOCK, &all, nullptr);
  for (int fd = 0; fd <= 2; ++fd) ::close(fd);
  try {
    sys::set_undumpable();
    sys::close_others({parent_.get(), life.read.get()});
  } catch (const Error&) {
    // It waits all the same; what it holds open it holds only until vrun ends.
  }
  bool moved = false;
  char byte = 0;
  for (ssize_t count; (count = ::read(life.read.get(), &byte, 1)) != 0 && (count > 0 || errno == EINTR);)
    moved = moved || count > 0;
  remove_group(parent_.get(), name_.c_str());
  if (moved) move_back(parent_.get(), missing);
  ::_exit(0);
}

ControlGroup::ControlGroup(ControlGroup&& other) noexcept
    : parent_(std::move(other.parent_)),
      directory_(std::move(other.directory_)),
      name_(std::move(other.name_)),
      controllers_(other.controllers_),
      life_(std::move(other.life_)),
      remover_(std::exchange(other.remover_, -1)) {}

ControlGroup::~ControlGroup() {
  life_.reset();
  while (remover_ > 0 && ::waitpid(remover_, nullptr, 0) < 0 && errno == EINTR) {
  }
}

}  // namespace vrun
