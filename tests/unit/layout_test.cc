#include "builder/layout.h"

#include <gtest/gtest.h>

#include <algorithm>

#include "builder/zip.h"
#include "fake_wheel.h"
#include "policy/error.h"

namespace vrun::builder {
namespace {

BuildFacts facts_for(PythonVersion version, const std::string& executable = "/usr/bin/python3") {
  BuildFacts facts;
  facts.python.version = version;
  facts.python.executable = executable;
  facts.python.real_executable = "/usr/bin/python" + version.minor_text();
  facts.python.platlibdir = "lib";
  facts.base_executable = executable;
  facts.invoked = executable;
  facts.invoked_real = facts.python.real_executable;
  facts.directory = "/srv/env";
  facts.working_directory = "/home/me/project";
  facts.templates = {{"activate", "VIRTUAL_ENV=__VENV_DIR__ PS1=__VENV_PROMPT__\n", 0644}};
  return facts;
}

BuildRequest request_for(const std::string& directory = "/srv/env") {
  BuildRequest request;
  request.directories = {directory};
  request.with_pip = false;
  return request;
}

/// One line an entry, as a table to compare with.
std::vector<std::string> lines(const Layout& layout) {
  std::vector<std::string> out;
  for (const Entry& entry : layout.entries) {
    if (const auto* const directory = std::get_if<Directory>(&entry))
      out.push_back(directory->path + (directory->owned ? "/ own" : "/"));
    if (const auto* const link = std::get_if<SymbolicLink>(&entry)) out.push_back(link->path + " -> " + link->target);
    if (const auto* const file = std::get_if<TextFile>(&entry)) out.push_back(file->path);
    if (const auto* const copy = std::get_if<CopiedProgram>(&entry)) out.push_back(copy->path + " = " + copy->source);
    if (const auto* const file = std::get_if<WheelFile>(&entry)) out.push_back(file->path + " from wheel");
  }
  return out;
}

std::string text_of(const Layout& layout, const std::string& path) {
  for (const Entry& entry : layout.entries)
    if (const auto* const file = std::get_if<TextFile>(&entry); file != nullptr && file->path == path)
      return file->content;
  return "absent";
}

TEST(Layout, HasTheTreeOfEachVersion) {
  const auto expect = [](PythonVersion version, const std::vector<std::string>& expected) {
    EXPECT_EQ(lines(plan_layout(request_for(), facts_for(version))), expected) << version.text();
  };
  expect({.major = 3, .minor = 8, .micro = 18},
         {"include/", "lib/", "lib/python3.8/", "lib/python3.8/site-packages/", "lib64 -> lib", "bin/",
          "bin/python3 -> /usr/bin/python3", "bin/python -> python3", "bin/activate", "pyvenv.cfg"});
  expect({.major = 3, .minor = 10, .micro = 1},
         {"include/", "lib/", "lib/python3.10/", "lib/python3.10/site-packages/", "lib64 -> lib", "bin/",
          "bin/python3 -> /usr/bin/python3", "bin/python -> python3", "bin/python3.10 -> python3", "bin/activate",
          "pyvenv.cfg"});
  expect({.major = 3, .minor = 13, .micro = 1},
         {"include/", "include/python3.13/", "lib/", "lib/python3.13/", "lib/python3.13/site-packages/", "lib64 -> lib",
          "bin/", ".gitignore", "bin/python3 -> /usr/bin/python3", "bin/python -> python3", "bin/python3.13 -> python3",
          "bin/activate", "pyvenv.cfg"});
  expect({.major = 3, .minor = 14, .micro = 0},
         {"include/", "lib/", "lib/python3.14/", "lib/python3.14/site-packages/", "lib64 -> lib", "bin/", ".gitignore",
          "bin/python3 -> /usr/bin/python3", "bin/python -> python3", "bin/python3.14 -> python3",
          "bin/\U0001D70Bthon -> python3", "bin/activate", "pyvenv.cfg"});
  expect({.major = 3, .minor = 15, .micro = 0},
         {"include/", "lib/", "lib/python3.15/", "lib/python3.15/site-packages/", "bin/", ".gitignore",
          "bin/python3 -> /usr/bin/python3", "bin/python -> python3", "bin/python3.15 -> python3", "bin/activate",
          "pyvenv.cfg"});
}

TEST(Layout, FollowsTheBuildOfThePython) {
  const auto has = [](const BuildFacts& facts, const char* line) {
    const auto all = lines(plan_layout(request_for(), facts));
    return std::find(all.begin(), all.end(), line) != all.end();
  };
  BuildFacts free_threaded = facts_for({.major = 3, .minor = 13}, "/opt/bin/python3.13t");
  free_threaded.python.free_threaded = true;
  EXPECT_TRUE(has(free_threaded, "lib/python3.13t/site-packages/"));
  EXPECT_TRUE(has(free_threaded, "include/python3.13t/"));
  EXPECT_TRUE(has(free_threaded, "bin/python3.13t -> /opt/bin/python3.13t"));
  EXPECT_TRUE(has(free_threaded, "bin/python3.13 -> python3.13t"));

  BuildFacts debug = facts_for({.major = 3, .minor = 12});
  debug.python.debug = true;
  EXPECT_TRUE(has(debug, "include/python3.12d/"));
  EXPECT_TRUE(has(debug, "lib/python3.12/site-packages/"));

  BuildFacts small = facts_for({.major = 3, .minor = 12});
  small.python.is_64bit = false;
  EXPECT_FALSE(has(small, "lib64 -> lib"));

  BuildFacts fedora = facts_for({.major = 3, .minor = 15});
  fedora.python.platlibdir = "lib64";
  EXPECT_TRUE(has(fedora, "lib64/python3.15/site-packages/"));

  BuildFacts pypy = facts_for({.major = 3, .minor = 9}, "/usr/bin/pypy3");
  pypy.python.implementation = Implementation::pypy;
  EXPECT_TRUE(has(pypy, "lib/pypy3.9/site-packages/"));
  EXPECT_TRUE(has(pypy, "bin/pypy3 -> /usr/bin/pypy3"));
  EXPECT_TRUE(has(pypy, "bin/pypy -> pypy3"));
  EXPECT_TRUE(has(pypy, "bin/python3.9 -> pypy3"));
}

TEST(Layout, CopiesWhenAsked) {
  BuildRequest request = request_for();
  request.programs = Programs::copies;
  const auto all = lines(plan_layout(request, facts_for({.major = 3, .minor = 9})));
  EXPECT_NE(std::find(all.begin(), all.end(), "bin/python = /usr/bin/python3"), all.end());
}

TEST(Layout, CopiesTheLibraryThatIsFoundFromTheProgram) {
  const auto added = [](const char* from_program, int minor = 12) {
    BuildRequest request = request_for();
    request.programs = Programs::copies;
    BuildFacts facts = facts_for({.major = 3, .minor = minor}, "/opt/p/bin/python3");
    const auto before = lines(plan_layout(request, facts));
    facts.python.libpython = "/opt/p/lib/libpython3.so.1.0";
    facts.python.libpython_from_program = from_program;
    std::string out;
    try {
      for (const std::string& line : lines(plan_layout(request, facts)))
        if (std::find(before.begin(), before.end(), line) == before.end()) out += line + ";";
    } catch (const Error& error) {
      return std::string(error.what());
    }
    return out;
  };
  EXPECT_EQ(added(""), "");
  EXPECT_EQ(added("../lib/libpython3.12.so.1.0"), "lib/libpython3.12.so.1.0 = /opt/p/lib/libpython3.so.1.0;");
  EXPECT_EQ(added("../lib64/libpython3.12.so.1.0"), "lib/libpython3.12.so.1.0 = /opt/p/lib/libpython3.so.1.0;");
  EXPECT_EQ(added("../lib64/libpython3.15.so.1.0", 15),
            "lib64/;lib64/libpython3.15.so.1.0 = /opt/p/lib/libpython3.so.1.0;");
  EXPECT_EQ(added("./libpypy3.9-c.so"), "bin/libpypy3.9-c.so = /opt/p/lib/libpython3.so.1.0;");
  EXPECT_EQ(added("../l/./m/x.so"), "l/;l/m/;l/m/x.so = /opt/p/lib/libpython3.so.1.0;");
  for (const char* const outside : {"../../lib/x.so", "../../env/bin/x.so", "a/../../../x.so"})
    EXPECT_NE(added(outside).find("which is outside of an environment; leave --copies out"), std::string::npos)
        << added(outside);
  // Links lead to the program itself.
  BuildFacts facts = facts_for({.major = 3, .minor = 12});
  facts.python.libpython_from_program = "../../lib/x.so";
  EXPECT_NO_THROW(plan_layout(request_for(), facts));
}

TEST(Layout, WritesTheConfigurationOfEachVersion) {
  BuildRequest request = request_for();
  request.prompt = "it's";
  EXPECT_EQ(config_text(request, facts_for({.major = 3, .minor = 8, .micro = 18})),
            "home = /usr/bin\ninclude-system-site-packages = false\nversion = 3.8.18\nprompt = \"it's\"\n");
  request.system_site_packages = true;
  request.programs = Programs::copies;
  request.clear = true;
  request.upgrade_deps = true;
  request.scm_ignore_files = false;
  EXPECT_EQ(config_text(request, facts_for({.major = 3, .minor = 12, .micro = 1})),
            "home = /usr/bin\ninclude-system-site-packages = true\nversion = 3.12.1\nprompt = \"it's\"\n"
            "executable = /usr/bin/python3.12\n"
            "command = /usr/bin/python3 -m venv --copies --without-pip --system-site-packages --clear --upgrade-deps "
            "--prompt=\"it's\" /srv/env\n");
  EXPECT_NE(
      config_text(request, facts_for({.major = 3, .minor = 13, .micro = 1})).find("--without-scm-ignore-files /srv"),
      std::string::npos);
}

TEST(Layout, TakesADotForTheCurrentDirectory) {
  BuildRequest request = request_for();
  request.prompt = ".";
  const BuildFacts facts = facts_for({.major = 3, .minor = 11});
  EXPECT_NE(config_text(request, facts).find("prompt = 'project'\n"), std::string::npos);
  EXPECT_NE(config_text(request, facts).find("--prompt=\".\""), std::string::npos);
  EXPECT_NE(text_of(plan_layout(request, facts), "bin/activate").find("(project)"), std::string::npos);
  EXPECT_NE(config_text(request, facts_for({.major = 3, .minor = 8})).find("prompt = '.'\n"), std::string::npos);
}

TEST(Layout, PutsParenthesesWhereTheTemplatesHaveNone) {
  EXPECT_EQ(text_of(plan_layout(request_for(), facts_for({.major = 3, .minor = 12})), "bin/activate"),
            "VIRTUAL_ENV=/srv/env PS1='(env) '\n");
  EXPECT_EQ(text_of(plan_layout(request_for(), facts_for({.major = 3, .minor = 13})), "bin/activate"),
            "VIRTUAL_ENV=/srv/env PS1=env\n");
}

Wheel wheel_of(const std::string& project, const std::string& version, const std::vector<FakeEntry>& files) {
  return read_wheel(
      fake_zip({.entries = fake_wheel(project, version, files,
                                      project == "pip" ? "[console_scripts]\npip = pip.main:main\n" : "")}),
      "/wheels/" + project + "-" + version + "-py3-none-any.whl");
}

TEST(Layout, InstallsAWheelAsPipDoes) {
  BuildFacts facts = facts_for({.major = 3, .minor = 11});
  facts.wheels.push_back(wheel_of("pip", "24.2", {{.name = "pip/sub/a.py", .content = "a"}}));
  const Layout layout = plan_layout(request_for(), facts);
  auto all = lines(layout);
  all.erase(all.begin(), std::find(all.begin(), all.end(), "bin/activate"));
  const std::string packages = "lib/python3.11/site-packages/";
  const std::string info = packages + "pip-24.2.dist-info/";
  EXPECT_EQ(all, (std::vector<std::string>{"bin/activate", packages + "pip/ own", packages + "pip/sub/ own",
                                           packages + "pip/sub/a.py from wheel", "bin/pip", "bin/pip3.11", "bin/pip3",
                                           info + " own", info + "METADATA from wheel", info + "WHEEL from wheel",
                                           info + "entry_points.txt from wheel", info + "INSTALLER", info + "REQUESTED",
                                           info + "RECORD", "pyvenv.cfg"}));
  const std::string record = text_of(layout, info + "RECORD");
  EXPECT_NE(record.find("../../../bin/pip3.11,sha256="), std::string::npos) << record;
  EXPECT_NE(record.find("pip-24.2.dist-info/RECORD,,\r\n"), std::string::npos) << record;
  EXPECT_NE(record.find("pip/sub/a.py,sha256="), std::string::npos) << record;
  EXPECT_EQ(text_of(layout, "bin/pip").substr(0, 27), "#!/srv/env/bin/python3\n# -*");
}

TEST(Layout, WritesTheScriptsOfThePipThatIsThere) {
  BuildFacts facts = facts_for({.major = 3, .minor = 11});
  facts.wheels.push_back(
      read_wheel(fake_zip({.entries = fake_wheel("tool", "1.0", {}, "[console_scripts]\ntool = tool:main\n")}),
                 "/wheels/tool-1.0-py3-none-any.whl"));
  const auto script = [&] { return text_of(plan_layout(request_for(), facts), "bin/tool"); };
  EXPECT_NE(script().find("removesuffix"), std::string::npos) << script();
  facts.existing = Existing{};
  facts.existing->programs.resize(3);
  EXPECT_NE(script().find("removesuffix"), std::string::npos) << "there is no pip in it";
  facts.existing->distributions = {{"pip", "pip-25.2.dist-info", *parse_version("25.2"), {}, true}};
  EXPECT_NE(script().find("endswith"), std::string::npos) << script();
  facts.wheels.push_back(wheel_of("pip", "24.2", {{.name = "pip/a.py", .content = "a"}}));
  EXPECT_NE(script().find("re.sub"), std::string::npos) << "the one that is installed now";
}

TEST(Layout, KeepsWhatIsRightInAnExistingEnvironment) {
  BuildFacts facts = facts_for({.major = 3, .minor = 11, .micro = 2});
  using State = ExistingProgram::State;
  Existing existing;
  existing.environment = true;
  existing.lib64 = true;
  existing.programs = {
      {"python3", State::current, true}, {"python", State::current, true}, {"python3.11", State::current, true}};
  existing.config = PyvenvConfig{};
  existing.config->version = "3.11.2";
  facts.existing = existing;
  Layout layout = plan_layout(request_for(), facts);
  EXPECT_EQ(lines(layout),
            (std::vector<std::string>{"include/", "include/python3.11/", "lib/", "lib/python3.11/",
                                      "lib/python3.11/site-packages/", "bin/", "bin/activate", "pyvenv.cfg"}));
  EXPECT_TRUE(layout.notices.empty());

  // Dangling links are repaired, and that is said.
  facts.existing->programs[0].state = State::dangling;
  facts.existing->programs[1].state = State::dangling;
  layout = plan_layout(request_for(), facts);
  const auto all = lines(layout);
  EXPECT_NE(std::find(all.begin(), all.end(), "bin/python3 -> /usr/bin/python3"), all.end());
  ASSERT_EQ(layout.notices.size(), 1U);
  EXPECT_NE(layout.notices[0].find("python3, python now lead to"), std::string::npos) << layout.notices[0];

  // Another minor version: said, and the names of the old one go.
  facts.existing->config->version = "3.9.1";
  facts.existing->outdated_programs = {"python3.9"};
  layout = plan_layout(request_for(), facts);
  ASSERT_EQ(layout.notices.size(), 1U);
  EXPECT_NE(layout.notices[0].find("3.9.1 and is now one of Python 3.11.2"), std::string::npos) << layout.notices[0];
  EXPECT_EQ(layout.removals, std::vector<Removal>{{"bin/python3.9"}});
}

TEST(Layout, UpgradeKeepsPromptScriptsAndSystemPackages) {
  BuildFacts facts = facts_for({.major = 3, .minor = 11, .micro = 4});
  facts.existing = Existing{};
  facts.existing->environment = true;
  facts.existing->programs.resize(3);
  facts.existing->config = PyvenvConfig{};
  facts.existing->config->prompt = "mine";
  facts.existing->config->include_system_site_packages = true;
  BuildRequest request = request_for();
  request.upgrade = true;
  EXPECT_NE(
      config_text(request, facts).find("include-system-site-packages = true\nversion = 3.11.4\nprompt = 'mine'\n"),
      std::string::npos)
      << config_text(request, facts);
  EXPECT_EQ(text_of(plan_layout(request, facts), "bin/activate"), "absent");
}

TEST(Layout, UpgradeKeepsCopiesUnlessLinksAreAskedFor) {
  BuildFacts facts = facts_for({.major = 3, .minor = 11, .micro = 4});
  using State = ExistingProgram::State;
  facts.existing = Existing{};
  facts.existing->environment = true;
  facts.existing->programs = {
      {"python3", State::foreign, false}, {"python", State::foreign, false}, {"python3.11", State::missing, false}};
  BuildRequest request = request_for();
  const auto copies = [&] {
    const auto all = lines(plan_layout(request, facts));
    const bool copied = std::find(all.begin(), all.end(), "bin/python3 = /usr/bin/python3") != all.end();
    EXPECT_EQ(config_text(request, facts).find(" --copies") != std::string::npos, copied);
    return copied;
  };
  EXPECT_FALSE(copies()) << "a build makes what it is told";
  request.upgrade = true;
  EXPECT_TRUE(copies());
  request.programs_given = true;
  EXPECT_FALSE(copies());
}

TEST(Layout, RemovesTheOldVersionOfADistribution) {
  BuildFacts facts = facts_for({.major = 3, .minor = 11});
  facts.wheels.push_back(wheel_of("setuptools", "66.1.1", {{.name = "setuptools/a.py", .content = "a"}}));
  facts.existing = Existing{};
  facts.existing->programs.resize(3);
  facts.existing->distributions = {
      {"setuptools", "setuptools-40.0.dist-info", *parse_version("40.0"), {"easy_install.py", "setuptools"}},
      {"pip", "pip-9.dist-info", *parse_version("9"), {}}};
  EXPECT_EQ(plan_layout(request_for(), facts).removals,
            (std::vector<Removal>{{"lib/python3.11/site-packages/easy_install.py"},
                                  {"lib/python3.11/site-packages/setuptools-40.0.dist-info"}}));
}

/// A wheel that the user gives, with a file in each place.
Wheel given_wheel() {
  const std::string data = "Foo_Bar-1.0.data/";
  const std::vector<FakeEntry> files{{.name = "foo/__init__.py", .content = "a"},
                                     {.name = "empty/", .content = "", .mode = 040755},
                                     {.name = data + "purelib/pure.py", .content = "b"},
                                     {.name = data + "platlib/plat.py", .content = "c"},
                                     {.name = data + "headers/x.h", .content = "d"},
                                     {.name = data + "scripts/run", .content = "#!python\nx\n", .mode = 0100755},
                                     {.name = data + "scripts/foo", .content = "#!python\n"},
                                     {.name = data + "data/share/x", .content = "e"},
                                     {.name = data + "data/lib64/y", .content = "f"}};
  const std::string entry_points = "[console_scripts]\nfoo = foo:main\n";
  Wheel wheel = read_wheel(fake_zip({.entries = fake_wheel("Foo_Bar", "1.0", files, entry_points)}),
                           "/wheels/Foo_Bar-1.0-py3-none-any.whl", WheelUse::given);
  wheel.given = GivenFile{"/wheels/\xc3\xa9 Foo_Bar-1.0-py3-none-any.whl", "00ff"};
  return wheel;
}

/// As if that pip were in the environment.
void set_pip(BuildFacts& facts, const std::string& version) {
  facts.existing = Existing{};
  facts.existing->programs.resize(3);
  facts.existing->distributions = {{"pip", "pip-" + version + ".dist-info", *parse_version(version), {}, true}};
}

bool has_line(const std::vector<std::string>& lines, const std::string& line) {
  return std::find(lines.begin(), lines.end(), line) != lines.end();
}

TEST(Layout, HasAPlaceForEveryFileOfAGivenWheel) {
  BuildFacts facts = facts_for({.major = 3, .minor = 11});
  facts.umask = 066;
  set_pip(facts, "24.2");
  facts.wheels.push_back(given_wheel());
  const Layout layout = plan_layout(request_for(), facts);
  auto all = lines(layout);
  all.erase(all.begin(), std::find(all.begin(), all.end(), "bin/activate"));
  const std::string packages = "lib/python3.11/site-packages/";
  const std::string info = packages + "Foo_Bar-1.0.dist-info/";
  EXPECT_EQ(all, (std::vector<std::string>{"bin/activate",
                                           packages + "foo/",
                                           packages + "foo/__init__.py from wheel",
                                           packages + "pure.py from wheel",
                                           packages + "plat.py from wheel",
                                           "include/site/",
                                           "include/site/python3.11/",
                                           "include/site/python3.11/Foo-Bar/",
                                           "include/site/python3.11/Foo-Bar/x.h from wheel",
                                           "bin/run",
                                           "share/",
                                           "share/x from wheel",
                                           "lib/y from wheel",
                                           "bin/foo",
                                           info + " own",
                                           info + "METADATA from wheel",
                                           info + "WHEEL from wheel",
                                           info + "entry_points.txt from wheel",
                                           info + "INSTALLER",
                                           info + "REQUESTED",
                                           info + "direct_url.json",
                                           info + "RECORD",
                                           "pyvenv.cfg"}));
  EXPECT_EQ(text_of(layout, "bin/run"), "#!/srv/env/bin/python3\nx\n");
  for (const Entry& entry : layout.entries) {
    const auto* const file = std::get_if<TextFile>(&entry);
    if (file != nullptr && file->path == "bin/run") {
      EXPECT_EQ(file->mode, std::optional<mode_t>(0711));
    }
  }
  EXPECT_EQ(text_of(layout, info + "direct_url.json"),
            "{\"archive_info\": {\"hash\": \"sha256=00ff\", \"hashes\": {\"sha256\": \"00ff\"}}, \"url\": "
            "\"file:///wheels/%C3%A9%20Foo_Bar-1.0-py3-none-any.whl\"}");
  const std::string record = text_of(layout, info + "RECORD");
  for (const char* const row :
       {"../../../include/site/python3.11/Foo-Bar/x.h,sha256=", "../../../share/x,", "../../../lib64/y,", "\npure.py,",
        "../../../bin/run,sha256=", "\nFoo_Bar-1.0.data/scripts/foo,sha256="})
    EXPECT_NE(record.find(row), std::string::npos) << row << " in\n" << record;

  set_pip(facts, "23.0.1");
  EXPECT_NE(text_of(plan_layout(request_for(), facts), info + "direct_url.json").find("\"archive_info\": {},"),
            std::string::npos);
  set_pip(facts, "26.0");
  EXPECT_TRUE(has_line(lines(plan_layout(request_for(), facts)), "include/site/python3.11/foo-bar/x.h from wheel"));
}

TEST(Layout, TellsPlatformDirectoriesApart) {
  const std::string end = "/python3.15/site-packages/";
  BuildFacts facts = facts_for({.major = 3, .minor = 15});
  facts.python.platlibdir = "lib64";
  facts.wheels.push_back(given_wheel());
  auto all = lines(plan_layout(request_for(), facts));
  for (const std::string& line : {"lib" + end + "foo/__init__.py from wheel", "lib" + end + "pure.py from wheel",
                                  "lib64" + end + "plat.py from wheel", std::string("lib64/y from wheel")})
    EXPECT_TRUE(has_line(all, line)) << line;
  facts.wheels[0].purelib = false;
  std::string record = text_of(plan_layout(request_for(), facts), "lib64" + end + "Foo_Bar-1.0.dist-info/RECORD");
  for (const std::string& row : {"\n../../../lib" + end + "pure.py,", std::string("\n../../y,")})
    EXPECT_NE(record.find(row), std::string::npos) << row << " in\n" << record;

  // Before, lib64 is a link: RECORD says lib64 as pip's does, and nothing is written through the link.
  facts.python.version.minor = 13;
  all = lines(plan_layout(request_for(), facts));
  EXPECT_TRUE(has_line(all, "lib/python3.13/site-packages/plat.py from wheel"));
  record = text_of(plan_layout(request_for(), facts), "lib/python3.13/site-packages/Foo_Bar-1.0.dist-info/RECORD");
  EXPECT_NE(record.find("\n../../../lib/python3.13/site-packages/pure.py,"), std::string::npos) << record;
}

TEST(Layout, ReplacesADistributionByItsRecord) {
  BuildFacts facts = facts_for({.major = 3, .minor = 11});
  const std::string packages = "lib/python3.11/site-packages";
  const std::string info = packages + "/foo_bar-0.9.dist-info";
  facts.wheels.push_back(given_wheel());
  facts.existing = Existing{};
  facts.existing->programs.resize(3);
  facts.replaced = {{.project = "foo-bar",
                     .dist_info = info,
                     .files = {"bin/foo", "bin/old", "bin/python3", info + "/METADATA", packages + "/foo/__init__.py",
                               packages + "/foo/old.py", "pyvenv.cfg", "share/old/x"},
                     .directories = {"share/old", packages + "/foo", info, packages, "bin", ""}}};
  EXPECT_EQ(plan_layout(request_for(), facts).removals, (std::vector<Removal>{{"bin/old"},
                                                                              {packages + "/foo/old.py"},
                                                                              {"share/old/x"},
                                                                              {"share/old", true},
                                                                              {packages + "/foo", true},
                                                                              {info}}));
  // Of the same version, the new .dist-info directory takes the place of the old one.
  facts.replaced[0].dist_info = packages + "/Foo_Bar-1.0.dist-info";
  facts.replaced[0].files = {packages + "/Foo_Bar-1.0.dist-info/gone", "share/old/x"};
  facts.replaced[0].directories = {};
  EXPECT_EQ(plan_layout(request_for(), facts).removals, (std::vector<Removal>{{"share/old/x"}}));

  // What another kind of thing takes the place of goes with that, and not later.
  facts.replaced[0].files = {"share", "lib/y/__pycache__/a.pyc", "lib/y/a.py", "lib/yy"};
  facts.replaced[0].directories = {"lib/y/__pycache__", "lib/y", "lib"};
  EXPECT_EQ(
      plan_layout(request_for(), facts).removals,
      (std::vector<Removal>{
          {"share", false, true}, {"lib/y/__pycache__/a.pyc", false, true}, {"lib/y/a.py", false, true}, {"lib/yy"}}));
}

TEST(Missing, IsWhatNoneMeets) {
  const std::vector<AvailableDistribution> available{{"bar", parse_version("1.5")}, {"odd-one", std::nullopt}};
  EXPECT_EQ(find_missing({"Bar", "bar>=2 ", "bar[x,y] (>=1, <1.2)", "Odd_One>=9", "absent.one",
                          "absent; python_version>'3'", "url @ https://x", "bar ~= 1.4", "bar === 1", ""},
                         available),
            (std::vector<std::string>{"bar>=2", "bar>=1,<1.2", "absent.one"}));
}

TEST(Activation, QuotesValuesInEveryShell) {
  const ActivationValues values{.directory = "/a'b", .name = "n", .prompt = "x!y\\z", .python = "/p"};
  const auto fill = [&](const char* name, const char* text) { return fill_template({name, text, 0644}, values); };
  EXPECT_EQ(fill("activate", "V=__VENV_DIR__;"), "V='/a'\"'\"'b';");
  EXPECT_EQ(fill("activate.csh", "__VENV_PROMPT__"), "'x\\!y\\z'");
  EXPECT_EQ(fill("activate.fish", "__VENV_PROMPT__"), "'x!y\\\\z'");
  EXPECT_EQ(fill("Activate.ps1", "__VENV_DIR__"), "'/a''b'");
  EXPECT_EQ(fill("activate", "__VENV_BIN_NAME__ __VENV_OTHER__ __VENV_NAME__ __VENV_PYTHON__"),
            "bin __VENV_OTHER__ n /p");
  // Templates with their own quotes: a harmless value as it is, another one outside of them.
  EXPECT_EQ(fill("activate", "V=\"__VENV_DIR__\" P=\"(__VENV_PROMPT__) $PS1\""),
            "V=\"/a'b\" P=\"(\"'x!y\\z'\") $PS1\"");
  // What a shell expands again when it shows its prompt.
  const ActivationValues shown{.directory = "/d", .name = "n", .prompt = "a$(b)`c`\\d", .python = "/p"};
  const auto prompt = [&](const char* name, const char* text) { return fill_template({name, text, 0644}, shown); };
  EXPECT_EQ(prompt("activate", "P=__VENV_PROMPT__\n PS1=__VENV_PROMPT__\"$PS1\""),
            "P='a$(b)`c`\\d'\n PS1='a?(b)?c??d'\"$PS1\"");
  EXPECT_EQ(prompt("activate", "V=\"__VENV_DIR__\"\nPS1=\"(__VENV_PROMPT__) \""), "V=\"/d\"\nPS1=\"(a?(b)?c??d) \"");
}

}  // namespace
}  // namespace vrun::builder
