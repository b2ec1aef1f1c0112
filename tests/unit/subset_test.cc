// A project's files only take away: of random policies, the plan of what is trusted and a project's file together
// shows, opens, limits and protects no less strictly than the plan of what is trusted alone. Unlike in merge_test.cc it
// is plans that are compared, path by path, from the files and arguments that people write to the steps that are
// carried out: a rule that is right about options and wrong about what they come to would be found here.
#include <gtest/gtest.h>
#include <unistd.h>

#include <algorithm>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <type_traits>
#include <vector>

#include "policy/plan.h"
#include "policy/reductions.h"
#include "policy/run_facts.h"
#include "runner/options.h"
#include "tests/unit/fake_host.h"
#include "tests/unit/random_settings.h"

namespace vrun {
namespace {

constexpr unsigned kCases = 2000;
constexpr const char* kProjects[] = {"/w", "/w/sub", "/srv/data"};
constexpr const char* kNothing = "# nothing\n";

/// What a run finds at a path, found by walking back over the steps: the last mount at or above it counts.
struct Seen {
  std::string host;   ///< the file of the host that is shown; empty: none
  std::string mount;  ///< where the mount begins
  bool writable = false;
  bool executable = false;
};

class Look {
 public:
  Look(const std::vector<Step>& steps, std::size_t end, const std::string& path)
      : steps_(steps), end_(end), path_(path) {}

  Seen find() {
    while (!seen_ && end_ > 0) {
      --end_;
      std::visit(*this, steps_[end_]);
    }
    return seen_.value_or(Seen());
  }

  void operator()(const Bind& step) {
    if (covers(step.target))
      seen_ =
          Seen{step.source + path_.substr(step.target.size()), step.target, step.access == Access::read_write, true};
  }
  void operator()(const Hold& step) {
    if (!covers(step.path)) return;
    seen_ = Look(steps_, end_, path_).find();
    seen_->writable = seen_->writable && step.access == Access::read_write;
  }
  void operator()(const Mask& step) {
    if (covers(step.path)) seen_ = Seen{"", step.path};
  }
  void operator()(const MountMemory& step) {
    if (covers(step.path)) seen_ = Seen{"", step.path, true, step.executable};
  }
  void operator()(const MountProc& step) {
    if (covers(step.path)) seen_ = Seen{"", step.path, true, true};
  }
  void operator()(const MountTerminals& step) {
    if (covers(step.path)) seen_ = Seen{"", step.path, true, false};
  }
  void operator()(const Seal& step) {
    if (!covers(step.path)) return;
    seen_ = Look(steps_, end_, path_).find();
    seen_->writable = seen_->writable && seen_->mount != step.path;
  }
  // These make no mount.
  void operator()(const MakeDirectory&) {}
  void operator()(const MakeLink&) {}
  void operator()(const MakeFile&) {}

 private:
  bool covers(const std::string& mount) const { return is_within(path_, mount); }

  const std::vector<Step>& steps_;
  std::size_t end_;
  const std::string& path_;
  std::optional<Seen> seen_;
};

Seen look(const Plan& plan, const std::string& path) { return Look(plan.view, plan.view.size(), path).find(); }

/// What Landlock's rules let be done at a path.
std::uint64_t rights(const Landlock& landlock, const std::string& path) {
  std::uint64_t sum = 0;
  for (const LandlockRule& rule : landlock.rules)
    if (is_within(path, rule.path)) sum |= rule.rights;
  return sum | ~landlock.handled;
}

/// The paths at which two views are compared: where either of them mounts anything, and what is beside and below.
std::set<std::string> paths_of(const Plan& one, const Plan& other) {
  std::set<std::string> paths = {"/",
                                 "/w/.git/config",
                                 "/w/.git/hooks/x",
                                 "/w/sub/deep/x",
                                 "/srv/other",
                                 "/home/me/.ssh",
                                 "/home/me/.config/vrun/config.toml",
                                 "/usr/lib/python3/dist-packages/syspkg",
                                 "/etc/shadow"};
  for (const Plan* plan : {&one, &other}) {
    for (const Step& step : plan->view) {
      const std::string path = std::visit(
          [](const auto& one_step) {
            if constexpr (std::is_same_v<std::decay_t<decltype(one_step)>, Bind>)
              return one_step.target;
            else
              return one_step.path;
          },
          step);
      paths.insert({path, join(path, "x"), join(parent_path(path), "x")});
    }
  }
  return paths;
}

template <typename List>
bool has_all(const List& wider, const List& narrower) {
  return std::all_of(narrower.begin(), narrower.end(),
                     [&](const auto& one) { return std::find(wider.begin(), wider.end(), one) != wider.end(); });
}

/// One run: what was asked for, and what is to be carried out.
struct PlannedRun {
  RunPolicy policy;
  Plan plan;
};

/// What `narrow` lets a run do that `wide` does not; empty when there is nothing.
std::string excess(const PlannedRun& narrow, const PlannedRun& wide) {
  std::string found;
  const auto expect = [&](bool holds, const std::string& what) {
    if (!holds) found += what + "\n";
  };
  for (const std::string& path : paths_of(narrow.plan, wide.plan)) {
    const Seen now = look(narrow.plan, path);
    const Seen before = look(wide.plan, path);
    expect(now.host.empty() || now.host == before.host, path + " shows " + now.host + ", and not " + before.host);
    // Private memory that a path comes to lie in when what was shown there is hidden is no more than there was.
    const bool is_memory = now.host.empty() && now.writable && look(wide.plan, now.mount).mount == now.mount;
    const Seen allowed = is_memory ? look(wide.plan, now.mount) : before;
    expect(!now.writable || allowed.writable, path + " is writable");
    // Where there is nothing, and nothing can be made, nothing can be executed either, or be done with any right.
    const bool is_empty = now.host.empty() && !now.writable;
    expect(is_empty || !now.executable || allowed.executable, path + " is executable");
    const std::uint64_t before_rights = rights(wide.plan.landlock, is_memory ? now.mount : path);
    expect(is_empty || (rights(narrow.plan.landlock, path) & ~before_rights) == 0,
           path + " has more rights from Landlock");
  }
  const auto memory_of = [](const Plan& plan) {
    std::map<std::string, const MountMemory*> memory;
    for (const Step& step : plan.view)
      if (const auto* const mount = std::get_if<MountMemory>(&step)) memory[mount->path] = mount;
    return memory;
  };
  const auto memory = memory_of(wide.plan);
  for (const auto& [path, mount] : memory_of(narrow.plan)) {
    const auto before = memory.find(path);
    expect(before == memory.end() || (mount->size <= before->second->size && mount->inodes <= before->second->inodes),
           path + " is larger");
  }
  const auto shows_processes = [](const Plan& plan) {
    return std::any_of(plan.view.begin(), plan.view.end(), [](const Step& step) {
      const auto* const proc = std::get_if<MountProc>(&step);
      return proc != nullptr && !proc->hidepid;
    });
  };
  expect(!shows_processes(narrow.plan) || shows_processes(wide.plan), "processes are seen");

  expect(narrow.plan.network == Network::none || wide.plan.network == Network::host, "the network is reached");
  expect(has_all(wide.plan.allowed, narrow.plan.allowed), "a part of the kernel is open");
  expect(has_all(wide.plan.without, narrow.plan.without), "a layer is left out");
  expect(has_all(narrow.policy.required, wide.policy.required), "a layer is not required");
  expect((wide.plan.landlock.scopes & ~narrow.plan.landlock.scopes) == 0, "a scope is open");
  std::set<std::string_view> reduced;
  for (const Reduction& reduction : find_reductions(wide.policy, wide.plan)) reduced.insert(reduction.layer);
  for (const Reduction& reduction : find_reductions(narrow.policy, narrow.plan))
    expect(reduced.count(reduction.layer) != 0, std::string(reduction.layer) + " is not had in full");

  expect(has_all(wide.plan.shown_packages, narrow.plan.shown_packages), "packages are shown");
  expect(!narrow.plan.system_packages || wide.plan.system_packages, "the system's packages are shown");
  for (const Variable& variable : narrow.plan.variables)
    expect(std::find(wide.plan.variables.begin(), wide.plan.variables.end(), variable) != wide.plan.variables.end(),
           "the variable " + variable.name + "=" + variable.value + " is there");

  for (const LimitDescription& limit : kLimits) {
    const std::optional<std::uint64_t>& now = narrow.plan.limits[limit.kind];
    const std::optional<std::uint64_t>& before = wide.plan.limits[limit.kind];
    expect(!before || (now && *now <= *before), std::string(limit.name) + " is larger");
  }
  expect(narrow.plan.require_limits || !wide.plan.require_limits, "limits need not be held");
  expect(narrow.plan.identity.uid == wide.plan.identity.uid && narrow.plan.identity.gid == wide.plan.identity.gid &&
             narrow.plan.identity.drop == wide.plan.identity.drop,
         "it is another user's");
  return found;
}

std::string in_quotes(const std::string& text) { return "'" + text + "'"; }

/// The text of a table of a policy file.
std::string as_toml(const Settings& settings) {
  std::map<const Option*, std::string> values;
  for (const Setting& setting : settings) {
    std::string& value = values[setting.option];
    const std::size_t equals = setting.value.find('=');
    if (setting.option->kind == ValueKind::flag)
      value = setting.value;
    else if (setting.option->kind == ValueKind::variable)
      value += (value.empty() ? "" : ", ") + setting.value.substr(0, equals) + " = " +
               in_quotes(setting.value.substr(equals + 1));
    else
      value += (value.empty() ? "" : ", ") + in_quotes(setting.value);
  }
  std::string text;
  for (const auto& [option, value] : values) {
    const bool is_table = option->kind == ValueKind::variable;
    const char* const begin = is_table ? "{ " : option->repeatable ? "[" : "";
    const char* const end = is_table ? " }" : option->repeatable ? "]" : "";
    text += std::string(option->name) + " = " + begin + value + end + "\n";
  }
  return text;
}

std::string as_toml(const std::vector<Ceiling>& ceilings) {
  std::map<const Option*, std::string> lines;
  for (const Ceiling& ceiling : ceilings) {
    std::string list;
    for (const std::string& value : ceiling.values)
      list += (list.empty() ? "" : ", ") + (ceiling.option->kind == ValueKind::flag ? value : in_quotes(value));
    if (ceiling.option->repeatable) list = "[" + list + "]";
    lines[ceiling.option] = std::string(ceiling.option->name) + " = " + list + "\n";
  }
  std::string text = "[ceiling]\n";
  for (const auto& [option, line] : lines) text += line;
  return text;
}

std::vector<std::string> as_arguments(const Settings& settings) {
  std::vector<std::string> arguments;
  for (const Setting& setting : settings) {
    const std::string option = "--" + std::string(setting.option->name);
    if (setting.option->kind != ValueKind::flag)
      arguments.push_back(option + "=" + setting.value);
    else if (setting.value == "true")
      arguments.push_back(option);
  }
  return arguments;
}

/// What is trusted, and the text of the project's file.
struct Policies {
  std::string administrator = kNothing;
  std::string user;
  std::vector<std::string> arguments;
  std::string project;

  std::string text() const {
    std::string all = "/etc/vrun/site.toml:\n" + administrator + "config.toml:\n" + user + "arguments:";
    for (const std::string& argument : arguments) all += " " + argument;
    return all + "\nvrun.toml:\n" + project;
  }
};

class SubsetTest : public testing::Test {
 protected:
  SubsetTest() {
    host_.environment("/w/.venv", "/usr/bin/python3").directory("/w/sub/deep").directory("/srv/other");
    host_.environment("/srv/data/env", "/usr/bin/python3").directory("/srv/data/inner").file("/srv/data/file");
    host_.file("/w/.git/config").directory("/w/.git/hooks").link("/w/link", "/srv/data");
    host_.file("/home/me/.ssh/id").directory("/home/me/own").directory("/home/me/.config/vrun");
    for (const char* const project : kProjects) host_.file(join(project, "vrun.toml"), kNothing);
    caller_.uid = ::getuid();
    caller_.gid = ::getgid();
    caller_.home = "/home/me";
    caller_.config_directory = "/home/me/.config";
    caller_.cache_directory = "/home/me/.cache";
    caller_.variables = {{"HOME", "/home/me"}, {"LANG", "C.UTF-8"}, {"A", "1"}, {"LC_ALL", "C"}, {"TERM", "xterm"}};
  }

  Policies make(RandomSettings& random) {
    Policies made;
    const auto profile = [&](std::size_t one_in) {
      constexpr const char* kNames[] = {"default", "ci", "grade", "install", "dev"};
      return random.below(one_in) == 0 ? std::string(kNames[random.below(5)]) : std::string();
    };
    // The administrator's files have to be root's, which only root can make them.
    if (::getuid() == 0 && random.below(2) == 0) made.administrator = as_toml(random.ceilings());
    made.user = as_toml(random.settings(Source::user));
    made.arguments = as_arguments(random.settings(Source::command_line));
    if (const std::string name = profile(4); !name.empty()) made.arguments.push_back("--profile=" + name);
    made.arguments.emplace_back("/w/.venv");
    if (const std::string name = profile(4); !name.empty()) made.project = "extends = '" + name + "'\n";
    made.project += as_toml(random.settings(Source::project));
    return made;
  }

  PlannedRun run_of(const Policies& policies) {
    ReportNames reports;
    PlannedRun run{parse_arguments(policies.arguments, caller_, "/w", host_.root(), reports).policy, {}};
    RunFacts facts = read_run_facts(host_.root(), run.policy, caller_);
    facts.landlock_abi = 6;
    run.plan = plan_run(run.policy, facts, caller_);
    check_required(run.policy, run.plan);
    return run;
  }

  FakeHost host_ = FakeHost::debian();
  Caller caller_;
};

TEST_F(SubsetTest, OfAPlanIsWhatAProjectLeavesOfIt) {
  unsigned compared = 0;
  unsigned narrower = 0;
  unsigned lowered = 0;
  for (unsigned seed = 1; seed <= kCases && !HasFailure(); ++seed) {
    RandomSettings random(seed, {"/w", "/w/sub", "/w/sub/deep", "/w/.git", "/w/link", "/w/.venv", "/srv", "/srv/data",
                                 "/srv/data/inner", "/srv/data/env", "/home/me/own", "/usr/lib/python3/dist-packages"});
    const Policies policies = make(random);
    host_.file("/etc/vrun/site.toml", policies.administrator);
    host_.file("/home/me/.config/vrun/config.toml", policies.user);
    std::optional<PlannedRun> trusted;
    std::optional<PlannedRun> both;
    // What contradicts itself, or asks for more than a ceiling, starts no run, and there is nothing to compare.
    if (message_of([&] { trusted = run_of(policies); }) != "no error") continue;
    if (trusted->policy.project.empty()) continue;
    const std::string file = join(host_.root().resolve(trusted->policy.project).path, "vrun.toml");
    if (!host_.root().is_regular(file)) continue;
    host_.file(file, policies.project);
    const std::string refusal = message_of([&] { both = run_of(policies); });
    host_.file(file, kNothing);
    if (refusal != "no error") continue;
    EXPECT_EQ(excess(*both, *trusted), "") << "seed " << seed << "\n" << policies.text();
    ++compared;
    if (narrower <= kCases / 10) narrower += excess(*trusted, *both).empty() ? 0U : 1U;
    lowered += policies.administrator == kNothing ? 0U : 1U;
  }
  // Otherwise it is not what people write that was compared.
  EXPECT_GT(compared, kCases / 4);
  EXPECT_GT(narrower, kCases / 10);
  if (::getuid() == 0) {
    EXPECT_GT(lowered, kCases / 20);
  }
}

}  // namespace
}  // namespace vrun
