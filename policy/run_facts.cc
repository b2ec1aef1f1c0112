#include "policy/run_facts.h"

#include <algorithm>
#include <array>
#include <cerrno>
#include <string_view>

#include "policy/closure.h"
#include "policy/error.h"
#include "policy/package_dirs.h"
#include "policy/package_index.h"
#include "policy/project.h"

namespace vrun {
namespace {

/// Names of "/" that hold the operating system's programs and libraries (hier(7)); on merged-/usr systems all but the
/// first are links.
constexpr std::array<std::string_view, 7> kSystem = {"usr", "bin", "sbin", "lib", "lib32", "lib64", "libx32"};

/// What of /etc is shown: how libraries, certificates, time zones, locales, fonts, file types and ports are found.
/// Never anything about accounts, keys, this machine's identity or the network's. The first two are NixOS', whose /etc
/// leads to the store by them; other machines may have anything there.
constexpr std::size_t kEtcLinks = 2;
constexpr std::array<std::string_view, 16> kEtc = {"static",          "zoneinfo",   "alternatives", "ca-certificates",
                                                   "crypto-policies", "fonts",      "ld.so.cache",  "locale.alias",
                                                   "localtime",       "mime.types", "os-release",   "pki",
                                                   "protocols",       "services",   "ssl",          "timezone"};
/// Where /etc/ssl of openSUSE leads to.
constexpr std::array<std::string_view, 1> kVarLib = {"ca-certificates"};

/// Directories of keys beside the certificates: of servers, and of the machine's subscription (rhsmcertd(8)).
constexpr std::array<std::string_view, 4> kPrivate = {"ssl/private", "pki/tls/private", "pki/entitlement",
                                                      "pki/consumer"};

constexpr std::array<std::string_view, 6> kDevices = {"null", "zero", "full", "random", "urandom", "tty"};

/// Entries of /proc that tell about the machine or act on it and that no library needs. Files that only root may open
/// at all are not among them: a run is never root (proc(5) has the modes), with two exceptions that are worth a cover
/// of their own. sys, irq, bus and fs stay readable (psutil, numpy and the C library read there): the plan holds them
/// read-only.
constexpr std::array<std::string_view, 21> kProc = {
    "acpi",          "bootconfig", "bus",  "cmdline",     "config.gz", "fs",   "interrupts",
    "iomem",         "ioports",    "irq",  "kallsyms",    "kcore",     "keys", "key-users",
    "latency_stats", "modules",    "mtrr", "sched_debug", "scsi",      "sys",  "sysrq-trigger"};

/// Files and directories of a project that tools on the host later execute or trust: git's whole directory (config and
/// hooks, but also commondir, modules and worktrees make git execute things), editors, continuous integration,
/// vrun's own policy, and the environment that vrun takes when none is named. With a HEAD a directory can be a
/// repository of git's itself, whose configuration lies in it.
constexpr std::array<std::string_view, 26> kProtected = {".hg",
                                                         ".gdbinit",
                                                         ".npmrc",
                                                         "mise.toml",
                                                         ".mise.toml",
                                                         ".git",
                                                         "HEAD",
                                                         ".gitmodules",
                                                         ".gitlab-ci.yml",
                                                         ".github",
                                                         ".circleci",
                                                         ".devcontainer",
                                                         ".envrc",
                                                         ".vscode",
                                                         ".idea",
                                                         ".husky",
                                                         ".mcp.json",
                                                         ".claude",
                                                         ".cursor",
                                                         ".codex",
                                                         ".pre-commit-config.yaml",
                                                         ".aider.conf.yml",
                                                         "pyproject.toml",
                                                         "vrun.toml",
                                                         ".venv",
                                                         "pyvenv.cfg"};

constexpr std::size_t kMaximumPasswd = 1024 * 1024;
constexpr std::size_t kMaximumResolvConf = 64 * 1024;

/// Those of `names` that exist in `directory`, a path without links.
template <std::size_t N>
std::vector<HostEntry> existing(const Root& root, std::string_view directory,
                                const std::array<std::string_view, N>& names) {
  std::vector<HostEntry> entries;
  const std::vector<std::optional<struct stat>> found = root.lstat_each(directory, {names.begin(), names.end()});
  for (std::size_t i = 0; i < names.size(); ++i) {
    if (!found[i]) continue;
    HostEntry entry{join(directory, names[i]), EntryKind::file, {}};
    if (S_ISDIR(found[i]->st_mode)) entry.kind = EntryKind::directory;
    if (S_ISLNK(found[i]->st_mode)) {
      entry.kind = EntryKind::link;
      entry.target = root.read_link(entry.path).value_or("");
    }
    entries.push_back(std::move(entry));
  }
  return entries;
}

HostPath host_path(const Root& root, std::string_view path, std::string_view what) {
  try {
    return {std::string(path), root.resolve(path)};
  } catch (const Error& error) {
    throw Error("cannot show " + std::string(what), path, error.error_number());
  }
}

/// A path that need not exist. Of what does, every link is followed; those that lead nowhere as well, to where
/// something could be made.
HostPath unmade_path(const Root& root, const std::string& path) {
  constexpr int kMostLinks = 40;  // as the kernel counts (path_resolution(7))
  HostPath found{path, {path, {}, {}}};
  for (int links = 0; links < kMostLinks; ++links) {
    std::vector<std::string> rest;  // what does not exist, the last name first
    std::string existing = found.real.path;
    for (; !root.stat(existing); existing = parent_path(existing)) rest.push_back(base_name(existing));
    const Resolved real = root.resolve(existing);
    std::vector<Link>& met = found.real.links;
    met.insert(met.end(), real.links.begin(), real.links.end());
    found.real.path = real.path;
    found.real.status = rest.empty() ? real.status : decltype(real.status){};
    if (rest.empty()) return found;
    const std::string first = join(real.path, rest.back());
    const auto target = root.read_link(first);
    if (target) {
      met.push_back({first, *target});
      found.real.path = absolute_path(*target, real.path);
      rest.pop_back();
    }
    for (; !rest.empty(); rest.pop_back()) found.real.path = join(found.real.path, rest.back());
    if (!target) return found;
  }
  throw Error("cannot follow", path, ELOOP);
}

/// A path of --ro or --rw. What --rw names need not be there when it is a protected name: see check_absent_shares.
HostPath share_path(const Root& root, const Share& share) {
  try {
    if (share.access == Access::read_write) return unmade_path(root, share.path);
  } catch (const Error&) {
    // The same is said below, in the words for a path that is to be shown.
  }
  return host_path(root, share.path, "the path");
}

/// A home directory that exists and is not part of the operating system; anything else is replaced.
void read_home(const Root& root, std::string_view home, RunFacts& facts) {
  facts.home = "/home/vrun";
  if (home.empty() || home.front() != '/' || home.find_first_of(":\n") != std::string_view::npos) return;  // passwd(5)
  Resolved real;
  try {
    real = root.resolve(home);
  } catch (const Error& error) {
    const int number = error.error_number();
    // A machine at its limits says nothing about the directory; another home would be a different run.
    if (number == EMFILE || number == ENFILE || number == ENOMEM || number == EIO) throw;
    return;  // the home of an account that has none, such as /nonexistent
  }
  if (real.path == "/" || !S_ISDIR(real.status.st_mode)) return;
  for (const std::string_view system : {"/usr", "/bin", "/sbin", "/lib", "/etc", "/dev", "/proc", "/sys", "/run"})
    if (is_within(real.path, system)) return;
  facts.home = real.path;
  facts.home_links = std::move(real.links);
}

bool shows_project(const RunPolicy& policy, const RunFacts& facts) {
  return facts.project && (policy.project_named || why_no_project(facts).empty());
}

/// The places of the host that the run can write.
std::vector<std::string> writable_places(const RunPolicy& policy, const RunFacts& facts) {
  std::vector<std::string> places;
  if (shows_project(policy, facts) && policy.project_access == Access::read_write)
    places.push_back(facts.project->real.path);
  for (std::size_t i = 0; i < facts.shares.size(); ++i)
    if (policy.shares[i].access == Access::read_write) places.push_back(facts.shares[i].real.path);
  if (facts.named_home) places.push_back(facts.named_home->real.path);
  if (policy.environment_access == Access::read_write) places.push_back(facts.environment.real_path);
  return places;
}

/// Whether a regular file of this status is the caller's own, and nobody else can write it.
bool is_private_file(const struct stat& status, const Caller& caller) {
  return S_ISREG(status.st_mode) && status.st_uid == caller.uid && (status.st_mode & 022) == 0;
}

/// Finds the directories at `paths`, of what later runs and builds believe, as far as they are in `writable` places.
void read_caches(const Root& root, const std::vector<std::string>& writable, const std::vector<std::string>& paths,
                 RunFacts& facts) {
  const auto is_writable = [&](const std::string& path) {
    return std::any_of(writable.begin(), writable.end(),
                       [&](const std::string& place) { return is_within(path, place) || is_within(place, path); });
  };
  for (const std::string& path : paths) {
    if (!is_writable(path)) continue;
    const auto status = root.lstat(path);
    if (!status)
      facts.unmade_caches.push_back(path);
    else if (S_ISDIR(status->st_mode))
      facts.caches.push_back(path);
  }
}

/// The packages of Pythons that applications below /usr bring along, from the index or by a search.
std::vector<std::string> read_package_index(const Root& root, const std::vector<std::string>& writable,
                                            const Caller& caller, RunFacts& facts) {
  constexpr std::string_view kIndex = "vrun/packages-below-usr";
  const std::string key = package_index_key(root);
  if (!caller.cache_directory.empty()) {
    try {
      const HostPath index = unmade_path(root, join(caller.cache_directory, kIndex));
      const std::string directory = parent_path(parent_path(index.real.path));
      read_caches(root, writable, {join(directory, "vrun"), join(directory, "vbuild")}, facts);
      // An index that this run can write is not believed, and a link says that somebody made it lead somewhere.
      const bool shared = std::any_of(facts.caches.begin(), facts.caches.end(),
                                      [](const std::string& path) { return base_name(path) == "vrun"; }) ||
                          !facts.unmade_caches.empty();
      if (!shared && index.real.path == join(directory, kIndex)) {
        facts.index_path = index.asked;
        if (is_private_file(index.real.status, caller))
          if (auto known = parse_package_index(root.read_file(index.real.path, kMaximumIndexSize).value_or(""), key))
            return *known;
      }
    } catch (const Error&) {
      facts.index_path.clear();  // it cannot be read, so it need not be written
    }
  }
  std::vector<std::string> found = search_packages_below_usr(root);
  if (!facts.index_path.empty()) facts.index_text = format_package_index(key, found);
  return found;
}

template <typename Value>
void append(std::vector<Value>& to, std::vector<Value> from) {
  to.insert(to.end(), std::make_move_iterator(from.begin()), std::make_move_iterator(from.end()));
}

/// Those of `paths` that are a directory or a regular file themselves.
std::vector<std::string> keep_no_links(const Root& root, const std::vector<std::string>& paths) {
  std::vector<std::string> kept;
  for (const std::string& path : paths)
    if (const auto status = root.lstat(path); status && !S_ISLNK(status->st_mode)) kept.push_back(path);
  return kept;
}

/// A path that is not there cannot be shown; but --rw permits that the run makes a name which it would be kept from.
void check_absent_shares(const Root& root, const RunPolicy& policy, const RunFacts& facts) {
  const bool in_project = shows_project(policy, facts) && policy.project_access == Access::read_write;
  const auto has = [](const std::vector<std::string>& names, const std::string& path) {
    return std::find(names.begin(), names.end(), path) != names.end();
  };
  for (const HostPath& share : facts.shares) {
    if (share.exists()) continue;
    const std::string& path = share.real.path;
    if ((in_project && has(facts.unmade_paths, path)) || has(facts.unmade_caches, path)) continue;
    host_path(root, share.asked, "the path");  // throws
  }
}

void sort_unique(std::vector<std::string>& paths) {
  std::sort(paths.begin(), paths.end());
  paths.erase(std::unique(paths.begin(), paths.end()), paths.end());
}

}  // namespace

RunFacts read_run_facts(const Root& root, const RunPolicy& policy, const Caller& caller) {
  RunFacts facts;
  facts.environment = is_conda_environment(root, policy.environment) ? read_conda_environment(root, policy.environment)
                                                                     : read_environment(root, policy.environment);
  const Interpreter& base = facts.environment.base;
  if (const auto status = root.stat(facts.environment.real_path)) facts.environment_status = *status;
  if (FileIdentity{facts.environment_status.st_dev, facts.environment_status.st_ino} != facts.environment.identity)
    throw Error("the environment was replaced while it was read:", policy.environment);

  facts.prefix = root.resolve(base.prefix);
  facts.stdlib = root.resolve(base.stdlib);
  if (const std::string path = join(facts.stdlib.path, "sitecustomize.py"); root.read_link(path)) {
    try {
      facts.customization = root.resolve(path).path;
    } catch (const Error&) {
      facts.customization.clear();  // it leads nowhere outside either
    }
  }
  if (base.loader.starts_with('/')) {
    try {
      facts.loader = root.resolve(base.loader);
    } catch (const Error&) {
      facts.loader.reset();  // it cannot be started outside either, and says so
    }
  }

  if (!policy.project.empty()) {
    facts.project = host_path(root, policy.project, "the project");
    if (!facts.project->is_directory()) throw Error("cannot show the project", policy.project, ENOTDIR);
  }
  for (const Share& share : policy.shares) facts.shares.push_back(share_path(root, share));
  for (const std::string& path : policy.hidden) {
    try {
      facts.hidden.push_back({path, root.resolve(path)});
    } catch (const Error& error) {
      // What does not exist, or what nobody of this user's can get at, is not shown in any case.
      if (error.error_number() != ENOENT && error.error_number() != ENOTDIR && error.error_number() != EACCES) throw;
    }
  }
  for (const Memory& memory : policy.memory) {
    try {
      facts.memory.push_back(unmade_path(root, memory.path));
    } catch (const Error& error) {
      throw Error("cannot put private memory on", memory.path, error.error_number());
    }
  }
  facts.ceilings = policy.ceilings;
  for (PathCeiling& ceiling : facts.ceilings)
    for (std::string& directory : ceiling.directories)
      if (root.is_directory(directory) || root.is_regular(directory)) directory = root.resolve(directory).path;
  if (!policy.home.empty()) {
    facts.named_home = host_path(root, policy.home, "the home directory");
    if (!facts.named_home->is_directory()) throw Error("cannot show the home directory", policy.home, ENOTDIR);
  }
  read_home(root, caller.home, facts);
  try {
    facts.passwd = root.read_file("/etc/passwd", kMaximumPasswd).value_or("");
  } catch (const Error&) {
    facts.passwd.clear();  // only a name would come from it
  }
  if (policy.network == Network::host) {
    try {
      facts.resolv_conf = root.read_file("/etc/resolv.conf", kMaximumResolvConf).value_or("");
    } catch (const Error&) {
      facts.resolv_conf.clear();  // names will not resolve, as they would not outside
    }
  }

  facts.system = existing(root, "/", kSystem);
  facts.etc = existing(root, "/etc", kEtc);
  const auto should_be_a_link = [](const HostEntry& entry) {
    const auto end = kEtc.begin() + kEtcLinks;
    return entry.kind != EntryKind::link && std::find(kEtc.begin(), end, base_name(entry.path)) != end;
  };
  facts.etc.erase(std::remove_if(facts.etc.begin(), facts.etc.end(), should_be_a_link), facts.etc.end());
  if (policy.no_system) {
    facts.closure = read_system_closure(root, base, facts.stdlib.path);
    // They are about what is not shown then.
    facts.etc.erase(std::remove_if(facts.etc.begin(), facts.etc.end(),
                                   [](const HostEntry& entry) {
                                     return entry.path == "/etc/alternatives" || entry.path == "/etc/fonts";
                                   }),
                    facts.etc.end());
    // What pip is installed from is a package, and nothing else of the standard library.
    if (const std::string bundled = join(facts.stdlib.path, "ensurepip/_bundled"); root.is_directory(bundled))
      facts.private_paths.push_back(bundled);
  }
  append(facts.etc, existing(root, "/var/lib", kVarLib));
  facts.proc = existing(root, "/proc", kProc);
  for (const HostEntry& device : existing(root, "/dev", kDevices)) facts.devices.push_back(device.path);

  facts.base_package_directories = find_package_directories(root, base);
  facts.package_directories = facts.base_package_directories;
  append(facts.package_directories, find_package_directories_below(root, "/usr"));
  const std::vector<std::string> writable = writable_places(policy, facts);
  append(facts.package_directories, read_package_index(root, writable, caller, facts));
  if (!caller.config_directory.empty()) {
    try {
      read_caches(root, writable, {unmade_path(root, join(caller.config_directory, "vrun")).real.path}, facts);
    } catch (const Error&) {
      // What cannot be reached cannot be read by a later run either.
    }
  }
  if (!is_within(facts.prefix.path, "/usr"))
    append(facts.package_directories, find_package_directories_below(root, facts.prefix.path));
  for (const std::string& home : {facts.home, facts.named_home ? facts.named_home->real.path : facts.home})
    if (const std::string site = user_site(base, home); root.is_directory(site))
      facts.user_sites.push_back(root.resolve(site).path);
  sort_unique(facts.user_sites);

  std::vector<const HostPath*> named;
  if (shows_project(policy, facts)) named.push_back(&*facts.project);
  for (const HostPath& share : facts.shares) named.push_back(&share);
  if (facts.named_home) named.push_back(&*facts.named_home);
  for (const HostPath* path : named) {
    // Below /usr, the index has them; the others are refused by the plan or are no place for environments.
    constexpr std::array<std::string_view, 4> kNotSearched = {"/usr", "/proc", "/sys", "/dev"};
    const auto holds = [&](std::string_view place) { return is_within(path->real.path, place); };
    if (!path->is_directory() || path->real.path == "/" || std::any_of(kNotSearched.begin(), kNotSearched.end(), holds))
      continue;
    EnvironmentSearch search = find_environments(root, path->real.path, facts.environment.real_path);
    append(facts.environments, std::move(search.found));
    append(facts.package_directories, std::move(search.packages));
    if (facts.project && path == &*facts.project)
      append(facts.protected_paths, keep_no_links(root, search.repositories));
    facts.environments_complete = facts.environments_complete && search.complete;
    append(facts.package_directories, find_package_directories_below(root, path->real.path));
  }
  sort_unique(facts.environments);
  sort_unique(facts.package_directories);
  // In conda's base environment are all the others, and what they were installed from.
  if (facts.environment.kind == EnvironmentKind::conda)
    for (const char* const name : {"envs", "pkgs"})
      if (const std::string path = join(facts.environment.real_path, name); root.is_directory(path))
        facts.inner_environments.push_back(root.resolve(path).path);

  if (facts.project) {
    const auto add = [&](const std::string& directory, const auto& names) {
      const std::vector<HostEntry> entries = existing(root, directory, names);
      for (const HostEntry& entry : entries) {
        if (entry.kind != EntryKind::link) {
          facts.protected_paths.push_back(entry.path);
          continue;
        }
        // What the link leads to is protected where it is; the link itself can only be looked at again afterwards.
        facts.watched_links.push_back({entry.path, entry.target});
        try {
          HostPath led = unmade_path(root, entry.path);
          const std::string& path = led.real.path;
          if (!is_within(path, facts.project->real.path) || path == facts.project->real.path) continue;
          if (!led.exists())
            facts.unmade_paths.push_back(path);
          else if (led.is_directory() || S_ISREG(led.real.status.st_mode))
            facts.protected_paths.push_back(path);
        } catch (const Error&) {
          continue;  // it leads nowhere, or where the caller may not look
        }
      }
      for (const std::string_view name : names) {
        std::string path = join(directory, name);
        const auto is_path = [&](const HostEntry& entry) { return entry.path == path; };
        if (std::none_of(entries.begin(), entries.end(), is_path)) facts.unmade_paths.push_back(std::move(path));
      }
    };
    add(facts.project->real.path, kProtected);
    sort_unique(facts.protected_paths);
    for (const Link& link : facts.environment.links)
      if (is_within(link.path, facts.project->real.path) && !is_within(link.path, facts.environment.real_path))
        facts.watched_links.push_back(link);
  }
  check_absent_shares(root, policy, facts);
  for (const std::string_view name : kPrivate)
    if (const std::string path = join("/etc", name); root.is_directory(path)) facts.private_paths.push_back(path);
  return facts;
}

}  // namespace vrun
