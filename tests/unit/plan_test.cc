#include "policy/plan.h"

#include <gtest/gtest.h>

#include <algorithm>

#include "policy/layers.h"
#include "policy/render.h"
#include "policy/run_facts.h"
#include "tests/unit/fake_host.h"
#include "tests/unit/golden.h"

namespace vrun {
namespace {

Caller me() {
  Caller caller;
  caller.uid = 1000;
  caller.gid = 1000;
  caller.home = "/home/me";
  caller.variables = {{"HOME", "/home/me"}, {"LANG", "C.UTF-8"}, {"PATH", "/usr/bin"}, {"TOKEN", "secret"}};
  return caller;
}

Caller root() {
  Caller caller = me();
  caller.uid = caller.gid = 0;
  caller.is_host_root = true;
  return caller;
}

RunPolicy policy_for(const std::string& environment, const std::string& project = "/home/me/project") {
  RunPolicy policy;
  policy.environment = environment;
  policy.project = project;
  policy.command = {"pytest", "-x"};
  return policy;
}

Plan plan_on(const FakeHost& host, const RunPolicy& policy, const Caller& caller = me()) {
  return plan_run(policy, read_run_facts(host.root(), policy, caller), caller);
}

/// What the plan does at `path`, one rendered step a line.
std::string steps_at(const Plan& plan, const std::string& path) {
  std::string found;
  for (const Step& step : plan.view) {
    const std::string text = render_step(step);
    // "show      /path, ..." and "link      /path -> ..."
    const std::string rest = text.substr(std::min<std::size_t>(10, text.size()));
    const std::size_t end = std::min(rest.find(','), rest.find(" -> "));
    if (rest.substr(0, end) == path) found += text + "\n";
  }
  return found;
}

bool hides(const Plan& plan, const std::string& path) {
  return steps_at(plan, path).find("cover ") != std::string::npos;
}

/// Adds what every host of these tests has: a project with an environment in it.
void add_project(FakeHost& host, const std::string& base, const std::string& version) {
  host.directory("/home/me/project/src");
  host.file("/home/me/project/.git/config").directory("/home/me/project/.git/hooks");
  host.file("/home/me/project/pyproject.toml");
  host.environment("/home/me/project/.venv", base, version);
  host.environment("/home/me/project/.tox/py312", base, version);
}

/// Sources and covered places are opened without following links, and a cover over a link would leave what it leads to
/// in sight: no path of a plan may have one in it.
void expect_no_links(const FakeHost& host, const Plan& plan) {
  for (const Step& step : plan.view) {
    std::string path;
    if (const Bind* bind = std::get_if<Bind>(&step)) path = bind->source;
    if (const Mask* mask = std::get_if<Mask>(&step)) path = mask->path;
    if (const Hold* hold = std::get_if<Hold>(&step)) path = hold->path;
    if (!path.empty()) {
      EXPECT_EQ(host.root().resolve(path).path, path);
    }
  }
}

struct GoldenCase {
  const char* name;
  FakeHost (*make)();
  const char* base;
  const char* version;
};

class GoldenPlan : public testing::TestWithParam<GoldenCase> {};

TEST_P(GoldenPlan, IsAsReviewed) {
  FakeHost host = GetParam().make();
  add_project(host, GetParam().base, GetParam().version);
  const Plan plan = plan_on(host, policy_for("/home/me/project/.venv"));
  expect_no_links(host, plan);
  expect_golden(std::string("plans/") + GetParam().name + ".txt", render_plan(plan));
}

INSTANTIATE_TEST_SUITE_P(
    Hosts, GoldenPlan,
    testing::Values(GoldenCase{"debian", FakeHost::debian, "/usr/bin/python3", "3.11.2"},
                    GoldenCase{"fedora", FakeHost::fedora, "/usr/bin/python3", "3.13.0"},
                    GoldenCase{"arch", FakeHost::arch, "/usr/bin/python3", "3.12.1"},
                    GoldenCase{"alpine", FakeHost::alpine, "/usr/bin/python3", "3.12.1"},
                    GoldenCase{"pyenv", FakeHost::pyenv, "/home/me/.pyenv/versions/3.12.1/bin/python3", "3.12.1"},
                    GoldenCase{"conda", FakeHost::conda, "/home/me/miniconda3/bin/python3", "3.12.1"},
                    GoldenCase{"homebrew", FakeHost::homebrew,
                               "/home/linuxbrew/.linuxbrew/opt/python@3.12/bin/python3.12", "3.12.1"},
                    GoldenCase{"usr_local", FakeHost::usr_local, "/usr/local/bin/python3", "3.13.0"},
                    GoldenCase{"opt", FakeHost::opt, "/opt/python/bin/python3", "3.12.1"},
                    GoldenCase{"deadsnakes", FakeHost::deadsnakes, "/usr/bin/python3.13", "3.13.0"},
                    GoldenCase{"uv", FakeHost::uv_managed,
                               "/home/me/.local/share/uv/python/cpython-3.12-linux-x86_64-gnu/bin/python3", "3.12.1"}),
    [](const auto& test) { return std::string(test.param.name); });

/// The prefix is the interpreter and the environment in one.
TEST(CondaPlan, ShowsOneEnvironmentAndNoOther) {
  FakeHost host = FakeHost::conda();
  host.directory("/home/me/project/.pixi")
      .python({.prefix = "/home/me/project/.pixi/envs/default", .version = "3.12.1"});
  host.directory("/home/me/project/.pixi/envs/default/conda-meta");
  const std::string conda = "/home/me/miniconda3";
  const Plan base = plan_on(host, policy_for(conda));
  EXPECT_EQ(steps_at(base, conda), "directory " + conda + "\nshow      " + conda + ", read-only\n");
  EXPECT_TRUE(hides(base, conda + "/envs"));
  EXPECT_TRUE(hides(base, conda + "/pkgs"));
  EXPECT_FALSE(hides(base, conda + "/lib/python3.12/site-packages"));
  EXPECT_TRUE(hides(base, "/home/me/project/.pixi/envs/default")) << "another one, in the project";
  const Plan data = plan_on(host, policy_for(conda + "/envs/data"));
  EXPECT_EQ(steps_at(data, conda), "directory " + conda + "\n") << "only the way to it";
  EXPECT_FALSE(hides(data, conda + "/envs/data/lib/python3.12/site-packages"));
  expect_no_links(host, data);
  expect_golden("plans/conda-environment.txt", render_plan(data));
}

TEST(CondaPlan, RefusesOneWithoutAPythonOfItsOwn) {
  FakeHost host = FakeHost::conda();
  host.directory("/home/me/empty/conda-meta").directory("/home/me/linked/conda-meta");
  host.link("/home/me/linked/bin/python", "/usr/bin/python3");
  EXPECT_EQ(message_of([&] { plan_on(host, policy_for("/home/me/empty", "/home/me/miniconda3/conda-meta")); }),
            "the conda environment '/home/me/empty' has no bin/python; install one into it: conda install -p "
            "'/home/me/empty' python");
  EXPECT_EQ(message_of([&] { plan_on(host, policy_for("/home/me/linked", "/home/me/miniconda3/conda-meta")); }),
            "the Python of the conda environment '/home/me/linked' is not in it: '/usr/bin/python3.11'");
}

TEST(NixPlan, AsksForTheStore) {
  FakeHost host = FakeHost::nix();
  add_project(host, "/nix/store/abc-python3-3.12.1/bin/python3", "3.12.1");
  RunPolicy policy = policy_for("/home/me/project/.venv");
  EXPECT_EQ(message_of([&] { plan_on(host, policy); }),
            "the environment's Python is in /nix/store, and what else it needs of there cannot be read; show the whole "
            "store with --ro /nix/store, or make the environment from another Python: vbuild --python");
  policy.shares = {{"/nix/store", Access::read_only}};
  const Plan plan = plan_on(host, policy);
  EXPECT_TRUE(hides(plan, "/nix/store/abc-python3-3.12.1/lib/python3.12/site-packages"));
  EXPECT_TRUE(hides(plan, "/nix/store/def-python3.12-numpy-1.26.4/lib/python3.12/site-packages"));
}

/// Homebrew's own loader leads to the system's or is a file; either way the libraries beside it are not shown.
TEST(LoaderPlan, AsksForWhatThePythonWasInstalledWith) {
  const std::string brew = "/home/linuxbrew/.linuxbrew";
  for (const bool is_link : {true, false}) {
    FakeHost host = FakeHost::homebrew();
    host.python({.prefix = brew + "/Cellar/python@3.12/3.12.1",
                 .version = "3.12.1",
                 .shared = true,
                 .loader = brew + "/lib/ld.so"});
    host.file("/lib/x86_64-linux-gnu/ld.so", fake_elf({}), 0755);
    if (is_link)
      host.link(brew + "/lib/ld.so", "/lib/x86_64-linux-gnu/ld.so");
    else
      host.file(brew + "/lib/ld.so", fake_elf({}), 0755);
    add_project(host, brew + "/opt/python@3.12/bin/python3.12", "3.12.1");
    RunPolicy policy = policy_for("/home/me/project/.venv");
    EXPECT_EQ(message_of([&] { plan_on(host, policy); }),
              "the environment's Python is started by '/home/linuxbrew/.linuxbrew/lib/ld.so', which is not shown; show "
              "all that it was installed with, such as --ro /home/linuxbrew/.linuxbrew, or make the environment from "
              "another Python: vbuild --python");
    policy.shares = {{brew, Access::read_only}};
    const Plan plan = plan_on(host, policy);
    EXPECT_TRUE(hides(plan, brew + "/lib/python3.12/site-packages"));
    EXPECT_TRUE(hides(plan, brew + "/Cellar/numpy/1.26.4/lib/python3.12/site-packages"));
  }
}

/// Where the certificates of /etc/ssl are on Arch and openSUSE, and the keys that Fedora keeps beside its own.
TEST(CertificatePlan, ShowsWhereTheyAreAndNoKeys) {
  FakeHost host = FakeHost::arch();
  host.file("/etc/ca-certificates/extracted/tls-ca-bundle.pem").file("/var/lib/ca-certificates/ca-bundle.pem");
  host.link("/etc/ssl/certs/ca-certificates.crt", "../../ca-certificates/extracted/tls-ca-bundle.pem");
  host.link("/etc/ssl/ca-bundle.pem", "/var/lib/ca-certificates/ca-bundle.pem").directory("/etc/ssl/private");
  host.directory("/etc/pki/tls/private").directory("/etc/pki/entitlement").file("/etc/pki/tls/cert.pem");
  host.file("/var/lib/private-data");
  add_project(host, "/usr/bin/python3", "3.12.1");
  const Plan plan = plan_on(host, policy_for("/home/me/project/.venv"));
  for (const std::string path : {"/etc/ca-certificates", "/var/lib/ca-certificates", "/etc/ssl", "/etc/pki"})
    EXPECT_EQ(steps_at(plan, path), "directory " + path + "\nshow      " + path + ", read-only\n");
  for (const char* const path : {"/etc/ssl/private", "/etc/pki/tls/private", "/etc/pki/entitlement"})
    EXPECT_TRUE(hides(plan, path)) << path;
  EXPECT_EQ(steps_at(plan, "/var/lib"), "directory /var/lib\n") << "only the way to it";
}

/// The guarded name of that path; null when it is none.
const GuardedName* guarded(const Plan& plan, std::string_view path) {
  for (const GuardedName& name : plan.guarded)
    if (name.path() == path) return &name;
  return nullptr;
}

class PlanTest : public testing::Test {
 protected:
  PlanTest() { add_project(host_, "/usr/bin/python3", "3.11.2"); }
  FakeHost host_ = FakeHost::debian();
  RunPolicy policy_ = policy_for("/home/me/project/.venv");
};

TEST_F(PlanTest, HidesSystemPackagesUnlessTheEnvironmentIncludesThem) {
  EXPECT_TRUE(hides(plan_on(host_, policy_), "/usr/lib/python3/dist-packages"));

  host_.file("/home/me/project/.venv/pyvenv.cfg",
             "home = /usr/bin\ninclude-system-site-packages = true\nversion = 3.11.2\n");
  const Plan shown = plan_on(host_, policy_);
  EXPECT_FALSE(hides(shown, "/usr/lib/python3/dist-packages"));
  EXPECT_TRUE(shown.system_packages);
}

TEST_F(PlanTest, ShowsTheUserSiteOnlyWithSystemPackages) {
  const std::string site = "/home/me/.local/lib/python3.11/site-packages";
  host_.directory(site);
  EXPECT_EQ(steps_at(plan_on(host_, policy_), site), "");

  host_.file("/home/me/project/.venv/pyvenv.cfg", "home = /usr/bin\ninclude-system-site-packages = true\n");
  EXPECT_NE(steps_at(plan_on(host_, policy_), site).find("show      " + site + ", read-only"), std::string::npos);
}

TEST_F(PlanTest, HidesOtherEnvironmentsOfTheProject) {
  const Plan plan = plan_on(host_, policy_);
  EXPECT_TRUE(hides(plan, "/home/me/project/.tox/py312"));
  EXPECT_FALSE(hides(plan, "/home/me/project/.venv"));
  EXPECT_EQ(plan.hidden_environments, std::vector<std::string>{"/home/me/project/.tox/py312"});
}

TEST_F(PlanTest, KeepsTheEnvironmentReadOnlyInsideAWritableProject) {
  const Plan plan = plan_on(host_, policy_);
  EXPECT_EQ(steps_at(plan, "/home/me/project"), "directory /home/me/project\nshow      /home/me/project, writable\n");
  EXPECT_EQ(steps_at(plan, "/home/me/project/.venv"), "show      /home/me/project/.venv, read-only\n");
}

TEST_F(PlanTest, LetsTheEnvironmentBeWrittenByName) {
  policy_.environment_access = Access::read_write;
  EXPECT_EQ(steps_at(plan_on(host_, policy_), "/home/me/project/.venv"),
            "show      /home/me/project/.venv, writable\n");
}

TEST_F(PlanTest, ProtectsWhatHostToolsExecuteLater) {
  const Plan plan = plan_on(host_, policy_);
  EXPECT_EQ(steps_at(plan, "/home/me/project/.git"), "hold      /home/me/project/.git, read-only\n");
  EXPECT_EQ(steps_at(plan, "/home/me/project/pyproject.toml"),
            "hold      /home/me/project/pyproject.toml, read-only\n");
  EXPECT_NE(guarded(plan, "/home/me/project/.vscode"), nullptr);
  EXPECT_EQ(guarded(plan, "/home/me/project/.git"), nullptr);
}

TEST_F(PlanTest, ProtectsWhatALinkOfThatNameLeadsTo) {
  host_.remove("/home/me/project/.git").link("/home/me/project/.git", "real.git");
  host_.file("/home/me/project/real.git/config");
  const Plan plan = plan_on(host_, policy_);
  EXPECT_EQ(steps_at(plan, "/home/me/project/real.git"), "hold      /home/me/project/real.git, read-only\n");
  const GuardedName* const link = guarded(plan, "/home/me/project/.git");
  ASSERT_NE(link, nullptr);
  EXPECT_EQ(link->link, "real.git");
  EXPECT_EQ(link->base, "/home/me/project");
}

TEST_F(PlanTest, GuardsWhatALinkOfThatNameWouldLeadTo) {
  host_.link("/home/me/project/.envrc", "config/one").link("/home/me/project/config/one", "two/envrc");
  const Plan plan = plan_on(host_, policy_);
  const GuardedName* const name = guarded(plan, "/home/me/project/config/two/envrc");
  ASSERT_NE(name, nullptr);
  EXPECT_EQ(name->below, "config/two/envrc");
  EXPECT_EQ(name->link, std::nullopt);
  EXPECT_EQ(guarded(plan, "/home/me/project/.envrc")->link, "config/one");
}

TEST_F(PlanTest, GuardsNothingThatIsNotLinkedIntoTheProject) {
  host_.link("/home/me/project/.envrc", "/home/me/envrc").link("/home/me/project/.idea", ".idea");
  const Plan plan = plan_on(host_, policy_);
  EXPECT_EQ(guarded(plan, "/home/me/envrc"), nullptr);
  EXPECT_EQ(guarded(plan, "/home/me/project/.idea")->link, ".idea") << "a circle is a link like any other";
}

TEST_F(PlanTest, GuardsNoNameThatTheCommandLineOpens) {
  policy_.shares = {{"/home/me/project/.envrc", Access::read_write}};
  const Plan plan = plan_on(host_, policy_);
  EXPECT_EQ(guarded(plan, "/home/me/project/.envrc"), nullptr);
  EXPECT_NE(guarded(plan, "/home/me/project/.vscode"), nullptr);
  EXPECT_EQ(steps_at(plan, "/home/me/project/.envrc"), "");
  ASSERT_EQ(plan.opened.size(), 1U);
  EXPECT_EQ(plan.opened.front().layer, "absent-names");
}

TEST_F(PlanTest, ShowsNothingThatIsAbsentOtherwise) {
  for (const Share& share : std::vector<Share>{{"/home/me/project/.envrc", Access::read_only},
                                               {"/home/me/project/other", Access::read_write},
                                               {"/home/me/.envrc", Access::read_write}}) {
    policy_.shares = {share};
    EXPECT_THROW(plan_on(host_, policy_), Error) << share.path;
  }
  policy_.shares = {{"/home/me/project/.envrc", Access::read_write}};
  policy_.project_access = Access::read_only;
  EXPECT_THROW(plan_on(host_, policy_), Error);
}

TEST_F(PlanTest, GuardsNothingWhereTheRunCannotWrite) {
  policy_.project_access = Access::read_only;
  EXPECT_TRUE(plan_on(host_, policy_).guarded.empty());
}

TEST_F(PlanTest, KeepsDirectoriesAboveAMountFromBeingRenamed) {
  const Plan plan = plan_on(host_, policy_);
  EXPECT_EQ(steps_at(plan, "/home/me/project/.tox"), "hold      /home/me/project/.tox, writable\n");
}

TEST_F(PlanTest, KeepsTheConfigOfAWritableEnvironment) {
  policy_.environment_access = Access::read_write;
  EXPECT_EQ(steps_at(plan_on(host_, policy_), "/home/me/project/.venv/pyvenv.cfg"),
            "hold      /home/me/project/.venv/pyvenv.cfg, read-only\n");
}

TEST_F(PlanTest, TakesNoProjectFromPlacesThatHoldMore) {
  for (const auto& [directory, reason] :
       {std::pair{"/", "it is the root directory"}, std::pair{"/home/me", "it is your home directory"},
        std::pair{"/home", "your home directory lies in it"}, std::pair{"/tmp", "everybody's files are in it"},
        std::pair{"/usr/lib", "it belongs to the operating system"},
        std::pair{"/home/me/project/.venv/lib", "it is a part of the environment"}}) {
    policy_.project = directory;
    const Plan plan = plan_on(host_, policy_);
    EXPECT_EQ(plan.project, "") << directory;
    ASSERT_EQ(plan.notices.size(), 1U) << directory;
    EXPECT_NE(plan.notices.front().find(reason), std::string::npos) << plan.notices.front();
    EXPECT_EQ(plan.working_directory, "/home/me") << directory;
  }
}

TEST_F(PlanTest, ShowsTheHomeDirectoryOnlyWhenItIsNamed) {
  policy_.project = "/home/me";
  policy_.project_named = true;
  const Plan plan = plan_on(host_, policy_);
  EXPECT_EQ(plan.project, "/home/me");
  EXPECT_NE(steps_at(plan, "/home/me").find("show      /home/me, writable"), std::string::npos);
  policy_.project = "/";
  EXPECT_EQ(message_of([&] { plan_on(host_, policy_); }),
            "cannot show '/' as the project; name the directory that holds it");
}

TEST_F(PlanTest, LetsSharesWinOverWhatIsDecidedWithoutThem) {
  policy_.shares = {{"/home/me/project/pyproject.toml", Access::read_write},
                    {"/usr/lib/python3/dist-packages", Access::read_only}};
  const Plan plan = plan_on(host_, policy_);
  EXPECT_EQ(steps_at(plan, "/home/me/project/pyproject.toml"),
            "show      /home/me/project/pyproject.toml, writable, file\n");
  EXPECT_FALSE(hides(plan, "/usr/lib/python3/dist-packages"));
}

TEST_F(PlanTest, ShowsAShareInsideACoveredDirectory) {
  host_.directory("/usr/lib/python3/dist-packages/apt");
  policy_.shares = {{"/usr/lib/python3/dist-packages/apt", Access::read_only}};
  const Plan plan = plan_on(host_, policy_);
  EXPECT_EQ(steps_at(plan, "/usr/lib/python3/dist-packages"),
            "memory    /usr/lib/python3/dist-packages, 1 MiB, 1024 files, mode 0755, noexec\n"
            "seal      /usr/lib/python3/dist-packages, read-only from here on\n");
  EXPECT_EQ(steps_at(plan, "/usr/lib/python3/dist-packages/apt"),
            "directory /usr/lib/python3/dist-packages/apt\nshow      /usr/lib/python3/dist-packages/apt, read-only\n");
}

TEST_F(PlanTest, RefusesSharesThatContradictOrShowTooMuch) {
  const auto message = [&](std::vector<Share> shares) {
    policy_.shares = std::move(shares);
    return message_of([&] { plan_on(host_, policy_); });
  };
  EXPECT_EQ(message({{"/", Access::read_only}}),
            "cannot show '/' with --ro or --rw; name the directories that are needed");
  EXPECT_EQ(message({{"/home/me", Access::read_only}, {"/home/me", Access::read_write}}),
            "both --ro and --rw name '/home/me'");
  EXPECT_EQ(message({{"/nowhere", Access::read_only}}),
            "cannot show the path '/nowhere': ENOENT (No such file or directory)");
  host_.fifo("/home/me/pipe");
  EXPECT_EQ(message({{"/home/me/pipe", Access::read_only}}),
            "cannot show '/home/me/pipe': it is neither a directory nor a regular file");
}

/// A way to name a path on the command line.
void name(RunPolicy& policy, const std::string& option, const std::string& path) {
  if (option == "--hide") policy.hidden.push_back(path);
  if (option == "--tmpfs") policy.memory.push_back({path});
  if (option == "--ro") policy.shares.push_back({path, Access::read_only});
  if (option == "--rw") policy.shares.push_back({path, Access::read_write});
  if (option == "--home") policy.home = path;
}

TEST_F(PlanTest, TakesTheNearestOfWhatIsNamedInAnyOrder) {
  host_.directory("/data/a/b/c").file("/data/a/key").directory("/data/z");
  std::vector<std::pair<std::string, std::string>> named = {
      {"--rw", "/data"}, {"--hide", "/data/a"}, {"--ro", "/data/a/b"}, {"--tmpfs", "/data/a/b/c"}, {"--hide", "/none"}};
  std::sort(named.begin(), named.end());
  std::string first;
  do {
    RunPolicy policy = policy_;
    for (const auto& [option, path] : named) name(policy, option, path);
    const Plan plan = plan_on(host_, policy);
    if (first.empty()) first = render_plan(plan);
    EXPECT_EQ(render_plan(plan), first);
  } while (std::next_permutation(named.begin(), named.end()));
  RunPolicy policy = policy_;
  for (const auto& [option, path] : named) name(policy, option, path);
  const Plan plan = plan_on(host_, policy);
  EXPECT_EQ(steps_at(plan, "/data/a"),
            "memory    /data/a, 1 MiB, 1024 files, mode 0755, noexec\nseal      /data/a, read-only from here on\n");
  EXPECT_EQ(steps_at(plan, "/data/a/b"), "directory /data/a/b\nshow      /data/a/b, read-only\n");
  EXPECT_EQ(steps_at(plan, "/data/a/b/c"), "memory    /data/a/b/c, 512 MiB, 65536 files, mode 0755\n");
  EXPECT_EQ(plan.hidden_named, std::vector<std::string>{"/data/a"});
}

TEST_F(PlanTest, RefusesWhatContradictsItself) {
  const std::string environment = "/home/me/project/.venv";
  host_.directory("/data").link("/also", "data");
  const auto message = [&](std::vector<std::pair<std::string, std::string>> named, bool env_rw = false) {
    RunPolicy policy = policy_;
    policy.environment_access = env_rw ? Access::read_write : Access::read_only;
    std::sort(named.begin(), named.end());
    for (const auto& [option, path] : named) name(policy, option, path);
    const std::string text = message_of([&] { plan_on(host_, policy); });
    RunPolicy reversed = policy_;
    reversed.environment_access = policy.environment_access;
    for (auto it = named.rbegin(); it != named.rend(); ++it) name(reversed, it->first, it->second);
    EXPECT_EQ(message_of([&] { plan_on(host_, reversed); }), text) << "the order on the command line matters";
    return text;
  };
  EXPECT_EQ(message({{"--hide", "/data"}, {"--ro", "/also"}}), "both --hide and --ro name '/data'");
  EXPECT_EQ(message({{"--hide", "/data"}, {"--rw", "/data"}}), "both --hide and --rw name '/data'");
  EXPECT_EQ(message({{"--hide", "/data"}, {"--tmpfs", "/data"}}), "both --hide and --tmpfs name '/data'");
  EXPECT_EQ(message({{"--tmpfs", "/data"}, {"--ro", "/data"}}), "both --tmpfs and --ro name '/data'");
  EXPECT_EQ(message({{"--home", "/data"}, {"--ro", "/data"}}), "both --ro and --home name '/data'");
  EXPECT_EQ(message({{"--hide", environment}}), "both --hide and the environment name '" + environment + "'");
  EXPECT_EQ(message({{"--home", environment}}), "both --home and the environment name '" + environment + "'");
  EXPECT_EQ(message({{"--ro", environment}}, true), "both --ro and --env-rw name '" + environment + "'");
  EXPECT_EQ(message({{"--hide", "/home/me/project"}}),
            "both --hide and the project name '/home/me/project'; name another project with --project DIR");
  for (const auto& [option, path] : {std::pair{"--home", "/data"}, std::pair{"--hide", "/data"},
                                     std::pair{"--tmpfs", "/data"}, std::pair{"--ro", "/home/me/project"}})
    EXPECT_EQ(message({{option, path}, {option, path}}), "no error") << option;
  EXPECT_EQ(message({{"--home", "/data"}, {"--rw", "/data"}}), "no error");
}

TEST_F(PlanTest, RefusesToTakeWhatTheRunNeeds) {
  const auto message = [&](const std::string& option, const std::string& path) {
    RunPolicy policy = policy_;
    name(policy, option, path);
    return message_of([&] { plan_on(host_, policy); });
  };
  EXPECT_EQ(message("--hide", "/usr"),
            "--hide names '/usr', where the environment's interpreter is: '/usr/lib/python3.11'");
  EXPECT_EQ(message("--tmpfs", "/usr/bin"),
            "--tmpfs names '/usr/bin', where the environment's interpreter is: '/usr/bin/python3.11'");
  EXPECT_EQ(message("--hide", "/"), "cannot take '/' with --hide; name what is in it");
  EXPECT_EQ(message("--tmpfs", "/proc"), "cannot take with --tmpfs '/proc'; the run has its own /proc");
  EXPECT_EQ(message("--tmpfs", "/etc/passwd"), "cannot put private memory on '/etc/passwd': ENOTDIR (Not a directory)");
  EXPECT_EQ(message("--tmpfs", "/home/me/project/none"),
            "cannot put private memory on '/home/me/project/none': ENOENT (No such file or directory); it lies in what "
            "is shown of this machine, and nothing is made there: make the directory first");
  EXPECT_EQ(message("--tmpfs", "/opt/new/place"), "no error");
  EXPECT_EQ(message("--home", "/usr/share"),
            "cannot show a part of the operating system as the home directory: "
            "'/usr/share'");
  EXPECT_EQ(message("--home", "/etc/passwd"),
            "cannot show the home directory '/etc/passwd': ENOTDIR (Not a directory)");
}

TEST_F(PlanTest, HidesWhatVrunShowsByItself) {
  host_.directory("/usr/share/doc").directory("/etc/ssl").file("/home/me/project/.env", "secret");
  host_.directory("/home/me/project/private/deep");
  policy_.hidden = {"/usr/share/doc", "/etc/ssl", "/home/me/project/.env", "/home/me/project/private/deep", "/tmp"};
  const Plan plan = plan_on(host_, policy_);
  EXPECT_EQ(steps_at(plan, "/usr/share/doc"), "cover     /usr/share/doc\n");
  EXPECT_EQ(steps_at(plan, "/etc/ssl"), "") << "in memory of the view's own, what is not shown is absent";
  EXPECT_EQ(steps_at(plan, "/home/me/project/.env"), "cover     /home/me/project/.env, file\n");
  EXPECT_EQ(steps_at(plan, "/home/me/project/private"), "hold      /home/me/project/private, writable\n")
      << "moved away, its content would be in sight of the next run";
  EXPECT_NE(steps_at(plan, "/tmp").find("memory    /tmp"), std::string::npos) << "the run's own is nothing of the host";
}

TEST_F(PlanTest, KeepsAboveACoverInEveryWritablePlace) {
  host_.file("/data/a/b/secret").environment("/data/x/env", "/usr/bin/python3", "3.11.2");
  policy_.shares = {{"/data", Access::read_write}};
  policy_.hidden = {"/data/a/b/secret"};
  const Plan plan = plan_on(host_, policy_);
  for (const char* const path : {"/data/a", "/data/a/b", "/data/x"})
    EXPECT_EQ(steps_at(plan, path), std::string("hold      ") + path + ", writable\n");
}

TEST_F(PlanTest, ShowsAHomeDirectoryThatIsNamed) {
  host_.directory("/data/home/.local/lib/python3.11/site-packages").directory("/data/home/.local/lib/python3.9");
  policy_.home = "/data/home";
  const Plan plan = plan_on(host_, policy_);
  EXPECT_EQ(plan.identity.home, "/data/home");
  EXPECT_NE(std::find(plan.variables.begin(), plan.variables.end(), Variable{"HOME", "/data/home"}),
            plan.variables.end());
  EXPECT_EQ(steps_at(plan, "/data/home"), "directory /data/home\nshow      /data/home, writable\n");
  EXPECT_TRUE(hides(plan, "/data/home/.local/lib/python3.11/site-packages"));
  EXPECT_NE(steps_at(plan, "/home/me").find("memory    /home/me"), std::string::npos);
}

TEST_F(PlanTest, KeepsTheConfigOfAnEnvironmentThatRwNames) {
  policy_.shares = {{"/home/me/project/.venv", Access::read_write}};
  const Plan plan = plan_on(host_, policy_);
  EXPECT_EQ(steps_at(plan, "/home/me/project/.venv"), "show      /home/me/project/.venv, writable\n");
  EXPECT_EQ(steps_at(plan, "/home/me/project/.venv/pyvenv.cfg"),
            "hold      /home/me/project/.venv/pyvenv.cfg, read-only\n");
}

TEST_F(PlanTest, ExplainsNamedPaths) {
  host_.directory("/data/set/raw").directory("/data/home").file("/home/me/project/.env");
  host_.directory("/home/me/project/build");
  policy_.shares = {{"/data/set", Access::read_only}};
  policy_.hidden = {"/data/set/raw", "/home/me/project/.env", "/nowhere"};
  policy_.memory = {{"/home/me/project/build", 3 << 20}};
  policy_.home = "/data/home";
  expect_golden("plans/named-paths.txt", render_plan(plan_on(host_, policy_)));
}

TEST_F(PlanTest, GivesRootsRunsToTheProjectsOwner) {
  RunFacts facts = read_run_facts(host_.root(), policy_, root());
  facts.project->real.status.st_uid = 1234;
  facts.project->real.status.st_gid = 1235;
  facts.environment_status.st_uid = 0;
  facts.environment_status.st_gid = 0;
  const Plan plan = plan_run(policy_, facts, root());
  EXPECT_TRUE(plan.identity.drop);
  EXPECT_EQ(plan.identity.uid, 1234U);
  EXPECT_EQ(plan.identity.gid, 1234U) << "of the account, or its uid; never the project's, which may be a system group";
  EXPECT_NE(steps_at(plan, "/home/me/project").find("show      /home/me/project, writable\n"), std::string::npos);
  // Root's rights are not lent to what was found in somebody's project, only to what is named.
  EXPECT_EQ(steps_at(plan, "/home/me/project/.venv"), "show      /home/me/project/.venv, read-only\n");
  policy_.environment_named = true;
  EXPECT_EQ(steps_at(plan_run(policy_, facts, root()), "/home/me/project/.venv"),
            "show      /home/me/project/.venv, read-only, files of 0:0 as the run's own where the file system can\n");
}

TEST_F(PlanTest, NeverRunsAsRootForRoot) {
  RunFacts facts = read_run_facts(host_.root(), policy_, root());
  facts.project->real.status.st_uid = 0;
  facts.project->real.status.st_gid = 0;
  const Plan plan = plan_run(policy_, facts, root());
  EXPECT_TRUE(plan.identity.drop);
  EXPECT_NE(plan.identity.uid, 0U);
  EXPECT_NE(plan.identity.gid, 0U);
  EXPECT_NE(steps_at(plan, "/home/me/project").find("writable, files of 0:0 as the run's own\n"), std::string::npos);
}

TEST_F(PlanTest, RecreatesLinksThatLeadToTheEnvironment) {
  host_.link("/srv", "home/me");
  policy_.environment = "/srv/project/.venv";
  const Plan plan = plan_on(host_, policy_);
  EXPECT_EQ(steps_at(plan, "/srv"), "link      /srv -> home/me\n");
  EXPECT_EQ(plan.environment, "/srv/project/.venv");
}

TEST_F(PlanTest, UsesAnotherHomeWhenThereIsNone) {
  Caller caller = me();
  caller.home = "/nonexistent";
  const Plan plan = plan_on(host_, policy_, caller);
  EXPECT_EQ(plan.identity.home, "/home/vrun");
  EXPECT_NE(steps_at(plan, "/home/vrun").find("memory    /home/vrun"), std::string::npos);
}

TEST_F(PlanTest, SealsTheRootLast) {
  const Plan plan = plan_on(host_, policy_);
  ASSERT_TRUE(std::holds_alternative<Seal>(plan.view.back()));
  EXPECT_EQ(std::get<Seal>(plan.view.back()).path, "/");
  ASSERT_TRUE(std::holds_alternative<MountMemory>(plan.view.front()));
  EXPECT_EQ(std::get<MountMemory>(plan.view.front()).path, "/");
}

TEST_F(PlanTest, RunsTheEnvironmentsPythonWithoutACommand) {
  policy_.command.clear();
  EXPECT_EQ(plan_on(host_, policy_).command, std::vector<std::string>{"/home/me/project/.venv/bin/python"});
}

TEST_F(PlanTest, NoticesAnEnvironmentThatIsReplaced) {
  RunFacts facts = read_run_facts(host_.root(), policy_, me());
  const Plan plan = plan_run(policy_, facts, me());
  const auto bind = std::find_if(plan.view.begin(), plan.view.end(), [](const Step& step) {
    const Bind* found = std::get_if<Bind>(&step);
    return found != nullptr && found->target == "/home/me/project/.venv";
  });
  ASSERT_NE(bind, plan.view.end());
  EXPECT_EQ(std::get<Bind>(*bind).identity, facts.environment.identity);
}

/// What --require says of a plan: empty when it lets it be.
std::string refusal(RunPolicy policy, const char* layer, int landlock_abi = 7) {
  FakeHost host = FakeHost::debian();
  add_project(host, "/usr/bin/python3", "3.11.2");
  policy.environment = "/home/me/project/.venv";
  policy.project = "/home/me/project";
  policy.required = {layer};
  RunFacts facts = read_run_facts(host.root(), policy, me());
  facts.landlock_abi = landlock_abi;
  try {
    plan_run(policy, facts, me());
  } catch (const Error& error) {
    return error.what();
  }
  return "";
}

TEST(Require, RefusesWhatWouldNotBeHadInFull) {
  for (const std::string_view layer : kLayers) EXPECT_EQ(refusal({}, std::string(layer).c_str()), "") << layer;
  const auto expect_refusal = [](void (*change)(RunPolicy&), const char* layer, const std::string& by, int abi = 7) {
    RunPolicy policy;
    change(policy);
    EXPECT_EQ(refusal(policy, layer, abi),
              "the run would not have the layer '" + std::string(layer) + "' in full, as --require wants: " + by);
    EXPECT_EQ(refusal(policy, "pid-namespace", abi), "");
  };
  expect_refusal([](RunPolicy& p) { p.network = Network::host; }, "network-namespace", "--net=host");
  expect_refusal([](RunPolicy& p) { p.allowed = {"ptrace"}; }, "seccomp", "--allow ptrace");
  expect_refusal([](RunPolicy& p) { p.allowed = {"userns"}; }, "namespace-limit", "--allow userns");
  expect_refusal([](RunPolicy& p) { p.allowed = {"userns"}; }, "landlock-files", "--allow userns");
  expect_refusal([](RunPolicy& p) { p.environment_access = Access::read_write; }, "read-only", "--env-rw");
  expect_refusal([](RunPolicy&) {}, "landlock", "the kernel's Landlock, which is older than Linux 6.12", 5);
  expect_refusal([](RunPolicy&) {}, "landlock-files", "the kernel's Landlock, which is older than Linux 6.10", 4);
  for (const std::string_view layer : kOptionalLayers) {
    RunPolicy policy;
    policy.without = {std::string(layer)};
    EXPECT_NE(refusal(policy, policy.without.front().c_str()).find(": --without " + policy.without.front()),
              std::string::npos);
  }
}

TEST(Without, LeavesOutNothingElse) {
  FakeHost host = FakeHost::debian();
  add_project(host, "/usr/bin/python3", "3.11.2");
  RunPolicy policy = policy_for("/home/me/project/.venv");
  RunFacts facts = read_run_facts(host.root(), policy, me());
  facts.landlock_abi = 7;
  const std::string whole = render_plan(plan_run(policy, facts, me()));
  policy.without = {"hidepid", "landlock", "seccomp"};
  const Plan plan = plan_run(policy, facts, me());
  EXPECT_EQ(plan.notices.back(), "this run goes without hidepid, landlock, seccomp, as --without asks");
  EXPECT_EQ(plan.landlock.scopes, 0U);
  EXPECT_NE(plan.landlock.handled, 0U);
  EXPECT_EQ(steps_at(plan, "/proc"), "directory /proc\nproc      /proc, without hidepid\n");
  const std::string text = render_plan(plan);
  EXPECT_NE(text.find("  left out by --without: seccomp\n"), std::string::npos);
  EXPECT_EQ(text.find("  system calls: "), std::string::npos);
  EXPECT_NE(whole.find("  system calls: "), std::string::npos);
  EXPECT_EQ(whole.find("--without"), std::string::npos);
}

}  // namespace
}  // namespace vrun
