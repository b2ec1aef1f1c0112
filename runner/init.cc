#include "runner/init.h"

#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <termios.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdlib>
#include <string>

#include "policy/error.h"
#include "policy/host/script.h"
#include "policy/landlock.h"
#include "policy/layers.h"
#include "policy/mount_check.h"
#include "runner/apply.h"
#include "runner/channel.h"
#include "runner/sys/landlock.h"
#include "runner/sys/mount.h"
#include "runner/sys/namespaces.h"
#include "runner/sys/privileges.h"
#include "runner/sys/process.h"
#include "runner/sys/terminal.h"

namespace vrun {
namespace {

/// What execve(2) needs, made before the fork: between fork and execve nothing is allocated.
class Program {
 public:
  explicit Program(const Plan& plan) : directory_(plan.working_directory), candidates_(program_candidates(plan)) {
    for (const std::string& word : plan.command) words_.push_back(word);
    for (const Variable& variable : plan.variables) {
      settings_.push_back(variable.name + "=" + variable.value);
      if (variable.name == "PATH") path_ = variable.value;
    }
    for (std::string& word : words_) argv_.push_back(word.data());
    argv_.push_back(nullptr);
    for (std::string& setting : settings_) environment_.push_back(setting.data());
    environment_.push_back(nullptr);
  }

  const std::string& name() const { return words_.front(); }
  /// The first file that execve(2) found but could not start for want of its interpreter, absolute; empty when there is
  /// none.
  std::string found() const {
    for (const std::string& candidate : candidates_)
      if (const std::string path = absolute_path(candidate, directory_); ::access(path.c_str(), X_OK) == 0) return path;
    return "";
  }
  const std::string& directory() const { return directory_; }
  const std::string& path() const { return path_; }

  /// Changes into the working directory; errno on failure.
  bool enter_directory() const { return ::chdir(directory_.c_str()) == 0; }

  /// Tries each candidate as execvp(3) does; returns the errno that says most.
  int execute() const {
    int answer = ENOENT;
    for (const std::string& candidate : candidates_) {
      ::execve(candidate.c_str(), argv_.data(), environment_.data());
      if (errno == EACCES) answer = EACCES;
      // The file is there, but its interpreter or loader is not: say so instead of looking further.
      if (errno == ENOENT && ::access(candidate.c_str(), X_OK) == 0) return ELIBACC;
      if (errno != EACCES && errno != ENOENT && errno != ENOTDIR) return errno;
      if (errno == ENOENT || errno == ENOTDIR) continue;
    }
    return answer;
  }

 private:
  std::string directory_;
  std::string path_;
  std::vector<std::string> candidates_;
  std::vector<std::string> words_;
  std::vector<std::string> settings_;
  std::vector<char*> argv_;
  std::vector<char*> environment_;
};

/// How a command that was forked but not executed says so: errno, and in which call.
enum class ExecCall { session, streams, signals, directory, limits, execute };
struct ExecFailure {
  int error_number = 0;
  ExecCall call = ExecCall::session;
};

/// A session of its own; with a terminal, a process group of its own in pid 1's session, for job control needs a parent
/// in the same session (setpgid(2)).
bool enter_session(const Streams& streams, int terminal) {
  if (terminal < 0) return !kept("session") || ::setsid() >= 0;
  if (::setpgid(0, 0) != 0) return false;
  const bool foreground = streams.kinds[0] == StreamKind::terminal && streams.kinds[1] == StreamKind::terminal;
  return !foreground || ::tcsetpgrp(terminal, ::getpid()) == 0;
}

/// The run's ends of 0, 1 and 2 in their places; nothing of the caller's may stay there.
bool place_streams(const Streams& streams, int terminal) {
  for (std::size_t i = 0; i < 3; ++i) {
    if (streams.kinds[i] == StreamKind::harmless) continue;
    if (streams.kinds[i] == StreamKind::terminal ? !kept("terminal") : !kept("pipes")) continue;
    const int fd = static_cast<int>(i);
    const int source = streams.kinds[i] == StreamKind::terminal ? terminal
                       : i == 2 && streams.error_is_output      ? 1
                                                                : streams.pipes[i].get();
    if (::dup2(source, fd) != fd) return false;
  }
  return true;
}

struct Start {
  const Program& program;
  const Streams& streams;
  const std::vector<ResourceLimit>& limits;
  int failures;
  int terminal;
};

int become_command(void* argument) {
  const Start& start = *static_cast<const Start*>(argument);
  ExecFailure failure;
  const auto try_all = [&] {
    failure.call = ExecCall::session;
    if (!enter_session(start.streams, start.terminal)) return errno;
    failure.call = ExecCall::streams;
    if (!place_streams(start.streams, start.terminal)) return errno;
    failure.call = ExecCall::signals;
    if (kept("default-signals") && !sys::reset_signals()) return errno;
    failure.call = ExecCall::directory;
    if (!start.program.enter_directory()) return errno;
    failure.call = ExecCall::limits;
    if (!sys::set_resource_limits(start.limits)) return errno;
    failure.call = ExecCall::execute;
    return start.program.execute();
  };
  failure.error_number = try_all();
  // If nobody reads it any more, the run is over anyway.
  const ssize_t written = ::write(start.failures, &failure, sizeof failure);
  ::_exit(written < 0 ? 125 : 127);
}

/// fork(2), and vfork(2) where the run has no terminal: a copy of the page tables costs as much as the program's own
/// start. With a terminal somebody may stop the process before it is the command, and pid 1 has to go on then.
pid_t start_command(Start start) {
  alignas(16) std::array<char, 65536> stack;
  const int sharing = start.terminal < 0 ? CLONE_VM | CLONE_VFORK : 0;
  return ::clone(become_command, stack.data() + stack.size(), sharing | SIGCHLD, &start);
}

Report describe(const ExecFailure& failure, const Program& program) {
  Report report{ReportKind::not_executed, {}, failure.error_number, 0, {}, {}};
  if (failure.call != ExecCall::execute) {
    report.kind = ReportKind::setup_failed;
    report.step = SetupStep::view;
  }
  if (failure.call == ExecCall::session) {
    report.text = Error("cannot give the command a session of its own", "", failure.error_number).what();
  } else if (failure.call == ExecCall::streams) {
    report.text = Error("cannot give the command its standard streams", "", failure.error_number).what();
  } else if (failure.call == ExecCall::signals) {
    report.text = Error("cannot give the command the default signals", "", failure.error_number).what();
  } else if (failure.call == ExecCall::limits) {
    report.text = Error("cannot set the command's limits", "", failure.error_number).what();
  } else if (failure.call == ExecCall::directory) {
    report.text = Error("cannot start in", program.directory(), failure.error_number)
                      .hint("only the project, the environment and what --ro or --rw name are shown")
                      .what();
  } else if (failure.error_number == ENOENT) {
    report.text = "cannot find the command " + quote(program.name());
    report.text += program.name().find('/') == std::string::npos ? " in the run's PATH (" + escape(program.path()) + ")"
                                                                 : std::string(" in the run's view");
  } else if (failure.error_number == ELIBACC) {
    const std::string found = program.found();
    const std::string interpreter =
        read_script_interpreter(Fd(::open(found.c_str(), O_RDONLY | O_NONBLOCK | O_CLOEXEC)));
    report.text = "cannot execute " + quote(program.name()) + ": ";
    if (interpreter.empty())
      report.text += "the loader that it names is not in the run's view";
    else if (::access(absolute_path(interpreter, program.directory()).c_str(), F_OK) == 0)
      report.text += "the loader of its interpreter " + quote(interpreter) + " is not in the run's view";
    else
      report.text += "its interpreter " + quote(interpreter) + " is not in the run's view";
  } else {
    report.text = Error("cannot execute", program.name(), failure.error_number).what();
  }
  return report;
}

/// What was built is read back: a mount that is missing, too many or less restricted than planned ends the run here.
void check_mounts(const std::vector<Step>& view) {
  constexpr std::size_t kMaximumSize = 16UL * 1024 * 1024;
  const std::string mounts = Root::system().read_file("/proc/self/mountinfo", kMaximumSize).value_or("");
  if (const auto difference = find_mount_difference(view, mounts))
    throw Error("the view is not the planned one: " + *difference);
}

class Init {
 public:
  Init(const Plan& plan, Fd orders, Fd reports, Streams streams, Timing& timing)
      : plan_(plan),
        timing_(timing),
        program_(plan),
        orders_(std::move(orders)),
        reports_(std::move(reports)),
        streams_(std::move(streams)) {}

  void set_up(PreparedSources sources, const std::vector<sock_filter>& filter, const Arguments& arguments);
  [[noreturn]] void run();
  [[noreturn]] void report(const Report& report) {
    send_report(reports_.get(), report);
    ::_exit(0);
  }
  SetupStep step() const { return step_; }

 private:
  void open_terminal();
  void enter_landlock() const;
  void hand_out_memory();
  void reap();
  void obey();
  [[noreturn]] void end_orphaned();

  const Plan& plan_;
  Timing& timing_;
  Program program_;
  Fd orders_;
  Fd reports_;
  Streams streams_;
  Fd terminal_;          ///< the run's, when it has one
  Fd callers_terminal_;  ///< kept to put its modes back when vrun is killed
  struct termios callers_modes_ {};
  Fd signals_;
  Fd failures_;
  pid_t command_ = -1;
  SetupStep step_ = SetupStep::identity;
};

void Init::set_up(PreparedSources sources, const std::vector<sock_filter>& filter, const Arguments& arguments) {
  // Until vrun has written the maps, this process is nobody. No order means that vrun died or gave up.
  if (!receive_order(orders_.get())) ::_exit(125);
  timing_.mark("giving it its user and group");
  if (plan_.identity.drop) sys::become(plan_.identity);
  // With a terminal, pid 1 outlives vrun by an instant to put its modes back; the end of the orders tells it to.
  if (kept("death-signal") && streams_.terminal < 0) sys::die_with_parent();
  if (kept("session") || streams_.terminal >= 0) ::setsid();

  const mode_t umask = ::umask(0);
  if (kept("uts-namespace") && ::sethostname(plan_.host_name.data(), plan_.host_name.size()) != 0)
    throw Error("cannot set the run's host name", "", errno);
  step_ = SetupStep::network;
  if (kept("network-namespace") && plan_.network == Network::none) sys::raise_loopback();
  timing_.mark("network and host name");
  step_ = SetupStep::limit;
  const bool nested = plan_.allows("userns");
  if (kept("namespace-limit") && !nested && !plan_.leaves_out("namespace-limit")) sys::forbid_user_namespaces();

  step_ = SetupStep::view;
  LinuxView view(std::move(sources));
  apply_view(plan_.view, view, [this](const Step& step) {
    step_ = std::holds_alternative<MountProc>(step) ? SetupStep::proc : SetupStep::view;
  });
  step_ = SetupStep::view;
  view.enter();
  timing_.mark("building the view");
  if (kept("read-back")) check_mounts(plan_.view);
  timing_.mark("reading the view back");
  ::umask(umask);
  if (plan_.hands_out_memory) hand_out_memory();
  if (streams_.terminal >= 0) open_terminal();

  enter_landlock();

  step_ = SetupStep::filter;
  if (kept("undumpable")) sys::set_undumpable();
  if (kept("forgotten-arguments")) sys::forget_arguments(arguments.argv, arguments.environment, "vrun-init");
  step_ = SetupStep::keyring;
  if (kept("session-keyring") && !plan_.leaves_out("session-keyring")) sys::join_new_session_keyring();
  step_ = SetupStep::filter;
  if (kept("core-limit")) sys::forbid_core_dumps();
  // Without no_new_privs only CAP_SYS_ADMIN may install a filter (seccomp(2)).
  if (kept("no-new-privs")) {
    sys::drop_capabilities();
    sys::set_no_new_privileges();
  }
  sigset_t watched;
  ::sigemptyset(&watched);
  ::sigaddset(&watched, SIGCHLD);
  ::sigaddset(&watched, SIGTTOU);  // blocked, so that pid 1 may set the terminal's foreground (tcsetpgrp(3))
  signals_ = sys::signal_descriptor(watched);
  std::vector<int> open = {orders_.get(), reports_.get(), signals_.get(), terminal_.get(), callers_terminal_.get()};
  for (const Fd& pipe : streams_.pipes) open.push_back(pipe.get());
  if (kept("descriptors")) sys::close_others(std::move(open));
  if (kept("seccomp") && !plan_.leaves_out("seccomp")) sys::install_filter(filter);
  if (!kept("no-new-privs")) sys::drop_capabilities();
  timing_.mark("giving up every right");
}

/// What is stored there counts as the run's memory, and may be results; both are vrun's to look after.
void Init::hand_out_memory() {
  for (const Step& step : plan_.view) {
    const MountMemory* memory = std::get_if<MountMemory>(&step);
    if (memory == nullptr || memory->path == "/") continue;
    Fd directory(::open(memory->path.c_str(), O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
    if (!directory.valid()) throw Error("cannot open", memory->path, errno);
    send_report(reports_.get(), {ReportKind::memory, {}, 0, 0, memory->path, std::move(directory)});
  }
}

/// After the last mount, which Landlock does not let be made, and with every path leading into the view.
void Init::enter_landlock() const {
  const Landlock& landlock = plan_.landlock;
  if (landlock.handled == 0 && landlock.scopes == 0) return;
  sys::Ruleset ruleset(landlock.handled, landlock.scopes);
  const Fd root(::open("/", O_PATH | O_DIRECTORY | O_CLOEXEC));
  for (const LandlockRule& rule : landlock.rules) {
    const Fd place = sys::open_beneath(root.get(), rule.path, 0);
    if (!place.valid() || !ruleset.allow(place.get(), rule.rights))
      throw Error("cannot give the run its rights to", rule.path, errno);
  }
  // The run may open these anew by the names /dev/stdin and the like, but their files are the host's. Where that is not
  // possible, it cannot.
  for (int fd = 0; fd <= 2 && landlock.handled != 0; ++fd)
    if (streams_.kinds[static_cast<std::size_t>(fd)] == StreamKind::harmless)
      ruleset.allow(fd, kLandlockFileRights & landlock.handled);
  // Message queues with names are files of a file system that is mounted nowhere. Where there are none, none need a
  // rule.
  if (const Fd queues = landlock.handled != 0 ? sys::new_mount("mqueue", {}, 0) : Fd(); queues.valid())
    ruleset.allow(queues.get(), (kLandlockReadFile | kLandlockWriteFile) & landlock.handled);
  ruleset.restrict_self();
}

void Init::open_terminal() {
  const bool translates = streams_.kinds[0] == StreamKind::terminal;
  callers_terminal_ = Fd(::fcntl(streams_.terminal, F_DUPFD_CLOEXEC, 3));
  if (!callers_terminal_.valid() || ::tcgetattr(callers_terminal_.get(), &callers_modes_) != 0)
    throw Error("cannot look at the terminal", "", errno);
  sys::Terminal terminal = sys::open_terminal(streams_.terminal, translates);
  sys::take_terminal(terminal.slave.get());
  send_report(reports_.get(), {ReportKind::terminal, {}, 0, 0, {}, std::move(terminal.master)});
  terminal_ = std::move(terminal.slave);
}

void Init::run() {
  sys::Pipe failures = sys::make_pipe();
  command_ = start_command({program_, streams_, plan_.resource_limits, failures.write.get(), terminal_.get()});
  if (command_ < 0) throw Error("cannot start the command", "", errno);
  timing_.mark("starting the command");
  if (terminal_.valid()) ::setpgid(command_, command_);  // whichever of the two is first; the other fails and may
  for (Fd& pipe : streams_.pipes) pipe.reset();
  failures.write.reset();
  failures_ = std::move(failures.read);

  // Pid 1 keeps nothing of the caller's open: a pipe's reader must see the end when the command ends it.
  for (int fd = 0; fd <= 2; ++fd) ::close(fd);

  for (;;) {
    std::array<struct pollfd, 2> events = {pollfd{signals_.get(), POLLIN, 0}, pollfd{orders_.get(), POLLIN, 0}};
    if (::poll(events.data(), events.size(), -1) < 0 && errno != EINTR) ::_exit(125);
    if (events[0].revents != 0) reap();
    if (events[1].revents != 0) obey();
  }
}

/// Reaps whatever has ended. When it is the command, the run is over: the kernel ends every process of a pid namespace
/// with its pid 1 (pid_namespaces(7)).
void Init::reap() {
  std::array<char, 1024> drained{};
  while (::read(signals_.get(), drained.data(), drained.size()) > 0) {
  }
  for (;;) {
    int status = 0;
    const pid_t child = ::waitpid(-1, &status, WNOHANG | WUNTRACED);
    if (child < 0 && errno == EINTR) continue;
    if (child <= 0) return;
    if (child != command_) continue;
    if (WIFSTOPPED(status)) {
      send_report(reports_.get(), {ReportKind::stopped, {}, 0, WSTOPSIG(status), {}, {}});
      continue;
    }
    // Either execve closed the pipe, or there is exactly one failure in it.
    ExecFailure failure;
    if (::read(failures_.get(), &failure, sizeof failure) == static_cast<ssize_t>(sizeof failure))
      report(describe(failure, program_));
    report({ReportKind::ended, {}, 0, status, {}, {}});
  }
}

void Init::obey() {
  const auto order = receive_order(orders_.get());
  if (!order) end_orphaned();
  if (order->foreground && terminal_.valid()) ::tcsetpgrp(terminal_.get(), command_);
  ::kill(order->group ? -command_ : command_, order->signal);
}

/// Vrun is gone, by whatever means: the run ends with this process.
void Init::end_orphaned() {
  if (callers_terminal_.valid()) ::tcsetattr(callers_terminal_.get(), TCSANOW, &callers_modes_);
  ::_exit(125);
}

}  // namespace

void run_init(const Plan& plan, PreparedSources sources, const std::vector<sock_filter>& filter, Fd orders, Fd reports,
              Streams streams, const Arguments& arguments, Timing& timing) {
  Init init(plan, std::move(orders), std::move(reports), std::move(streams), timing);
  try {
    init.set_up(std::move(sources), filter, arguments);
    init.run();
  } catch (const Error& error) {
    init.report({ReportKind::setup_failed, init.step(), error.error_number(), 0, error.what(), {}});
  } catch (const std::exception& error) {
    init.report({ReportKind::setup_failed, init.step(), 0, 0, error.what(), {}});
  }
}

}  // namespace vrun
