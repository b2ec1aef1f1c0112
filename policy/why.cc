#include "policy/why.h"

#include <arpa/inet.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <cstdio>

#include "policy/error.h"
#include "policy/process_environment.h"
#include "policy/render.h"
#include "policy/syscall_names.h"

namespace vrun {
namespace {

constexpr std::size_t kMaximumLinks = 40;  // as the kernel counts (path_resolution(7))

bool contains(const std::vector<std::string>& list, std::string_view value) {
  return std::find(list.begin(), list.end(), value) != list.end();
}

/// The path in the view that a step is about.
struct PathOf {
  const std::string& operator()(const Bind& step) const { return step.target; }
  template <typename Other>
  const std::string& operator()(const Other& step) const {
    return step.path;
  }
};
const std::string& path_of(const Step& step) { return std::visit(PathOf{}, step); }

bool is_mount(const Step& step) {
  return !std::holds_alternative<MakeDirectory>(step) && !std::holds_alternative<MakeLink>(step) &&
         !std::holds_alternative<MakeFile>(step) && !std::holds_alternative<Seal>(step);
}

/// The mount that `path` is on: of those at or above it the deepest.
const Step& mount_of(const Plan& plan, std::string_view path) {
  const Step* found = &plan.view.front();
  for (const Step& step : plan.view)
    if (is_mount(step) && is_within(path, path_of(step)) && path_of(step).size() >= path_of(*found).size())
      found = &step;
  return *found;
}

template <typename Kind>
const Kind* step_at(const Plan& plan, std::string_view path) {
  for (const Step& step : plan.view)
    if (const Kind* const found = std::get_if<Kind>(&step); found != nullptr && path_of(step) == path) return found;
  return nullptr;
}

/// Whether files of the host are seen on this mount.
bool shows_host(const Step& step) { return std::holds_alternative<Bind>(step) || std::holds_alternative<Hold>(step); }

/// The same, and whether the run can change them.
bool shows_writable(const Step& step) {
  if (const Bind* const bind = std::get_if<Bind>(&step)) return bind->access == Access::read_write;
  const Hold* const hold = std::get_if<Hold>(&step);
  return hold != nullptr && hold->access == Access::read_write;
}

/// The text of the link at `path`, if the run would meet one there.
std::optional<std::string> link_at(const Root& root, const Plan& plan, const std::string& path) {
  if (const MakeLink* const link = step_at<MakeLink>(plan, path)) return link->target;
  // What is in /proc is made by the kernel for each process; these two lead back into the view.
  for (const char* const process : {"/proc/self", "/proc/thread-self"}) {
    if (path == std::string(process) + "/root") return "/";
    if (path == std::string(process) + "/cwd") return plan.working_directory;
  }
  if (!shows_host(mount_of(plan, path)) || is_within(path, "/proc")) return std::nullopt;
  try {
    return root.read_link(path);
  } catch (const Error&) {
    return std::nullopt;  // a directory above it is closed to the caller
  }
}

std::string mode_text(mode_t mode) {
  std::array<char, 16> text{};
  std::snprintf(text.data(), text.size(), "%04o", mode & 07777U);
  return text.data();
}

class PathAnswer {
 public:
  PathAnswer(const PathFacts& path, const RunPolicy& policy, const RunFacts& facts, const Plan& plan)
      : path_(path.path),
        status_(path.status),
        policy_(policy),
        facts_(facts),
        plan_(plan),
        mount_(mount_of(plan, path_)) {}

  Verdict find(Verdict verdict) {
    verdict_ = std::move(verdict);
    verdict_.step = render_step(mount_);
    std::visit(*this, mount_);
    return std::move(verdict_);
  }

  void operator()(const Bind& step);
  void operator()(const Hold& step);
  void operator()(const Mask& step);
  void operator()(const MountMemory& step);
  void operator()(const MountProc& step);
  void operator()(const MountTerminals& step);
  // These are no mounts.
  void operator()(const MakeDirectory&) {}
  void operator()(const MakeLink&) {}
  void operator()(const MakeFile&) {}
  void operator()(const Seal&) {}

 private:
  void reach(std::string how, std::string rule, std::string change = {}) {
    verdict_.reachable = true;
    verdict_.how = std::move(how);
    verdict_.rule = std::move(rule);
    verdict_.change = std::move(change);
  }
  void refuse(std::string how, std::string rule, std::string change = {}) {
    reach(std::move(how), std::move(rule), std::move(change));
    verdict_.reachable = false;
  }
  /// What the host has at the path, shown with this access.
  void show(Access access, std::string rule, std::string change, bool mapped);
  std::string show_it() const { return "--ro " + command_word(path_) + " shows it"; }
  /// By which name `target` was asked for; empty when nobody did.
  std::string named(const std::string& target) const;
  std::string why_shown(const std::string& target) const;
  /// Why `target` is covered or left out; empty when nothing says so.
  std::string why_hidden(const std::string& target, std::string& change) const;

  const std::string& path_;
  const std::optional<struct stat>& status_;
  const RunPolicy& policy_;
  const RunFacts& facts_;
  const Plan& plan_;
  const Step& mount_;
  Verdict verdict_;
};

void PathAnswer::show(Access access, std::string rule, std::string change, bool mapped) {
  if (!status_) {
    const bool guarded = std::any_of(plan_.guarded.begin(), plan_.guarded.end(),
                                     [&](const GuardedName& name) { return name.path() == path_; });
    if (guarded)
      return refuse("absent", "tools on this machine would execute or trust it: what the run makes is moved aside",
                    "--rw " + command_word(path_) + " lets the run make it");
    return refuse("absent", "the run sees " + path_of(mount_) + " of this machine, where nothing has that name",
                  access == Access::read_write ? "the run may make it itself" : "");
  }
  std::string how = access == Access::read_only ? "read-only" : "writable";
  // What everybody may read needs no word; of the rest, what permissions say outside they say inside.
  const bool closed = (status_->st_mode & 0004U) == 0 && status_->st_uid != plan_.identity.uid && !mapped;
  if (closed)
    how += ", as far as mode " + mode_text(status_->st_mode) + " of " + std::to_string(status_->st_uid) + ":" +
           std::to_string(status_->st_gid) + " lets user " + std::to_string(plan_.identity.uid);
  reach(std::move(how), std::move(rule), std::move(change));
}

std::string PathAnswer::named(const std::string& target) const {
  for (std::size_t i = 0; i < facts_.shares.size(); ++i)
    if (facts_.shares[i].real.path == target) return policy_.shares[i].access == Access::read_only ? "--ro" : "--rw";
  if (facts_.named_home && facts_.named_home->real.path == target) return "--home";
  return {};
}

std::string PathAnswer::why_shown(const std::string& target) const {
  if (target == facts_.environment.real_path) return "it is in the environment";
  if (const std::string option = named(target); !option.empty()) return option + " shows it";
  if (target == plan_.project) return "it is in the project";
  const auto is_target = [&](const HostEntry& entry) { return entry.path == target; };
  if (!policy_.no_system && std::any_of(facts_.system.begin(), facts_.system.end(), is_target))
    return "it is of the operating system's programs and libraries";
  if (std::any_of(facts_.etc.begin(), facts_.etc.end(), is_target)) return "libraries look it up";
  if (contains(facts_.devices, target)) return "it is a harmless device";
  if (contains(facts_.user_sites, target)) return "the environment includes the user's packages";
  return "the environment's Python needs it";
}

std::string PathAnswer::why_hidden(const std::string& target, std::string& change) const {
  change = "--ro " + command_word(target) + " shows it";
  if (contains(plan_.hidden_packages, target)) {
    const bool of_base = contains(facts_.base_package_directories, target) || contains(facts_.user_sites, target);
    if (of_base) change += ", and so does an environment made with --system-site-packages";
    return "it is in " + quote(target) + ", packages that are not the environment's";
  }
  if (contains(plan_.hidden_environments, target)) return "it is in another environment, " + quote(target);
  if (contains(facts_.private_paths, target)) return "it is in " + quote(target) + ", which holds keys of this machine";
  change.clear();
  if (contains(plan_.hidden_named, target)) {
    change = "without --hide " + command_word(target) + " it is what it was";
    return "--hide covers it";
  }
  if (is_within(target, "/proc")) return "it tells about this machine or acts on it";
  return {};
}

void PathAnswer::operator()(const Bind& step) {
  std::string change;
  if (step.access == Access::read_write) {
    if (step.target == plan_.project)
      change = (path_ == plan_.project ? "--no-project" : "--hide " + command_word(path_)) + " hides it, --ro " +
               command_word(path_) + " keeps it as it is";
  } else if (step.target == facts_.environment.real_path) {
    change = "--env-rw lets the run change the environment";
  } else if (named(step.target) == "--ro") {
    change = "--rw " + command_word(step.target) + " lets the run change it";
  }
  show(step.access, why_shown(step.target), std::move(change), step.owner.has_value());
}

void PathAnswer::operator()(const Hold& step) {
  const Step& below = mount_of(plan_, parent_path(step.path));
  const Bind* const bind = std::get_if<Bind>(&below);
  const bool mapped = bind != nullptr && bind->owner.has_value();
  if (step.access == Access::read_write) return show(step.access, why_shown(path_of(below)), "", mapped);
  if (is_within(step.path, "/proc"))
    return show(step.access, "libraries read it, and what acts on this machine stays as it is", "", true);
  const bool config = step.path == join(facts_.environment.real_path, "pyvenv.cfg");
  if (config) return show(step.access, "what the environment includes is not for the run to say", "", mapped);
  if (contains(facts_.caches, step.path)) return show(step.access, "later runs and builds believe it", "", mapped);
  show(step.access, "tools on this machine execute or trust " + quote(step.path),
       "--rw " + command_word(step.path) + " lets the run change it", mapped);
}

void PathAnswer::operator()(const Mask& step) {
  std::string change;
  std::string rule = why_hidden(step.path, change);
  if (path_ == step.path) return refuse(step.kind == FileKind::directory ? "empty" : "an empty file", rule, change);
  refuse("absent", std::move(rule), std::move(change));
}

void PathAnswer::operator()(const MountMemory& step) {
  const char* const access = step_at<Seal>(plan_, step.path) != nullptr ? "read-only" : "writable";
  std::string change;
  if (const std::string rule = why_hidden(step.path, change); !rule.empty() && path_ == step.path)
    return refuse("empty but for what is shown below it", rule, change);
  if (path_ == step.path)
    return reach(std::string(access) + ", private memory", "it is made for the run, and gone after it");
  if (step_at<MakeFile>(plan_, path_) != nullptr) return reach(access, "it is made for the run");
  if (step_at<MakeDirectory>(plan_, path_) != nullptr)
    return reach(access, "it is made for the run, and holds what the plan shows below it");
  change = status_ ? show_it() : "";
  const auto hidden = [&](const std::vector<std::string>& list) {
    return std::find_if(list.begin(), list.end(), [&](const std::string& at) { return is_within(path_, at); });
  };
  for (const auto* const list : {&plan_.hidden_packages, &plan_.hidden_environments, &plan_.hidden_named})
    if (const auto at = hidden(*list); at != list->end()) {
      std::string other;
      return refuse("absent", why_hidden(*at, other), other);
    }
  if (is_within(path_, "/dev")) return refuse("absent", "of /dev only harmless devices are shown", change);
  const bool of_system = std::any_of(facts_.system.begin(), facts_.system.end(),
                                     [&](const HostEntry& entry) { return is_within(path_, entry.path); });
  if (step.path == "/" && policy_.no_system && of_system)
    return refuse("absent",
                  "with --no-system, of the operating system only what the environment's Python needs is shown",
                  change);
  if (step.path == "/") return refuse("absent", "of this machine only what the plan names is shown", change);
  refuse("absent", "private memory is in the place of " + quote(step.path), change);
}

void PathAnswer::operator()(const MountProc& step) {
  constexpr const char* kOwn = "/proc is the run's own";
  if (path_ == step.path) return reach("as the kernel makes it for the run", kOwn);
  const std::string first =
      path_.substr(step.path.size() + 1, path_.find('/', step.path.size() + 1) - step.path.size() - 1);
  if (first.find_first_not_of("0123456789") == std::string::npos)
    return refuse("absent", "the run has a process namespace of its own: numbers there are those of its processes");
  if (!status_) return refuse("absent", "nothing has that name in /proc");
  reach("as the kernel makes it for the run", kOwn);
}

void PathAnswer::operator()(const MountTerminals& step) {
  constexpr const char* kOwn = "the run has terminals of its own";
  if (path_ == step.path) return reach("as the kernel makes it for the run", kOwn);
  if (path_ == join(step.path, "ptmx")) return reach("writable", kOwn);
  refuse("absent", std::string(kOwn) + ", and none of this machine's");
}

/// Where a connection would go. An address without a host, 0.0.0.0 or ::, is this machine's own.
enum class Destination { loopback, elsewhere, unknown_name };
Destination destination(const std::string& host, const Plan& plan) {
  const auto of = [](in_addr_t address) {
    return address == INADDR_ANY || address >> 24U == 127 ? Destination::loopback : Destination::elsewhere;
  };
  struct in_addr four {};
  if (::inet_aton(host.c_str(), &four) != 0) return of(ntohl(four.s_addr));
  struct in6_addr six {};
  if (::inet_pton(AF_INET6, host.c_str(), &six) == 1) {
    if (IN6_IS_ADDR_LOOPBACK(&six) || IN6_IS_ADDR_UNSPECIFIED(&six)) return Destination::loopback;
    std::copy(six.s6_addr + 12, six.s6_addr + 16, reinterpret_cast<unsigned char*>(&four.s_addr));
    return IN6_IS_ADDR_V4MAPPED(&six) ? of(ntohl(four.s_addr)) : Destination::elsewhere;
  }
  const MakeFile* const hosts = step_at<MakeFile>(plan, "/etc/hosts");
  std::string names = hosts == nullptr ? "" : hosts->content;
  std::replace(names.begin(), names.end(), '\n', ' ');
  std::string wanted = " " + host + " ";
  std::transform(wanted.begin(), wanted.end(), wanted.begin(),
                 [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; });
  return names.find(wanted) == std::string::npos ? Destination::unknown_name : Destination::loopback;
}

/// The rule for a call; null when there is none.
const SyscallRule* find_rule(std::string_view name) {
  for (const SyscallRule& rule : syscall_rules())
    if (rule.name == name) return &rule;
  return nullptr;
}

/// The opening of which `call` is a part, of those in `names` first.
const Opening* find_opening_of(std::string_view call, const std::vector<std::string>& names) {
  const Opening* found = nullptr;
  for (const Opening& opening : openings()) {
    if (std::find(opening.calls.begin(), opening.calls.end(), call) == opening.calls.end()) continue;
    if (found == nullptr || contains(names, opening.name)) found = &opening;
  }
  return found;
}

bool is_variable_name(std::string_view text) {
  const auto letter = [](char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_'; };
  return !text.empty() && letter(text.front()) &&
         std::all_of(text.begin(), text.end(), [&](char c) { return letter(c) || (c >= '0' && c <= '9'); });
}

}  // namespace

std::string_view kind_text(QuestionKind kind) {
  switch (kind) {
    case QuestionKind::path:
      return "path";
    case QuestionKind::address:
      return "address";
    case QuestionKind::call:
      return "call";
    case QuestionKind::variable:
      return "variable";
  }
  return "";
}

Question parse_question(const std::string& text, const std::string& directory) {
  if (text.find('/') != std::string::npos || text == "." || text == "..")
    return {QuestionKind::path, absolute_path(text, directory), {}};
  if (const std::size_t colon = text.rfind(':'); colon != std::string::npos) {
    std::string host = text.substr(0, colon);
    if (host.size() > 2 && host.front() == '[' && host.back() == ']') host = host.substr(1, host.size() - 2);
    const std::string_view port = std::string_view(text).substr(colon + 1);
    unsigned number = 0;
    const auto parsed = std::from_chars(port.data(), port.data() + port.size(), number);
    if (parsed.ec != std::errc() || parsed.ptr != port.data() + port.size() || number == 0 || number > 65535 ||
        host.empty())
      throw Error("--why wants HOST:PORT with a port from 1 to 65535, not " + quote(text));
    return {QuestionKind::address, text, std::move(host)};
  }
  if (is_syscall_name(text)) return {QuestionKind::call, text, {}};
  if (is_variable_name(text)) return {QuestionKind::variable, text, {}};
  throw Error("--why wants a path, HOST:PORT, a system call or a variable, not " + quote(text))
      .hint("a file of this directory is written as " + quote("./" + text));
}

PathFacts read_path_facts(const Root& root, const Plan& plan, const std::string& path) {
  PathFacts found{path, false, false, {}};
  std::size_t links = 0;
  for (std::size_t end = found.path.find('/', 1); links < kMaximumLinks; end = found.path.find('/', end + 1)) {
    const std::string here = found.path.substr(0, end);
    if (const auto target = link_at(root, plan, here)) {
      found.by_run |= shows_writable(mount_of(plan, here));
      const std::string rest = end == std::string::npos ? "" : found.path.substr(end);
      found.path = absolute_path(*target + rest, parent_path(here));
      ++links;
      end = 0;
      continue;
    }
    if (end == std::string::npos) break;
  }
  found.circle = links == kMaximumLinks;
  try {
    found.status = root.lstat(found.path);
  } catch (const Error&) {
    found.status.reset();  // out of the caller's reach, and so of the run's
  }
  return found;
}

Verdict why_path(const Question& question, const PathFacts& path, const RunPolicy& policy, const RunFacts& facts,
                 const Plan& plan) {
  Verdict verdict{QuestionKind::path, question.text, {}, false, {}, {}, {}, {}};
  if (path.path != question.text) verdict.path = path.path;
  if (path.circle) {
    verdict.how = "ELOOP";
    verdict.rule = "its links lead round in a circle";
    return verdict;
  }
  return PathAnswer(path, policy, facts, plan).find(std::move(verdict));
}

Verdict why_address(const Question& question, const Plan& plan) {
  Verdict verdict{QuestionKind::address, question.text, {}, false, {}, {}, {}, {}};
  if (plan.network == Network::host) {
    verdict.reachable = true;
    verdict.how = "as from this machine";
    verdict.rule = "--net=host shares the caller's network";
    verdict.change = "without --net=host the run has none but its own loopback";
    return verdict;
  }
  verdict.change = "--net=host shares the caller's network";
  switch (destination(question.host, plan)) {
    case Destination::loopback:
      verdict.how = "ECONNREFUSED";
      verdict.rule = "the run has a loopback of its own, where only what it starts itself answers";
      break;
    case Destination::elsewhere:
      verdict.how = "ENETUNREACH";
      verdict.rule = "the run has no network but its own loopback";
      break;
    case Destination::unknown_name:
      verdict.how = "EAI_NONAME";
      verdict.rule = "the run knows the names in its own /etc/hosts, and has no network to ask for others";
      break;
  }
  return verdict;
}

Verdict why_call(const Question& question, const Plan& plan, Architecture architecture) {
  Verdict verdict{QuestionKind::call, question.text, {}, true, "allowed", {}, {}, {}};
  if (!find_syscall(question.text, architecture)) {
    verdict.reachable = false;
    verdict.how = "ENOSYS";
    verdict.rule = "this architecture has no such call";
    return verdict;
  }
  if (plan.leaves_out("seccomp")) {
    verdict.rule = "--without seccomp leaves the filter out";
    return verdict;
  }
  const SyscallRule* const rule = find_rule(question.text);
  const Opening* const opening = find_opening_of(question.text, plan.allowed);
  if (rule == nullptr) {
    verdict.rule = "the filter has no rule for it";
    return verdict;
  }
  if (opening != nullptr && plan.allows(opening->name)) {
    verdict.rule = "--allow " + std::string(opening->name) + " opens it";
    return verdict;
  }
  if (opening != nullptr) verdict.change = "--allow " + std::string(opening->name) + " opens it";
  const auto answers = [&](Answer wanted) {
    return std::any_of(rule->clauses.begin(), rule->clauses.end(),
                       [&](const Clause& clause) { return (clause.answer == 0) == (wanted == 0); });
  };
  if (rule->otherwise != 0 && !answers(0)) {
    verdict.reachable = false;
    verdict.how = errno_name(rule->otherwise);
    verdict.rule = "the filter refuses it";
    return verdict;
  }
  std::string refusals;
  for (const Clause& clause : rule->clauses)
    if (const std::string name = errno_name(clause.answer);
        clause.answer != 0 && refusals.find(name) == std::string::npos)
      refusals += (refusals.empty() ? "" : " or ") + name;
  if (rule->otherwise != 0 && refusals.find(errno_name(rule->otherwise)) == std::string::npos)
    refusals += (refusals.empty() ? "" : " or ") + errno_name(rule->otherwise);
  verdict.how = "in part";
  verdict.rule = "the filter looks at its arguments, and answers " + refusals + " to some";
  return verdict;
}

Verdict why_variable(const Question& question, const RunPolicy& policy, const Caller& caller, const Plan& plan) {
  Verdict verdict{QuestionKind::variable, question.text, {}, false, {}, {}, {}, {}};
  const auto find = [&](const std::vector<Variable>& list) -> const Variable* {
    const auto found =
        std::find_if(list.begin(), list.end(), [&](const Variable& one) { return one.name == question.text; });
    return found == list.end() ? nullptr : &*found;
  };
  const Variable* const outside = find(caller.variables);
  if (const Variable* const inside = find(plan.variables)) {
    verdict.reachable = true;
    if (find(policy.set_variables) != nullptr) {
      verdict.how = "set";
      verdict.rule = "--setenv sets it";
    } else if (outside != nullptr && contains(policy.kept_variables, question.text)) {
      verdict.how = "the caller's";
      verdict.rule = "--keep-env passes it on";
    } else if (outside != nullptr && *inside == *outside && is_passed_on(*outside)) {
      verdict.how = "the caller's";
      verdict.rule = "it is one of the variables that every run gets";
      verdict.change = "--setenv " + question.text + "=VALUE sets another value";
    } else {
      verdict.how = "made for the run";
      verdict.rule = "it describes the run";
      verdict.change = "--setenv " + question.text + "=VALUE sets another value";
    }
    return verdict;
  }
  verdict.how = "absent";
  if (outside == nullptr)
    verdict.rule = "neither the caller has it nor the run";
  else if (policy.clear_variables && is_passed_on(*outside))
    verdict.rule = "--clear-env passes on only what is named";
  else
    verdict.rule = "it, or its value, is not one that every run gets";
  verdict.change = outside == nullptr ? "--setenv " + question.text + "=VALUE sets it"
                                      : "--keep-env " + question.text + " passes it on";
  return verdict;
}

Verdict answer(const Question& question, const Root& root, const RunPolicy& policy, const RunFacts& facts,
               const Caller& caller, const Plan& plan) {
  switch (question.kind) {
    case QuestionKind::path:
      return why_path(question, read_path_facts(root, plan, question.text), policy, facts, plan);
    case QuestionKind::address:
      return why_address(question, plan);
    case QuestionKind::call:
      return why_call(question, plan, native_architecture());
    case QuestionKind::variable:
      return why_variable(question, policy, caller, plan);
  }
  throw Error("a question of no kind");
}

std::string render_verdict(const Verdict& verdict) {
  std::string out =
      escape(verdict.asked) + ": " + (verdict.reachable ? "reachable, " : "not reachable, ") + verdict.how + "\n";
  const auto line = [&](const char* what, const std::string& text) {
    if (!text.empty()) out += what + text + "\n";
  };
  line("  leads to ", escape(verdict.path));
  line("  because  ", verdict.rule);
  line("  step     ", verdict.step);
  line("  option   ", verdict.change);
  return out;
}

}  // namespace vrun
