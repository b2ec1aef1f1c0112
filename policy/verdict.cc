#include "policy/verdict.h"

#include <cstdio>
#include <cstring>
#include <string_view>

#include "policy/error.h"

namespace vrun {
namespace {

std::string seconds(std::chrono::microseconds time) {
  char buffer[48];
  std::snprintf(buffer, sizeof buffer, "%lld.%06lld", static_cast<long long>(time.count() / 1'000'000),
                static_cast<long long>(time.count() % 1'000'000));
  return buffer;
}

}  // namespace

std::string signal_name(int number) {
  const char* const name = ::sigabbrev_np(number);
  return name == nullptr ? "signal " + std::to_string(number) : std::string("SIG") + name;
}

std::optional<std::string> killed_by(const RunVerdict& verdict) {
  if (verdict.limit) return describe(*verdict.limit).name;
  if (verdict.status == RunStatus::killed)
    return verdict.insisted ? "protected-name" : verdict.oom_killed ? "oom" : "outside";
  return std::nullopt;
}

const char* status_name(RunStatus status) {
  switch (status) {
    case RunStatus::ok:
      return "ok";
    case RunStatus::nonzero:
      return "nonzero";
    case RunStatus::signal:
      return "signal";
    case RunStatus::time:
      return "time";
    case RunStatus::wall:
      return "wall";
    case RunStatus::memory:
      return "memory";
    case RunStatus::output:
      return "output";
    case RunStatus::killed:
      return "killed";
    case RunStatus::not_executed:
      return "not-executed";
    case RunStatus::setup_error:
      break;
  }
  return "setup-error";
}

std::string verdict_meta(const RunVerdict& verdict) {
  std::string out;
  const auto add = [&](const char* key, const std::string& value) { out += std::string(key) + ":" + value + "\n"; };
  const auto milliseconds = [](std::chrono::microseconds time) {
    std::string text = seconds(time);
    text.resize(text.size() - 3);
    return text;
  };
  add("time", milliseconds(verdict.cpu));
  add("time-wall", milliseconds(verdict.wall));
  add("max-rss", std::to_string(verdict.rss_peak / 1024));
  add("csw-voluntary", std::to_string(verdict.switches_voluntary));
  add("csw-forced", std::to_string(verdict.switches_forced));
  if (verdict.memory_peak) add("cg-mem", std::to_string(*verdict.memory_peak / 1024));
  // Readers look for the key alone, whatever its value.
  if (verdict.limit == LimitKind::memory || verdict.oom_killed) add("cg-oom-killed", "1");
  if (verdict.exit_code) add("exitcode", std::to_string(*verdict.exit_code));
  if (verdict.signal) add("exitsig", std::to_string(*verdict.signal));
  if (killed_by(verdict)) add("killed", "1");
  const char* status = nullptr;
  std::string message = verdict.message;
  switch (verdict.status) {
    case RunStatus::ok:
      break;
    case RunStatus::nonzero:
      status = "RE";
      message = "Exited with error status " + std::to_string(verdict.exit_code.value_or(0));
      break;
    case RunStatus::signal:
      status = "SG";
      message = "Caught fatal signal " + std::to_string(verdict.signal.value_or(0));
      break;
    case RunStatus::memory:
    case RunStatus::output:
    case RunStatus::killed:
      status = "SG";
      break;
    case RunStatus::time:
      status = "TO";
      message = "Time limit exceeded";
      break;
    case RunStatus::wall:
      status = "TO";
      message = "Time limit exceeded (wall clock)";
      break;
    case RunStatus::not_executed:
    case RunStatus::setup_error:
      status = "XX";
      break;
  }
  if (status != nullptr) add("status", status);
  if (!message.empty()) add("message", escape(message));
  return out;
}

}  // namespace vrun
