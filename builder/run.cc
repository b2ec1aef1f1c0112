#include "builder/run.h"

#include <cerrno>
#include <csignal>
#include <cstdio>
#include <new>
#include <utility>
#include <variant>

#include "builder/build.h"
#include "builder/discovery.h"
#include "builder/doctor.h"
#include "builder/inspect.h"
#include "builder/json.h"
#include "builder/options.h"
#include "builder/repair.h"
#include "builder/surroundings.h"
#include "policy/error.h"
#include "policy/host/root.h"

namespace vrun::builder {
namespace {

/// Prints what a program or a person asked for.
void print(const std::string& text) {
  if (std::fputs(text.c_str(), stdout) < 0 || std::fflush(stdout) != 0)
    throw Error("cannot write to standard output", "", errno);
}

int carry_out(const BuildRequest& request) {
  BuildReport report;
  try {
    build(request, report);
  } catch (const Error& error) {
    report.error = error.what();
    if (request.json) print(to_json(report));
    throw;
  }
  if (request.json) print(to_json(report));
  return 0;
}

int carry_out(const InspectRequest& request) {
  const std::string here = working_directory();
  const Inspection inspection =
      inspect(Root::system(), absolute_path(request.directory, here), wheel_sources("", here));
  print(request.json ? to_json(inspection) : to_text(inspection));
  return inspection.problem.empty() ? 0 : 1;
}

int carry_out(const DoctorRequest& request) {
  const Root root = Root::system();
  const SearchContext context{.working_directory = working_directory(), .variable = variable};
  const std::string path = absolute_path(request.directory, context.working_directory);
  Diagnosis diagnosis = diagnose(root, path);
  if (request.fix && diagnosis.sick()) {
    try {
      std::vector<std::string> mended = repair(root, context, path);
      if (!mended.empty()) diagnosis = diagnose(root, path);
      diagnosis.mended = std::move(mended);
    } catch (const Error&) {
      // What was found is worth knowing all the same.
      print(request.json ? to_json(diagnosis) : to_text(diagnosis));
      throw;
    }
  }
  print(request.json ? to_json(diagnosis) : to_text(diagnosis));
  return diagnosis.sick() ? 1 : 0;
}

int complain(const char* reason) {
  std::fprintf(stderr, "vbuild: %s\n", reason);
  return 1;
}

}  // namespace

int run(const std::vector<std::string>& arguments) {
  const auto parsed = parse_options(arguments);
  if (const auto* const usage = std::get_if<UsageError>(&parsed)) {
    std::fprintf(stderr, "%svbuild: %s\n", kUsage, usage->reason.c_str());
    return 2;
  }
  if (const auto* const information = std::get_if<Information>(&parsed)) {
    std::fputs(information->text.c_str(), stdout);
    return std::fflush(stdout) == 0 ? 0 : complain("cannot write to standard output");
  }
  // A file beyond RLIMIT_FSIZE is to be an error with a message, not the end.
  std::signal(SIGXFSZ, SIG_IGN);
  try {
    if (const auto* const inspection = std::get_if<InspectRequest>(&parsed)) return carry_out(*inspection);
    if (const auto* const doctor = std::get_if<DoctorRequest>(&parsed)) return carry_out(*doctor);
    return carry_out(std::get<BuildRequest>(parsed));
  } catch (const Error& error) {
    return complain(error.what());
  } catch (const std::bad_alloc&) {
    return complain("out of memory");
  }
}

}  // namespace vrun::builder
