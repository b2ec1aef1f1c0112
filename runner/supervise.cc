#include "runner/supervise.h"

#include <grp.h>
#include <poll.h>
#include <signal.h>
#include <sys/signalfd.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <charconv>
#include <cstdio>
#include <string>

#include "policy/error.h"
#include "policy/syscall_filter.h"
#include "runner/channel.h"
#include "runner/sys/namespaces.h"
#include "runner/sys/privileges.h"
#include "runner/sys/process.h"

namespace vrun {
namespace {

constexpr int kSetupFailed = 125;
constexpr int kCannotExecute = 126;
constexpr int kNotFound = 127;
constexpr int kSignalled = 128;

std::optional<long> read_number(const Root& root, const char* path) {
  try {
    const auto text = root.read_file(path, 4096);
    long value = 0;
    if (text && std::from_chars(text->data(), text->data() + text->size(), value).ec == std::errc()) return value;
  } catch (const Error&) {
    // Only an explanation would come from it.
  }
  return std::nullopt;
}

/// Looked at only after a failure, to explain it.
MachineHints look_at_machine() {
  MachineHints machine;
  const Root root = Root::system();
  machine.max_user_namespaces = read_number(root, "/proc/sys/user/max_user_namespaces");
  machine.unprivileged_userns_clone = read_number(root, "/proc/sys/kernel/unprivileged_userns_clone");
  machine.apparmor_restrict_userns = read_number(root, "/proc/sys/kernel/apparmor_restrict_unprivileged_userns");
  try {
    const std::string status = root.read_file("/proc/self/status", 16384).value_or("");
    machine.seccomp_outside = status.find("\nSeccomp:\t2") != std::string::npos;
  } catch (const Error&) {
    machine.seccomp_outside = false;
  }
  struct stat here {};
  struct stat outermost {};
  machine.in_chroot = ::stat("/", &here) == 0 && ::stat("/proc/1/root", &outermost) == 0 &&
                      (here.st_ino != outermost.st_ino || here.st_dev != outermost.st_dev);
  return machine;
}

[[noreturn]] void fail(const std::string& text, SetupStep step, int error_number) {
  throw Error(text).hint(remedy(step, error_number, look_at_machine()));
}

/// Passes a signal on. What the terminal sends goes to a whole process group, and so does what is passed on then.
void forward(const signalfd_siginfo& signal, const Fd& orders) {
  const int number = static_cast<int>(signal.ssi_signo);
  send_order(orders.get(), {number, signal.ssi_code == SI_KERNEL});
  if (number != SIGTSTP) return;
  // The shell that started vrun waits for vrun itself to stop.
  ::raise(SIGSTOP);
  send_order(orders.get(), {SIGCONT, true});
}

int exit_status(const Report& report) {
  if (report.kind == ReportKind::not_executed) {
    std::fprintf(stderr, "vrun: %s\n", report.text.c_str());
    return report.error_number == ENOENT ? kNotFound : kCannotExecute;
  }
  if (WIFSIGNALED(report.status)) return kSignalled + WTERMSIG(report.status);
  return WEXITSTATUS(report.status);
}

/// Waits for the one report, passing signals on meanwhile.
std::optional<Report> wait_for_report(const Fd& reports, const Fd& signals, const Fd& orders) {
  for (;;) {
    std::array<struct pollfd, 2> events = {pollfd{reports.get(), POLLIN, 0}, pollfd{signals.get(), POLLIN, 0}};
    if (::poll(events.data(), events.size(), -1) < 0 && errno != EINTR) throw Error("cannot wait for the run", "", errno);
    if (events[1].revents != 0) {
      signalfd_siginfo signal{};
      while (::read(signals.get(), &signal, sizeof signal) == static_cast<ssize_t>(sizeof signal)) forward(signal, orders);
    }
    if (events[0].revents != 0) return receive_report(reports.get());
  }
}

}  // namespace

int supervise(const Plan& plan, const Arguments& arguments) {
  PreparedSources sources;
  if (plan.identity.drop) {
    try {
      sources = prepare_sources(plan);
    } catch (const Error& error) {
      fail(error.what(), SetupStep::owner_map, error.error_number());
    }
    // The caller's groups must not follow into the run; a group left here would.
    if (::setgroups(0, nullptr) != 0) throw Error("cannot drop the supplementary groups", "", errno);
  }
  const std::vector<sock_filter> filter = compile_filter(native_architecture());

  // A write to an init that is gone must not end vrun before it has told how the run ended.
  ::signal(SIGPIPE, SIG_IGN);
  const Fd signals = sys::signal_descriptor(sys::forwarded_signals());
  sys::Pipe orders = sys::make_pipe();
  sys::Pipe reports = sys::make_pipe();
  std::fflush(stderr);

  const pid_t init = sys::clone_into_namespaces(plan.network);
  if (init < 0) {
    const int error_number = errno;
    fail(Error("cannot make namespaces for the run: clone3", "", error_number).what(), SetupStep::namespaces, error_number);
  }
  if (init == 0) {
    orders.write.reset();
    reports.read.reset();
    run_init(plan, std::move(sources), filter, std::move(orders.read), std::move(reports.write), arguments);
  }
  orders.read.reset();
  reports.write.reset();
  sources.clear();
  sys::set_undumpable();

  try {
    sys::write_id_maps(init, plan.identity);
  } catch (const Error& error) {
    orders.write.reset();
    ::waitpid(init, nullptr, 0);
    fail(error.what(), SetupStep::identity, error.error_number());
  }
  send_order(orders.write.get(), {});

  const std::optional<Report> report = wait_for_report(reports.read, signals, orders.write);
  // Once pid 1 is reaped, every process of the run has ended.
  int status = 0;
  while (::waitpid(init, &status, 0) < 0 && errno == EINTR) {
  }
  if (!report) {
    std::fprintf(stderr, "vrun: the run's first process was ended from outside\n");
    return WIFSIGNALED(status) ? kSignalled + WTERMSIG(status) : kSetupFailed;
  }
  if (report->kind == ReportKind::setup_failed) fail(report->text, report->step, report->error_number);
  return exit_status(*report);
}

}  // namespace vrun
