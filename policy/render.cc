#include "policy/render.h"

#include <algorithm>
#include <array>
#include <cstdio>
#include <iterator>
#include <utility>

#include "policy/error.h"
#include "policy/host/root.h"
#include "policy/package_dirs.h"
#include "policy/syscall_filter.h"

namespace vrun {
namespace {

constexpr std::size_t kKeyWidth = 13;

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
  padded.resize(kKeyWidth, ' ');
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

std::string joined(const std::vector<std::string>& texts) {
  std::string all;
  for (const std::string& text : texts) all += (all.empty() ? "" : ", ") + text;
  return all;
}

const char* packages_text(const Plan& plan) {
  return plan.system_packages ? "the environment's and the system's" : "the environment's only";
}

std::string user_text(const Identity& identity) {
  return std::to_string(identity.uid) + ":" + std::to_string(identity.gid) + " " + shown(identity.name) +
         (identity.drop ? ", root gives up its rights" : "");
}

const char* network_text(Network network) {
  return network == Network::none ? "none but its own loopback" : "the host's (--net=host)";
}

std::vector<std::string> limit_texts(const Limits& limits) {
  std::vector<std::string> texts;
  for (const LimitDescription& limit : kLimits)
    if (const auto& value = limits[limit.kind])
      texts.push_back(std::string(limit.name) + " " + limit_text(limit, *value));
  return texts;
}

constexpr std::size_t kPageWidth = 80;

/// Items parted by `between`, on as many lines as they take, each line as wide as the page where an item lets it.
std::vector<std::string> fill(const std::vector<std::string>& items, std::string_view between) {
  std::vector<std::string> lines(1);
  for (std::size_t i = 0; i < items.size(); ++i) {
    const std::string item = items[i] + (i + 1 < items.size() ? std::string(between) : "");
    const std::size_t width = std::string_view(item).find_last_not_of(' ') + 1;
    if (!lines.back().empty() && kKeyWidth + lines.back().size() + width > kPageWidth) lines.emplace_back();
    lines.back() += item;
  }
  for (std::string& line : lines) line.erase(line.find_last_not_of(' ') + 1);
  return lines;
}

/// A subject of the page with its items; of more than fit on `most` lines, the first, and how many more there are.
void block(std::string& out, std::string_view key, std::vector<std::string> items, std::size_t most,
           std::string_view between = ", ") {
  std::vector<std::string> lines = fill(items, between);
  for (std::size_t left_out = 0; lines.size() > most && items.size() > 1;) {
    items.resize(items.size() - (left_out == 0 ? 1 : 2));
    items.push_back("and " + std::to_string(++left_out) + " more");
    if (items.size() == 1) break;
    lines = fill(items, between);
  }
  for (std::size_t i = 0; i < lines.size(); ++i) line(out, i == 0 ? key : "", lines[i]);
}

/// Paths for one subject of the page; many in one directory of "/" are counted.
std::vector<std::string> gathered(const std::vector<std::string>& paths) {
  constexpr std::ptrdiff_t kFew = 3;
  std::vector<std::string> items;
  for (auto path = paths.begin(); path != paths.end();) {
    const std::string top = path->substr(0, path->find('/', 1));
    const auto end = std::find_if(path, paths.end(), [&](const std::string& next) { return !is_within(next, top); });
    if (end - path > kFew)
      items.push_back(std::to_string(end - path) + " places in " + shown(top));
    else
      std::transform(path, end, std::back_inserter(items), [](const std::string& one) { return shown(one); });
    path = end;
  }
  return items;
}

/// "3 directories of packages".
std::string counted(std::size_t number, const std::string& one, const std::string& many) {
  return std::to_string(number) + " " + (number == 1 ? one : many);
}

void page_of_view(std::string& out, const Explanation& explanation) {
  constexpr std::size_t kMostLines = 3;
  const Plan& plan = explanation.plan;
  std::vector<std::string> hidden;
  for (const auto* const paths : {&plan.hidden_named, &plan.hidden_environments, &plan.hidden_packages})
    std::transform(paths->begin(), paths->end(), std::back_inserter(hidden),
                   [](const std::string& path) { return shown(path); });
  if (!plan.environments_complete) hidden.insert(hidden.begin(), "not all other environments were searched for");
  if (!hidden.empty()) block(out, "hidden", hidden, kMostLines);
  const Places& places = explanation.places;
  block(out, "read-only", gathered(places.read_only), kMostLines);
  std::vector<std::string> writable = gathered(places.writable);
  if (writable.empty()) writable = {"nothing of this machine's"};
  block(out, "writable", writable, kMostLines);
  if (!places.kept.empty()) {
    std::vector<std::string> kept;
    for (const std::string& path : places.kept)
      kept.push_back(shown(is_within(path, plan.project) && path != plan.project && !plan.project.empty()
                               ? path.substr(plan.project.size() + 1)
                               : path));
    kept.front().insert(0, "but not ");
    block(out, "", kept, kMostLines);
  }
  if (!plan.guarded.empty()) {
    constexpr std::size_t kMostNames = 1;  // lines
    std::vector<std::string> names;
    for (const GuardedName& name : plan.guarded) names.push_back(shown(name.below));
    names.front().insert(0, "if the run makes it: ");
    block(out, "moved aside", names, kMostNames);
  }
  std::vector<std::string> memory;
  for (const auto& [path, size] : places.memory) memory.push_back(shown(path) + " " + bytes(size));
  block(out, "in memory", memory, kMostLines);
}

void page_of_layers(std::string& out, const std::vector<LayerStatus>& layers) {
  std::vector<std::string> reduced;
  for (const LayerStatus& status : layers) {
    if (status.share == LayerShare::full) continue;
    const std::string by = joined(status.by);
    reduced.push_back((status.share == LayerShare::none ? "without " : "less of ") + std::string(status.layer) + ": " +
                      by);
  }
  if (reduced.empty())
    line(out, "layers", "all " + std::to_string(layers.size()) + ", in full");
  else
    line(out, "layers",
         std::to_string(layers.size() - reduced.size()) + " of " + std::to_string(layers.size()) + " in full");
  for (const std::string& text : reduced) line(out, "", text);
}

/// What is not the default, by who said it.
void page_of_values(std::string& out, const std::vector<PolicyValue>& values) {
  std::vector<std::pair<std::string, std::vector<std::string>>> origins;
  for (const PolicyValue& value : values) {
    if (value.is_default) continue;
    auto same =
        std::find_if(origins.begin(), origins.end(), [&](const auto& one) { return one.first == value.origin; });
    if (same == origins.end()) same = origins.insert(origins.end(), {value.origin, {}});
    same->second.push_back(std::string(value.option->name) + "=" + escape(value.value));
  }
  if (origins.empty()) line(out, "policy", "the default in everything");
  std::string_view key = "policy";
  for (auto& [origin, said] : origins) {
    said.front().insert(0, origin + ": ");
    block(out, key, said, std::string::npos);
    key = "";
  }
}

/// The names of layers, by how much of them there is.
std::string render_layers(const std::vector<LayerStatus>& layers) {
  std::string out = "\nlayers, by name:\n";
  for (const LayerStatus& status : layers) {
    const std::string by = joined(status.by);
    std::string text = "  " + std::string(status.layer);
    text.resize(std::max<std::size_t>(text.size() + 2, 26), ' ');
    out += text + std::string(share_text(status.share)) + (by.empty() ? "" : ", by " + by) + "\n";
  }
  return out;
}

}  // namespace

std::string render_step(const Step& step) { return std::visit(Renderer{}, step); }

std::string render_values(const std::vector<PolicyValue>& values) {
  std::string out = "policy, and who decided it:\n";
  for (const PolicyValue& value : values) {
    std::string text = "  " + std::string(value.option->name) + "=" + escape(value.value);
    text.resize(std::max<std::size_t>(text.size() + 2, 40), ' ');
    out += text + value.origin + "\n";
  }
  return out + "\n";
}

std::string render_page(const Explanation& explanation) {
  const Plan& plan = explanation.plan;
  std::string out;
  std::vector<std::string> command;
  for (const std::string& word : plan.command) command.push_back(shown(word));
  block(out, "command", command, 2, " ");
  line(out, "directory", shown(plan.working_directory));
  line(out, "user", user_text(plan.identity));
  line(out, "environment", shown(plan.environment));
  line(out, "python", plan.python_version + ", " + shown(plan.interpreter));
  line(out, "packages",
       packages_text(plan) + std::string("; hidden: ") +
           counted(plan.hidden_packages.size(), "directory", "directories") + ", " +
           counted(plan.hidden_environments.size(), "environment", "environments"));
  page_of_view(out, explanation);
  line(out, "network", network_text(plan.network));
  std::vector<std::string> variables;
  for (const Variable& variable : plan.variables) variables.push_back(escape(variable.name));
  block(out, "variables", variables, 2);
  std::vector<std::string> limits = limit_texts(plan.limits);
  if (limits.empty()) limits = {"none"};
  block(out, "limits", limits, std::string::npos);
  page_of_layers(out, explanation.layers);
  page_of_values(out, explanation.values);
  for (const std::string& notice : explanation.notices) line(out, "note", notice);
  line(out, "in full", "--explain --verbose, or --explain --json for programs");
  return out;
}

std::string render_explanation(const Explanation& explanation) {
  std::string out =
      render_values(explanation.values) + render_plan(explanation.plan) + render_layers(explanation.layers);
  for (const std::string& notice : explanation.notices) out += "\nnote: " + notice + "\n";
  return out;
}

std::string render_plan(const Plan& plan) {
  std::string out;
  line(out, "environment", shown(plan.environment));
  line(out, "python", plan.python_version + ", " + shown(plan.interpreter));
  line(out, "packages", packages_text(plan));
  line(out, "command", command_text(plan.command));
  line(out, "directory", shown(plan.working_directory));
  line(out, "project", plan.project.empty() ? "none" : shown(plan.project));
  line(out, "user", user_text(plan.identity));
  line(out, "network", network_text(plan.network));

  const std::string limits = joined(limit_texts(plan.limits));
  if (!limits.empty()) line(out, "limits", limits);

  list(out, "packages shown:", plan.shown_packages);
  list(out, "packages hidden:", plan.hidden_packages);
  list(out, "other environments hidden:", plan.hidden_environments);
  list(out, "hidden by name (--hide):", plan.hidden_named);
  std::vector<std::string> guarded;
  for (const GuardedName& name : plan.guarded) guarded.push_back(name.path());
  list(out, "moved aside when the run makes or replaces it (as NAME.from-run):", guarded);
  if (!plan.environments_complete)
    out += "\nnot searched for environments: directories more than " + std::to_string(kSearchDepth) +
           " levels down, or after the first " + std::to_string(kSearchDirectories) + " or their first " +
           std::to_string(kSearchNames) + " names\n";

  out += "\nlayers:\n";
  out += std::string("  namespaces: user, mount, pid, ") + (plan.network == Network::none ? "network, " : "") +
         "ipc, uts, cgroup\n";
  const bool nested = plan.allows("userns");
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
