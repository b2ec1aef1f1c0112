#include <sys/auxv.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <string>
#include <vector>

#include "policy/error.h"
#include "policy/plan.h"
#include "policy/render.h"
#include "policy/run_facts.h"
#include "runner/caller.h"
#include "runner/options.h"
#include "runner/store.h"
#include "runner/supervise.h"
#include "runner/sys/process.h"
#include "runner/timing.h"

namespace {

/// Prints on standard output; a text that did not arrive is a failure.
int print(const std::string& text) {
  if (std::fputs(text.c_str(), stdout) >= 0 && std::fflush(stdout) == 0) return 0;
  const int error_number = errno;
  throw vrun::Error("cannot write standard output", "", error_number);
}

int run(int argc, char** argv) {
  using namespace vrun;
  // Set-user-ID or file capabilities would lend vrun rights that its caller does not have (getauxval(3), AT_SECURE).
  if (::getauxval(AT_SECURE) != 0) throw Error("vrun does not run with set-user-ID, set-group-ID or file capabilities");
  sys::fill_standard_descriptors();

  const Root root = Root::system();
  const Caller caller = read_caller(root, ::environ);
  const std::vector<std::string> arguments(argv + (argc > 0 ? 1 : 0), argv + argc);
  const Invocation invocation = parse_arguments(arguments, caller, current_directory(), root);
  if (invocation.mode == Mode::help) return print(help_text());
  if (invocation.mode == Mode::version) return print("vrun " VRUN_VERSION "\n");

  Timing timing(invocation.timing);
  const RunFacts facts = read_run_facts(root, invocation.policy, caller);
  if (!facts.index_text.empty()) store_file(facts.index_path, facts.index_text);
  timing.mark("looking at the environment and the machine");
  const Plan plan = plan_run(invocation.policy, facts, caller);
  timing.mark("planning");
  if (invocation.mode == Mode::explain) return print(render_plan(plan));
  for (const std::string& notice : plan.notices) std::fprintf(stderr, "vrun: note: %s\n", notice.c_str());
  const int status = supervise(plan, {argv, ::environ}, timing);
  std::fputs(timing.text().c_str(), stderr);
  return status;
}

}  // namespace

int main(int argc, char** argv) {
  try {
    return run(argc, argv);
  } catch (const std::exception& error) {
    std::fprintf(stderr, "vrun: %s\n", error.what());
    return 125;
  }
}
