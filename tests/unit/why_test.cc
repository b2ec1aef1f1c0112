#include "policy/why.h"

#include <gtest/gtest.h>
#include <seccomp.h>

#include <cstdlib>

#include "policy/syscall_names.h"
#include "tests/unit/fake_host.h"
#include "tests/unit/golden.h"

namespace vrun {
namespace {

class Why : public testing::Test {
 protected:
  Why() {
    host_.directory("/home/me/project/src");
    host_.file("/home/me/project/src/main.py")
        .file("/home/me/project/.git/config")
        .file("/home/me/project/pyproject.toml");
    host_.environment("/home/me/project/.venv", "/usr/bin/python3", "3.11.2");
    host_.environment("/home/me/project/.tox/py312", "/usr/bin/python3", "3.11.2");
    host_.file("/home/me/.ssh/id_ed25519").file("/home/me/data/table.csv").file("/home/me/secret/key");
    host_.link("/home/me/project/table", "../data/table.csv").link("/home/me/project/code", "src");
    host_.file("/etc/shadow").file("/etc/services").file("/etc/ssl/private/host.key").file("/etc/ssl/openssl.cnf");
    host_.file("/proc/kcore").file("/proc/cpuinfo").file("/proc/sys/vm/swappiness").directory("/proc/123");
    host_.file("/usr/lib/python3/dist-packages/apt/__init__.py")
        .file("/opt/tool/bin/tool")
        .file("/dev/null")
        .link("/home/me/project/loop", "loop");
    caller_.uid = caller_.gid = 1000;
    caller_.home = "/home/me";
    caller_.variables = {
        {"HOME", "/home/me"}, {"LANG", "C.UTF-8"}, {"TERM", "\x1b"}, {"TOKEN", "secret"}, {"KEPT", "1"}};
    policy_.environment = "/home/me/project/.venv";
    policy_.project = "/home/me/project";
  }

  Verdict ask(const std::string& text) {
    const RunFacts facts = read_run_facts(host_.root(), policy_, caller_);
    const Plan plan = plan_run(policy_, facts, caller_);
    return answer(parse_question(text, "/home/me/project"), host_.root(), policy_, facts, caller_, plan);
  }
  std::string ask_all(std::initializer_list<const char*> questions) {
    std::string text;
    for (const char* question : questions) text += render_verdict(ask(question));
    return text;
  }

  FakeHost host_ = FakeHost::debian();
  RunPolicy policy_;
  Caller caller_;
};

TEST_F(Why, Paths) {
  policy_.shares = {{"/home/me/data", Access::read_only}};
  policy_.hidden = {"/home/me/project/src"};
  expect_golden("why/paths.txt", ask_all({"/",
                                          "/usr/bin/python3",
                                          "/bin/python3",
                                          "/usr/bin/missing",
                                          "/etc/services",
                                          "/etc/passwd",
                                          "/etc/shadow",
                                          "/etc/ssl/openssl.cnf",
                                          "/etc/ssl/private/host.key",
                                          "/home/me",
                                          "/home/me/.ssh/id_ed25519",
                                          "/home/me/data/table.csv",
                                          "./loop",
                                          "./table",
                                          "./code/main.py",
                                          ".",
                                          ".git/config",
                                          "pyproject.toml/",
                                          "./new",
                                          ".venv/bin/python",
                                          ".venv/pyvenv.cfg",
                                          ".tox/py312/bin/python",
                                          "/usr/lib/python3/dist-packages",
                                          "/usr/lib/python3/dist-packages/apt/__init__.py",
                                          "/opt/tool/bin/tool",
                                          "/opt",
                                          "/tmp",
                                          "/tmp/x",
                                          "/dev/null",
                                          "/dev/sda",
                                          "/dev/pts/ptmx",
                                          "/dev/pts/3",
                                          "/dev/shm",
                                          "/proc",
                                          "/proc/kcore",
                                          "/proc/cpuinfo",
                                          "/proc/123",
                                          "/proc/sys/vm/swappiness",
                                          "/sys"}));
}

TEST_F(Why, PathsWithOtherOptions) {
  policy_.environment_access = Access::read_write;
  policy_.home = "/home/me/secret";
  policy_.shares = {{"/home/me/project/.git", Access::read_write}};
  policy_.memory = {{"/home/me/project/src", 1024}};
  policy_.project_access = Access::read_write;
  expect_golden("why/other_paths.txt", ask_all({".venv/bin/python", ".venv/pyvenv.cfg", "/home/me/secret/key",
                                                ".git/config", "./src", "./src/main.py"}));
}

TEST_F(Why, Addresses) {
  const auto questions = {"198.51.100.1:443", "localhost:5432", "[::1]:80", "127.0.0.1:1"};
  std::string text = ask_all(questions);
  policy_.network = Network::host;
  expect_golden("why/addresses.txt", text + ask_all(questions));
}

TEST_F(Why, Calls) {
  if (native_architecture() != Architecture::x86_64) GTEST_SKIP() << "only as x86-64: aarch64 has fewer calls";
  const auto questions = {"read", "ptrace", "unshare", "clone", "clone3", "socket", "openat", "reboot", "personality"};
  std::string text = ask_all(questions);
  policy_.allowed = {"ptrace", "userns"};
  expect_golden("why/calls.txt", text + ask_all(questions));
}

TEST_F(Why, CallsWithoutTheFilter) {
  policy_.without = {"seccomp"};
  const Verdict verdict = ask("reboot");
  EXPECT_TRUE(verdict.reachable);
  EXPECT_EQ(verdict.rule, "--without seccomp leaves the filter out");
}

TEST_F(Why, CallsOfAnotherArchitecture) {
  const RunFacts facts = read_run_facts(host_.root(), policy_, caller_);
  const Plan plan = plan_run(policy_, facts, caller_);
  EXPECT_TRUE(why_call({QuestionKind::call, "chmod", {}}, plan, Architecture::x86_64).reachable);
  const Verdict verdict = why_call({QuestionKind::call, "chmod", {}}, plan, Architecture::aarch64);
  EXPECT_FALSE(verdict.reachable);
  EXPECT_EQ(verdict.how, "ENOSYS");
}

TEST_F(Why, Variables) {
  policy_.kept_variables = {"KEPT"};
  policy_.set_variables = {{"SET", "1"}};
  expect_golden("why/variables.txt", ask_all({"LANG", "TERM", "TOKEN", "KEPT", "SET", "HOME", "VRUN", "NOWHERE"}));
}

TEST(Question, IsToldFromItsForm) {
  const auto kind = [](const char* text) { return parse_question(text, "/here").kind; };
  EXPECT_EQ(kind("/etc/shadow"), QuestionKind::path);
  EXPECT_EQ(kind("./name"), QuestionKind::path);
  EXPECT_EQ(kind(".."), QuestionKind::path);
  EXPECT_EQ(parse_question("a/../b", "/here").text, "/here/b");
  EXPECT_EQ(kind("example.org:443"), QuestionKind::address);
  EXPECT_EQ(parse_question("[::1]:80", "/here").host, "::1");
  EXPECT_EQ(kind("openat2"), QuestionKind::call);
  EXPECT_EQ(kind("PATH"), QuestionKind::variable);
  for (const char* text : {"", "a b", "setup.py", "host:", "host:0", "host:65536", ":80", "host:8x", "1X"})
    EXPECT_THROW(parse_question(text, "/here"), Error) << text;
}

TEST(SyscallNames, AreThoseOfLibseccomp) {
  int known = 0;
  for (int number = 0; number <= kNewestReviewed; ++number) {
    for (const auto& [architecture, token] : {std::pair{Architecture::x86_64, std::uint32_t{SCMP_ARCH_X86_64}},
                                              std::pair{Architecture::aarch64, std::uint32_t{SCMP_ARCH_AARCH64}}}) {
      char* const name = ::seccomp_syscall_resolve_num_arch(token, number);
      if (name == nullptr) continue;
      if (is_syscall_name(name)) {  // the library has the names of every architecture
        EXPECT_EQ(find_syscall(name, architecture), number) << name;
        ++known;
      }
      std::free(name);
    }
  }
  EXPECT_GT(known, 600);
}

/// Every rule of the filter is about a call that --why knows, by the same number.
TEST(SyscallNames, HaveEveryRule) {
  for (const SyscallRule& rule : syscall_rules()) {
    EXPECT_EQ(find_syscall(rule.name, Architecture::x86_64).value_or(-1), rule.x86_64) << rule.name;
    EXPECT_EQ(find_syscall(rule.name, Architecture::aarch64).value_or(-1), rule.aarch64) << rule.name;
  }
}

}  // namespace
}  // namespace vrun
