#include "policy/mount_check.h"

#include <algorithm>
#include <map>
#include <vector>

#include "policy/error.h"
#include "policy/layers.h"

namespace vrun {
namespace {

struct Expected {
  bool read_only = false;
  bool no_devices = true;
  bool no_programs = false;
  bool brings_others = false;  ///< mounts of the host below it come along
  std::string_view type = {};  ///< of the file system; empty: the host's, of whatever type
  bool of_view = false;        ///< a part of the memory that the view's "/" is on, as what covers packages is
  int found = 0;
};

struct Collector {
  std::map<std::string, Expected>& expected;
  void operator()(const MakeDirectory&) const {}
  void operator()(const MakeLink&) const {}
  void operator()(const MakeFile&) const {}
  void operator()(const MountMemory& step) const {
    expected[step.path] = {false, true, !step.executable, false, "tmpfs", step.path == "/"};
  }
  void operator()(const Bind& step) const {
    const bool device = step.kind == FileKind::device;
    expected[step.target] = {step.access == Access::read_only, !device, device, step.kind == FileKind::directory};
  }
  void operator()(const Mask& step) const { expected[step.path] = {true, true, true, false, "tmpfs", true}; }
  void operator()(const Hold& step) const {
    expected[step.path] = {step.access == Access::read_only, true, false, true};
  }
  void operator()(const MountProc& step) const { expected[step.path] = {false, true, true, false, "proc"}; }
  void operator()(const MountTerminals& step) const { expected[step.path] = {false, false, true, false, "devpts"}; }
  void operator()(const Seal& step) const { expected[step.path].read_only = true; }
};

/// Undoes the kernel's escaping of white space and backslashes (\040 and the like).
std::string unescape(std::string_view text) {
  std::string out;
  for (std::size_t i = 0; i < text.size(); ++i) {
    const auto digit = [&](std::size_t at) { return at < text.size() && text[at] >= '0' && text[at] <= '7'; };
    if (text[i] == '\\' && digit(i + 1) && digit(i + 2) && digit(i + 3)) {
      out += static_cast<char>((text[i + 1] - '0') * 64 + (text[i + 2] - '0') * 8 + (text[i + 3] - '0'));
      i += 3;
    } else {
      out += text[i];
    }
  }
  return out;
}

bool has_option(std::string_view options, std::string_view option) {
  while (!options.empty()) {
    const std::string_view one = options.substr(0, options.find(','));
    if (one == option) return true;
    options.remove_prefix(std::min(options.size(), one.size() + 1));
  }
  return false;
}

}  // namespace

std::vector<Mount> parse_mounts(std::string_view mountinfo) {
  std::vector<Mount> mounts;
  while (!mountinfo.empty()) {
    const std::string_view line = mountinfo.substr(0, mountinfo.find('\n'));
    mountinfo.remove_prefix(std::min(mountinfo.size(), line.size() + 1));
    // ID, parent, device, root, mount point, options, ...
    std::vector<std::string_view> fields;
    for (std::string_view rest = line; fields.size() < 6 && !rest.empty();) {
      fields.push_back(rest.substr(0, rest.find(' ')));
      rest.remove_prefix(std::min(rest.size(), fields.back().size() + 1));
    }
    // ... optional fields, "-", type, source, options (proc_pid_mountinfo(5)).
    const std::size_t dash = line.find(" - ");
    if (fields.size() < 6 || dash == std::string_view::npos)
      throw Error("the kernel's list of mounts has a line that cannot be read: " + quote(line));
    const std::string_view rest = line.substr(dash + 3);
    mounts.push_back({std::string(fields[0]), std::string(fields[1]), std::string(fields[2]), unescape(fields[3]),
                      unescape(fields[4]), std::string(fields[5]), std::string(rest.substr(0, rest.find(' ')))});
  }
  return mounts;
}

std::optional<std::string> find_mount_difference(const std::vector<Step>& view, std::string_view mountinfo) {
  std::map<std::string, Expected> expected;
  for (const Step& step : view) std::visit(Collector{expected}, step);

  std::vector<Mount> mounts = parse_mounts(mountinfo);
  std::map<std::string, Mount*> by_id;
  for (Mount& mount : mounts) by_id[mount.id] = &mount;
  const auto parent_of = [&](const Mount& mount) {
    const auto found = by_id.find(mount.parent);
    return found == by_id.end() || found->second == &mount ? nullptr : found->second;
  };
  for (const Mount& mount : mounts)
    if (Mount* parent = parent_of(mount); parent != nullptr && parent->path == mount.path) parent->on_top = false;

  const auto top =
      std::find_if(mounts.begin(), mounts.end(), [](const Mount& mount) { return mount.on_top && mount.path == "/"; });
  const std::string memory = top == mounts.end() ? "" : top->device;

  for (const Mount& mount : mounts) {
    const auto own = mount.on_top ? expected.find(mount.path) : expected.end();
    auto place = own;
    // Any other came along with what it is mounted on, of which a part, or all, may have been covered since.
    const Mount* above = &mount;
    for (std::size_t steps = 0; place == expected.end() && steps < mounts.size(); ++steps) {
      above = parent_of(*above);
      if (above == nullptr) break;
      if (above->on_top) place = expected.find(above->path);
    }
    if (place == expected.end() || (own == expected.end() && !place->second.brings_others))
      return quote(mount.path) + " is mounted, which is not planned";
    Expected& rule = place->second;
    if (own != expected.end()) {
      if (++rule.found > 1) return quote(mount.path) + " is mounted twice";
      if (!rule.type.empty() && mount.type != rule.type)
        return quote(mount.path) + " is " + escape(mount.type) + " and not " + std::string(rule.type);
      if (rule.type == "tmpfs" && (mount.device == memory) != rule.of_view)
        return quote(mount.path) + (rule.of_view ? " is not covered with what is empty" : " has no memory of its own");
    }
    if (kept("nosuid") && !has_option(mount.options, "nosuid")) return quote(mount.path) + " is not nosuid";
    if (kept("nodev") && rule.no_devices && !has_option(mount.options, "nodev"))
      return quote(mount.path) + " is not nodev";
    if (rule.no_programs && !has_option(mount.options, "noexec")) return quote(mount.path) + " is not noexec";
    if (kept("read-only") && kept("seal") && rule.read_only && !has_option(mount.options, "ro"))
      return quote(mount.path) + " is not read-only";
  }
  for (const auto& [path, rule] : expected)
    if (rule.found == 0) return quote(path) + " is planned but not mounted";
  return std::nullopt;
}

}  // namespace vrun
