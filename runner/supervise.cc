#include "runner/supervise.h"

#include <grp.h>
#include <poll.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <string>

#include "policy/error.h"
#include "policy/layers.h"
#include "policy/syscall_filter.h"
#include "runner/channel.h"
#include "runner/doctor.h"
#include "runner/guard.h"
#include "runner/relay.h"
#include "runner/sys/namespaces.h"
#include "runner/sys/privileges.h"
#include "runner/sys/process.h"
#include "runner/watch.h"

namespace vrun {
namespace {

/// Bytes of one fetched file, where --fsize says nothing.
constexpr std::uint64_t kMostFetched = 64UL * 1024 * 1024;
constexpr int kTimedOut = 124;
constexpr int kSetupFailed = 125;
constexpr int kCannotExecute = 126;
constexpr int kNotFound = 127;
constexpr int kSignalled = 128;
constexpr int kKilled = kSignalled + SIGKILL;

[[noreturn]] void fail(const std::string& text, SetupStep step, int error_number) {
  throw Error(text).hint(remedy(step, error_number, look_at_machine()));
}

/// The outer half of a running run: signals and bytes on their way in and out.
class Supervisor {
 public:
  Supervisor(pid_t init, const Limits& limits, Fd orders, Fd reports, Fd signals, Relay& relay, Watch& watch,
             Guard& guard, Fetcher* fetcher)
      : init_(init),
        limits_(limits),
        orders_(std::move(orders)),
        reports_(std::move(reports)),
        signals_(std::move(signals)),
        relay_(relay),
        watch_(watch),
        guard_(guard),
        fetcher_(fetcher) {}

  /// Without it pid 1 would wait for ever.
  void go() {
    if (!send_order(orders_.get(), {})) throw Error("cannot start the run", "", errno);
  }
  void give_up() { orders_.reset(); }
  /// Until the one report that says how the run ended; nothing when pid 1 went away without it.
  std::optional<Report> wait();

 private:
  int timeout() const;
  void take_signals();
  void forward(const signalfd_siginfo& signal);
  void stop(int signal);
  void end_beyond_limit();

  pid_t init_;
  const Limits& limits_;
  Fd orders_;
  Fd reports_;
  Fd signals_;
  Relay& relay_;
  Watch& watch_;
  Guard& guard_;
  Fetcher* fetcher_;
  std::vector<Fd> memory_;  ///< directories on the run's memory file systems, which last as long as these
  bool has_terminal_ = false;
  bool ended_ = false;  ///< by vrun
};

std::optional<Report> Supervisor::wait() {
  std::vector<struct pollfd> events;
  for (;;) {
    events = {pollfd{reports_.get(), POLLIN, 0}, pollfd{signals_.get(), POLLIN, 0}, pollfd{watch_.timer(), POLLIN, 0}};
    relay_.add_events(events);
    if (::poll(events.data(), events.size(), timeout()) < 0 && errno != EINTR)
      throw Error("cannot wait for the run", "", errno);
    if (events[1].revents != 0) take_signals();
    if (events[2].revents != 0) watch_.look();
    if (guard_.timeout() >= 0) guard_.look();
    relay_.handle(events, 3);
    end_beyond_limit();
    if (events[0].revents == 0) continue;
    std::optional<Report> report = receive_report(reports_.get());
    if (!report) return report;
    switch (report->kind) {
      case ReportKind::terminal:
        has_terminal_ = true;
        relay_.connect_terminal(std::move(report->descriptor));
        break;
      case ReportKind::memory:
        watch_.add_memory(report->descriptor.get());
        if (fetcher_ != nullptr) fetcher_->add_place(report->text, report->descriptor.get());
        memory_.push_back(std::move(report->descriptor));
        break;
      case ReportKind::stopped:
        // Without a terminal nobody need be there to let vrun go on, and a stopped vrun would keep no time.
        if (has_terminal_ || !limits_[LimitKind::wall]) stop(report->status);
        break;
      case ReportKind::setup_failed:
      case ReportKind::not_executed:
      case ReportKind::ended:
        return report;
    }
  }
}

/// Milliseconds until something is due without an event; -1: never.
int Supervisor::timeout() const {
  const int relay = relay_.timeout();
  const int guard = guard_.timeout();
  return relay < 0 ? guard : guard < 0 ? relay : std::min(relay, guard);
}

/// With its pid 1 every process of the run ends, whatever it does about signals, stopped or not.
void Supervisor::end_beyond_limit() {
  if (ended_ || (!watch_.fired() && !relay_.truncated() && guard_.insisted().empty())) return;
  ended_ = true;
  ::kill(init_, SIGKILL);
}

void Supervisor::take_signals() {
  signalfd_siginfo signal{};
  while (::read(signals_.get(), &signal, sizeof signal) == static_cast<ssize_t>(sizeof signal)) forward(signal);
}

void Supervisor::forward(const signalfd_siginfo& signal) {
  const int number = static_cast<int>(signal.ssi_signo);
  if (number == SIGIO) return guard_.look();
  // The caller's terminal signals a whole process group, and so does what is passed on then.
  const bool group = signal.ssi_code == SI_KERNEL;
  if (number == SIGWINCH && has_terminal_) return relay_.resize();
  if (number == SIGCONT) relay_.resume();
  send_order(orders_.get(), {number, group || (has_terminal_ && number == SIGCONT), number == SIGCONT});
  // Without a terminal of its own the run has no foreground to lose: the command is told, and vrun stops.
  if (number == SIGTSTP && !has_terminal_) stop(SIGTSTP);
}

/// The command was stopped, so vrun stops, for whoever started it to notice; both go on together.
void Supervisor::stop(int signal) {
  if ((signal == SIGTTIN || signal == SIGTTOU) && has_terminal_) {
    // It asks for a terminal that it was not given at first.
    relay_.want_input();
    send_order(orders_.get(), {SIGCONT, true, true});
    return;
  }
  relay_.suspend();
  if (has_terminal_) {
    // As the terminal would have done to the whole job. In an orphaned process group nothing stops (setpgid(2)).
    sigset_t stopping;
    ::sigemptyset(&stopping);
    ::sigaddset(&stopping, SIGTSTP);
    struct sigaction standard {};
    ::sigaction(SIGTSTP, &standard, nullptr);
    ::kill(0, SIGTSTP);
    ::sigprocmask(SIG_UNBLOCK, &stopping, nullptr);
    ::sigprocmask(SIG_BLOCK, &stopping, nullptr);
  } else {
    ::raise(SIGSTOP);
  }
  relay_.resume();
  send_order(orders_.get(), {SIGCONT, true, true});
}

/// Says on standard error, and in the verdict, what came of a run.
void tell(RunVerdict& verdict, const std::string& message) {
  verdict.message = message;
  std::fprintf(stderr, "vrun: %s\n", message.c_str());
}

RunStatus status_beyond(LimitKind limit) {
  if (limit == LimitKind::wall) return RunStatus::wall;
  if (limit == LimitKind::cpu_time) return RunStatus::time;
  return limit == LimitKind::memory ? RunStatus::memory : RunStatus::output;
}

/// The command, or the whole run, is over: by itself, by a limit, or because somebody killed its pid 1, whose wait
/// status is `status`. Returns vrun's exit status. `insisted` is the name that the run made again and again.
int conclude(const Planned& planned, const std::optional<Report>& report, int status, std::optional<LimitKind> beyond,
             const std::string& insisted, RunVerdict& verdict) {
  if (report && report->kind == ReportKind::not_executed) {
    verdict.status = RunStatus::not_executed;
    const bool missing = report->error_number == ENOENT;
    std::string message = report->text;
    if (missing) message += explain_missing_command(planned);
    if (report->error_number == ELIBACC) message += explain_missing_interpreter(planned);
    tell(verdict, message);
    return missing ? kNotFound : kCannotExecute;
  }
  if (report && WIFEXITED(report->status)) verdict.exit_code = WEXITSTATUS(report->status);
  if (report && WIFSIGNALED(report->status)) verdict.signal = WTERMSIG(report->status);
  if (beyond) {
    const LimitDescription& limit = describe(*beyond);
    verdict.status = status_beyond(*beyond);
    verdict.limit = beyond;
    tell(verdict, "the run was ended: it went beyond --" + std::string(limit.name) + " " +
                      limit_text(limit, *planned.plan.limits[*beyond]));
    return *beyond == LimitKind::wall || *beyond == LimitKind::cpu_time ? kTimedOut : kKilled;
  }
  if (!report && !insisted.empty()) {
    verdict.status = RunStatus::killed;
    verdict.insisted = true;
    tell(verdict, "the run was ended: it made " + quote(insisted) +
                      " again and again, which tools on this machine may trust or execute");
    return kKilled;
  }
  if (!report) {
    verdict.status = RunStatus::killed;
    tell(verdict, "the run's first process was ended from outside");
    return WIFSIGNALED(status) ? kSignalled + WTERMSIG(status) : kSetupFailed;
  }
  if (verdict.signal) {
    verdict.status = RunStatus::signal;
    return kSignalled + *verdict.signal;
  }
  verdict.status = *verdict.exit_code == 0 ? RunStatus::ok : RunStatus::nonzero;
  return *verdict.exit_code;
}

std::chrono::microseconds duration(const struct timeval& time) {
  return std::chrono::seconds(time.tv_sec) + std::chrono::microseconds(time.tv_usec);
}

/// Refuses limits that are not held in full, when that was asked for.
void check_limits(const Plan& plan, const Controllers& controllers) {
  if (!plan.require_limits) return;
  for (const LimitDescription& limit : kLimits) {
    if (!plan.limits[limit.kind]) continue;
    const Enforcement enforcement = enforcement_of(limit.kind, controllers, true);
    if (is_full(limit.kind, enforcement)) continue;
    throw Error("cannot hold --" + std::string(limit.name) +
                " as --require-limits wants: there is no control group for it")
        .hint("start vrun in one of its own, as systemd-run --user --scope -p Delegate=yes makes");
  }
}

void tell_about_limits(const Limits& limits, const Controllers& controllers, bool measurable) {
  for (const LimitDescription& limit : kLimits)
    if (limits[limit.kind] && enforcement_of(limit.kind, controllers, measurable) == Enforcement::none)
      std::fprintf(stderr, "vrun: note: nothing holds --%s here: there is no control group for it\n", limit.name);
}

}  // namespace

int supervise(const Planned& planned, const Arguments& arguments, const Counting& counting, Timing& timing,
              RunVerdict& verdict) {
  const Plan& plan = planned.plan;
  // With SIGCHLD ignored, as some daemons leave it, the kernel would reap the children itself and tell nobody.
  ::signal(SIGCHLD, SIG_DFL);
  const Controllers controllers = counting.group == nullptr ? Controllers{} : counting.group->controllers();
  verdict.controllers = controllers;
  check_limits(plan, controllers);
  PreparedSources sources;
  if (plan.identity.drop) {
    // The caller's groups must not follow into the run, nor open anything for it.
    if (kept("supplementary-groups") && ::setgroups(0, nullptr) != 0)
      throw Error("cannot drop the supplementary groups", "", errno);
    SetupStep step = SetupStep::view;
    try {
      sources = prepare_sources(plan, step);
    } catch (const Error& error) {
      fail(error.what(), step, error.error_number());
    }
  }
  if (plan.network == Network::host && plan.landlock.scopes == 0 && !plan.leaves_out("landlock"))
    std::fprintf(stderr,
                 "vrun: note: with --net=host this kernel lets the run connect to abstract Unix sockets of the host; "
                 "Linux 6.12 does not\n");
  timing.mark("opening what is shown");
  const std::vector<sock_filter> filter = compile_filter(native_architecture(), plan.allowed);
  timing.mark("compiling the system-call filter");

  sigset_t awaited = sys::forwarded_signals();
  if (!plan.guarded.empty()) ::sigaddset(&awaited, SIGIO);
  Fd signals = sys::signal_descriptor(awaited);
  sys::Pipe orders = sys::make_pipe();
  ReportChannel reports = make_report_channel();
  Relay relay(plan.identity);
  if (const auto& most = plan.limits[LimitKind::output_max]) relay.limit_output(*most);
  Watch watch(plan.limits, counting.account, counting.group);
  Guard guard(plan.guarded);

  const pid_t init =
      sys::clone_into_namespaces(plan.network, counting.group == nullptr ? -1 : counting.group->directory());
  if (init < 0) {
    const int error_number = errno;
    fail(Error("cannot make namespaces for the run: clone3", "", error_number).what(), SetupStep::namespaces,
         error_number);
  }
  if (init == 0) {
    timing.mark("making namespaces");
    orders.write.reset();
    reports.vrun.reset();
    run_init(plan, std::move(sources), filter, std::move(orders.read), std::move(reports.init),
             std::move(relay.streams()), arguments, timing);
  }
  orders.read.reset();
  reports.init.reset();
  relay.close_run_ends();
  sources.clear();
  sys::set_undumpable();

  Supervisor supervisor(init, plan.limits, std::move(orders.write), std::move(reports.vrun), std::move(signals), relay,
                        watch, guard, counting.fetcher);
  const auto give_up = [&] {
    supervisor.give_up();
    ::waitpid(init, nullptr, 0);
  };
  try {
    sys::write_id_maps(init, plan.identity);
    if (kept("oom-score")) sys::raise_oom_score(init);
  } catch (const Error& error) {
    give_up();
    fail(error.what(), SetupStep::identity, error.error_number());
  }
  try {
    guard.begin(planned.root);
  } catch (const Error&) {
    give_up();
    throw;
  }
  watch.begin(init);
  verdict.measurable = watch.measurable();
  tell_about_limits(plan.limits, controllers, watch.measurable());
  supervisor.go();
  const std::optional<Report> report = supervisor.wait();
  timing.mark("the command");
  // Once pid 1 is reaped, every process of the run has ended.
  int status = 0;
  struct rusage usage {};
  while (::wait4(init, &status, 0, &usage) < 0 && errno == EINTR) {
  }
  verdict.user = duration(usage.ru_utime);
  verdict.system = duration(usage.ru_stime);
  if (const auto account = watch.end(verdict.user + verdict.system)) {
    verdict.user = account->user;
    verdict.system = account->system;
    verdict.oom_killed = account->oom_killed > 0;
    verdict.pids_reached = account->pids_refused > 0;
  }
  relay.finish();
  timing.mark("the end of everything in the run");
  if (report && report->kind == ReportKind::setup_failed)
    fail(report->text + (report->error_number == ENOENT ? explain_missing_directory(planned) : ""), report->step,
         report->error_number);
  verdict.cpu = watch.cpu();
  verdict.wall = watch.wall();
  verdict.memory_peak = watch.memory_peak();
  verdict.tasks_peak = watch.tasks_peak();
  verdict.rss_peak = static_cast<std::uint64_t>(usage.ru_maxrss) * 1024;
  verdict.switches_voluntary = static_cast<std::uint64_t>(usage.ru_nvcsw);
  verdict.switches_forced = static_cast<std::uint64_t>(usage.ru_nivcsw);
  verdict.output_bytes = relay.passed_on(1);
  verdict.error_bytes = relay.passed_on(2);
  verdict.truncated = relay.truncated();
  guard.finish();
  for (const std::string& note : guard.notes()) std::fprintf(stderr, "vrun: note: %s\n", note.c_str());
  const std::optional<LimitKind> beyond = relay.truncated() && !watch.fired() ? LimitKind::output_max : watch.fired();
  const int ending = conclude(planned, report, status, beyond, guard.insisted(), verdict);
  if (verdict.status == RunStatus::nonzero)
    for (const std::string& note : explain_failure(planned, ending))
      std::fprintf(stderr, "vrun: note: %s\n", note.c_str());
  timing.mark("looking at what was left");
  if (counting.fetcher != nullptr) {
    verdict.results = counting.fetcher->fetch(plan.limits[LimitKind::fsize].value_or(kMostFetched));
    for (const Fetched& file : verdict.results)
      if (!file.refused.empty())
        std::fprintf(stderr, "vrun: note: did not fetch %s: %s\n", quote(file.path).c_str(), file.refused.c_str());
  }
  // A run that went well has not when its output is lost, or when something of its making is left for others to trust.
  std::vector<std::string> failures = guard.failures();
  if (auto lost = relay.lost_output()) failures.push_back(std::move(*lost));
  for (const std::string& failure : failures) tell(verdict, failure);
  return !failures.empty() && ending == 0 ? kSetupFailed : ending;
}

}  // namespace vrun
