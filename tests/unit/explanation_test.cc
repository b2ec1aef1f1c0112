// What --explain prints, for a machine and a command line that are the same everywhere.
#include "policy/explanation.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <algorithm>
#include <sstream>

#include "policy/layers.h"
#include "policy/policy_sources.h"
#include "policy/render.h"
#include "policy/run_facts.h"
#include "runner/json.h"
#include "runner/options.h"
#include "tests/unit/fake_host.h"
#include "tests/unit/golden.h"

namespace vrun {
namespace {

constexpr std::size_t kScreenLines = 24;
constexpr std::size_t kScreenColumns = 80;

class ExplanationTest : public testing::Test {
 protected:
  ExplanationTest() {
    host_.file("/home/me/project/.git/config").file("/home/me/project/pyproject.toml");
    host_.environment("/home/me/project/.venv", "/usr/bin/python3");
    host_.environment("/home/me/project/.tox/py312", "/usr/bin/python3");
    caller_.gid = 1000;
    caller_.home = "/home/me";
    caller_.config_directory = "/home/me/.config";
    caller_.variables = {{"HOME", "/home/me"}, {"LANG", "C.UTF-8"}, {"TOKEN", "secret"}};
  }
  Explanation explained(std::vector<std::string> options) {
    options.insert(options.end(), {"--explain", "/home/me/project/.venv", "--", "pytest", "-x"});
    ReportNames reports;
    // The files of the test are this process' own; the run is always the same user's.
    caller_.uid = ::getuid();
    Invocation invocation = parse_arguments(options, caller_, "/home/me/project", host_.root(), reports);
    caller_.uid = 1000;
    RunFacts facts = read_run_facts(host_.root(), invocation.policy, caller_);
    facts.landlock_abi = 7;
    Plan plan = plan_run(invocation.policy, facts, caller_);
    return explain(invocation.settings, std::move(invocation.notices), invocation.policy, std::move(plan));
  }

  FakeHost host_ = FakeHost::debian();
  Caller caller_;
};

/// In one screen by default.
TEST_F(ExplanationTest, OfAnOrdinaryRunIsAPage) {
  const std::string page = render_page(explained({}));
  EXPECT_LE(static_cast<std::size_t>(std::count(page.begin(), page.end(), '\n')), kScreenLines);
  std::istringstream lines(page);
  for (std::string line; std::getline(lines, line);) EXPECT_LE(line.size(), kScreenColumns) << line;
  expect_golden("explain/page.txt", page);
}

TEST_F(ExplanationTest, HasTheOriginOfEveryValue) {
  host_.file("/home/me/.config/vrun/config.toml", "keep-env = ['TOKEN']\n");
  host_.file("/home/me/project/vrun.toml", "net = 'host'\nhide = ['secret']\n").directory("/home/me/project/secret");
  const Explanation explanation =
      explained({"--profile", "default", "--allow", "userns", "--without", "seccomp", "--memory", "1536M", "--env-rw"});
  expect_golden("explain/options.txt", render_page(explanation));
  expect_golden("explain/options-verbose.txt", render_explanation(explanation));
  std::string json = to_json(explanation);
  const std::string version = "\"version\": \"" VRUN_VERSION "\"";
  const std::size_t at = json.find(version);
  ASSERT_NE(at, std::string::npos);
  expect_golden("explain/options.json", json.replace(at, version.size(), "\"version\": \"\""));
}

TEST_F(ExplanationTest, OfAProfileSaysWhatItIs) {
  expect_golden("explain/grade.txt", render_page(explained({"--profile", "grade"})));
}

/// What differs from the default is never cut off; lists of paths are.
TEST_F(ExplanationTest, CountsWhatDoesNotFit) {
  std::vector<std::string> options;
  for (int i = 10; i < 60; ++i) {
    host_.directory("/data/" + std::to_string(i))
        .environment("/home/me/project/e" + std::to_string(i), "/usr/bin/python3");
    options.insert(options.end(), {"--ro", "/data/" + std::to_string(i)});
  }
  const std::string page = render_page(explained(options));
  EXPECT_NE(page.find("50 places in /data"), std::string::npos) << page;
  EXPECT_NE(page.find("hidden: 3 directories, 51 environments\n"), std::string::npos) << page;
  EXPECT_NE(page.find(", and 4"), std::string::npos) << page;
  for (int i = 10; i < 60; ++i) EXPECT_NE(page.find("ro=/data/" + std::to_string(i)), std::string::npos);
}

TEST_F(ExplanationTest, SaysWhatTakesFromALayer) {
  const auto status_of = [&](const std::vector<std::string>& options, std::string_view layer) {
    const std::vector<LayerStatus> layers = explained(options).layers;
    EXPECT_EQ(layers.size(), kLayers.size());
    const auto found = std::find_if(layers.begin(), layers.end(), [&](const auto& one) { return one.layer == layer; });
    std::string text(share_text(found->share));
    for (const std::string& by : found->by) text += ", " + by;
    return text;
  };
  EXPECT_EQ(status_of({}, "seccomp"), "full");
  EXPECT_EQ(status_of({"--allow", "ptrace"}, "seccomp"), "reduced, --allow ptrace");
  EXPECT_EQ(status_of({"--without", "seccomp"}, "seccomp"), "none, --without seccomp");
  EXPECT_EQ(status_of({"--net", "host"}, "network-namespace"), "none, --net=host");
  EXPECT_EQ(status_of({"--env-rw"}, "read-only"), "reduced, --env-rw");
  EXPECT_EQ(status_of({"--allow", "userns"}, "namespace-limit"), "none, --allow userns");
  // The kernel of the test has all of Landlock: only the option is named.
  EXPECT_EQ(status_of({"--allow", "userns"}, "landlock-files"), "none, --allow userns");
  EXPECT_EQ(status_of({"--without", "landlock"}, "landlock"), "none, --without landlock");
}

}  // namespace
}  // namespace vrun
