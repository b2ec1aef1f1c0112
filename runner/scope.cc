#include "runner/scope.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>

#include "policy/error.h"
#include "policy/host/root.h"
#include "policy/process_environment.h"
#include "runner/caller.h"
#include "runner/self_test.h"

namespace vrun {
namespace {

/// What vrun says to itself: it is in the group that systemd made for it. Unlike "own" it goes on without.
constexpr const char* kScope = "scope";

bool wants_group(const Limits& limits) {
  constexpr LimitKind kKinds[] = {LimitKind::cpu_time, LimitKind::memory, LimitKind::swap, LimitKind::pids,
                                  LimitKind::cpus};
  return std::any_of(std::begin(kKinds), std::end(kKinds), [&](LimitKind kind) { return limits[kind].has_value(); });
}

bool holds_all(const Limits& limits, const Controllers& controllers) {
  return std::all_of(kLimits.begin(), kLimits.end(), [&](const LimitDescription& limit) {
    return !limits[limit.kind] || is_full(limit.kind, enforcement_of(limit.kind, controllers, false));
  });
}

/// systemd-run, when it and the manager that it would ask are there; empty otherwise.
std::string find_systemd_run(const Caller& caller) {
  const std::string runtime = find_variable(caller.variables, "XDG_RUNTIME_DIR");
  if (!caller.is_host_root && !runtime.starts_with('/')) return {};
  const std::string socket = (caller.is_host_root ? "/run" : runtime) + "/systemd/private";
  struct stat status {};
  if (::stat(socket.c_str(), &status) != 0 || !S_ISSOCK(status.st_mode)) return {};
  for (const std::string& directory : list_entries(find_variable(caller.variables, "PATH")))
    if (const std::string path = join(directory, "systemd-run");
        directory.starts_with('/') && ::access(path.c_str(), X_OK) == 0)
      return path;
  return {};
}

void start_anew(const std::string& systemd_run, const std::string& wanted, const Caller& caller,
                const std::vector<std::string>& arguments) {
  std::vector<std::string> words = scope_command(wanted, !caller.is_host_root, own_path(), arguments);
  std::vector<char*> argv;
  argv.reserve(words.size() + 1);
  for (std::string& word : words) argv.push_back(word.data());
  argv.push_back(nullptr);
  ::execv(systemd_run.c_str(), argv.data());
}

}  // namespace

void try_group(const Caller& caller) {
  if (!find_systemd_run(caller).empty()) return;
  Limits limits;
  limits[LimitKind::cpu_time] = limits[LimitKind::cpus] = 1000;
  limits[LimitKind::memory] = limits[LimitKind::swap] = std::uint64_t{1} << 30;
  limits[LimitKind::pids] = 1000;
  const std::optional<ControlGroup> group = find_group("own", limits, true, caller, {});
  if (!holds_all(limits, group->controllers()))
    throw Error("the control group in which vrun is has not every controller: memory, pids and cpu");
}

std::vector<std::string> scope_command(const std::string& wanted, bool for_user, const std::string& program,
                                       const std::vector<std::string>& arguments) {
  std::vector<std::string> words = {"systemd-run"};
  if (for_user) words.emplace_back("--user");
  for (const char* word : {"--scope", "--quiet", "--collect", "--property=Delegate=yes", "--"})
    words.emplace_back(word);
  words.push_back(program);
  words.push_back(std::string("--cgroup=") + kScope);
  // An option that is given twice is refused. The first one is vrun's own, for its options come before the command's.
  bool dropped = wanted.empty();
  for (std::size_t i = 0; i < arguments.size(); ++i) {
    if (!dropped && (arguments[i] == "--cgroup" || arguments[i].starts_with("--cgroup="))) {
      dropped = true;
      if (arguments[i] == "--cgroup") ++i;
      continue;
    }
    words.push_back(arguments[i]);
  }
  return words;
}

std::optional<ControlGroup> find_group(const std::string& wanted, const Limits& limits, bool account,
                                       const Caller& caller, const std::vector<std::string>& arguments) {
  if (wanted == "none" || (wanted.empty() && !account && !wants_group(limits))) return std::nullopt;
  // With SIGCHLD ignored, as some daemons leave it, no process could be waited for.
  ::signal(SIGCHLD, SIG_DFL);
  if (wanted.starts_with('/')) {
    try {
      Fd parent(::open(wanted.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
      if (!parent.valid()) throw Error("cannot open", "", errno);
      return ControlGroup::make(std::move(parent), limits);
    } catch (const Error& error) {
      throw Error("cannot use the control group " + quote(wanted) + ": " + error.what());
    }
  }
  if (wanted != "systemd") {
    try {
      const Fd self(::open("/proc/self", O_PATH | O_DIRECTORY | O_CLOEXEC));
      Fd own = open_own_group(self.get());
      if (!own.valid()) throw Error("this machine has no cgroup2 file system in view");
      ControlGroup group = ControlGroup::make(std::move(own), limits);
      if (!wanted.empty() || holds_all(limits, group.controllers()) || find_systemd_run(caller).empty()) return group;
    } catch (const Error& error) {
      if (wanted == "own") throw Error(std::string("cannot make a control group below vrun's own: ") + error.what());
    }
    if (wanted == kScope || !wants_group(limits)) return std::nullopt;
  }
  const std::string systemd_run = find_systemd_run(caller);
  if (!systemd_run.empty()) start_anew(systemd_run, wanted, caller, arguments);
  if (wanted == "systemd")
    throw Error("cannot have systemd make a control group: there is no systemd-run, or no manager that it could ask");
  return std::nullopt;
}

}  // namespace vrun
