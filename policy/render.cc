#include "policy/render.h"

#include <algorithm>
#include <array>
#include <cstdio>

#include "policy/error.h"
#include "policy/merge.h"
#include "policy/package_dirs.h"
#include "policy/syscall_filter.h"

namespace vrun {
namespace {

std::string bytes(std::uint64_t size) {
  constexpr std::array kUnits{"bytes", "KiB", "MiB", "GiB"};
  std::size_t unit = 0;
  for (; unit + 1 < kUnits.size() && size % 1024 == 0; ++unit) size /= 1024;
  return std::to_string(size) + " " + kUnits[unit];
}

const char* access_text(Access access) { return access == Access::read_only ? "read-only" : "writable"; }

std::string octal(unsigned mode) {
  std::array<char, 16> buffer{};
  std::snprintf(buffer.data(), buffer.size(), "%04o", mode);
  return buffer.data();
}

/// A path for reading: escaped, and quoted only when it has white space or needed escaping.
std::string shown(const std::string& path) {
  const std::string escaped = escape(path);
  return escaped == path && path.find(' ') == std::string::npos && !path.empty() ? path : "'" + escaped + "'";
}

struct Renderer {
  std::string operator()(const MakeDirectory& step) const { return "directory " + shown(step.path); }
  std::string operator()(const MakeLink& step) const {
    return "link      " + shown(step.path) + " -> " + shown(step.target);
  }
  std::string operator()(const MakeFile& step) const {
    return "file      " + shown(step.path) + ", " + std::to_string(step.content.size()) + " bytes";
  }
  std::string operator()(const MountMemory& step) const {
    return "memory    " + shown(step.path) + ", " + bytes(step.size) + ", " + std::to_string(step.inodes) +
           " files, mode " + octal(step.mode) + (step.executable ? "" : ", noexec");
  }
  std::string operator()(const Bind& step) const {
    std::string text = "show      " + shown(step.target);
    if (step.source != step.target) text += " from " + shown(step.source);
    text += std::string(", ") + access_text(step.access);
    if (step.kind == FileKind::file) text += ", file";
    if (step.kind == FileKind::device) text += ", device";
    if (step.owner)
      text += ", files of " + std::to_string(step.owner->uid) + ":" + std::to_string(step.owner->gid) +
              " as the run's own" + (step.owner->required ? "" : " where the file system can");
    return text;
  }
  std::string operator()(const Mask& step) const {
    return "cover     " + shown(step.path) + (step.kind == FileKind::directory ? "" : ", file");
  }
  std::string operator()(const Hold& step) const {
    return "hold      " + shown(step.path) + ", " + access_text(step.access);
  }
  std::string operator()(const MountProc& step) const {
    return "proc      " + shown(step.path) + (step.hidepid ? "" : ", without hidepid");
  }
  std::string operator()(const MountTerminals& step) const { return "terminals " + shown(step.path); }
  std::string operator()(const Seal& step) const {
    return "seal      " + shown(step.path) + ", read-only from here on";
  }
};

void line(std::string& out, std::string_view key, std::string_view value) {
  std::string padded(key);
  padded.resize(13, ' ');
  out += padded;
  out += value;
  out += '\n';
}

void list(std::string& out, std::string_view title, const std::vector<std::string>& values) {
  if (values.empty()) return;
  out += '\n';
  out += title;
  out += '\n';
  for (const std::string& value : values) out += "  " + shown(value) + "\n";
}

std::string command_text(const std::vector<std::string>& command) {
  std::string text;
  for (const std::string& word : command) {
    if (!text.empty()) text += ' ';
    text += shown(word);
  }
  return text;
}

}  // namespace

std::string render_step(const Step& step) { return std::visit(Renderer{}, step); }

std::string render_settings(const Settings& settings) {
  std::string out = "policy, and who decided it:\n";
  const auto line = [&](std::string_view name, const std::string& value, const std::string& origin) {
    std::string text = "  " + std::string(name) + "=" + escape(value);
    text.resize(std::max<std::size_t>(text.size() + 2, 40), ' ');
    out += text + origin + "\n";
  };
  for (const Option& option : kOptions) {
    bool said = false;
    for (const Setting& setting : settings) {
      if (setting.option != &option) continue;
      line(option.name, setting.value, setting.origin.text);
      said = true;
    }
    if (option.is_policy() && !said && (option.kind == ValueKind::flag || option.kind == ValueKind::choice))
      line(option.name, value_of(settings, option), "profile default");
  }
  return out + "\n";
}

std::string render_plan(const Plan& plan) {
  std::string out;
  line(out, "environment", shown(plan.environment));
  line(out, "python", plan.python_version + ", " + shown(plan.interpreter));
  line(out, "packages", plan.system_packages ? "the environment's and the system's" : "the environment's only");
  line(out, "command", command_text(plan.command));
  line(out, "directory", shown(plan.working_directory));
  line(out, "project", plan.project.empty() ? "none" : shown(plan.project));
  line(out, "user",
       std::to_string(plan.identity.uid) + ":" + std::to_string(plan.identity.gid) + " " + shown(plan.identity.name) +
           (plan.identity.drop ? ", root gives up its rights" : ""));
  line(out, "network", plan.network == Network::none ? "none but its own loopback" : "the host's (--net=host)");

  std::string limits;
  for (const LimitDescription& limit : kLimits)
    if (const auto& value = plan.limits[limit.kind])
      limits += (limits.empty() ? "" : ", ") + std::string(limit.name) + " " + limit_text(limit, *value);
  if (!limits.empty()) line(out, "limits", limits);

  list(out, "packages hidden:", plan.hidden_packages);
  list(out, "other environments hidden:", plan.hidden_environments);
  list(out, "hidden by name (--hide):", plan.hidden_named);
  if (!plan.environments_complete)
    out += "\nnot searched for environments: directories more than " + std::to_string(kSearchDepth) +
           " levels down, or after the first " + std::to_string(kSearchDirectories) + " or their first " +
           std::to_string(kSearchNames) + " names\n";

  out += "\nlayers:\n";
  out += std::string("  namespaces: user, mount, pid, ") + (plan.network == Network::none ? "network, " : "") +
         "ipc, uts, cgroup\n";
  const bool nested = std::find(plan.allowed.begin(), plan.allowed.end(), "userns") != plan.allowed.end();
  out += std::string("  capabilities: none, also none to be gained; no_new_privs") +
         (nested ? "\n" : "; no further user namespaces\n");
  for (const std::string& layer : plan.without) out += "  left out by --without: " + layer + "\n";
  if (!plan.leaves_out("seccomp"))
    out += "  system calls: " + std::to_string(syscall_rules().size()) + " with rules, none newer than number " +
           std::to_string(kNewestReviewed) + ", no foreign ABI\n";
  for (const std::string& name : plan.allowed)
    out += "  opened by --allow: " + name + ": " + std::string(find_opening(name)->opens) + "\n";
  out += "  Landlock: ";
  if (plan.landlock.handled == 0) {
    out += std::string("no rules for files, ") +
           (nested ? "for nested namespaces could make no mounts then" : "because this kernel has none that fit");
  } else {
    out += "reading in the view alone; writing in";
    for (const LandlockRule& rule : plan.landlock.rules)
      if (rule.path != "/") out += " " + shown(rule.path);
  }
  out += std::string(plan.landlock.scopes == 0 ? "" : "; signals and abstract sockets stay inside") + "\n";
  out += "  descriptors: 0, 1 and 2 only; a session and a keyring of its own; no core dumps\n";

  out += "\nview:\n";
  for (const Step& step : plan.view) out += "  " + render_step(step) + "\n";
  out += "\nvariables:\n";
  for (const Variable& variable : plan.variables)
    out += "  " + escape(variable.name) + "=" + escape(variable.value) + "\n";
  return out;
}

}  // namespace vrun
