// What of an operating system an interpreter needs.
#include "policy/closure.h"

#include <gtest/gtest.h>

#include <algorithm>

#include "policy/plan.h"
#include "policy/render.h"
#include "policy/run_facts.h"
#include "tests/unit/fake_host.h"
#include "tests/unit/golden.h"

namespace vrun {
namespace {

std::string library(std::vector<std::string> needed = {}, const std::string& runpath = "") {
  FakeElf elf;
  elf.needed = std::move(needed);
  elf.runpath = runpath;
  return fake_elf(elf);
}

/// Debian, with libraries that need each other, of which Python needs some.
FakeHost machine() {
  FakeHost host = FakeHost::debian();
  const std::string libraries = "/usr/lib/" + std::string(kNativeMultiarch);
  const auto put = [&](const std::string& name, const std::string& file, std::vector<std::string> needed = {}) {
    host.file(libraries + "/" + file, library(std::move(needed)));
    if (name != file) host.link(libraries + "/" + name, file);
  };
  put("libc.so.6", "libc.so.6");
  put("libssl.so.3", "libssl.so.3", {"libcrypto.so.3", "libc.so.6"});
  put("libcrypto.so.3", "libcrypto.so.3", {"libc.so.6"});
  put("libz.so.1", "libz.so.1.2.13", {"libc.so.6"});
  put("libgcc_s.so.1", "libgcc_s.so.1");
  put("libunused.so.1", "libunused.so.1");
  host.file("/lib64/ld-linux-x86-64.so.2", library());
  const std::string modules = "/usr/lib/python3.11/lib-dynload";
  host.file(modules + "/_ssl.so", library({"libssl.so.3", "libmissing.so.1"}));
  host.file(modules + "/zlib.so", library({"libz.so.1"}));
  host.file(modules + "/_own.so", library({"libown.so", "libunused.so.1/../x"}, "$ORIGIN/../own"));
  host.file("/usr/lib/python3.11/own/libown.so", library());
  host.file(modules + "/text.so", "not a library").file(modules + "/README", "");
  host.link(modules + "/gone.so", "/nowhere");
  host.file("/usr/bin/sh", library({"libunused.so.1"}), 0755);
  host.file("/usr/share/zoneinfo/Europe/Berlin").file("/usr/share/doc/python3/README");
  host.environment("/home/me/env", "/usr/bin/python3");
  return host;
}

std::vector<std::string> names_of(const std::vector<Resolved>& parts) {
  std::vector<std::string> names;
  names.reserve(parts.size());
  for (const Resolved& part : parts) names.push_back(base_name(part.path));
  return names;
}

TEST(Closure, IsWhatIsNeededInTurn) {
  const FakeHost host = machine();
  const Interpreter base = read_interpreter(host.root(), "/usr/bin/python3");
  const std::vector<Resolved> parts = read_system_closure(host.root(), base, base.stdlib);
  std::vector<std::string> names = names_of(parts);
  std::sort(names.begin(), names.end());
  EXPECT_EQ(names, (std::vector<std::string>{"ld-linux-x86-64.so.2", "libc.so.6", "libcrypto.so.3", "libgcc_s.so.1",
                                             "libown.so", "libssl.so.3", "libz.so.1.2.13", "zoneinfo"}));
  for (const Resolved& part : parts) {
    EXPECT_EQ(host.root().resolve(part.path).path, part.path);
    if (base_name(part.path) == "libz.so.1.2.13") {
      EXPECT_EQ(part.links.back().target, "libz.so.1.2.13");
    }
  }
}

TEST(Closure, HasAnEnd) {
  FakeHost host = machine();
  for (int i = 0; i < 700; ++i) host.file("/usr/lib/python3.11/lib-dynload/m" + std::to_string(i) + ".so", library());
  const Interpreter base = read_interpreter(host.root(), "/usr/bin/python3");
  EXPECT_EQ(message_of([&] { read_system_closure(host.root(), base, base.stdlib); }),
            "the environment's Python needs more than 600 libraries and modules; do without --no-system");
}

TEST(NoSystemPlan, IsAsReviewed) {
  const FakeHost host = machine();
  Caller caller;
  caller.uid = caller.gid = 1000;
  caller.home = "/home/me";
  RunPolicy policy;
  policy.environment = "/home/me/env";
  policy.no_system = true;
  const RunFacts facts = read_run_facts(host.root(), policy, caller);
  const Plan plan = plan_run(policy, facts, caller);
  expect_golden("plans/no-system.txt", render_plan(plan));
  policy.no_system = false;
  EXPECT_TRUE(read_run_facts(host.root(), policy, caller).closure.empty()) << "it is read for whom it is for";
}

/// A Python outside of /usr is shown whole, with what it needs of there.
TEST(NoSystemPlan, ShowsAPrefixOfItsOwn) {
  FakeHost host = machine();
  host.python({.prefix = "/opt/py", .version = "3.12.1", .shared = true});
  host.file("/opt/py/lib/python3.12/lib-dynload/zlib.so", library({"libz.so.1"}));
  host.environment("/home/me/other", "/opt/py/bin/python3", "3.12.1");
  Caller caller;
  caller.uid = caller.gid = 1000;
  caller.home = "/home/me";
  RunPolicy policy;
  policy.environment = "/home/me/other";
  policy.no_system = true;
  const Plan plan = plan_run(policy, read_run_facts(host.root(), policy, caller), caller);
  const Places places = find_places(plan.view);
  const auto shows = [&](const std::string& path) {
    return std::find(places.read_only.begin(), places.read_only.end(), path) != places.read_only.end();
  };
  EXPECT_TRUE(shows("/opt/py"));
  EXPECT_TRUE(shows("/usr/lib/" + std::string(kNativeMultiarch) + "/libz.so.1.2.13"));
  EXPECT_FALSE(shows("/usr/lib/" + std::string(kNativeMultiarch) + "/libssl.so.3")) << "the other Python's";
  EXPECT_FALSE(shows("/usr/lib/python3.11"));
}

}  // namespace
}  // namespace vrun
