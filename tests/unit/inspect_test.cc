#include "builder/inspect.h"

#include <gtest/gtest.h>

#include "builder/json.h"
#include "builder/sha256.h"
#include "tests/unit/fake_host.h"
#include "tests/unit/fake_wheel.h"

namespace vrun::builder {
namespace {

constexpr const char* kEnv = "/home/me/env";
constexpr const char* kPackages = "/home/me/env/lib/python3.11/site-packages";

FakeHost host_with_environment() {
  FakeHost host = FakeHost::debian();
  host.environment(kEnv, "/usr/bin/python3");
  return host;
}

TEST(Inspect, SaysWhatIsKnown) {
  FakeHost host = host_with_environment();
  host.directory(std::string(kPackages) + "/pip-24.2.dist-info");
  host.directory(std::string(kPackages) + "/zope_interface-6.0.dist-info").directory(std::string(kPackages) + "/pip");
  const Inspection inspection = inspect(host.root(), kEnv);
  EXPECT_EQ(inspection.problem, "");
  EXPECT_EQ(inspection.config->version, "3.11.2");
  EXPECT_EQ(inspection.python, "/home/me/env/bin/python");
  EXPECT_EQ(inspection.python_links, (std::vector<Link>{{"/home/me/env/bin/python", "python3"},
                                                        {"/home/me/env/bin/python3", "/usr/bin/python3"},
                                                        {"/usr/bin/python3", "python3.11"}}));
  EXPECT_EQ(inspection.base->real_executable, "/usr/bin/python3.11");
  EXPECT_EQ(inspection.package_directories.size(), 3U);
  EXPECT_EQ(inspection.site_packages, std::vector<std::string>{"lib/python3.11/site-packages"});
  ASSERT_EQ(inspection.distributions.size(), 2U);
  EXPECT_EQ(inspection.distributions[1].name + " " + inspection.distributions[1].version, "zope_interface 6.0");
  // Debian's fake wheel of pip has none of setuptools beside it.
  EXPECT_NE(inspection.wheels_problem, "");
}

TEST(Inspect, LooksForWheelsWhereABuildWould) {
  FakeHost host = host_with_environment();
  host.remove("/usr/share/python-wheels");
  const auto wheel = [&](const std::string& directory, const std::string& stem) {
    const std::size_t dash = stem.find('-');
    const std::string project = stem.substr(0, dash);
    std::string path = directory + "/" + stem + "-py3-none-any.whl";
    host.file(path, fake_zip({.entries = fake_wheel(project, stem.substr(dash + 1),
                                                    {{.name = project + "/a.py", .content = "x"}})}));
    return path;
  };
  const std::string house = "/home/me/.cache/virtualenv/wheel/house";
  const std::string pip = wheel(house, "pip-24.2");
  const std::string setuptools = wheel(house, "setuptools-65.5");
  WheelSources sources{.directory = "", .variable = [](const char* name) {
                         return std::string(std::string_view(name) == "HOME" ? "/home/me" : "");
                       }};
  EXPECT_EQ(inspect(host.root(), kEnv, sources).wheels, (std::vector<std::string>{pip, setuptools}));
  sources.directory = "/w";
  const std::string named = wheel("/w", "pip-9.0");
  EXPECT_EQ(inspect(host.root(), kEnv, sources).wheels, (std::vector<std::string>{named, setuptools}));
  EXPECT_EQ(inspect(host.root(), kEnv).wheels, std::vector<std::string>());
}

TEST(Inspect, ShowsWhatIsLeftOfADamagedEnvironment) {
  FakeHost host = host_with_environment();
  host.link("/home/me/env/bin/python3", "/gone/python3");
  const Inspection inspection = inspect(host.root(), kEnv);
  EXPECT_NE(inspection.problem.find("leads nowhere"), std::string::npos) << inspection.problem;
  EXPECT_FALSE(inspection.base);
  EXPECT_EQ(inspection.config->home, "/usr/bin");
  EXPECT_EQ(inspection.python_links.back().target, "/gone/python3");
  EXPECT_NE(to_text(inspection).find("-> /gone/python3\n"), std::string::npos);
}

TEST(Inspect, RefusesWhatIsNoEnvironment) {
  FakeHost host = FakeHost::debian();
  EXPECT_NE(message_of([&] { inspect(host.root(), "/home/me"); }).find("no pyvenv.cfg"), std::string::npos);
  EXPECT_NE(message_of([&] { inspect(host.root(), "/nowhere"); }).find("there is no"), std::string::npos);
}

TEST(Inspect, DoesNotBlockOrFollow) {
  FakeHost host = host_with_environment();
  host.remove("/home/me/env/pyvenv.cfg").fifo("/home/me/env/pyvenv.cfg");
  EXPECT_NE(inspect(host.root(), kEnv).problem, "");
  host.remove("/home/me/env/pyvenv.cfg").link("/home/me/env/pyvenv.cfg", "/etc/hosts");
  const Inspection linked = inspect(host.root(), kEnv);
  EXPECT_FALSE(linked.config);
  EXPECT_NE(linked.problem.find("symbolic link"), std::string::npos);
}

TEST(Inspect, EscapesWhatComesFromOutside) {
  FakeHost host = host_with_environment();
  host.directory(std::string(kPackages) + "/a\033[31m\xff-1.dist-info");
  const Inspection inspection = inspect(host.root(), kEnv);
  const std::string text = to_text(inspection);
  EXPECT_NE(text.find("a\\x1b[31m\\xff 1\n"), std::string::npos) << text;
  const std::string json = to_json(inspection);
  EXPECT_NE(json.find("\"schema\": \"vbuild.inspect/1\""), std::string::npos);
  for (const std::string* const out : {&text, &json})
    for (const char c : *out) EXPECT_TRUE(c == '\n' || (c >= ' ' && c < 0x7F));
}

TEST(Inspect, TakesTheNumbersOfEveryDialect) {
  const auto numbers = [](const char* text) {
    PyvenvConfig config;
    config.version = text;
    return version_numbers(config);
  };
  EXPECT_EQ(numbers("3.11.2"), (std::vector<int>{3, 11, 2}));
  EXPECT_EQ(numbers("3.11.2.final.0"), (std::vector<int>{3, 11, 2}));
  EXPECT_EQ(numbers("3.11"), (std::vector<int>{3, 11}));
  EXPECT_EQ(numbers("99999999999.1"), std::vector<int>{});
  EXPECT_EQ(numbers("-3.1"), std::vector<int>{});
  EXPECT_EQ(numbers(""), std::vector<int>{});
  EXPECT_EQ(version_numbers({}), std::vector<int>{});
}

TEST(Tree, HasBounds) {
  FakeHost host = host_with_environment();
  host.file("/home/me/env/f", "12345");
  const Tree tree(host.root(), kEnv);
  EXPECT_EQ(tree.read("f", 5), "12345");
  EXPECT_NE(message_of([&] { tree.read("f", 4); }).find("larger than 4"), std::string::npos);
  EXPECT_FALSE(tree.read("absent", 4));
  EXPECT_FALSE(tree.lstat("f/below"));
  EXPECT_NE(message_of([&] { tree.list("lib64/python3.11"); }).find("ELOOP"), std::string::npos);
  EXPECT_NE(message_of([&] { tree.lstat("../other"); }).find("EXDEV"), std::string::npos);
  EXPECT_EQ(tree.read_link("lib64"), "lib");
}

TEST(Sha256Stream, EqualsTheWholeAtEveryCut) {
  std::string data;
  for (int i = 0; i < 300; ++i) data += static_cast<char>(i * 7);
  for (std::size_t first = 0; first <= data.size(); ++first) {
    Sha256Stream stream;
    stream.add(std::string_view(data).substr(0, first));
    stream.add(std::string_view(data).substr(first, 30));
    stream.add(std::string_view(data).substr(std::min(data.size(), first + 30)));
    ASSERT_EQ(stream.finish(), sha256(data)) << first;
  }
}

}  // namespace
}  // namespace vrun::builder
