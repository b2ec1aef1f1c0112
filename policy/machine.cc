#include "policy/machine.h"

#include <charconv>
#include <string_view>

#include "policy/error.h"

namespace vrun {
namespace {

constexpr std::size_t kMaximumSize = 65536;

std::string read_text(const Root& root, std::string_view path) {
  try {
    return root.read_file(path, kMaximumSize).value_or("");
  } catch (const Error&) {
    return {};  // only an explanation would come from it
  }
}

std::optional<long> read_number(const Root& root, std::string_view path) {
  const std::string text = read_text(root, path);
  long value = 0;
  if (std::from_chars(text.data(), text.data() + text.size(), value).ec != std::errc()) return std::nullopt;
  return value;
}

bool exists(const Root& root, std::string_view path) {
  try {
    return root.lstat(path).has_value();
  } catch (const Error&) {
    return false;
  }
}

/// The value of KEY=VALUE or KEY="VALUE" in os-release(5); empty when there is none.
std::string release_field(std::string_view text, std::string_view key) {
  while (!text.empty()) {
    std::string_view line = text.substr(0, text.find('\n'));
    text.remove_prefix(std::min(text.size(), line.size() + 1));
    if (!line.starts_with(key) || line.substr(key.size(), 1) != "=") continue;
    line.remove_prefix(key.size() + 1);
    if (line.size() >= 2 && (line.front() == '"' || line.front() == '\'') && line.back() == line.front())
      line = line.substr(1, line.size() - 2);
    // It becomes a part of command lines.
    const bool plain = line.find_first_not_of("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-") ==
                       std::string_view::npos;
    return plain ? std::string(line) : "";
  }
  return {};
}

/// The last part of the path of this process' group in the hierarchy that systemd keeps, when that is a service.
std::string read_service(const Root& root) {
  const std::string groups = read_text(root, "/proc/self/cgroup");
  for (const std::string_view start : {"0::", "1:name=systemd:"}) {
    const std::size_t at = groups.starts_with(start) ? 0 : groups.find("\n" + std::string(start));
    if (at == std::string::npos) continue;
    const std::string line = groups.substr(at == 0 ? 0 : at + 1, groups.find('\n', at + 1) - (at == 0 ? 0 : at + 1));
    const std::string unit = base_name(line.substr(start.size()));
    // The user's own manager says nothing about limits on what is started from it.
    if (unit.ends_with(".service") && !unit.starts_with("user@") && escape(unit) == unit) return unit;
  }
  return {};
}

std::string read_container(const Root& root) {
  if (exists(root, "/run/secrets/kubernetes.io") || exists(root, "/var/run/secrets/kubernetes.io")) return "kubernetes";
  if (exists(root, "/run/.containerenv")) return "podman";
  if (exists(root, "/.dockerenv")) return "docker";
  const std::string text = read_text(root, "/run/systemd/container");
  const std::string kind = text.substr(0, text.find('\n'));
  return escape(kind) == kind ? kind : "";
}

}  // namespace

MachineHints read_machine(const Root& root) {
  MachineHints machine;
  for (const char* const kind : {"user", "mnt", "pid", "net", "ipc", "uts", "cgroup"})
    if (read_number(root, "/proc/sys/user/max_" + std::string(kind) + "_namespaces") == 0)
      machine.zero_limits.emplace_back(kind);
  machine.unprivileged_userns_clone = read_number(root, "/proc/sys/kernel/unprivileged_userns_clone");
  machine.apparmor_restrict_userns = read_number(root, "/proc/sys/kernel/apparmor_restrict_unprivileged_userns");
  machine.seccomp_outside = read_text(root, "/proc/self/status").find("\nSeccomp:\t2") != std::string::npos;
  // The outermost one maps every number to itself (user_namespaces(7)).
  const std::string map = read_text(root, "/proc/self/uid_map");
  machine.nested = !map.empty() && map.find(" 4294967295\n") == std::string::npos;
  machine.selinux_enforcing = read_number(root, "/sys/fs/selinux/enforce") == 1;
  machine.container = read_container(root);
  machine.service = read_service(root);
  const std::string kernel = read_text(root, "/proc/sys/kernel/osrelease");
  machine.kernel = kernel.substr(0, kernel.find('\n'));
  std::string release = read_text(root, "/etc/os-release");
  if (release.empty()) release = read_text(root, "/usr/lib/os-release");
  machine.distribution = release_field(release, "ID");
  machine.distribution_version = release_field(release, "VERSION_ID");
  machine.distribution_name = release_field(release, "VERSION_CODENAME");
  return machine;
}

bool is_kernel_since(const std::string& release, int major, int minor) {
  int found[2] = {};
  const char* at = release.data();
  const char* const end = at + release.size();
  for (int& number : found) {
    const auto parsed = std::from_chars(at, end, number);
    if (parsed.ec != std::errc()) return false;
    at = parsed.ptr == end ? end : parsed.ptr + 1;
  }
  return found[0] > major || (found[0] == major && found[1] >= minor);
}

}  // namespace vrun
