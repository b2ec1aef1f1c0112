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

std::string signal_name(int number) {
  const char* const name = ::sigabbrev_np(number);
  return name == nullptr ? "signal " + std::to_string(number) : std::string("SIG") + name;
}

const char* boolean(bool value) { return value ? "true" : "false"; }

template <typename Number>
std::string number_or_null(const std::optional<Number>& number) {
  return number ? std::to_string(*number) : "null";
}

/// A list of values that are JSON already, or an object when they have names in front.
class Collection {
 public:
  void add(const std::string& value) { text_ += (text_.empty() ? "" : ", ") + value; }
  void add(std::string_view name, const std::string& value) { add(json_quote(name) + ": " + value); }
  std::string list() const { return "[" + text_ + "]"; }
  std::string object() const { return "{" + text_ + "}"; }

 private:
  std::string text_;
};

/// Who ended it, when it was ended.
std::optional<std::string> killed_by(const RunVerdict& verdict) {
  if (verdict.limit) return describe(*verdict.limit).name;
  if (verdict.status == RunStatus::killed) return verdict.oom_killed ? "oom" : "outside";
  return std::nullopt;
}

}  // namespace

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

std::string verdict_json(const RunVerdict& verdict) {
  const auto killer = killed_by(verdict);
  std::string out;
  const auto add = [&](const char* name, const std::string& value) {
    out += std::string(out.empty() ? "{\n  " : ",\n  ") + json_quote(name) + ": " + value;
  };
  add("schema", json_quote("vrun.verdict/1"));
  add("version", json_quote(VRUN_VERSION));
  add("status", json_quote(status_name(verdict.status)));
  add("limit", verdict.limit ? json_quote(describe(*verdict.limit).name) : "null");
  add("exit_code", number_or_null(verdict.exit_code));
  add("signal", number_or_null(verdict.signal));
  add("signal_name", verdict.signal ? json_quote(signal_name(*verdict.signal)) : "null");
  add("killed", boolean(killer.has_value()));
  add("killed_by", killer ? json_quote(*killer) : "null");
  add("oom_killed", boolean(verdict.oom_killed));
  add("vrun_status", std::to_string(verdict.vrun_status));
  add("message", json_quote(verdict.message));
  add("wall_s", seconds(verdict.wall));
  add("cpu_s", seconds(verdict.cpu));
  add("user_s", seconds(verdict.user));
  add("sys_s", seconds(verdict.system));
  add("mem_peak_bytes", number_or_null(verdict.memory_peak));
  add("rss_peak_bytes", std::to_string(verdict.rss_peak));
  add("procs_peak", number_or_null(verdict.tasks_peak));
  add("ctx_voluntary", std::to_string(verdict.switches_voluntary));
  add("ctx_forced", std::to_string(verdict.switches_forced));
  add("stdout_bytes", number_or_null(verdict.output_bytes));
  add("stderr_bytes", number_or_null(verdict.error_bytes));
  add("truncated", boolean(verdict.truncated));
  add("counted_by", json_quote(verdict.controllers.group ? "cgroup" : verdict.measurable ? "supervisor" : "rusage"));
  Collection limits;
  Collection degraded;
  for (const LimitDescription& limit : kLimits) {
    const auto& value = verdict.limits[limit.kind];
    if (!value) continue;
    const Enforcement enforcement = enforcement_of(limit.kind, verdict.controllers, verdict.measurable);
    Collection fields;
    fields.add("value", limit_number(limit, *value));
    fields.add("enforced", json_quote(enforcement_name(enforcement)));
    fields.add("full", boolean(is_full(limit.kind, enforcement)));
    // Only where the kernel counts how often it said no.
    if (limit.kind == LimitKind::pids && enforcement == Enforcement::cgroup)
      fields.add("reached", boolean(verdict.pids_reached));
    limits.add(limit.name, fields.object());
    if (!is_full(limit.kind, enforcement)) degraded.add(json_quote(limit.name));
  }
  add("limits", limits.object());
  add("degraded", degraded.list());
  Collection reductions;
  for (const Reduction& reduction : verdict.reductions) {
    Collection fields;
    fields.add("layer", json_quote(reduction.layer));
    fields.add("by", json_quote(reduction.by));
    reductions.add(fields.object());
  }
  add("reduced_layers", reductions.list());
  Collection environment;
  environment.add("path", json_quote(verdict.environment));
  environment.add("python", json_quote(verdict.python));
  add("env", environment.object());
  Collection command;
  for (const std::string& word : verdict.command) command.add(json_quote(word));
  add("command", command.list());
  Collection results;
  for (const Fetched& file : verdict.results) {
    Collection fields;
    fields.add("path", json_quote(file.path));
    fields.add("bytes", std::to_string(file.bytes));
    fields.add("refused", file.refused.empty() ? "null" : json_quote(file.refused));
    results.add(fields.object());
  }
  add("results", results.list());
  Collection host;
  host.add("kernel", json_quote(verdict.kernel));
  add("host", host.object());
  return out + "\n}\n";
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
