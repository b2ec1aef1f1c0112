#include "policy/plan.h"

#include <algorithm>
#include <array>
#include <cerrno>
#include <charconv>
#include <map>
#include <set>
#include <utility>

#include "policy/ceilings.h"
#include "policy/error.h"
#include "policy/landlock.h"
#include "policy/layers.h"
#include "policy/process_environment.h"
#include "policy/project.h"
#include "policy/reductions.h"

namespace vrun {
namespace {

constexpr std::uint64_t kMiB = 1024 * 1024;

/// The uid and gid of a run that root starts for files of root. It lies in the range that neither Debian, Fedora nor
/// systemd (UIDS-GIDS) ever gives to an account, a container or a dynamic user, so that it owns nothing.
constexpr unsigned kNobodysId = 65521;

bool contains(const std::vector<std::string>& list, std::string_view value) {
  return std::find(list.begin(), list.end(), value) != list.end();
}

struct Account {
  std::string name;
  std::optional<unsigned> gid;
};

/// What the text of a passwd(5) file says of `uid`; nothing of the fields when it is not there.
Account find_account(std::string_view passwd, unsigned uid) {
  while (!passwd.empty()) {
    const std::string_view line = passwd.substr(0, passwd.find('\n'));
    passwd.remove_prefix(std::min(passwd.size(), line.size() + 1));
    std::array<std::string_view, 4> fields;  // name, password, uid, gid
    std::string_view rest = line;
    for (std::string_view& field : fields) {
      field = rest.substr(0, rest.find(':'));
      rest.remove_prefix(std::min(rest.size(), field.size() + 1));
    }
    if (fields[0].empty() || fields[2] != std::to_string(uid)) continue;
    Account account{std::string(fields[0]), std::nullopt};
    unsigned gid = 0;
    const auto parsed = std::from_chars(fields[3].data(), fields[3].data() + fields[3].size(), gid);
    if (parsed.ec == std::errc() && gid != 0) account.gid = gid;
    return account;
  }
  return {};
}

Identity plan_identity(const RunFacts& facts, const Caller& caller, bool project_shown) {
  const std::string& home = facts.named_home ? facts.named_home->real.path : facts.home;
  Identity identity{caller.uid, caller.gid, false, {}, home};
  if (kept("unprivileged-user") && caller.is_host_root) {
    identity = {kNobodysId, kNobodysId, true, "vrun", home};
    // Root acts for the owner of the project; files of root itself are reached by id-mapped mounts.
    if (project_shown && facts.project->real.status.st_uid != 0) {
      identity.uid = facts.project->real.status.st_uid;
      identity.gid = find_account(facts.passwd, identity.uid).gid.value_or(identity.uid);
    }
  }
  if (std::string name = find_account(facts.passwd, identity.uid).name; !name.empty()) identity.name = std::move(name);
  if (identity.name.empty()) identity.name = "user";
  return identity;
}

/// Collects what stands where in the view, at most one thing a path, and turns it into steps in which every directory
/// comes before what is in it. std::map's order gives that: a path sorts before every path that it is a prefix of.
class View {
 public:
  /// Later placements replace earlier ones.
  void put(const std::string& path, Step step) { places_.insert_or_assign(path, std::move(step)); }
  void remove(const std::string& path) { places_.erase(path); }
  bool has(const std::string& path) const { return places_.count(path) != 0; }

  /// What `path` lies in, itself not counted: the nearest mount above it, and where that is.
  const std::pair<const std::string, Step>& mount_above(const std::string& path) const {
    for (std::string parent = path; parent != "/";) {
      parent = parent_path(parent);
      const auto found = places_.find(parent);
      if (found != places_.end() && is_mount(found->second)) return *found;
    }
    return *places_.find("/");
  }
  const Step& above(const std::string& path) const { return mount_above(path).second; }
  /// Whether files of the host can be seen at `path`.
  bool shows(const std::string& path) const {
    const auto here = places_.find(path);
    const Step& step = here != places_.end() && is_mount(here->second) ? here->second : above(path);
    return std::holds_alternative<Bind>(step) || std::holds_alternative<Hold>(step);
  }
  bool has_below(const std::string& path) const {
    const auto next = places_.upper_bound(path + "/");
    return next != places_.end() && is_within(next->first, path);
  }

  /// Everything that is placed, from the top down.
  const std::map<std::string, Step>& places() const { return places_; }

  /// Whether the run can change names in the directory `path` of the host.
  bool is_writable(const std::string& path) const {
    const auto here = places_.find(path);
    const Step& step = here != places_.end() && is_mount(here->second) ? here->second : above(path);
    const Bind* bind = std::get_if<Bind>(&step);
    const Hold* hold = std::get_if<Hold>(&step);
    return (bind != nullptr && bind->access == Access::read_write) ||
           (hold != nullptr && hold->access == Access::read_write);
  }

  /// A link that was followed outside has to exist inside as well, unless the directory it stands in is shown.
  void put_link(const Link& link) {
    if (!shows(link.path) && !has(link.path)) put(link.path, MakeLink{link.path, link.target});
  }

  /// Covers `path` where files of the host would be seen there.
  void mask(const std::string& path, FileKind kind) {
    if (shows(path)) put(path, Mask{path, kind});
  }

  std::vector<Step> steps() &&;

 private:
  static bool is_mount(const Step& step) {
    return !std::holds_alternative<MakeDirectory>(step) && !std::holds_alternative<MakeLink>(step) &&
           !std::holds_alternative<MakeFile>(step);
  }
  /// Mount points can be made only in memory of our own; in what is shown of the host they exist already.
  bool in_memory(const std::string& path) const { return std::holds_alternative<MountMemory>(above(path)); }
  void make_parents(const std::string& path, std::vector<Step>& steps);

  std::map<std::string, Step> places_;
  std::set<std::string> made_;
};

void View::make_parents(const std::string& path, std::vector<Step>& steps) {
  const std::string parent = parent_path(path);
  if (parent == "/" || places_.count(parent) != 0 || made_.count(parent) != 0 || !in_memory(parent)) return;
  make_parents(parent, steps);
  steps.emplace_back(MakeDirectory{parent});
  made_.insert(parent);
}

std::vector<Step> View::steps() && {
  // A covered directory with something shown below it cannot be the shared empty one: it gets memory of its own.
  std::vector<std::string> seals;
  for (auto& [path, step] : places_) {
    const Mask* mask = std::get_if<Mask>(&step);
    if (mask != nullptr && mask->kind == FileKind::directory && has_below(path)) {
      step = MountMemory{path, kMiB, 1024, 0755, false};
      seals.push_back(path);
    }
  }
  std::vector<Step> steps;
  for (const auto& [path, step] : places_) {
    if (path != "/" && in_memory(path)) {
      make_parents(path, steps);
      // The mount point itself.
      if (const Bind* bind = std::get_if<Bind>(&step); bind != nullptr && bind->kind != FileKind::directory)
        steps.emplace_back(MakeFile{path, {}});
      else if (is_mount(step) && !std::holds_alternative<Hold>(step))
        steps.emplace_back(MakeDirectory{path});
    }
    steps.push_back(step);
  }
  for (std::string& path : seals) steps.emplace_back(Seal{std::move(path)});
  steps.emplace_back(Seal{"/"});
  return steps;
}

std::string passwd_text(const Identity& identity) {
  std::string text;
  if (identity.uid != 0) text += "root:x:0:0:root:/root:/usr/sbin/nologin\n";
  text += identity.name + ":x:" + std::to_string(identity.uid) + ":" + std::to_string(identity.gid) +
          "::" + identity.home + ":/bin/sh\n";
  if (identity.uid != 65534) text += "nobody:x:65534:65534:nobody:/nonexistent:/usr/sbin/nologin\n";
  return text;
}

std::string group_text(const Identity& identity) {
  std::string text;
  if (identity.gid != 0) text += "root:x:0:\n";
  text += identity.name + ":x:" + std::to_string(identity.gid) + ":\n";
  if (identity.gid != 65534) text += "nogroup:x:65534:\n";
  return text;
}

/// What is said of a path, on the command line or by standing in it.
enum class Saying { hide, memory, read_only, read_write, home, project, environment };
struct Named {
  const char* by;  ///< how to call it in a message
  std::string path;
  Saying saying;
};

/// Whether one path cannot be both. Where a project or an environment stands says nothing about who may write to it.
bool contradict(Saying one, Saying other) {
  if (one > other) std::swap(one, other);
  if (one == other) return false;
  if (one == Saying::hide || one == Saying::memory) return true;
  if (one == Saying::read_only) return other == Saying::read_write || other == Saying::home;
  return one == Saying::home && other == Saying::environment;
}

/// What tools of a conda environment look for, in the place of VIRTUAL_ENV, unless the command line sets it.
void name_conda(const std::string& environment, std::vector<Variable>& variables) {
  for (Variable& variable : variables)
    if (variable.name == "VIRTUAL_ENV" && variable.value == environment) variable.name = "CONDA_PREFIX";
  std::sort(variables.begin(), variables.end(),
            [](const Variable& one, const Variable& other) { return one.name < other.name; });
}

class Planner {
 public:
  Planner(const RunPolicy& policy, const RunFacts& facts, const Caller& caller)
      : policy_(policy), facts_(facts), caller_(caller) {}

  Plan plan();

 private:
  void decide_project();
  void put_system();
  void put_etc();
  void put_private();
  void put_interpreter();
  void put_project();
  void protect_project();
  void pin_directories();
  void guard_absent_names();
  void put_environment();
  void put_home();
  void put_shares();
  void put_covers();
  void collect_named();
  void check_named() const;
  void put_masks();
  void put_proc();
  void note_opened();
  void put_links();
  void check_loader() const;
  void decide_working_directory();
  bool trusts_environment() const;
  Bind bind_any(const std::string& path, FileKind kind) const;
  Bind bind(const std::string& path, Access access, FileKind kind, const struct stat& status) const;
  /// Whether the command line shows `path` itself.
  bool named(const std::string& path) const;
  /// The nearest of what is said of `path` and of the directories that it is in; null when there is nothing.
  const Named* nearest(const std::string& path) const;
  /// Whether --hide or --tmpfs says that nothing of the host is seen at `path`.
  bool is_covered(const std::string& path) const;

  const RunPolicy& policy_;
  const RunFacts& facts_;
  const Caller& caller_;
  Plan plan_;
  View view_;
  std::vector<Named> named_;
};

/// Read-only, and whichever file has the name when the view is built: for what is not the project's or the
/// environment's.
Bind Planner::bind_any(const std::string& path, FileKind kind) const {
  Bind step{path, path, Access::read_only, kind, {}, {}, Reach::run};
  // An environment of root's leads where root let it lead.
  if (trusts_environment() && facts_.environment_status.st_uid == 0) step.reach = Reach::caller;
  if (plan_.identity.drop && step.reach == Reach::caller) step.owner = OwnerMap{0, 0, false};
  return step;
}

Bind Planner::bind(const std::string& path, Access access, FileKind kind, const struct stat& status) const {
  Bind bind{path, path, access, kind, FileIdentity{status.st_dev, status.st_ino}, {}, Reach::run};
  if (path == plan_.project || named(path) || (path == facts_.environment.real_path && trusts_environment()))
    bind.reach = Reach::caller;
  const bool mapped = plan_.identity.drop && bind.reach == Reach::caller && kind != FileKind::device;
  if (mapped && status.st_uid != plan_.identity.uid)
    bind.owner = OwnerMap{status.st_uid, status.st_gid, access == Access::read_write};
  return bind;
}

/// Whether root can know which environment it runs: it named it and no link led elsewhere, or the project it was found
/// from is root's own too.
bool Planner::trusts_environment() const {
  const bool named = policy_.environment_named && facts_.environment.path == facts_.environment.real_path;
  return named || plan_.identity.uid == kNobodysId;
}

bool Planner::named(const std::string& path) const {
  return (facts_.named_home && facts_.named_home->real.path == path) ||
         std::any_of(facts_.shares.begin(), facts_.shares.end(),
                     [&](const HostPath& share) { return share.real.path == path; });
}

const Named* Planner::nearest(const std::string& path) const {
  const Named* found = nullptr;
  for (const Named& named : named_)
    if (is_within(path, named.path) && (found == nullptr || found->path.size() < named.path.size())) found = &named;
  return found;
}

bool Planner::is_covered(const std::string& path) const {
  const Named* named = nearest(path);
  return named != nullptr && (named->saying == Saying::hide || named->saying == Saying::memory);
}

void Planner::collect_named() {
  for (const HostPath& path : facts_.hidden) named_.push_back({"--hide", path.real.path, Saying::hide});
  for (const HostPath& path : facts_.memory) named_.push_back({"--tmpfs", path.real.path, Saying::memory});
  for (const Access access : {Access::read_only, Access::read_write})
    for (std::size_t i = 0; i < facts_.shares.size(); ++i)
      if (policy_.shares[i].access == access)
        named_.push_back(access == Access::read_only ? Named{"--ro", facts_.shares[i].real.path, Saying::read_only}
                                                     : Named{"--rw", facts_.shares[i].real.path, Saying::read_write});
  if (facts_.named_home) named_.push_back({"--home", facts_.named_home->real.path, Saying::home});
  const std::string& environment = facts_.environment.real_path;
  if (policy_.environment_access == Access::read_write) named_.push_back({"--env-rw", environment, Saying::read_write});
  named_.push_back({"the environment", environment, Saying::environment});
  if (!plan_.project.empty()) named_.push_back({"the project", plan_.project, Saying::project});
}

/// Refuses what contradicts itself, and what leaves no run.
void Planner::check_named() const {
  for (const Named& named : named_) {
    for (const Named& other : named_)
      if (named.path == other.path && &named < &other && contradict(named.saying, other.saying))
        throw Error("both " + std::string(named.by) + " and " + other.by + " name", named.path)
            .hint(other.saying == Saying::project ? "name another project with --project DIR" : "");
    if (named.saying != Saying::hide && named.saying != Saying::memory) continue;
    if (named.path == "/") throw Error("cannot take '/' with " + std::string(named.by)).hint("name what is in it");
    for (const std::string_view own : {"/proc", "/dev"})
      if (is_within(named.path, own))
        throw Error("cannot take with " + std::string(named.by), named.path)
            .hint("the run has its own " + std::string(own));
  }
  const Interpreter& base = facts_.environment.base;
  for (const std::string& path : {facts_.stdlib.path, base.real_executable, base.libpython})
    if (!path.empty() && is_covered(path))
      throw Error(std::string(nearest(path)->by) + " names " + quote(nearest(path)->path) +
                  ", where the environment's interpreter is: " + quote(path));
}

void Planner::decide_project() {
  if (!facts_.project) return;
  const std::string& path = facts_.project->real.path;
  if (policy_.project_named) {
    if (path == "/") throw Error("cannot show '/' as the project").hint("name the directory that holds it");
    for (const std::string_view system : {"/proc", "/sys", "/dev"})
      if (is_within(path, system))
        throw Error("cannot show a part of " + std::string(system) + " as the project:", path);
    plan_.project = path;
    return;
  }
  const std::string reason = why_no_project(facts_);
  if (reason.empty()) {
    plan_.project = path;
  } else {
    plan_.notices.push_back("the current directory " + quote(path) + " is not shown: " + reason +
                            "; name a project with --project DIR");
  }
}

void Planner::put_system() {
  view_.put("/", MountMemory{"/", 4 * kMiB, 8192, 0755, true});
  for (const HostEntry& entry : facts_.system) {
    if (entry.kind == EntryKind::link)
      view_.put(entry.path, MakeLink{entry.path, entry.target});
    else if (entry.kind == EntryKind::directory && !policy_.no_system)
      view_.put(entry.path, Bind{entry.path, entry.path, Access::read_only, FileKind::directory, {}, {}, Reach::run});
  }
}

void Planner::put_etc() {
  for (const HostEntry& entry : facts_.etc) {
    if (entry.kind == EntryKind::link)
      view_.put(entry.path, MakeLink{entry.path, entry.target});
    else
      view_.put(entry.path, Bind{entry.path,
                                 entry.path,
                                 Access::read_only,
                                 entry.kind == EntryKind::directory ? FileKind::directory : FileKind::file,
                                 {},
                                 {},
                                 Reach::run});
  }
  const bool online = policy_.network == Network::host;
  const auto file = [&](const std::string& path, std::string content) {
    view_.put(path, MakeFile{path, std::move(content)});
  };
  file("/etc/passwd", passwd_text(plan_.identity));
  file("/etc/group", group_text(plan_.identity));
  file("/etc/hostname", plan_.host_name + "\n");
  file("/etc/hosts", "127.0.0.1 localhost " + plan_.host_name + "\n::1 localhost ip6-localhost ip6-loopback\n");
  file("/etc/nsswitch.conf", std::string("passwd: files\ngroup: files\nhosts: files") + (online ? " dns" : "") +
                                 "\nnetworks: files\nprotocols: files\nservices: files\n");
  file("/etc/resolv.conf", online ? facts_.resolv_conf : "");
}

void Planner::put_private() {
  const auto size = [&](LimitKind kind, std::uint64_t usual) { return policy_.limits[kind].value_or(usual); };
  view_.put("/tmp", MountMemory{"/tmp", size(LimitKind::tmp_size, 2048 * kMiB), 262144, 01777, true});
  view_.put("/var/tmp", MountMemory{"/var/tmp", size(LimitKind::tmp_size, 512 * kMiB), 65536, 01777, true});
  view_.put("/run", MountMemory{"/run", 16 * kMiB, 4096, 0755, false});
  view_.put(facts_.home, MountMemory{facts_.home, size(LimitKind::tmp_size, 512 * kMiB), 65536, 0700, true});

  for (const std::string& device : facts_.devices)
    view_.put(device, Bind{device, device, Access::read_write, FileKind::device, {}, {}, Reach::run});
  view_.put("/dev/pts", MountTerminals{"/dev/pts"});
  view_.put("/dev/shm", MountMemory{"/dev/shm", size(LimitKind::shm_size, 1024 * kMiB), 65536, 01777, false});
  for (const auto& [path, target] :
       {std::pair{"/dev/ptmx", "pts/ptmx"}, std::pair{"/dev/fd", "/proc/self/fd"},
        std::pair{"/dev/stdin", "/proc/self/fd/0"}, std::pair{"/dev/stdout", "/proc/self/fd/1"},
        std::pair{"/dev/stderr", "/proc/self/fd/2"}})
    view_.put(path, MakeLink{path, target});
}

void Planner::put_proc() {
  view_.put("/proc", MountProc{"/proc", !plan_.leaves_out("hidepid")});
  for (const HostEntry& entry : facts_.proc) {
    const std::string name = base_name(entry.path);
    const bool held = name == "bus" || name == "fs" || name == "irq" || name == "sys";
    if (!kept("read-only-proc") && held) continue;
    if (!kept("hidden-proc") && !held) continue;
    if (held)
      view_.put(entry.path, Hold{entry.path});
    else
      view_.put(entry.path,
                Mask{entry.path, entry.kind == EntryKind::directory ? FileKind::directory : FileKind::file});
  }
}

void Planner::put_interpreter() {
  const Interpreter& base = facts_.environment.base;
  const auto shown = [&](const std::string& path) { return view_.shows(path); };
  // A prefix that also holds other things than Python is not shown whole.
  const std::string& prefix = facts_.prefix.path;
  const bool system = policy_.no_system && is_within(prefix, "/usr");
  const bool whole =
      prefix != "/" && !system && !is_within(facts_.home, prefix) && prefix != join(facts_.home, ".local");
  const auto put = [&](const std::string& path, FileKind kind) {
    if (path.empty() || shown(path)) return;
    view_.put(path, bind_any(path, kind));
  };
  if (whole) put(prefix, FileKind::directory);
  put(facts_.stdlib.path, FileKind::directory);
  put(base.real_executable, FileKind::file);
  put(base.libpython, FileKind::file);
  for (const Resolved& part : facts_.closure)
    put(part.path, S_ISDIR(part.status.st_mode) ? FileKind::directory : FileKind::file);
  if (policy_.no_system && facts_.environment.config.include_system_site_packages)
    for (const std::string& path : facts_.base_package_directories) put(path, FileKind::directory);
  // Debian's standard library has a link into /etc here, to what the machine's administrator wants every Python to run.
  // That is not for this run, but a link that leads nowhere is in the way of whoever reads the whole library, and would
  // let another module of the name take its place.
  const std::string& customization = facts_.customization;
  if (is_within(customization, "/etc") && !shown(customization)) view_.put(customization, MakeFile{customization, ""});
}

void Planner::put_project() {
  if (plan_.project.empty()) return;
  view_.put(plan_.project,
            bind(plan_.project, policy_.project_access, FileKind::directory, facts_.project->real.status));
}

/// Keeps what a host tool would later execute or trust from being changed, wherever in the project the run may write: a
/// project that is shown read-only may have something writable at or below it by another option.
void Planner::protect_project() {
  if (plan_.project.empty()) return;
  for (const std::string& path : facts_.protected_paths) {
    const bool decided = named(path) || path == facts_.environment.real_path;
    if (kept("protected-files") && !decided && view_.is_writable(path)) view_.put(path, Hold{path, Access::read_only});
  }
}

/// A mount keeps its place's name, but not the names of the directories above it: renamed away, something else could
/// stand at the path that a tool on the host uses later. A directory that is a mount itself cannot be renamed
/// (rename(2), EBUSY).
void Planner::pin_directories() {
  std::vector<std::string> pinned;
  for (const auto& [path, step] : view_.places())
    for (std::string above = parent_path(path); !view_.has(above) && view_.is_writable(above);
         above = parent_path(above))
      pinned.push_back(above);
  if (!kept("pinned-directories")) return;
  for (const std::string& path : pinned) view_.put(path, Hold{path, Access::read_write});
}

/// Names to be kept from the run without a file to mount something on.
void Planner::guard_absent_names() {
  if (!kept("absent-names")) return;
  const auto guard = [&](const std::string& path, std::optional<std::string> link) {
    // What lies on no mount of the host's is gone with the run.
    if (named(path) || !view_.is_writable(path)) return;
    const auto& [base, step] = view_.mount_above(path);
    const Bind* const bind = std::get_if<Bind>(&step);
    plan_.guarded.push_back(
        {base, path.substr(base.size() + 1), bind != nullptr ? bind->identity : std::nullopt, std::move(link)});
  };
  const auto may_change = [&](const Link& link) {
    for (std::size_t i = 0; i < facts_.shares.size(); ++i)
      if (facts_.shares[i].asked == link.path && policy_.shares[i].access == Access::read_write) return true;
    return false;
  };
  if (!plan_.project.empty()) {
    for (const std::string& path : facts_.unmade_paths) guard(path, std::nullopt);
    for (const Link& link : facts_.watched_links)
      if (!may_change(link)) guard(link.path, link.target);
  }
  for (const std::string& path : facts_.unmade_caches) guard(path, std::nullopt);
  std::sort(plan_.guarded.begin(), plan_.guarded.end(),
            [](const GuardedName& one, const GuardedName& other) { return one.path() < other.path(); });
}

void Planner::put_environment() {
  const std::string& path = facts_.environment.real_path;
  const bool writable = std::any_of(named_.begin(), named_.end(), [&](const Named& named) {
    return named.path == path && named.saying == Saying::read_write;
  });
  const Access access = writable ? Access::read_write : Access::read_only;
  view_.put(path, bind(path, access, FileKind::directory, facts_.environment_status));
  // Whether it includes the system's packages is not for what runs in it to decide.
  const std::string config = join(path, "pyvenv.cfg");
  if (writable && facts_.environment.kind == EnvironmentKind::venv) view_.put(config, Hold{config, Access::read_only});
}

void Planner::put_home() {
  if (!facts_.named_home) return;
  const std::string& path = facts_.named_home->real.path;
  const bool system = std::any_of(facts_.system.begin(), facts_.system.end(),
                                  [&](const HostEntry& entry) { return is_within(path, entry.path); });
  if (path == "/" || system) throw Error("cannot show a part of the operating system as the home directory:", path);
  for (const std::string_view own : {"/etc", "/proc", "/sys", "/dev", "/run"})
    if (is_within(path, own))
      throw Error("cannot show a part of " + std::string(own) + " as the home directory:", path);
  if (path.find_first_of(":\n") != std::string::npos)
    throw Error("a home directory cannot have a ':' or a line's end in its name (passwd(5)):", path);
  view_.put(path, bind(path, Access::read_write, FileKind::directory, facts_.named_home->real.status));
  if (is_within(facts_.home, path))
    plan_.notices.push_back("the run can change your home directory: what it writes to its start-up files runs later");
}

/// --hide and --tmpfs: what vrun shows by itself below them goes, what is named below them stays.
void Planner::put_covers() {
  std::vector<std::string> gone;
  for (const auto& [path, step] : view_.places()) {
    if (!is_covered(path)) continue;
    const bool of_host =
        std::holds_alternative<Bind>(step) || std::holds_alternative<Hold>(step) || std::holds_alternative<Mask>(step);
    if (of_host || nearest(path)->saying == Saying::memory) gone.push_back(path);
  }
  for (const std::string& path : gone) view_.remove(path);
  for (const HostPath& hidden : facts_.hidden) {
    view_.mask(hidden.real.path, hidden.is_directory() ? FileKind::directory : FileKind::file);
    plan_.hidden_named.push_back(hidden.real.path);
  }
  for (std::size_t i = 0; i < facts_.memory.size(); ++i) {
    const HostPath& memory = facts_.memory[i];
    const std::string& path = memory.real.path;
    const bool missing = memory.real.status.st_mode == 0;
    if (!missing && !memory.is_directory()) throw Error("cannot put private memory on", path, ENOTDIR);
    if (missing && view_.shows(path))
      throw Error("cannot put private memory on", path, ENOENT)
          .hint("it lies in what is shown of this machine, and nothing is made there: make the directory first");
    view_.put(path, MountMemory{path, policy_.memory[i].size, 65536, 0755, true});
  }
}

void Planner::put_shares() {
  for (std::size_t i = 0; i < facts_.shares.size(); ++i) {
    const HostPath& share = facts_.shares[i];
    const std::string& path = share.real.path;
    const bool device = S_ISCHR(share.real.status.st_mode) && is_within(path, "/dev");
    if (path == "/") throw Error("cannot show '/' with --ro or --rw").hint("name the directories that are needed");
    if (is_within(path, "/proc") || (is_within(path, "/dev") && !device))
      throw Error("cannot show with --ro or --rw", path)
          .hint("the run has its own " + path.substr(0, path.find('/', 1)));
    if (!share.exists()) continue;  // the run may make it
    if (!share.is_directory() && !S_ISREG(share.real.status.st_mode) && !device)
      throw Error("cannot show " + quote(path) + ": it is neither a directory nor a regular file");
    if (path == facts_.environment.real_path) continue;
    if (device && policy_.shares[i].access == Access::read_only)
      throw Error("cannot show a device read-only:", path)
          .hint("a read-only mount keeps nobody from writing to a device: show it with --rw");
    const FileKind kind = device ? FileKind::device : share.is_directory() ? FileKind::directory : FileKind::file;
    view_.put(path, bind(path, policy_.shares[i].access, kind, share.real.status));
  }
}

void Planner::put_masks() {
  const bool system_packages = facts_.environment.config.include_system_site_packages;
  const std::string& environment = facts_.environment.real_path;
  if (facts_.environment.kind == EnvironmentKind::venv)
    plan_.shown_packages.push_back(
        join(environment, "lib/" + facts_.environment.base.library_name() + "/site-packages"));
  for (const std::string& path : facts_.package_directories) {
    // The environment's own packages, in an environment that is also the base of others or lies in what is listed.
    if (is_within(path, environment) || named(path) ||
        (system_packages && contains(facts_.base_package_directories, path))) {
      if (!contains(plan_.shown_packages, path)) plan_.shown_packages.push_back(path);
      continue;
    }
    plan_.hidden_packages.push_back(path);
    if (kept("hidden-packages") && path != plan_.project) view_.mask(path, FileKind::directory);
  }
  for (const std::string& path : facts_.environments) {
    if (is_within(environment, path) || is_within(path, environment) || named(path)) continue;
    if (path == plan_.project) continue;
    plan_.hidden_environments.push_back(path);
    if (kept("hidden-environments")) view_.mask(path, FileKind::directory);
  }
  for (const std::string& path : facts_.inner_environments) {
    if (named(path)) continue;
    plan_.hidden_environments.push_back(path);
    view_.mask(path, FileKind::directory);
  }
  for (const std::string& path : facts_.private_paths) view_.mask(path, FileKind::directory);
  for (const std::string& path : facts_.caches)
    if (!named(path) && view_.is_writable(path)) view_.mask(path, FileKind::directory);
  for (const std::string& site : facts_.user_sites) {
    if (system_packages && is_within(site, plan_.identity.home)) {
      view_.put(site, bind_any(site, FileKind::directory));
      plan_.shown_packages.push_back(site);
    } else if (!named(site)) {
      if (!contains(plan_.hidden_packages, site)) plan_.hidden_packages.push_back(site);
      if (kept("hidden-packages")) view_.mask(site, FileKind::directory);
    }
  }
}

/// What the command line shows of what a run without it would not have, or could not write.
void Planner::note_opened() {
  for (std::size_t i = 0; i < facts_.shares.size(); ++i) {
    const std::string& path = facts_.shares[i].real.path;
    const bool writable = policy_.shares[i].access == Access::read_write;
    if (is_within(path, facts_.environment.real_path)) continue;
    const auto is_in = [&](const std::vector<std::string>& places) {
      return std::any_of(places.begin(), places.end(),
                         [&](const std::string& place) { return is_within(path, place); });
    };
    const std::string option = (writable ? "--rw " : "--ro ") + escape(facts_.shares[i].asked);
    if (is_in(facts_.package_directories)) plan_.opened.push_back({"hidden-packages", option});
    if (is_in(facts_.environments)) plan_.opened.push_back({"hidden-environments", option});
    if (writable && !plan_.project.empty() && is_in(facts_.protected_paths))
      plan_.opened.push_back({"protected-files", option});
    if (!facts_.shares[i].exists()) plan_.opened.push_back({"absent-names", option});
  }
}

void Planner::put_links() {
  for (const auto* links : {&facts_.environment.links, &facts_.environment.base.links, &facts_.prefix.links,
                            &facts_.stdlib.links, &facts_.home_links})
    for (const Link& link : *links) view_.put_link(link);
  for (const Resolved& part : facts_.closure)
    for (const Link& link : part.links) view_.put_link(link);
  if (!plan_.project.empty())
    for (const Link& link : facts_.project->real.links) view_.put_link(link);
  for (const HostPath& share : facts_.shares)
    for (const Link& link : share.real.links) view_.put_link(link);
  for (const HostPath& memory : facts_.memory)
    for (const Link& link : memory.real.links) view_.put_link(link);
  if (facts_.named_home)
    for (const Link& link : facts_.named_home->real.links) view_.put_link(link);
}

/// A Python that is started by a loader of its own, as Homebrew's and Guix' are, needs the libraries beside that loader
/// too, and shows only itself.
void Planner::check_loader() const {
  if (!facts_.loader) return;
  const auto missing = [&](const std::string& path) { return !view_.shows(path) && !view_.has(path); };
  const auto& links = facts_.loader->links;
  const auto link = std::find_if(links.begin(), links.end(), [&](const Link& met) { return missing(met.path); });
  if (link == links.end() && !missing(facts_.loader->path)) return;
  const std::string& path = link != links.end() ? link->path : facts_.loader->path;
  const std::string directory = parent_path(path);
  const std::string above = parent_path(directory);
  throw Error("the environment's Python is started by " + quote(path) + ", which is not shown")
      .hint("show all that it was installed with, such as --ro " + escape(above == "/" ? directory : above) +
            ", or make the environment from another Python: vbuild --python");
}

void Planner::decide_working_directory() {
  std::string& directory = plan_.working_directory;
  if (policy_.working_directory.empty()) {
    directory = plan_.project.empty() ? plan_.identity.home : facts_.project->asked;
    return;
  }
  directory = policy_.working_directory;
}

Plan Planner::plan() {
  const Environment& environment = facts_.environment;
  if (environment.path.find(':') != std::string::npos)
    throw Error("cannot put an environment whose path has a ':' on the run's PATH:", environment.path);
  decide_project();
  // The closure of a package is known to the store's own tools alone, and shown whole it is thousands of packages.
  for (const std::string_view store : {"/nix/store", "/gnu/store"}) {
    const bool shown = std::any_of(facts_.shares.begin(), facts_.shares.end(),
                                   [&](const HostPath& share) { return is_within(store, share.real.path); });
    if (is_within(facts_.prefix.path, store) && !shown)
      throw Error("the environment's Python is in " + std::string(store) +
                  ", and what else it needs of there cannot be read")
          .hint("show the whole store with --ro " + std::string(store) +
                ", or make the environment from another Python: vbuild --python");
  }
  plan_.identity = plan_identity(facts_, caller_, !plan_.project.empty());
  plan_.network = policy_.network;
  plan_.allowed = policy_.allowed;
  plan_.without = policy_.without;
  if (!plan_.without.empty()) {
    std::string names;
    for (const std::string& layer : plan_.without) names += (names.empty() ? "" : ", ") + layer;
    plan_.notices.push_back("this run goes without " + names + ", as --without asks");
  }
  plan_.limits = policy_.limits;
  plan_.resource_limits = plan_resource_limits(policy_.limits, {});
  plan_.require_limits = policy_.require_limits;
  plan_.host_name = "vrun";
  plan_.environment = environment.path;
  plan_.interpreter = environment.base.executable;
  plan_.python_version = environment.base.version.text();
  plan_.system_packages = environment.config.include_system_site_packages;
  plan_.environments_complete = facts_.environments_complete;
  if (!facts_.environments_complete)
    plan_.notices.push_back(
        "what is shown has more directories than are searched for other environments; vrun --explain "
        "--verbose says how far the search goes");

  collect_named();
  check_named();
  put_system();
  put_etc();
  put_private();
  put_proc();
  put_interpreter();
  put_project();
  put_home();
  put_environment();
  put_shares();
  put_masks();
  put_covers();
  protect_project();
  note_opened();
  pin_directories();
  guard_absent_names();
  put_links();
  check_loader();
  decide_working_directory();

  plan_.shown_packages.erase(std::remove_if(plan_.shown_packages.begin(), plan_.shown_packages.end(),
                                            [&](const std::string& path) { return !view_.shows(path); }),
                             plan_.shown_packages.end());
  plan_.view = std::move(view_).steps();
  plan_.landlock = plan_landlock(plan_.view, facts_.landlock_abi, plan_.allows("userns"));
  if (plan_.leaves_out("landlock")) plan_.landlock.scopes = 0;
  if (plan_.leaves_out("landlock-files")) {
    plan_.landlock.handled = 0;
    plan_.landlock.rules.clear();
  }
  plan_.variables = make_variables(policy_, caller_, environment.path, plan_.identity.home, plan_.identity.name,
                                   plan_.system_packages);
  if (environment.kind == EnvironmentKind::conda) name_conda(environment.path, plan_.variables);
  plan_.command = policy_.command;
  if (plan_.command.empty()) plan_.command = {join(environment.path, "bin/python")};
  return std::move(plan_);
}

}  // namespace

Plan plan_run(const RunPolicy& policy, const RunFacts& facts, const Caller& caller) {
  check_ceilings(policy, facts);
  Plan plan = Planner(policy, facts, caller).plan();
  check_required(policy, plan);
  return plan;
}

std::vector<std::string> program_candidates(const Plan& plan) {
  const std::string& name = plan.command.front();
  if (name.find('/') != std::string::npos) return {name};
  std::vector<std::string> candidates;
  const std::string path = find_variable(plan.variables, "PATH");
  for (std::string_view rest = path; !rest.empty();) {
    const std::string_view directory = rest.substr(0, rest.find(':'));
    rest.remove_prefix(std::min(rest.size(), directory.size() + 1));
    candidates.push_back(join(directory.empty() ? "." : directory, name));
  }
  return candidates;
}

}  // namespace vrun
