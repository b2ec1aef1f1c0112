#include <signal.h>
#include <sys/auxv.h>
#include <sys/utsname.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "policy/error.h"
#include "policy/explanation.h"
#include "policy/layers.h"
#include "policy/plan.h"
#include "policy/policy_sources.h"
#include "policy/render.h"
#include "policy/run_facts.h"
#include "policy/unseen.h"
#include "runner/caller.h"
#include "runner/doctor.h"
#include "runner/json.h"
#include "runner/options.h"
#include "runner/redirect.h"
#include "runner/report.h"
#include "runner/scope.h"
#include "runner/self_test.h"
#include "runner/store.h"
#include "runner/supervise.h"
#include "runner/sys/landlock.h"
#include "runner/sys/process.h"
#include "runner/timing.h"

namespace {

constexpr int kSetupFailed = 125;

/// What the caller wants a write to a pipe that nobody reads to do.
sighandler_t callers_sigpipe = SIG_DFL;

/// Prints on standard output; a text that did not arrive is a failure.
int print(const std::string& text) {
  // Whoever prints through head(1) expects the usual end.
  ::signal(SIGPIPE, callers_sigpipe);
  if (std::fputs(text.c_str(), stdout) >= 0 && std::fflush(stdout) == 0) return 0;
  const int error_number = errno;
  throw vrun::Error("cannot write standard output", "", error_number);
}

std::string version_text() {
  std::string text = "vrun " VRUN_VERSION;
  if (!vrun::kLeftOut.empty()) text += ", a test build without the layer " + vrun::quote(vrun::kLeftOut);
  return text + "\n";
}

/// What of a verdict is known before the run.
void describe(const vrun::Plan& plan, vrun::RunVerdict& verdict) {
  verdict.limits = plan.limits;
  verdict.environment = plan.environment;
  verdict.python = plan.python_version;
  verdict.command = plan.command;
  struct utsname machine {};
  if (::uname(&machine) == 0) verdict.kernel = machine.release;
}

int run(int argc, char** argv, vrun::VerdictFiles& report) {
  using namespace vrun;
  // Set-user-ID or file capabilities would lend vrun rights that its caller does not have (getauxval(3), AT_SECURE).
  if (kept("set-user-id-refusal") && ::getauxval(AT_SECURE) != 0)
    throw Error("vrun does not run with set-user-ID, set-group-ID or file capabilities");
  if (kept("closed-streams")) sys::fill_standard_descriptors();

  const std::vector<std::string> arguments(argv + (argc > 0 ? 1 : 0), argv + argc);
  if (!arguments.empty() && arguments.front() == kAttemptsOption)
    return make_attempts({arguments.begin() + 1, arguments.end()});

  const Root root = Root::system();
  Caller caller = read_caller(root, ::environ);
  Invocation invocation = parse_arguments(arguments, caller, current_directory(), root, report.names);
  if (invocation.mode == Mode::help) return print(help_text());
  if (invocation.mode == Mode::version) return print(version_text());
  if (invocation.mode == Mode::profiles) return print(profiles_text(read_trusted_files(root, caller).profiles));
  if (invocation.mode == Mode::doctor) {
    const Diagnosis diagnosis = diagnose(try_layers(caller), look_at_machine());
    print(invocation.json ? to_json(diagnosis) : render_diagnosis(diagnosis));
    return diagnosis.state() == LayerState::whole ? 0 : 1;
  }

  report.open(invocation.streams);
  Timing timing(invocation.timing);
  std::string program;
  if (invocation.mode == Mode::self_test) {
    program = own_path();
    invocation.policy.shares.push_back({program, Access::read_only});
    plant(caller);
  }
  RunFacts facts = read_run_facts(root, invocation.policy, caller);
  facts.landlock_abi = sys::landlock_abi();
  if (!facts.index_text.empty()) store_file(facts.index_path, facts.index_text);
  timing.mark("looking at the environment and the machine");
  Plan plan = plan_run(invocation.policy, facts, caller);
  if (invocation.mode == Mode::self_test)
    plan.command = self_test_command(program, plan, invocation.json ? "json" : invocation.junit ? "junit" : "table");
  timing.mark("planning");
  if (invocation.mode == Mode::explain) {
    const Explanation explanation =
        explain(invocation.settings, std::move(invocation.notices), invocation.policy, std::move(plan));
    return print(invocation.json      ? to_json(explanation)
                 : invocation.verbose ? render_explanation(explanation)
                                      : render_page(explanation));
  }
  if (invocation.mode == Mode::why) {
    const Verdict verdict = answer(invocation.question, root, invocation.policy, facts, caller, plan);
    print(invocation.json ? to_json(verdict) : render_verdict(verdict));
    return verdict.reachable ? 0 : 1;
  }
  const bool account = report.names.wanted();
  if (account) {
    describe(plan, report.verdict);
    report.verdict.reductions = find_reductions(invocation.policy, plan);
  }
  std::optional<Fetcher> fetcher;
  if (!invocation.fetches.empty()) fetcher.emplace(plan, invocation.fetches);
  plan.hands_out_memory = account || fetcher || plan.limits[LimitKind::memory];
  const std::optional<ControlGroup> group = find_group(invocation.cgroup, plan.limits, account, caller, arguments);
  if (group) plan.resource_limits = plan_resource_limits(plan.limits, group->controllers());
  for (const std::string& notice : invocation.notices) std::fprintf(stderr, "vrun: note: %s\n", notice.c_str());
  for (const std::string& notice : plan.notices) std::fprintf(stderr, "vrun: note: %s\n", notice.c_str());
  redirect_streams(invocation.streams);
  const Counting counting{group ? &*group : nullptr, account, fetcher ? &*fetcher : nullptr};
  const int status =
      supervise({root, invocation.policy, facts, caller, plan}, {argv, ::environ}, counting, timing, report.verdict);
  std::fputs(timing.text().c_str(), stderr);
  return status;
}

}  // namespace

int main(int argc, char** argv) {
  // A report, a note or a message that cannot be written must not end vrun, nor take the place of its exit status.
  callers_sigpipe = ::signal(SIGPIPE, SIG_IGN);
  ::signal(SIGXFSZ, SIG_IGN);
  vrun::VerdictFiles report;
  int status = kSetupFailed;
  try {
    status = run(argc, argv, report);
  } catch (const std::exception& error) {
    std::fprintf(stderr, "vrun: %s\n", error.what());
    report.verdict.status = vrun::RunStatus::setup_error;
    report.verdict.message = error.what();
  }
  report.verdict.vrun_status = status;
  try {
    report.write();
  } catch (const std::exception& error) {
    std::fprintf(stderr, "vrun: %s\n", error.what());
    return kSetupFailed;
  }
  return status;
}
