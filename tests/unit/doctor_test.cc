#include "builder/doctor.h"

#include <gtest/gtest.h>
#include <sys/stat.h>

#include "builder/json.h"
#include "builder/repair.h"
#include "builder/sha256.h"
#include "tests/unit/fake_host.h"

namespace vrun::builder {
namespace {

constexpr const char* kEnv = "/home/me/env";
const std::string kPackages = "lib/python3.11/site-packages";

std::string in(std::string_view relative) { return join(kEnv, relative); }
std::string package(std::string_view relative) { return in(join(kPackages, relative)); }

/// Debian with an environment that has nothing to be found.
FakeHost healthy() {
  FakeHost host = FakeHost::debian();
  host.environment(kEnv, "/usr/bin/python3");
  const std::string code = "x = 1\n";
  host.file(package("demo/__init__.py"), code);
  host.file(package("demo-1.0.dist-info/RECORD"), "demo/__init__.py," + record_hash(code) +
                                                      ",6\r\ndemo/__pycache__/__init__.cpython-311.pyc,,\r\n"
                                                      "demo-1.0.dist-info/RECORD,,\r\n");
  return host;
}

std::string list(const Diagnosis& diagnosis) {
  std::string out;
  for (const Finding& finding : diagnosis.findings)
    out += std::string(name_of(finding.severity)) + " " + std::string(name_of(finding.check)) + " " +
           (is_within(finding.path, kEnv) ? finding.path.substr(std::string_view(kEnv).size()) : finding.path) + ": " +
           finding.text + "\n";
  return out;
}

std::string findings(const FakeHost& host) { return list(diagnose(host.root(), kEnv)); }

SearchContext nowhere() {
  return {.working_directory = "/", .variable = [](const char*) { return std::string(); }};
}

TEST(Doctor, HasNothingToSayOfAHealthyEnvironment) {
  FakeHost host = healthy();
  const Diagnosis diagnosis = diagnose(host.root(), kEnv);
  EXPECT_EQ(list(diagnosis), "");
  EXPECT_FALSE(diagnosis.sick());
  EXPECT_EQ(to_text(diagnosis), "checked  /home/me/env: 0 errors, 0 warnings, 0 notes\n");
}

TEST(Doctor, LooksOnlyAtEnvironments) {
  FakeHost host = healthy();
  EXPECT_NE(message_of([&] { diagnose(host.root(), "/home/me"); }).find("is not a virtual environment"),
            std::string::npos);
  EXPECT_NE(message_of([&] { diagnose(host.root(), "/"); }), "no error");
  host.remove(in("pyvenv.cfg"));
  EXPECT_EQ(findings(host), "error configuration /pyvenv.cfg: is missing, so this is no environment\n");
}

TEST(Doctor, ReadsTheConfiguration) {
  FakeHost host = healthy();
  host.file(in("pyvenv.cfg"), "home = /usr/bin\nversion = 3.11.2\nversion = 3.11.2\n");
  EXPECT_TRUE(findings(host).starts_with("error configuration /pyvenv.cfg: line 3: the key"));
  host.remove(in("pyvenv.cfg")).fifo(in("pyvenv.cfg"));
  EXPECT_EQ(findings(host), "error configuration /pyvenv.cfg: is not a regular file\n");
  host.remove(in("pyvenv.cfg")).link(in("pyvenv.cfg"), "/etc/hosts");
  EXPECT_EQ(findings(host), "error configuration /pyvenv.cfg: is a symbolic link, which is not followed\n");
  host.file(in("pyvenv.cfg"), "version = 3.11.2\n");
  EXPECT_TRUE(findings(host).starts_with("error configuration /pyvenv.cfg: has no key 'home'"));
}

TEST(Doctor, FindsLinksToNothing) {
  FakeHost host = healthy();
  host.link(in("bin/python3"), "/usr/bin/python3.10").link(in("bin/tool"), "../share/tool");
  EXPECT_EQ(findings(host),
            "error programs /bin/python: is a link to 'python3', which leads nowhere\n"
            "error programs /bin/python3: is a link to '/usr/bin/python3.10', which leads nowhere\n"
            "error programs /bin/python3.11: is a link to 'python3', which leads nowhere\n"
            "warning programs /bin/tool: is a link to '../share/tool', which leads nowhere\n");
}

TEST(Doctor, FindsAMovedBase) {
  FakeHost host = healthy();
  host.file(in("pyvenv.cfg"), "home = /opt/gone/bin\ninclude-system-site-packages = false\nversion = 3.11.2\n");
  EXPECT_EQ(findings(host),
            "error base /pyvenv.cfg: home is '/opt/gone/bin', which is not there any more: the Python was moved or "
            "removed\n");
}

TEST(Doctor, FindsAHomeThatDisagrees) {
  FakeHost host = healthy();
  host.file(in("pyvenv.cfg"), "home = /etc\ninclude-system-site-packages = false\nversion = 3.11.2\n");
  EXPECT_TRUE(findings(host).starts_with("error base : '/home/me/env/bin/python' leads to")) << findings(host);
}

TEST(Doctor, FindsMicroDrift) {
  FakeHost host = healthy();
  host.file(in("pyvenv.cfg"), "home = /usr/bin\ninclude-system-site-packages = false\nversion_info = 3.11.1.final.0\n");
  EXPECT_EQ(findings(host),
            "warning version /pyvenv.cfg: says '3.11.1.final.0', and bin/python leads to CPython 3.11.2\n");
}

TEST(Doctor, FindsMinorDrift) {
  FakeHost host = FakeHost::debian();
  host.environment(kEnv, "/usr/bin/python3", "3.10.5");
  host.remove(in("bin/python3.10"));
  EXPECT_EQ(findings(host),
            "error version /lib/python3.11: is missing: bin/python leads to CPython 3.11.2, for which this environment "
            "was not made\n"
            "error version /pyvenv.cfg: says '3.10.5', and bin/python leads to CPython 3.11.2\n"
            "warning version /lib/python3.10: holds packages of another Python than the CPython 3.11.2 that bin/python "
            "leads to\n");
}

TEST(Doctor, FindsDamagedPackages) {
  FakeHost host = healthy();
  const std::string record = package("demo-1.0.dist-info/RECORD");
  host.file(package("demo/__init__.py"), "x = 2\n");
  EXPECT_EQ(findings(host), "error record /" + kPackages +
                                "/demo/__init__.py: was changed: its hash is not the one in RECORD of 'demo'\n");
  host.file(package("demo/__init__.py"), "x = 23\n");
  EXPECT_EQ(findings(host), "error record /" + kPackages + "/demo/__init__.py: has 7 bytes, and RECORD says 6\n");
  host.remove(package("demo/__init__.py"));
  EXPECT_EQ(findings(host),
            "error record /" + kPackages + "/demo/__init__.py: is missing, and RECORD of 'demo' lists it\n");
  host.fifo(package("demo/__init__.py"));
  EXPECT_EQ(findings(host), "warning record /" + kPackages + "/demo/__init__.py: is not a regular file\n");
  host.remove(package("demo/__init__.py")).link(package("demo/__init__.py"), "/etc/hosts");
  EXPECT_EQ(findings(host),
            "warning record /" + kPackages + "/demo/__init__.py: is a symbolic link, which is not followed\n");
  host.file(record, "../../../../../../etc/passwd,,\n/etc/passwd,,\n");
  EXPECT_EQ(findings(host), "warning record /" + kPackages +
                                "/demo-1.0.dist-info/RECORD: lists '../../../../../../etc/passwd', which is outside of "
                                "the environment; it was not looked at\nwarning record /" +
                                kPackages +
                                "/demo-1.0.dist-info/RECORD: lists '/etc/passwd', which is outside of the environment; "
                                "it was not looked at\n");
  host.file(record, "one,two\n");
  EXPECT_TRUE(findings(host).starts_with("error record /" + kPackages + "/demo-1.0.dist-info/RECORD: "))
      << findings(host);
  host.remove(record);
  EXPECT_TRUE(findings(host).starts_with("warning record /" + kPackages + "/demo-1.0.dist-info/RECORD: is missing"));
}

TEST(Doctor, NotesUnlistedModules) {
  FakeHost host = healthy();
  host.file(package("demo/extra.py")).file(package("demo/data.txt")).file(package("other/own.py"));
  EXPECT_EQ(findings(host), "note record /" + kPackages + "/demo/extra.py: is listed by no RECORD\n");
  EXPECT_FALSE(diagnose(host.root(), kEnv).sick());
}

TEST(Doctor, ShowsAFewOfManyFindings) {
  FakeHost host = healthy();
  for (int i = 0; i < 50; ++i) host.file(package("demo/extra" + std::to_string(i) + ".py"));
  const Diagnosis diagnosis = diagnose(host.root(), kEnv);
  EXPECT_EQ(diagnosis.findings.size(), 21U);
  EXPECT_EQ(diagnosis.findings.back().text, "30 more of this kind are not shown");
}

TEST(Doctor, ReadsFirstLines) {
  FakeHost host = healthy();
  const auto of = [&](const std::string& text) {
    host.file(in("bin/tool"), text, 0755);
    return findings(host);
  };
  const std::string env = kEnv;
  for (const std::string& fine :
       {"#!" + env + "/bin/python\n", "#!" + env + "/bin/python3.11 -I\nimport x\n", std::string("#!/bin/bash\n"),
        std::string("#!/bin/sh\necho\n"), "#!/bin/sh\n'''exec' " + env + "/bin/python \"$0\" \"$@\"\n' '''\n",
        "#!/bin/sh\n'''exec' \"" + env + "/bin/python\" \"$0\" \"$@\"\n' '''\n",
        std::string("#!/bin/sh\n'''exec' \"$(dirname -- \"$(realpath -- \"$0\")\")\"/'python' \"$0\" \"$@\"\n' '''\n"),
        std::string("\x7f"
                    "ELF"),
        std::string("#!/usr/bin/perl\n"), std::string("#!"), std::string()})
    EXPECT_EQ(of(fine), "") << fine;
  EXPECT_EQ(of("#!/usr/bin/python3\n"),
            "error script /bin/tool: is run by '/usr/bin/python3', which is not of this environment\n");
  EXPECT_EQ(of("#!/bin/sh\n'''exec' '/other/bin/python' \"$0\" \"$@\"\n"),
            "error script /bin/tool: is run by '/other/bin/python', which is not of this environment\n");
  EXPECT_EQ(of("#!/bin/sh\n'''exec' \"/a$(touch x)/bin/python\" \"$0\" \"$@\"\n"),
            "error script /bin/tool: starts the shell with a path that it expands: '/a$(touch x)/bin/python'\n");
  EXPECT_EQ(of("#!/usr/bin/env python3\n"), "note script /bin/tool: runs the python3 that PATH gives\n");
  EXPECT_EQ(of("#!" + env + "/bin/python " + std::string(200, 'x') + "\n"),
            "warning script /bin/tool: has a first line of 226 bytes, of which kernels before 5.1 take 127\n");
  EXPECT_EQ(of("#!" + env + "/bin/python " + std::string(300, 'x') + "\n"),
            "error script /bin/tool: has a first line of 326 bytes, and the kernel takes 255\n");
  host.remove(in("bin/tool")).fifo(in("bin/tool"));
  EXPECT_EQ(findings(host), "");
}

TEST(Doctor, FindsABlankInAFirstLine) {
  FakeHost host = FakeHost::debian();
  host.environment("/home/me/my env", "/usr/bin/python3");
  host.file("/home/me/my env/bin/tool", "#!/home/me/my env/bin/python\n", 0755);
  const Diagnosis diagnosis = diagnose(host.root(), "/home/me/my env");
  ASSERT_EQ(diagnosis.findings.size(), 1U);
  EXPECT_EQ(diagnosis.findings[0].text, "has a blank in the path of its interpreter, where the kernel ends it");
}

TEST(Doctor, FindsWhatOthersCanChange) {
  FakeHost host = healthy();
  ASSERT_EQ(::chmod(host.on_disk("/home/me").c_str(), 0777), 0);
  ASSERT_EQ(::chmod(host.on_disk("/home").c_str(), 01777), 0);
  ASSERT_EQ(::chmod(host.on_disk(package("demo")).c_str(), 0777), 0);
  EXPECT_EQ(findings(host), "error ownership /home/me: can be changed by everybody\nerror ownership /" + kPackages +
                                "/demo: can be changed by everybody\n");
}

TEST(Doctor, NotesPathFilesThatRunCode) {
  FakeHost host = healthy();
  host.file(package("distutils-precedence.pth"), "import os; x\n").file(package(".hidden.pth"), "import os\n");
  host.file(package("a.pth"), "# import no\n/some/where\n  import no\nimport\tevil\033[2J\n");
  EXPECT_EQ(findings(host), "note pth /" + kPackages +
                                "/a.pth: line 4 is run whenever Python starts: 'import\\x09evil\\x1b[2J'\nnote pth /" +
                                kPackages +
                                "/distutils-precedence.pth: line 1 is run whenever Python starts: 'import os; x' "
                                "(known: setuptools has it)\n");
}

TEST(Doctor, SpeaksJson) {
  FakeHost host = healthy();
  host.file(package("a.pth"), "import \xff\n");
  const std::string json = to_json(diagnose(host.root(), kEnv));
  for (const char* const part : {"\"schema\": \"vbuild.doctor/1\"", "\"severity\": \"note\"", "\"check\": \"pth\"",
                                 "\"remedy\": null", "import \\\\xff"})
    EXPECT_NE(json.find(part), std::string::npos) << part << "\n" << json;
}

/// The entries of a repair, one a line.
std::string plan(const FakeHost& host, const SearchContext& context = nowhere()) {
  std::string out;
  for (const Entry& entry : plan_repair(host.root(), context, kEnv).layout.entries) {
    if (const auto* const link = std::get_if<SymbolicLink>(&entry)) out += link->path + " -> " + link->target + "\n";
    if (const auto* const file = std::get_if<TextFile>(&entry)) out += file->path + ":\n" + file->content;
  }
  return out;
}

TEST(Repair, DoesNothingToWhatIsWell) { EXPECT_EQ(plan(healthy()), ""); }

TEST(Repair, MendsLinksByTheHome) {
  FakeHost host = healthy();
  host.link(in("bin/python3"), "/usr/bin/python3.gone");
  EXPECT_EQ(plan(host), "bin/python3 -> /usr/bin/python3.11\n");
  host.remove(in("bin/python3")).remove(in("bin/python"));
  EXPECT_EQ(plan(host), "bin/python -> /usr/bin/python3.11\nbin/python3 -> /usr/bin/python3.11\n");
  host.link(in("bin/python"), "python3").link(in("bin/python3"), "python");
  EXPECT_EQ(plan(host),
            "bin/python -> /usr/bin/python3.11\nbin/python3 -> /usr/bin/python3.11\n"
            "bin/python3.11 -> /usr/bin/python3.11\n");
}

TEST(Repair, ChangesOnlyTheVersionInTheConfiguration) {
  FakeHost host = healthy();
  host.file(
      in("pyvenv.cfg"),
      "home = /usr/bin\r\nvirtualenv = 20.1\nversion_info = 3.11.1.final.0\ninclude-system-site-packages = false");
  EXPECT_EQ(plan(host),
            "pyvenv.cfg:\nhome = /usr/bin\r\nvirtualenv = 20.1\nversion_info = 3.11.2.final.0\n"
            "include-system-site-packages = false\n");
}

TEST(Repair, FindsAMovedPythonOfTheSameMinorVersion) {
  FakeHost host = FakeHost::pyenv();
  host.environment(kEnv, "/home/me/.pyenv/versions/3.12.1/bin/python3", "3.12.0");
  host.link(in("bin/python3"), "/home/me/.pyenv/versions/3.12.0/bin/python3");
  host.file(in("pyvenv.cfg"), "home = /home/me/.pyenv/versions/3.12.0/bin\nversion = 3.12.0\nprompt = 'p'\n");
  SearchContext context = nowhere();
  EXPECT_EQ(plan(host, context), "");
  context.variable = [](const char* name) { return std::string(name == std::string_view("HOME") ? "/home/me" : ""); };
  const std::string prefix = "/home/me/.pyenv/versions/3.12.1";
  EXPECT_EQ(plan(host, context), "bin/python3 -> " + prefix + "/bin/python3\npyvenv.cfg:\nhome = " + prefix +
                                     "/bin\nversion = 3.12.1\nprompt = 'p'\n");
}

TEST(Repair, LeavesAnotherMinorVersionAlone) {
  FakeHost host = FakeHost::debian();
  host.environment(kEnv, "/usr/bin/python3", "3.10.5");
  EXPECT_EQ(plan(host), "");
}

}  // namespace
}  // namespace vrun::builder
