#include "runner/json.h"

#include <chrono>
#include <nlohmann/json.hpp>
#include <optional>
#include <utility>

#include "policy/error.h"
#include "policy/syscall_filter.h"

namespace vrun {
namespace {

using Json = nlohmann::ordered_json;

/// Indented, and in ASCII: a terminal shows it as it is.
std::string finish(const Json& json) { return json.dump(2, ' ', true, Json::error_handler_t::replace) + "\n"; }

/// What is not known is null.
Json known(const std::string& text) { return text.empty() ? Json() : Json(escape(text)); }

/// The same for texts of ours, in which paths are escaped already.
Json given(const std::string& text) { return text.empty() ? Json() : Json(text); }

template <typename Value>
Json known(const std::optional<Value>& value) {
  return value ? Json(*value) : Json();
}

double seconds(std::chrono::microseconds time) { return std::chrono::duration<double>(time).count(); }

Json escaped(const std::vector<std::string>& texts) {
  Json out = Json::array();
  for (const std::string& text : texts) out.push_back(escape(text));
  return out;
}

const char* access_text(Access access) { return access == Access::read_only ? "read-only" : "writable"; }

const char* kind_text(FileKind kind) {
  switch (kind) {
    case FileKind::directory:
      return "directory";
    case FileKind::file:
      return "file";
    case FileKind::device:
      return "device";
  }
  return "";
}

/// A step with the word that render_step begins its line with, and what that line says.
struct StepWriter {
  static Json of(const char* step, const std::string& path) { return {{"step", step}, {"path", escape(path)}}; }

  Json operator()(const MakeDirectory& step) const { return of("directory", step.path); }
  Json operator()(const MakeLink& step) const {
    Json json = of("link", step.path);
    json["target"] = escape(step.target);
    return json;
  }
  Json operator()(const MakeFile& step) const {
    Json json = of("file", step.path);
    json["bytes"] = step.content.size();
    return json;
  }
  Json operator()(const MountMemory& step) const {
    Json json = of("memory", step.path);
    json["bytes"] = step.size;
    json["files"] = step.inodes;
    json["mode"] = step.mode;
    json["executable"] = step.executable;
    return json;
  }
  Json operator()(const Bind& step) const {
    Json json = of("show", step.target);
    json["source"] = escape(step.source);
    json["access"] = access_text(step.access);
    json["kind"] = kind_text(step.kind);
    json["owner"] = nullptr;
    if (step.owner)
      json["owner"] = {{"uid", step.owner->uid}, {"gid", step.owner->gid}, {"required", step.owner->required}};
    return json;
  }
  Json operator()(const Mask& step) const {
    Json json = of("cover", step.path);
    json["kind"] = kind_text(step.kind);
    return json;
  }
  Json operator()(const Hold& step) const {
    Json json = of("hold", step.path);
    json["access"] = access_text(step.access);
    return json;
  }
  Json operator()(const MountProc& step) const {
    Json json = of("proc", step.path);
    json["hidepid"] = step.hidepid;
    return json;
  }
  Json operator()(const MountTerminals& step) const { return of("terminals", step.path); }
  Json operator()(const Seal& step) const { return of("seal", step.path); }
};

Json landlock_json(const Landlock& landlock) {
  Json writing = Json::array();
  for (const LandlockRule& rule : landlock.rules)
    if (rule.path != "/") writing.push_back(escape(rule.path));
  return {{"files", landlock.handled != 0}, {"scopes", landlock.scopes != 0}, {"writing", std::move(writing)}};
}

}  // namespace

std::string to_json(const Explanation& explanation) {
  const Plan& plan = explanation.plan;
  Json policy = Json::array();
  for (const PolicyValue& value : explanation.values)
    policy.push_back({{"option", value.option->name},
                      {"value", escape(value.value)},
                      {"origin", value.origin},
                      {"default", value.is_default}});
  Json layers = Json::array();
  for (const LayerStatus& status : explanation.layers)
    layers.push_back({{"layer", status.layer}, {"share", share_text(status.share)}, {"by", status.by}});
  Json limits = Json::object();
  for (const LimitDescription& limit : kLimits)
    if (const auto& value = plan.limits[limit.kind]) limits[limit.name] = Json::parse(limit_number(limit, *value));
  Json memory = Json::array();
  for (const auto& [path, size] : explanation.places.memory)
    memory.push_back({{"path", escape(path)}, {"bytes", size}});
  Json guarded = Json::array();
  for (const GuardedName& name : plan.guarded) guarded.push_back(escape(name.path()));
  Json view = Json::array();
  for (const Step& step : plan.view) view.push_back(std::visit(StepWriter{}, step));
  Json variables = Json::object();
  for (const Variable& variable : plan.variables) variables[escape(variable.name)] = escape(variable.value);
  Json calls;
  if (!plan.leaves_out("seccomp")) calls = {{"rules", syscall_rules().size()}, {"newest", kNewestReviewed}};

  return finish({{"schema", "vrun.explain/1"},
                 {"version", VRUN_VERSION},
                 {"command", escaped(plan.command)},
                 {"directory", escape(plan.working_directory)},
                 {"project", known(plan.project)},
                 {"environment",
                  {{"path", escape(plan.environment)},
                   {"python", plan.python_version},
                   {"interpreter", escape(plan.interpreter)},
                   {"system_packages", plan.system_packages}}},
                 {"user",
                  {{"uid", plan.identity.uid},
                   {"gid", plan.identity.gid},
                   {"name", escape(plan.identity.name)},
                   {"home", escape(plan.identity.home)},
                   {"gives_up_root", plan.identity.drop}}},
                 {"network", plan.network == Network::none ? "none" : "host"},
                 {"policy", std::move(policy)},
                 {"packages", {{"shown", escaped(plan.shown_packages)}, {"hidden", escaped(plan.hidden_packages)}}},
                 {"hidden_environments", escaped(plan.hidden_environments)},
                 {"all_searched", plan.environments_complete},
                 {"hidden", escaped(plan.hidden_named)},
                 {"shown",
                  {{"read_only", escaped(explanation.places.read_only)},
                   {"writable", escaped(explanation.places.writable)},
                   {"kept", escaped(explanation.places.kept)},
                   {"memory", std::move(memory)}}},
                 {"moved_aside", std::move(guarded)},
                 {"limits", std::move(limits)},
                 {"require_limits", plan.require_limits},
                 {"layers", std::move(layers)},
                 {"allowed", plan.allowed},
                 {"system_calls", std::move(calls)},
                 {"landlock", landlock_json(plan.landlock)},
                 {"view", std::move(view)},
                 {"variables", std::move(variables)},
                 {"notices", explanation.notices}});
}

std::string to_json(const Diagnosis& diagnosis) {
  Json parts = Json::array();
  for (const Finding& finding : diagnosis.findings) {
    Json part = {{"part", finding.part},
                 {"layers", finding.layers},
                 {"state", state_text(finding.state)},
                 {"failure", known(finding.failure)},
                 {"cause", nullptr},
                 {"explanation", nullptr},
                 {"command", nullptr},
                 {"advice", nullptr}};
    if (finding.remedy) {
      part["cause"] = finding.remedy->cause;
      part["explanation"] = finding.remedy->explanation;
      if (!finding.remedy->command.empty()) part["command"] = finding.remedy->command;
      if (!finding.remedy->advice.empty()) part["advice"] = finding.remedy->advice;
    }
    parts.push_back(std::move(part));
  }
  return finish({{"schema", "vrun.doctor/1"},
                 {"version", VRUN_VERSION},
                 {"kernel", known(diagnosis.kernel)},
                 {"distribution", known(diagnosis.distribution)},
                 {"state", state_text(diagnosis.state())},
                 {"runs", diagnosis.state() != LayerState::impossible},
                 {"parts", std::move(parts)}});
}

std::string to_json(const RunVerdict& verdict) {
  Json limits = Json::object();
  Json degraded = Json::array();
  for (const LimitDescription& limit : kLimits) {
    const auto& value = verdict.limits[limit.kind];
    if (!value) continue;
    const Enforcement enforcement = enforcement_of(limit.kind, verdict.controllers, verdict.measurable);
    Json fields = {{"value", Json::parse(limit_number(limit, *value))},
                   {"enforced", enforcement_name(enforcement)},
                   {"full", is_full(limit.kind, enforcement)}};
    // Only where the kernel counts how often it said no.
    if (limit.kind == LimitKind::pids && enforcement == Enforcement::cgroup) fields["reached"] = verdict.pids_reached;
    limits[limit.name] = std::move(fields);
    if (!is_full(limit.kind, enforcement)) degraded.push_back(limit.name);
  }
  Json reductions = Json::array();
  for (const Reduction& reduction : verdict.reductions)
    reductions.push_back({{"layer", reduction.layer}, {"by", reduction.by}});
  Json results = Json::array();
  for (const Fetched& file : verdict.results)
    results.push_back({{"path", file.path}, {"bytes", file.bytes}, {"refused", given(file.refused)}});
  const std::optional<std::string> killer = killed_by(verdict);

  return finish({{"schema", "vrun.verdict/1"},
                 {"version", VRUN_VERSION},
                 {"status", status_name(verdict.status)},
                 {"limit", verdict.limit ? Json(describe(*verdict.limit).name) : Json()},
                 {"exit_code", known(verdict.exit_code)},
                 {"signal", known(verdict.signal)},
                 {"signal_name", verdict.signal ? Json(signal_name(*verdict.signal)) : Json()},
                 {"killed", killer.has_value()},
                 {"killed_by", known(killer)},
                 {"oom_killed", verdict.oom_killed},
                 {"vrun_status", verdict.vrun_status},
                 {"message", verdict.message},
                 {"wall_s", seconds(verdict.wall)},
                 {"cpu_s", seconds(verdict.cpu)},
                 {"user_s", seconds(verdict.user)},
                 {"sys_s", seconds(verdict.system)},
                 {"mem_peak_bytes", known(verdict.memory_peak)},
                 {"rss_peak_bytes", verdict.rss_peak},
                 {"procs_peak", known(verdict.tasks_peak)},
                 {"ctx_voluntary", verdict.switches_voluntary},
                 {"ctx_forced", verdict.switches_forced},
                 {"stdout_bytes", known(verdict.output_bytes)},
                 {"stderr_bytes", known(verdict.error_bytes)},
                 {"truncated", verdict.truncated},
                 {"counted_by", verdict.controllers.group ? "cgroup"
                                : verdict.measurable      ? "supervisor"
                                                          : "rusage"},
                 {"limits", std::move(limits)},
                 {"degraded", std::move(degraded)},
                 {"reduced_layers", std::move(reductions)},
                 {"env", {{"path", verdict.environment}, {"python", verdict.python}}},
                 {"command", verdict.command},
                 {"results", std::move(results)},
                 {"host", {{"kernel", verdict.kernel}}}});
}

std::string to_json(const Verdict& verdict) {
  return finish({{"schema", "vrun.why/1"},
                 {"version", VRUN_VERSION},
                 {"kind", kind_text(verdict.kind)},
                 {"asked", escape(verdict.asked)},
                 {"leads_to", known(verdict.path)},
                 {"reachable", verdict.reachable},
                 {"how", verdict.how},
                 {"because", given(verdict.rule)},
                 {"step", given(verdict.step)},
                 {"option", given(verdict.change)}});
}

}  // namespace vrun
