// Policy files: what is read, what is refused and where, and whose files are believed.
#include "policy/policy_file.h"

#include <gtest/gtest.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <cerrno>
#include <cstdint>
#include <string>

#include "policy/explanation.h"
#include "policy/plan.h"
#include "policy/policy_sources.h"
#include "policy/profiles.h"
#include "policy/render.h"
#include "policy/run_facts.h"
#include "runner/options.h"
#include "tests/unit/fake_host.h"

namespace vrun {
namespace {

PolicyFile read(const std::string& text, Source source = Source::project) {
  return parse_policy_file(text, {"f", source, source == Source::project ? "/p" : "", "/home/me"});
}

std::string refused(const std::string& text, Source source = Source::project) {
  return message_of([&] { read(text, source); });
}

/// "name=value" for each, in order.
std::string values_of(const Settings& settings) {
  std::string text;
  for (const Setting& setting : settings)
    text += (text.empty() ? "" : " ") + std::string(setting.option->name) + "=" + setting.value;
  return text;
}

TEST(PolicyFile, IsReadWithTheOriginOfEveryValue) {
  const Settings settings = read("version = 1\nnet = 'none'\n\nhide = [\n  'a', \"/b/../c\",\n  '~/d']\n").settings;
  EXPECT_EQ(values_of(settings), "hide=/p/a hide=/c hide=/home/me/d net=none");
  EXPECT_EQ(settings[0].origin.text, "f:5:3");
  EXPECT_EQ(settings[2].origin.text, "f:6:3");
  EXPECT_EQ(settings[3].origin.text, "f:2:1");
  EXPECT_EQ(settings[3].origin.source, Source::project);
}

TEST(PolicyFile, HasEveryKindOfValue) {
  EXPECT_EQ(values_of(read("env-rw = false\nproject-ro = true\n").settings), "env-rw=false project-ro=true");
  EXPECT_EQ(values_of(read("setenv = { A = 'x=y', B = '' }\n").settings), "setenv=A=x=y setenv=B=");
  EXPECT_EQ(values_of(read("[setenv]\nA = 'x'\n").settings), "setenv=A=x");
  EXPECT_EQ(values_of(read("tmpfs = ['t', 'u:size=1M']\n").settings),
            "tmpfs=/p/t:size=536870912 tmpfs=/p/u:size=1048576");
  EXPECT_EQ(values_of(read("memory = '1024M'\npids = 64\ncpus = '0.5'\nwall = '1m'\n").settings),
            "cpus=0.5 memory=1G pids=64 wall=60s");
  EXPECT_EQ(values_of(read("allow = ['ptrace']\nkeep-env = ['A_1']\n").settings), "allow=ptrace keep-env=A_1");
  // The caller's and the administrator's are about every project.
  EXPECT_EQ(values_of(read("hide = ['a', './b/c', '.']\n", Source::user).settings), "hide=./a hide=./b/c hide=./");
  EXPECT_EQ(values_of(read("# nothing\n").settings), "");
}

TEST(PolicyFile, RefusesWhatItDoesNotUnderstand) {
  EXPECT_EQ(refused("net = 'none'\nhied = ['x']\n"), "f:2:1: there is no key 'hied'; the nearest is 'hide'");
  EXPECT_EQ(refused("Net = 'none'"), "f:1:1: there is no key 'Net'; the nearest is 'net'");
  EXPECT_EQ(refused("include = 'x'").substr(0, 32), "f:1:1: there is no key 'include'");
  EXPECT_EQ(refused("env_rw = true"), "f:1:1: there is no key 'env_rw'; the nearest is 'env-rw'");
  for (const Option& option : kOptions)
    if (!option.is_policy() && option.name != "profile" && option.name != "version") {
      EXPECT_EQ(refused(std::string(option.name) + " = 'x'"), "f:1:1: '" + std::string(option.name) +
                                                                  "' is an option of the command line, and no key; " +
                                                                  std::string(option.no_key));
    }
  EXPECT_EQ(refused("[tool.vrun]\nnet = 'none'").substr(0, 29), "f:1:2: there is no key 'tool'");
  EXPECT_EQ(refused("[profile.x]\nceiling = 1").substr(0, 32), "f:2:1: there is no key 'ceiling'");
}

TEST(PolicyFile, RefusesValuesOfTheWrongKind) {
  EXPECT_EQ(refused("net = true"), "f:1:7: net wants a string, not true or false");
  EXPECT_EQ(refused("net = 'all'"), "f:1:7: net is none or host, not 'all'");
  EXPECT_EQ(refused("net = ''"), "f:1:7: net is none or host, not ''");
  EXPECT_EQ(refused("net = 'none|host'"), "f:1:7: net is none or host, not 'none|host'");
  EXPECT_EQ(refused("net = 'None'"), "f:1:7: net is none or host, not 'None'");
  EXPECT_EQ(refused("env-rw = 'yes'"), "f:1:10: env-rw is true or false, not a string");
  EXPECT_EQ(refused("env-rw = 1"), "f:1:10: env-rw is true or false, not an integer");
  EXPECT_EQ(refused("hide = 'x'"), "f:1:8: hide wants an array of strings, not a string");
  EXPECT_EQ(refused("hide = ['x', 1]"), "f:1:14: hide wants a string, not an integer");
  EXPECT_EQ(refused("hide = [['x']]"), "f:1:9: hide wants a string, not an array");
  EXPECT_EQ(refused("hide = ['x', './x']"), "f:1:14: hide has './x' twice");
  EXPECT_EQ(refused("hide = ['']"), "f:1:9: hide wants a path");
  EXPECT_EQ(refused("setenv = ['A=x']"), "f:1:10: setenv wants a table such as { NAME = \"value\" }, not an array");
  EXPECT_EQ(refused("setenv = { 'A B' = 'x' }"), "f:1:20: setenv wants the name of a variable, not 'A B'");
  EXPECT_EQ(refused("tmpfs = ['/x:size=1X']"),
            "f:1:10: tmpfs wants a size such as 64M after ':size=', not '/x:size=1X'");
  EXPECT_EQ(refused("tmpfs = ['/x:size=99999999999999999999']").substr(0, 40),
            "f:1:10: tmpfs wants a size such as 64M a");
  EXPECT_EQ(refused("allow = ['ptrase']").substr(0, 79),
            "f:1:10: allow: there is nothing to open by the name 'ptrase'; the nearest is 'p");
  EXPECT_EQ(refused("memory = 512"), "f:1:10: memory wants a string, not an integer");
  EXPECT_EQ(refused("memory = '512X'"), "f:1:10: memory wants a size such as 512M, not '512X'");
  EXPECT_EQ(refused("pids = 0"), "f:1:8: pids wants a number from 1 on, not '0'");
  EXPECT_EQ(refused("pids = -1"), "f:1:8: pids wants a number from 1 on, not '-1'");
  EXPECT_EQ(refused("version = 'x'"), "f:1:11: version is the number of the format, 1");
  EXPECT_EQ(refused("version = 0"), "f:1:11: version is the number of the format, 1");
  EXPECT_EQ(refused("version = 2"),
            "f:1:11: needs a newer vrun: the file is of version 2, and this vrun, " VRUN_VERSION ", knows 1");
  EXPECT_EQ(refused("profile = 'ci'"), "f:1:11: profile is a table, not a string");
  EXPECT_EQ(refused("[profile.'A b']"),
            "f:1:10: the name of a profile has small letters, digits, '-' and '_', unlike 'A b'");
  EXPECT_EQ(refused("extends = ['ci']"), "f:1:11: extends wants a string, not an array");
}

/// What a shell or another program would have replaced would protect nothing when it is taken as it is.
TEST(PolicyFile, ExpandsNothing) {
  for (const char* path : {"$HOME/x", "${HOME}", "~other/x", "*.key", "**", "a?", "[a]", "`id`"}) {
    EXPECT_EQ(refused("hide = ['" + std::string(path) + "']"),
              "f:1:9: hide wants a path as it is, without variables and patterns, not '" + std::string(path) +
                  "'; only '~/' is known, for the home directory");
  }
  for (const char* path : {"..", "../x", "a/../../b", "./.."})
    EXPECT_EQ(refused("hide = ['" + std::string(path) + "']"),
              "f:1:9: hide wants an absolute path, or one inside the project, not '" + std::string(path) + "'");
  for (const char* name : {"AWS_*", "", "A-B", "1A", "A\\u0000"})
    EXPECT_NE(refused("keep-env = [\"" + std::string(name) + "\"]").find("wants the name of a variable"),
              std::string::npos);
  EXPECT_NE(refused("hide = [\"a\\u0000b\"]").find("no NUL byte"), std::string::npos);
}

TEST(PolicyFile, RefusesContradictions) {
  EXPECT_EQ(refused("ro = ['x']\nrw = ['/p/x']"), "f:2:7: both ro and rw name '/p/x'");
  EXPECT_EQ(refused("tmpfs = ['x:size=1M']\nhide = ['x']"), "f:1:10: both hide and tmpfs name '/p/x'");
  EXPECT_EQ(refused("project = '/x'\nno-project = true"), "f:2:1: both a project and none");
  EXPECT_EQ(refused("project = '/x'\nno-project = false"), "no error");
  EXPECT_EQ(refused("[profile.x]\nro = ['x']\nrw = ['/p/x']"), "f:3:7: both ro and rw name '/p/x'");
}

/// Errors of the format itself have a place too.
TEST(PolicyFile, HasToBeToml) {
  const auto place = [](const std::string& text) { return refused(text).substr(0, 5); };
  EXPECT_EQ(place("net = 'none'\nnet = 'host'\n"), "f:2:7");
  EXPECT_EQ(place("net = 'none'\n[profile.a]\n[profile.a]\n"), "f:3:1");
  EXPECT_EQ(place("net: none\n"), "f:1:4");
  EXPECT_EQ(place("- net\n"), "f:1:3");
  EXPECT_EQ(place("net = none\n"), "f:1:8");
  EXPECT_EQ(place("net = 'none\n"), "f:1:1");
  EXPECT_EQ(place("setenv = { A = 'x', }\n"), "f:1:2");
  EXPECT_EQ(place("---\n---\n"), "f:1:4");
  EXPECT_EQ(place(std::string("a = 1\0", 6)), "f:1:6");
  EXPECT_EQ(place("hide = ['\xff']\n"), "f:1:9");
  EXPECT_EQ(place("version = 99999999999999999999\n"), "f:1:3");
  // Characters that are neither ASCII nor white space, where the library looks for white space.
  for (const char* c : {"\u00b2", "\u00e9", "\u2d00", "\U0001f600"}) {
    EXPECT_EQ(place(std::string(c) + " = 1\n"), "f:1:1") << c;
    EXPECT_EQ(place("net = 'none'" + std::string(c) + "\n"), "f:1:1") << c;
    EXPECT_EQ(values_of(read("setenv = { A = \"\"\"\\\n" + std::string(c) + "\"\"\" }\n").settings),
              "setenv=A=" + std::string(c));
  }
  EXPECT_EQ(refused("\xEF\xBB\xBFnet = 'none'\n"), "f:1:1: a byte order mark, which TOML has not");
}

/// A file that says nothing means nothing; only where a lost one would take bounds from everybody it has to say so.
TEST(PolicyFile, MayBeEmpty) {
  for (const char* text : {"", "\n", "# nothing", "# nothing\n", " \t\r\n"}) {
    for (const Source source : {Source::user, Source::project}) EXPECT_EQ(refused(text, source), "no error") << text;
    EXPECT_EQ(values_of(read(text).settings), "");
  }
  EXPECT_EQ(
      refused("", Source::administrator),
      "f:1:1: the file is empty, and may have had ceilings in it; remove it, or write a comment into it that says "
      "why");
  EXPECT_EQ(refused("# nothing\n", Source::administrator), "no error");
}

TEST(PolicyFile, EndsWithDeepNesting) {
  const std::size_t many = 60000;
  std::string dots = "a";
  for (std::size_t i = 0; i < many / 2; ++i) dots += ".a";
  for (const std::string& text :
       {std::string(many, '['), "hide = " + std::string(many, '['), "hide = " + std::string(many, '{'), dots + " = 1",
        "[" + dots + "]", "x = { " + dots + " = 1 }", "'=' = 1\n" + dots + " = 1", "'a''''" + dots})
    EXPECT_NE(refused(text), "no error") << text.substr(0, 20);
  EXPECT_EQ(refused("a = 1\n" + dots + " = 1"), "f:2:1: a key with more than 64 parts");
  // Dots in texts and comments are no keys.
  const std::string inside(1000, '.');
  for (const std::string& text :
       {"# " + inside, "setenv = { A = '" + inside + "' }", "setenv = { A = \"\\\"" + inside + "\" }",
        "setenv = { A = '''\n" + inside + "''' }", "setenv = { A = \"\"\"\n\\\"" + inside + "\"\"\" }"})
    EXPECT_EQ(refused(text + "\n"), "no error") << text.substr(0, 20);
}

TEST(PolicyFile, HasProfilesOfItsOwn) {
  const PolicyFile file = read("extends = 'x'\n[profile.x]\nextends = 'ci'\nproject-ro = true\n");
  EXPECT_EQ(file.extends->name, "x");
  EXPECT_EQ(file.extends->origin.text, "f:1:11");
  ASSERT_EQ(file.profiles.size(), 1U);
  EXPECT_EQ(file.profiles[0].name, "x");
  EXPECT_EQ(file.profiles[0].extends->name, "ci");
  EXPECT_EQ(values_of(file.profiles[0].settings), "project-ro=true");
}

TEST(PolicyFile, HasCeilingsWhenItIsTheAdministrators) {
  EXPECT_EQ(refused("[ceiling]\nnet = 'none'\n"),
            "f:1:2: a ceiling counts in the administrator's files only, /etc/vrun/*.toml");
  EXPECT_EQ(refused("[ceiling]\nnet = 'none'\n", Source::user).substr(0, 6), "f:1:2:");
  const auto ceilings =
      read("[ceiling]\nallow = []\nnet = 'none'\nrw = ['/data/']\nsetenv = ['A']\n", Source::administrator).ceilings;
  ASSERT_EQ(ceilings.size(), 4U);
  EXPECT_EQ(ceilings[0].values, std::vector<std::string>());
  EXPECT_EQ(ceilings[1].values, std::vector<std::string>{"none"});
  EXPECT_EQ(ceilings[2].values, std::vector<std::string>{"/data"});
  EXPECT_EQ(ceilings[3].values, std::vector<std::string>{"A"});
  EXPECT_EQ(refused("[ceiling]\nrw = ['x']\n", Source::administrator),
            "f:2:7: a ceiling wants absolute paths of directories, not 'x'");
  EXPECT_EQ(refused("[ceiling]\nnte = 'none'\n", Source::administrator).substr(0, 27), "f:2:1: there is no key 'nte");
}

TEST(Pyproject, IsReadForItsTableOnly) {
  const FileContext context{"pyproject.toml", Source::project, "/p", "/home/me"};
  EXPECT_EQ(values_of(parse_pyproject("[project]\nname = 'x'\n[tool.vrun]\nproject-ro = true\n", context).settings),
            "project-ro=true");
  for (const char* text :
       {"", "not TOML at all", "[project]\nname = 'vrun'\n", "[tool]\nx = 'vrun'\n", "tool = 'vrun'\n"})
    EXPECT_EQ(values_of(parse_pyproject(text, context).settings), "") << text;
  EXPECT_EQ(message_of([&] { parse_pyproject("[tool]\nvrun = 1\n", context); }),
            "pyproject.toml:2:8: tool.vrun is a table");
  EXPECT_EQ(message_of([&] { parse_pyproject("[tool.vrun]\nx = 1\n", context); }).substr(0, 19), "pyproject.toml:2:1:");
}

TEST(BuiltInProfile, IsWellFormed) {
  for (const BuiltInProfile& profile : built_in_profiles()) {
    const ProfileName name{std::string(profile.name), {Source::command_line, "--profile"}};
    const Settings settings = find_profile(name, {}, "/home/me");
    EXPECT_FALSE(settings.empty()) << profile.name;
    for (const Setting& setting : settings) EXPECT_EQ(setting.origin.source, Source::profile);
    EXPECT_EQ(profile.text.substr(0, 2), "# ") << profile.name;
  }
}

/// What happens when nothing is said is written down in a file too.
TEST(BuiltInProfile, DefaultIsTheDefault) {
  const Root root = Root::system();
  const Settings settings = find_profile({"default", {}}, {}, "/home/me");
  const RunPolicy said = make_run_policy(settings, "/p", root);
  const RunPolicy unsaid = make_run_policy({}, "/p", root);
  EXPECT_EQ(said.environment_access, unsaid.environment_access);
  EXPECT_EQ(said.project_access, unsaid.project_access);
  EXPECT_EQ(said.network, unsaid.network);
  EXPECT_EQ(said.clear_variables, unsaid.clear_variables);
  for (const Option& option : kOptions)
    if (option.is_policy()) {
      EXPECT_EQ(value_of(settings, option), value_of({}, option)) << option.name;
    }
}

TEST(Profile, ExtendsAnotherAndEnds) {
  const auto find = [](const std::string& text, const std::string& name) {
    const PolicyFile file = read(text, Source::user);
    return find_profile({name, {Source::command_line, "--profile"}}, file.profiles, "/home/me");
  };
  const std::string two = "[profile.a]\nextends = 'b'\nenv-rw = true\n[profile.b]\nextends = 'grade'\nnet = 'host'\n";
  const Settings a = find(two, "a");
  EXPECT_EQ(value_of(a, *find_option("env-rw")), "true");
  EXPECT_EQ(value_of(a, *find_option("net")), "host");
  EXPECT_EQ(value_of(a, *find_option("project-ro")), "true");
  EXPECT_EQ(value_of(find(two, "b"), *find_option("env-rw")), "false");
  EXPECT_NE(message_of([&] { find("[profile.a]\nextends = 'a'\n", "a"); }).find("in a circle"), std::string::npos);
  EXPECT_NE(
      message_of([&] { find("[profile.a]\nextends = 'b'\n[profile.b]\nextends = 'a'\n", "a"); }).find("in a circle"),
      std::string::npos);
  EXPECT_EQ(message_of([&] { find(two, "grad"); }),
            "--profile: there is no profile 'grad'; the nearest is 'grade', all are printed by: vrun --profiles");
}

/// A machine with an environment /w/.venv, whose caller is this process, which owns the files that the test makes.
class SourcesTest : public testing::Test {
 protected:
  SourcesTest() {
    host_.environment("/w/.venv", "/usr/bin/python3").directory("/w/sub");
    caller_.uid = ::getuid();
    caller_.home = "/home/me";
    caller_.config_directory = "/home/me/.config";
  }
  Invocation parse(const std::vector<std::string>& arguments = {}) {
    ReportNames reports;
    return parse_arguments(arguments, caller_, "/w", host_.root(), reports);
  }
  std::string refused(const std::vector<std::string>& arguments = {}) {
    return message_of([&] { parse(arguments); });
  }
  /// The administrator's files have to be root's, which only root can make them.
  bool is_root() const { return ::getuid() == 0; }
  FakeHost& user(const std::string& text) { return host_.file("/home/me/.config/vrun/config.toml", text); }

  FakeHost host_ = FakeHost::debian();
  Caller caller_;
};

TEST_F(SourcesTest, AreReadInTheOrderOfTheirWeight) {
  user("net = 'host'\nro = ['/usr']\n");
  EXPECT_EQ(parse().policy.network, Network::host);
  EXPECT_EQ(parse({"--net", "none"}).policy.network, Network::none);
  EXPECT_EQ(parse({"--ro", "/w/sub"}).policy.shares.size(), 2U);
  EXPECT_EQ(parse({"--rw", "/usr"}).policy.shares.size(), 1U) << "the later saying about a path counts";
  caller_.variables = {{"VRUN_NET", "none"}};
  EXPECT_EQ(parse().policy.network, Network::none);
  EXPECT_EQ(parse({"--net", "host"}).policy.network, Network::host);
  caller_.variables = {
      {"VRUN_ENV_RW", "true"}, {"VRUN_RO", "/a:sub"}, {"VRUN_ALLOW", "ptrace,perf"}, {"VRUN_SETENV", "A=1\nB=2"}};
  const RunPolicy policy = parse().policy;
  EXPECT_EQ(policy.environment_access, Access::read_write);
  EXPECT_EQ(policy.shares.size(), 3U);
  EXPECT_EQ(policy.shares[2].path, "/w/sub");
  EXPECT_EQ(policy.allowed, (std::vector<std::string>{"perf", "ptrace"}));
  EXPECT_EQ(policy.set_variables.size(), 2U);
}

TEST_F(SourcesTest, VariablesAreCheckedAsOptionsAre) {
  caller_.variables = {{"VRUN_NET", "all"}};
  EXPECT_EQ(refused(), "VRUN_NET is none or host, not 'all'");
  caller_.variables = {{"VRUN_ENV_RW", "yes"}};
  EXPECT_EQ(refused(), "VRUN_ENV_RW is true or false, not 'yes'");
  caller_.variables = {{"VRUN_HIDEE", "x"}};
  EXPECT_EQ(refused(), "there is no variable 'VRUN_HIDEE'; did you mean VRUN_HIDE?");
  caller_.variables = {{"VRUN_VERSION", "1"}, {"VRUN_NET", ""}, {"VRUN", "1"}};
  EXPECT_EQ(refused(), "no error");
}

TEST_F(SourcesTest, AProfileBeginsAnew) {
  user("net = 'host'\n[profile.mine]\nextends = 'install'\nnet = 'host'\n");
  EXPECT_EQ(parse({"--profile", "grade"}).policy.network, Network::none);
  EXPECT_EQ(parse({"--profile", "grade"}).policy.project_access, Access::read_only);
  EXPECT_EQ(parse({"--profile", "grade", "--net", "host"}).policy.network, Network::host);
  EXPECT_EQ(parse({"--profile", "mine"}).policy.environment_access, Access::read_write);
  caller_.variables = {{"VRUN_PROFILE", "grade"}};
  EXPECT_EQ(parse().policy.project_access, Access::read_only);
  EXPECT_EQ(parse({"--profile", "default"}).policy.project_access, Access::read_write);
  user("[profile.ci]\nnet = 'host'\n");
  EXPECT_NE(refused().find("vrun has a profile 'ci' of its own; give this one another name"), std::string::npos);
}

TEST_F(SourcesTest, AreBelievedWhenNobodyElseCouldHaveWrittenThem) {
  user("net = 'host'\n");
  const std::string file = host_.on_disk("/home/me/.config/vrun/config.toml");
  ASSERT_EQ(::chmod(file.c_str(), 0664), 0);
  EXPECT_EQ(refused(),
            "cannot trust '/home/me/.config/vrun/config.toml': others may write it; "
            "chmod go-w /home/me/.config/vrun/config.toml");
  ASSERT_EQ(::chmod(file.c_str(), 0600), 0);
  EXPECT_EQ(refused(), "no error");
  const std::string directory = host_.on_disk("/home/me/.config/vrun");
  ASSERT_EQ(::chmod(directory.c_str(), 0777), 0);
  EXPECT_NE(refused().find("cannot trust '/home/me/.config/vrun': others may write it"), std::string::npos);
  ASSERT_EQ(::chmod(directory.c_str(), 0755), 0);
  caller_.uid = ::getuid() + 1;
  if (is_root()) {
    ASSERT_EQ(::chown(file.c_str(), 2, 2), 0);
    EXPECT_NE(refused().find("it belongs to uid 2; it has to be yours or root's"), std::string::npos);
  } else {
    EXPECT_NE(refused().find("it belongs to uid"), std::string::npos);
  }
}

/// What everybody has who has a group of their own and the umask 002.
TEST_F(SourcesTest, MayBeWritableByAGroupOfTheCallersAlone) {
  user("net = 'host'\n");
  const std::string directory = host_.on_disk("/home/me/.config/vrun");
  const std::string file = directory + "/config.toml";
  const std::string id = std::to_string(is_root() ? 1000 : ::getuid());
  const std::string gid = std::to_string(is_root() ? 1001 : ::getgid());
  const std::string passwd = "root:x:0:0:root:/root:/bin/sh\nme:x:" + id + ":" + gid + "::/home/me:/bin/sh\n";
  if (is_root()) {
    caller_.uid = 1000;
    for (const std::string& path : {file, directory}) ASSERT_EQ(::chown(path.c_str(), 1000, 1001), 0);
  } else if (::getgid() == 0) {
    GTEST_SKIP() << "only as a user whose group is not root's";
  }
  ASSERT_EQ(::chmod(directory.c_str(), 0775), 0);
  ASSERT_EQ(::chmod(file.c_str(), 0664), 0);
  host_.file("/etc/passwd", passwd).file("/etc/group", "root:x:0:\nme:x:" + gid + ":\n");
  EXPECT_EQ(parse().policy.network, Network::host);
  // Others are not of the group.
  ASSERT_EQ(::chmod(file.c_str(), 0666), 0);
  EXPECT_NE(refused().find("config.toml': others may write it"), std::string::npos);
  ASSERT_EQ(::chmod(file.c_str(), 0664), 0);
  host_.file("/etc/group", "root:x:0:\nme:x:" + gid + ":you\n");
  EXPECT_NE(refused().find("config.toml': others may write it; chmod go-w"), std::string::npos);
  ASSERT_EQ(::chmod(file.c_str(), 0644), 0);
  EXPECT_NE(refused().find("'/home/me/.config/vrun': others may write it; chmod go-w"), std::string::npos);
  host_.remove("/etc/group").directory("/etc/group");  // cannot be read
  EXPECT_NE(refused().find("'/home/me/.config/vrun': others may write it; chmod go-w"), std::string::npos);
  host_.remove("/etc/group");
  EXPECT_NE(refused().find("'/home/me/.config/vrun': others may write it; chmod go-w"), std::string::npos);
  // Neither file is looked at when there is nothing to prove.
  ASSERT_EQ(::chmod(directory.c_str(), 0755), 0);
  host_.remove("/etc/passwd").directory("/etc/passwd");
  EXPECT_EQ(refused(), "no error");
}

/// The bits of the group are then the mask of a list in which somebody else may be.
TEST_F(SourcesTest, MayHaveNoAccessControlListThatWrites) {
  user("net = 'host'\n");
  const std::string file = host_.on_disk("/home/me/.config/vrun/config.toml");
  const unsigned uid = is_root() ? 1000 : ::getuid();
  const unsigned gid = is_root() ? 1001 : ::getgid();
  if (gid == 0) GTEST_SKIP() << "only as a user whose group is not root's";
  caller_.uid = uid;
  if (is_root()) {
    ASSERT_EQ(::chown(file.c_str(), uid, gid), 0);
  }
  host_.file("/etc/passwd", "me:x:" + std::to_string(uid) + ":" + std::to_string(gid) + "::/home/me:/bin/sh\n");
  host_.file("/etc/group", "me:x:" + std::to_string(gid) + ":\n");
  // Version 2, and entries of tag, permissions and id (acl(5)): the owner, user 12345, the group, the mask, others.
  struct {
    std::uint32_t version = 2;
    struct {
      std::uint16_t tag, permissions;
      std::uint32_t id;
    } entries[5] = {{1, 6, ~0U}, {2, 6, 12345}, {4, 4, ~0U}, {16, 6, ~0U}, {32, 4, ~0U}};
  } list;
  if (::setxattr(file.c_str(), "system.posix_acl_access", &list, sizeof list, 0) != 0) {
    ASSERT_EQ(errno, ENOTSUP);
    GTEST_SKIP() << "no access control lists on the file system of temporary files";
  }
  EXPECT_NE(refused().find("config.toml': others may write it"), std::string::npos);
  ASSERT_EQ(::removexattr(file.c_str(), "system.posix_acl_access"), 0);
  ASSERT_EQ(::chmod(file.c_str(), 0664), 0);
  EXPECT_EQ(refused(), "no error");
}

/// Whoever can write the caller's file decides about every later run of the caller's.
TEST_F(SourcesTest, AreOutOfReachOfTheRun) {
  user("net = 'none'\n");
  const std::string part =
      "the run could write '/home/me/.config/vrun/config.toml', which decides about your runs, by ";
  EXPECT_NE(refused({"--rw", "/home/me/.config"}).find(part + "'/home/me/.config'; keep it out of reach with"),
            std::string::npos);
  EXPECT_NE(refused({"--project", "/home/me"}).find(part), std::string::npos);
  EXPECT_NE(refused({"--home", "/home/me"}).find(part), std::string::npos);
  host_.link("/w/link", "/home/me/.config");
  EXPECT_NE(refused({"--rw", "/w/link"}).find(part), std::string::npos);
  EXPECT_EQ(refused({"--rw", "/home/me/.config", "--hide", "/home/me/.config/vrun"}), "no error");
  EXPECT_EQ(refused({"--rw", "/home/me/.config", "--ro", "/home/me/.config/vrun"}), "no error");
  EXPECT_EQ(refused({"--project", "/home/me", "--project-ro"}), "no error");
  EXPECT_EQ(refused({"--rw", "/w/sub", "--ro", "/home/me"}), "no error");
}

TEST_F(SourcesTest, OfAProjectOnlyTighten) {
  host_.file(
      "/w/vrun.toml",
      "net = 'host'\nenv-rw = true\nrw = ['/home']\nkeep-env = ['TOKEN', 'LANG']\nproject-ro = true\nhide = ['s']\n");
  Invocation invocation = parse();
  EXPECT_EQ(invocation.policy.network, Network::none);
  EXPECT_EQ(invocation.policy.environment_access, Access::read_only);
  EXPECT_TRUE(invocation.policy.shares.empty());
  EXPECT_TRUE(invocation.policy.kept_variables.empty());
  EXPECT_EQ(invocation.policy.project_access, Access::read_only);
  EXPECT_EQ(invocation.policy.hidden, std::vector<std::string>{"/w/s"});
  ASSERT_EQ(invocation.notices.size(), 4U) << "LANG is passed on anyway";
  // In the order of the keys' names, which is how the library has them.
  EXPECT_EQ(invocation.notices[0],
            "/w/vrun.toml:2:1 asks for env-rw = 'true', which a file of the project cannot grant; --env-rw does");
  EXPECT_EQ(
      invocation.notices[1],
      "/w/vrun.toml:4:13 asks for keep-env = 'TOKEN', which a file of the project cannot grant; --keep-env TOKEN does");
  EXPECT_EQ(invocation.notices[2],
            "/w/vrun.toml:1:1 asks for net = 'host', which a file of the project cannot grant; --net host does");
  EXPECT_EQ(invocation.notices[3],
            "/w/vrun.toml:3:7 asks for rw = '/home', which a file of the project cannot grant; --rw /home does");
  invocation = parse({"--net", "host", "--env-rw", "--rw", "/home", "--keep-env", "TOKEN"});
  EXPECT_EQ(invocation.policy.network, Network::host);
  EXPECT_TRUE(invocation.notices.empty());
  // Both files of a project are read, and neither is read without one.
  host_.file("/w/pyproject.toml", "[tool.vrun]\nno-project = true\n");
  EXPECT_EQ(parse().policy.project, "");
  host_.file("/w/vrun.toml", "nonsense");
  EXPECT_EQ(refused({"--no-project"}), "no error");
  EXPECT_NE(refused({"--project", "/w"}).find("/w/vrun.toml:1:"), std::string::npos);
  EXPECT_EQ(refused({"--project", "/w/sub"}), "no error");
}

TEST_F(SourcesTest, AreNamedForEveryValue) {
  user("keep-env = ['TOKEN']\n");
  host_.file("/w/vrun.toml", "hide = ['s']\n");
  caller_.variables = {{"VRUN_ALLOW", "ptrace"}};
  EXPECT_EQ(render_values(explain(parse({"--net", "host", "--memory", "1024M"}).settings, {}, {}, {}).values),
            "policy, and who decided it:\n"
            "  no-project=false                      profile default\n"
            "  project-ro=false                      profile default\n"
            "  no-system=false                       profile default\n"
            "  hide=/w/s                             /w/vrun.toml:1:9\n"
            "  env-rw=false                          profile default\n"
            "  net=host                              --net\n"
            "  allow=ptrace                          VRUN_ALLOW\n"
            "  keep-env=TOKEN                        /home/me/.config/vrun/config.toml:1:13\n"
            "  clear-env=false                       profile default\n"
            "  memory=1G                             --memory\n"
            "  require-limits=false                  profile default\n\n");
}

TEST_F(SourcesTest, OfAProjectMayNotChooseProfilesOfOthers) {
  user("[profile.mine]\nextends = 'dev'\n");
  host_.file("/w/vrun.toml", "extends = 'mine'\n");
  EXPECT_NE(refused().find("/w/vrun.toml:1:11: there is no profile 'mine'"), std::string::npos);
  host_.file("/w/vrun.toml", "extends = 'dev'\n");
  EXPECT_EQ(parse().policy.network, Network::none);
  host_.file("/w/vrun.toml", "extends = 'grade'\n");
  EXPECT_EQ(parse().policy.project_access, Access::read_only);
  EXPECT_TRUE(parse().notices.empty());
  // Its own of the same name is not the one that is chosen on the command line.
  host_.file("/w/vrun.toml", "[profile.mine]\nproject-ro = true\n");
  EXPECT_EQ(parse({"--profile", "mine"}).policy.network, Network::host);
  EXPECT_EQ(parse({"--profile", "mine"}).policy.project_access, Access::read_write);
  host_.file("/w/vrun.toml", "[profile.ci]\nproject-ro = true\n");
  EXPECT_NE(refused().find("vrun has a profile 'ci' of its own"), std::string::npos);
}

TEST_F(SourcesTest, OfAProjectAreFilesOfTheProject) {
  host_.file("/secret", "root:x:0\n").link("/w/vrun.toml", "/secret");
  EXPECT_EQ(refused(), "cannot follow '/w/vrun.toml': it leads out of the project");
  host_.file("/w/sub/policy", "project-ro = true\n").link("/w/vrun.toml", "sub/policy");
  EXPECT_EQ(parse().policy.project_access, Access::read_only);
  host_.remove("/w/vrun.toml").fifo("/w/vrun.toml");
  EXPECT_EQ(refused(), "'/w/vrun.toml' is not a regular file");
  host_.remove("/w/vrun.toml").directory("/w/vrun.toml");
  EXPECT_EQ(refused(), "'/w/vrun.toml' is not a regular file");
  host_.remove("/w/vrun.toml").file("/w/vrun.toml", std::string(70000, '#'));
  EXPECT_EQ(refused(), "'/w/vrun.toml' is larger than 65536 bytes, the most that is read of it");
}

TEST_F(SourcesTest, NameLayers) {
  user("require = ['seal']\nwithout = ['hidepid']\n");
  host_.file("/w/vrun.toml", "require = ['seccomp']\nwithout = ['landlock']\n");
  const Invocation invocation = parse({"--require", "nosuid,nodev", "--without=seccomp"});
  EXPECT_EQ(invocation.policy.required, (std::vector<std::string>{"nodev", "nosuid", "seal", "seccomp"}));
  EXPECT_EQ(invocation.policy.without, (std::vector<std::string>{"hidepid", "seccomp"}));
  ASSERT_EQ(invocation.notices.size(), 1U);
  EXPECT_NE(invocation.notices[0].find("--without landlock"), std::string::npos) << invocation.notices[0];
  host_.remove("/w/vrun.toml").file("/w/vrun.toml", "without = ['seal']\n");
  EXPECT_EQ(refused(),
            "/w/vrun.toml:1:12: without: there is no such layer: 'seal'; the nearest is 'seccomp'; vrun(1) has all");
  host_.remove("/w/vrun.toml");
  if (!is_root()) return;  // the rest needs files that belong to root
  host_.file("/etc/vrun/site.toml", "[ceiling]\nwithout = ['hidepid']\n");
  EXPECT_EQ(refused(), "no error");
  EXPECT_NE(refused({"--without", "seccomp"}).find("--without asks for more than this machine allows"),
            std::string::npos);
}

TEST_F(SourcesTest, OfTheAdministratorSetCeilings) {
  if (!is_root()) GTEST_SKIP() << "only as root: files that belong to root";
  caller_.uid = 1000;
  host_.file("/etc/vrun/site.toml", "[ceiling]\nnet = 'none'\nrw = ['/w']\nallow = []\nhide = ['/w/key']\n");
  EXPECT_EQ(refused({"--net", "host"}),
            "--net asks for more than this machine allows: net 'host'; /etc/vrun/site.toml:2:1 allows 'none' at most");
  caller_.variables = {{"VRUN_NET", "host"}};
  EXPECT_NE(refused().find("VRUN_NET asks for more than this machine allows"), std::string::npos);
  caller_.variables = {};
  EXPECT_NE(refused({"--rw", "/home/me"}).find("allows '/w' at most"), std::string::npos);
  EXPECT_EQ(refused({"--rw", "/w/sub"}), "no error");
  EXPECT_NE(refused({"--allow", "ptrace"}).find("allows nothing at most"), std::string::npos);
  EXPECT_NE(refused({"--ro", "/w/key/of/mine"}).find("--ro names what is hidden on this machine"), std::string::npos);
  EXPECT_EQ(parse().policy.hidden, std::vector<std::string>{"/w/key"});
  const Invocation dev = parse({"--profile", "dev"});
  EXPECT_EQ(dev.policy.network, Network::none);
  ASSERT_EQ(dev.notices.size(), 1U);
  EXPECT_EQ(dev.notices[0], "profile dev is lowered: net may be 'none' at most, by /etc/vrun/site.toml:2:1");
  // What leads out of the directories by a link is found when the machine is looked at.
  host_.link("/w/sub/link", "/home/me").link("/w/sub/key", "../key/mine").directory("/w/key/mine");
  const auto planned = [&](const std::vector<std::string>& arguments) {
    return message_of([&] {
      const RunPolicy policy = parse(arguments).policy;
      plan_run(policy, read_run_facts(host_.root(), policy, caller_), caller_);
    });
  };
  EXPECT_EQ(planned({"--rw", "/w/sub/link"}),
            "rw '/w/sub/link' leads to '/home/me', which is more than this machine allows; /etc/vrun/site.toml:3:1 "
            "allows '/w' at most");
  EXPECT_EQ(planned({"--ro", "/w/sub/key"}),
            "ro '/w/sub/key' leads to '/w/key/mine', which is more than this machine allows; /etc/vrun/site.toml:5:1 "
            "hides '/w/key'");
  EXPECT_EQ(planned({"--rw", "/w/sub"}), "no error");
  // One that is not root's, or that others may write, stops every run.
  const std::string file = host_.on_disk("/etc/vrun/site.toml");
  ASSERT_EQ(::chmod(file.c_str(), 0666), 0);
  EXPECT_NE(refused().find("cannot trust '/etc/vrun/site.toml': others may write it"), std::string::npos);
  // Not even a group of the caller's alone.
  host_.file("/etc/passwd", "me:x:1000:1000::/home/me:/bin/sh\n").file("/etc/group", "me:x:1000:\n");
  ASSERT_EQ(::chown(file.c_str(), 0, 1000), 0);
  ASSERT_EQ(::chmod(file.c_str(), 0664), 0);
  EXPECT_NE(refused().find("cannot trust '/etc/vrun/site.toml': others may write it"), std::string::npos);
  ASSERT_EQ(::chmod(file.c_str(), 0644), 0);
  ASSERT_EQ(::chown(file.c_str(), 1000, 1000), 0);
  EXPECT_NE(refused().find("cannot trust '/etc/vrun/site.toml': it belongs to uid 1000"), std::string::npos);
}

}  // namespace
}  // namespace vrun
