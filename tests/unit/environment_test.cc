#include "policy/environment.h"

#include <elf.h>
#include <gtest/gtest.h>

#include "tests/unit/fake_host.h"

namespace vrun {
namespace {

constexpr const char* kCorrect = "; correct the line, or make the environment again with vbuild";

std::string parse_refusal(std::string_view text) {
  return message_of([&] { parse_pyvenv_config(text, "/e/pyvenv.cfg"); });
}

std::string line_refusal(int line, const std::string& reason) {
  return "'/e/pyvenv.cfg', line " + std::to_string(line) + ": " + reason + kCorrect;
}

TEST(PyvenvConfig, AsVenvWritesIt) {
  const PyvenvConfig config = parse_pyvenv_config(
      "home = /usr/bin\ninclude-system-site-packages = false\nversion = 3.11.2\nprompt = 'my env'\n"
      "executable = /usr/bin/python3.11\ncommand = /usr/bin/python3 -m venv /home/me/env\n",
      "/e/pyvenv.cfg");
  EXPECT_EQ(config.home, "/usr/bin");
  EXPECT_FALSE(config.include_system_site_packages);
  EXPECT_EQ(config.version, "3.11.2");
  EXPECT_EQ(config.prompt, "my env");
  EXPECT_EQ(config.executable, "/usr/bin/python3.11");
  EXPECT_FALSE(config.base_executable);
}

TEST(PyvenvConfig, AsVirtualenvWritesIt) {
  const PyvenvConfig config = parse_pyvenv_config(
      "home = /usr/bin\nimplementation = CPython\nversion_info = 3.11.2.final.0\nvirtualenv = 20.17.1\n"
      "include-system-site-packages = true\nbase-prefix = /usr\nbase-exec-prefix = /usr\n"
      "base-executable = /usr/bin/python3.11\nprompt = \"my env\"\n",
      "/e/pyvenv.cfg");
  EXPECT_TRUE(config.include_system_site_packages);
  EXPECT_EQ(config.version, "3.11.2.final.0");
  EXPECT_EQ(config.base_executable, "/usr/bin/python3.11");
  EXPECT_EQ(config.prompt, "my env");
}

TEST(PyvenvConfig, AsUvWritesIt) {
  const PyvenvConfig config = parse_pyvenv_config(
      "home = /home/me/.local/share/uv/python/cpython-3.12.1-linux-x86_64-gnu/bin\nimplementation = CPython\n"
      "uv = 0.5.1\nversion_info = 3.12.1\ninclude-system-site-packages = false\nprompt = my env\n",
      "/e/pyvenv.cfg");
  EXPECT_EQ(config.version, "3.12.1");
  EXPECT_EQ(config.prompt, "my env");
}

TEST(PyvenvConfig, VersionComesBeforeVersionInfo) {
  EXPECT_EQ(parse_pyvenv_config("version = 3.11.2\nversion_info = 3.11.2.final.0\n", "/e").version, "3.11.2");
  EXPECT_EQ(parse_pyvenv_config("version_info = 3.11.2.final.0\nversion = 3.11.2\n", "/e").version, "3.11.2");
}

TEST(PyvenvConfig, MissingKeyMeansThatSystemPackagesAreIncluded) {
  EXPECT_TRUE(parse_pyvenv_config("", "/e").include_system_site_packages);
  EXPECT_TRUE(parse_pyvenv_config("home = /usr/bin\n", "/e").include_system_site_packages);
  EXPECT_FALSE(parse_pyvenv_config("", "/e").home);
}

TEST(PyvenvConfig, OnlyTrueIsTrue) {
  const auto includes = [](const std::string& value) {
    return parse_pyvenv_config("include-system-site-packages = " + value + "\n", "/e").include_system_site_packages;
  };
  EXPECT_TRUE(includes("true"));
  EXPECT_TRUE(includes("TRUE"));
  EXPECT_TRUE(includes("True  \t"));
  for (const char* const value : {"false", "1", "yes", "on", "true # really", "truе", ""})
    EXPECT_FALSE(includes(value)) << value;
}

TEST(PyvenvConfig, KeysHaveNoCase) {
  EXPECT_FALSE(parse_pyvenv_config("INCLUDE-System-Site-Packages=false\n", "/e").include_system_site_packages);
}

TEST(PyvenvConfig, ValueIsWhatFollowsTheFirstEqualsSign) {
  EXPECT_EQ(parse_pyvenv_config("home = /a=b\n", "/e").home, "/a=b");
  EXPECT_EQ(parse_pyvenv_config("prompt = = x = \n", "/e").prompt, "= x =");
}

TEST(PyvenvConfig, LinesWithoutEqualsSignAndUnknownKeysAreNothing) {
  const PyvenvConfig config =
      parse_pyvenv_config("# comment\n\n[section]\nhome\nseed = x\n# home = /x\nhome = /a", "/e");
  EXPECT_EQ(config.home, "/a");
}

TEST(PyvenvConfig, LineFeedAndCarriageReturnWithLineFeedEndLines) {
  const PyvenvConfig config = parse_pyvenv_config("home = /a\r\ninclude-system-site-packages = false\r\n", "/e");
  EXPECT_EQ(config.home, "/a");
  EXPECT_FALSE(config.include_system_site_packages);
}

TEST(PyvenvConfig, PromptLosesOnePairOfQuotes) {
  const auto prompt = [](const std::string& value) { return parse_pyvenv_config("prompt = " + value, "/e").prompt; };
  EXPECT_EQ(prompt("''"), "");
  EXPECT_EQ(prompt("'"), "'");
  EXPECT_EQ(prompt("'a\""), "'a\"");
  EXPECT_EQ(prompt("\"it's\""), "it's");
}

TEST(PyvenvConfig, RefusesAKeyGivenTwice) {
  const std::string reason = " for the second time, and CPython's parts do not agree which one counts";
  EXPECT_EQ(parse_refusal("home = /a\nhome = /b\n"), line_refusal(2, "the key 'home'" + reason));
  EXPECT_EQ(parse_refusal("include-system-site-packages = false\n\nInclude-System-Site-Packages = true\n"),
            line_refusal(3, "the key 'include-system-site-packages'" + reason));
  EXPECT_EQ(parse_refusal("a = 1\nA = 1\n"), line_refusal(2, "the key 'a'" + reason));
}

TEST(PyvenvConfig, RefusesCharactersThatOnlySomeUnderstand) {
  EXPECT_EQ(parse_refusal(std::string_view("home = /a\n\0", 11)), line_refusal(2, "a NUL byte"));
  EXPECT_EQ(parse_refusal("\xEF\xBB\xBFhome = /a\n"), line_refusal(1, "a byte order mark"));
  EXPECT_EQ(parse_refusal("\xff\xfeh"), line_refusal(1, "text that is not UTF-8"));
  EXPECT_EQ(parse_refusal("home = /a\nx = \xed\xa0\x80\n"), line_refusal(2, "text that is not UTF-8"));
  EXPECT_EQ(parse_refusal("home = /\xc0\xaf\n"), line_refusal(1, "text that is not UTF-8"));
  const std::string lone = "a lone carriage return, which ends a line for only a part of CPython";
  EXPECT_EQ(parse_refusal("home = /a\rinclude-system-site-packages = true\n"), line_refusal(1, lone));
  EXPECT_EQ(parse_refusal("home = /a\r"), line_refusal(1, lone));
  EXPECT_EQ(parse_refusal("home = /a\r\r\n"), line_refusal(1, lone));
}

TEST(PyvenvConfig, RefusesWhiteSpaceThatOnlySomeStrip) {
  const std::string reason = "white space that only some versions of CPython strip";
  for (const char* const space : {"\u00a0", "\u2028", "\u3000", "\x0b", "\x0c", "\x1c", "\u0085"}) {
    EXPECT_EQ(parse_refusal(std::string("include-system-site-packages =") + space + "true\n"), line_refusal(1, reason));
    EXPECT_EQ(parse_refusal(std::string("include-system-site-packages = true") + space + "\n"),
              line_refusal(1, reason));
    EXPECT_EQ(parse_refusal(std::string("home = /a") + space + "b\n"), "no error") << "inside it is a character";
  }
  EXPECT_EQ(parse_refusal("\x0bhome = /a\n"), line_refusal(1, reason));
}

TEST(PyvenvConfig, RefusesKeysThatAreNotAscii) {
  // KELVIN SIGN, which str.lower() makes a "k".
  EXPECT_EQ(parse_refusal("include-system-site-pac\u212aages = true\n"), line_refusal(1, "a key that is not ASCII"));
  EXPECT_EQ(parse_refusal("\u00a0home = /a\n"), line_refusal(1, "a key that is not ASCII"));
}

TEST(PyvenvConfig, RefusesHomeInAFormThatOldVersionsDoNotRead) {
  const std::string reason = "not in the form 'home = DIRECTORY', which is all that CPython 3.10 and older read";
  for (const char* const line :
       {"home=/a", "home =/a", "home= /a", "Home = /a", "home =  /a", "home = /a ", "home = /a\t"})
    EXPECT_EQ(parse_refusal(line), line_refusal(1, reason)) << line;
  EXPECT_EQ(parse_refusal("home = \n"), line_refusal(1, "no value for 'home'"));
  EXPECT_EQ(parse_refusal("home ="), line_refusal(1, "no value for 'home'"));
  EXPECT_EQ(parse_pyvenv_config(" \thome\t=\t/a b\n", "/e").home, "/a b");
}

TEST(PyvenvConfig, RefusesWhatIsTooLong) {
  EXPECT_EQ(parse_refusal("x = " + std::string(4092, 'a')),
            line_refusal(1, "longer than the 4095 bytes that CPython reads of a line"));
  EXPECT_EQ(parse_refusal("x = " + std::string(4091, 'a')), "no error");
  std::string many;
  while (many.size() < 32768) many += "line\n";
  EXPECT_EQ(parse_refusal(many), "'/e/pyvenv.cfg' has 32770 bytes, and CPython reads no more than 32 KiB of it");
}

class ReadEnvironment : public testing::Test {
 protected:
  ReadEnvironment() { host_.environment("/home/me/env", "/usr/bin/python3"); }

  std::string refusal(std::string_view path = "/home/me/env") {
    return message_of([&] { read_environment(host_.root(), path); });
  }
  void config(std::string_view text) { host_.file("/home/me/env/pyvenv.cfg", text); }

  FakeHost host_ = FakeHost::debian();
  const std::string repair_ = "; repair it with: vbuild --upgrade '/home/me/env'";
};

TEST_F(ReadEnvironment, AsVenvMakesIt) {
  const Environment environment = read_environment(host_.root(), "/home/me/env");
  EXPECT_EQ(environment.path, "/home/me/env");
  EXPECT_EQ(environment.real_path, "/home/me/env");
  EXPECT_EQ(environment.identity, host_.root().resolve("/home/me/env").identity());
  EXPECT_EQ(environment.python, "/home/me/env/bin/python");
  EXPECT_EQ(environment.base.executable, "/usr/bin/python3");
  EXPECT_FALSE(environment.config.include_system_site_packages);
  EXPECT_EQ(environment.links, (std::vector<Link>{{"/home/me/env/bin/python", "python3"},
                                                  {"/home/me/env/bin/python3", "/usr/bin/python3"},
                                                  {"/usr/bin/python3", "python3.11"}}));
}

TEST_F(ReadEnvironment, PathIsMadeNormal) {
  EXPECT_EQ(read_environment(host_.root(), "/home/me/../me//env/").path, "/home/me/env");
}

TEST_F(ReadEnvironment, ThroughALink) {
  host_.link("/srv/current", "/home/me/env");
  const Environment environment = read_environment(host_.root(), "/srv/current");
  EXPECT_EQ(environment.path, "/srv/current");
  EXPECT_EQ(environment.real_path, "/home/me/env");
  EXPECT_EQ(environment.links.front(), (Link{"/srv/current", "/home/me/env"}));
}

TEST_F(ReadEnvironment, AsVirtualenvAndUvMakeThem) {
  config("home = /usr/bin\nversion_info = 3.11.2.final.0\nbase-executable = /usr/bin/python3.11\n");
  host_.link("/home/me/env/bin/python", "/usr/bin/python3.11").link("/home/me/env/bin/python3", "python");
  EXPECT_EQ(read_environment(host_.root(), "/home/me/env").base.executable, "/usr/bin/python3.11");
  EXPECT_TRUE(read_environment(host_.root(), "/home/me/env").config.include_system_site_packages);
}

TEST_F(ReadEnvironment, OnEveryKindOfHost) {
  const auto base_of = [](FakeHost host, const std::string& python, const std::string& version) {
    host.environment("/srv/env", python, version);
    return read_environment(host.root(), "/srv/env").base.executable;
  };
  EXPECT_EQ(base_of(FakeHost::fedora(), "/usr/bin/python3", "3.13.0"), "/usr/bin/python3");
  EXPECT_EQ(base_of(FakeHost::arch(), "/usr/bin/python", "3.12.1"), "/usr/bin/python");
  EXPECT_EQ(base_of(FakeHost::alpine(), "/usr/bin/python3", "3.12.1"), "/usr/bin/python3");
  const std::string pyenv = "/home/me/.pyenv/versions/3.9.18/bin/python";
  EXPECT_EQ(base_of(FakeHost::pyenv(), pyenv, "3.9.18"), pyenv);
  const std::string conda = "/home/me/miniconda3/envs/data/bin/python";
  EXPECT_EQ(base_of(FakeHost::conda(), conda, "3.12.1"), conda);
  const std::string uv = "/home/me/.local/share/uv/python/cpython-3.12-linux-x86_64-gnu/bin/python3.12";
  EXPECT_EQ(base_of(FakeHost::uv_managed(), uv, "3.12.1"), uv);
  const std::string brew = "/home/linuxbrew/.linuxbrew/opt/python@3.12/bin/python3.12";
  EXPECT_EQ(base_of(FakeHost::homebrew(), brew, "3.12.1"), brew);
}

TEST_F(ReadEnvironment, FromALinkToTheProgramAlone) {
  // venv takes the directory of the link for home.
  host_.link("/home/me/bin/py", "/usr/bin/python3").environment("/home/me/env", "/home/me/bin/py");
  EXPECT_EQ(read_environment(host_.root(), "/home/me/env").base.executable, "/usr/bin/python3");
}

TEST_F(ReadEnvironment, FromAnotherEnvironment) {
  host_.environment("/home/me/inner", "/home/me/env/bin/python3");
  EXPECT_EQ(read_environment(host_.root(), "/home/me/inner").base.executable, "/usr/bin/python3");
}

TEST_F(ReadEnvironment, WithCopies) {
  const std::string program = *host_.root().read_file("/usr/bin/python3.11", 1 << 20);
  for (const char* const name : {"python", "python3", "python3.11"})
    host_.file(std::string("/home/me/env/bin/") + name, program, 0755);
  EXPECT_EQ(read_environment(host_.root(), "/home/me/env").base.executable, "/usr/bin/python3");
}

TEST_F(ReadEnvironment, WithoutTheNamePython) {
  host_.remove("/home/me/env/bin/python");
  EXPECT_EQ(read_environment(host_.root(), "/home/me/env").python, "/home/me/env/bin/python3");
}

TEST_F(ReadEnvironment, HomeThroughALinkedDirectory) {
  host_.link("/opt/tools", "/usr");
  config("home = /opt/tools/bin\n");
  const Environment environment = read_environment(host_.root(), "/home/me/env");
  EXPECT_EQ(environment.links.back(), (Link{"/opt/tools", "/usr"}));
}

TEST_F(ReadEnvironment, RefusesWhatIsNoEnvironment) {
  host_.file("/x/file").fifo("/x/fifo").link("/x/dangling", "gone").link("/x/loop", "loop").directory("/x/empty");
  host_.link("/x/root", "/").link("/x/to-file", "file").file("/x/conda/conda-meta/history");
  EXPECT_EQ(refusal("/"), "'/' cannot be a virtual environment");
  EXPECT_EQ(refusal("/x/root"), "'/x/root' is '/', which cannot be a virtual environment");
  EXPECT_EQ(refusal("/x/none"), "there is no virtual environment '/x/none'; create it with: vbuild '/x/none'");
  EXPECT_EQ(refusal("/x/file"), "'/x/file' is not a directory, so no virtual environment");
  EXPECT_EQ(refusal("/x/to-file"), "'/x/to-file' is not a directory, so no virtual environment");
  EXPECT_EQ(refusal("/x/fifo"), "'/x/fifo' is not a directory, so no virtual environment");
  EXPECT_EQ(refusal("/x/dangling"), "'/x/dangling' is a symbolic link to 'gone', which does not exist");
  EXPECT_EQ(refusal("/x/loop"), "cannot look at '/x/loop': ELOOP (Too many levels of symbolic links)");
  EXPECT_EQ(refusal("/x/empty"),
            "'/x/empty' is not a virtual environment: it has no pyvenv.cfg; create one with: vbuild '/x/empty'");
  EXPECT_EQ(refusal("/x/conda"),
            "'/x/conda' is a conda environment, which has no pyvenv.cfg; make a virtual "
            "environment from its Python with: vbuild --python '/x/conda/bin/python' DIR");
}

TEST_F(ReadEnvironment, RefusesAPyvenvConfigThatIsNoFile) {
  const std::string file = "/home/me/env/pyvenv.cfg";
  host_.remove(file).directory(file);
  EXPECT_EQ(refusal(), "'/home/me/env/pyvenv.cfg' is not a regular file");
  host_.fifo(file);
  EXPECT_EQ(refusal(), "'/home/me/env/pyvenv.cfg' is not a regular file");
  host_.link(file, "pyvenv.cfg");
  EXPECT_EQ(refusal(), "'/home/me/env/pyvenv.cfg' is a symbolic link, and must be a file");
  host_.file(file, std::string(100000, 'x'));
  EXPECT_EQ(refusal(), "'/home/me/env/pyvenv.cfg' is larger than 65536 bytes, the most that is read of it");
}

TEST_F(ReadEnvironment, RefusesASecondPyvenvConfig) {
  host_.file("/home/me/env/bin/pyvenv.cfg", "include-system-site-packages = true\n");
  EXPECT_EQ(refusal(),
            "'/home/me/env/bin/pyvenv.cfg' is a second pyvenv.cfg, and Python's parts do not agree which one counts; "
            "remove it");
}

TEST_F(ReadEnvironment, RefusesABadHome) {
  config("");
  EXPECT_EQ(refusal(),
            "'/home/me/env/pyvenv.cfg' has no key 'home', so only some versions of Python take it for an environment" +
                repair_);
  config("home = ../bin\n");
  EXPECT_EQ(refusal(), "'/home/me/env/pyvenv.cfg': home is not an absolute path: '../bin'" + repair_);
  config("home = /opt/gone/bin\n");
  EXPECT_EQ(refusal(),
            "the interpreter that '/home/me/env' was made from is gone: there is no directory '/opt/gone/bin', which "
            "pyvenv.cfg gives as home" +
                repair_);
  config("home = /etc/passwd\n");
  EXPECT_EQ(refusal(),
            "the interpreter that '/home/me/env' was made from is gone: there is no directory '/etc/passwd', which "
            "pyvenv.cfg gives as home" +
                repair_);
}

TEST_F(ReadEnvironment, RefusesAHomeWithAnotherInterpreter) {
  host_.python({.prefix = "/opt/evil"});
  config("home = /opt/evil/bin\n");
  EXPECT_EQ(refusal(),
            "'/home/me/env/bin/python' leads to '/usr/bin/python3.11', but pyvenv.cfg says that the interpreter is in "
            "'/opt/evil/bin'" +
                repair_);
  config("home = /home/me/env/bin\n");
  EXPECT_EQ(refusal(),
            "'/home/me/env/bin/python' leads to '/usr/bin/python3.11', but pyvenv.cfg says that the interpreter is in "
            "'/home/me/env/bin'" +
                repair_);
}

TEST_F(ReadEnvironment, RefusesABadPython) {
  const std::string python = "/home/me/env/bin/python";
  host_.link(python, "/opt/gone/python3");
  EXPECT_EQ(refusal(),
            "the interpreter that '/home/me/env' was made from is gone: '/home/me/env/bin/python' is a link that leads "
            "nowhere" +
                repair_);
  host_.link(python, "/bin/sh");
  EXPECT_EQ(refusal(), "'/usr/bin/sh' is not a Python interpreter; name the interpreter itself, not a wrapper of it");
  host_.link(python, "python");
  EXPECT_EQ(refusal(), "cannot look at '/home/me/env/bin/python': ELOOP (Too many levels of symbolic links)");
  host_.remove("/home/me/env/bin");
  EXPECT_EQ(refusal(), "the environment '/home/me/env' has no bin/python" + repair_);
  host_.link("/home/me/env/bin", "bin");
  EXPECT_EQ(refusal(), "cannot look at '/home/me/env/bin/pyvenv.cfg': ELOOP (Too many levels of symbolic links)");
}

TEST_F(ReadEnvironment, RefusesACopyThatCannotBeStarted) {
  const std::string python = "/home/me/env/bin/python";
  host_.fifo(python);
  EXPECT_EQ(refusal(), "'/home/me/env/bin/python' is not a regular file");
  host_.remove(python).directory(python);
  EXPECT_EQ(refusal(), "'/home/me/env/bin/python' is not a regular file");
  host_.remove(python).file(python, "#!/bin/sh\nexec /usr/bin/python3 \"$@\"\n", 0755);
  EXPECT_EQ(refusal(), "'/home/me/env/bin/python' is a script, not an ELF program");
  host_.file(python, fake_elf({}), 0644);
  EXPECT_EQ(refusal(), "'/home/me/env/bin/python' is not executable");
  FakeElf other;
  other.machine = kNativeMachine == EM_AARCH64 ? EM_X86_64 : EM_AARCH64;
  host_.file(python, fake_elf(other), 0755);
  EXPECT_EQ(refusal(), "'/home/me/env/bin/python' is a program for " + machine_name(other.machine) +
                           ", this machine is " + machine_name(kNativeMachine));
}

TEST_F(ReadEnvironment, RefusesABaseThatCannotBeUsed) {
  const auto base = [&](const std::string& content, mode_t mode = 0755) {
    host_.file("/usr/bin/python3.11", content, mode);
    return refusal();
  };
  const std::string program = *host_.root().read_file("/usr/bin/python3.11", 1 << 20);
  EXPECT_EQ(base(""), "'/usr/bin/python3.11' is empty, not a program");
  EXPECT_EQ(base("#!/bin/sh\n"), "'/usr/bin/python3.11' is a script, not an ELF program");
  EXPECT_EQ(base(program.substr(0, 100)), "'/usr/bin/python3.11' is a truncated ELF program");
  EXPECT_EQ(base(program, 0644), "'/usr/bin/python3.11' is not executable");
}

TEST_F(ReadEnvironment, RefusesAnotherVersionThanItWasMadeFor) {
  host_.remove("/home/me/env/lib/python3.11").directory("/home/me/env/lib/python3.10/site-packages");
  EXPECT_EQ(
      refusal(),
      "the environment '/home/me/env' was made for another Python than the python3.11 that it leads to now: it has "
      "no lib/python3.11" +
          repair_);
}

TEST_F(ReadEnvironment, ASecondLibraryDoesNotMatter) {
  host_.directory("/home/me/env/lib/python3.10/site-packages");
  EXPECT_EQ(read_environment(host_.root(), "/home/me/env").base.library_name(), "python3.11");
}

TEST_F(ReadEnvironment, MessagesStayOnOneLine) {
  EXPECT_EQ(refusal("/x\nvrun: fine"),
            "there is no virtual environment '/x\\x0avrun: fine'; create it with: vbuild '/x\\x0avrun: fine'");
}

TEST_F(ReadEnvironment, IsEnvironmentLooksForTheFile) {
  host_.directory("/x/dir/pyvenv.cfg").link("/x/loop", "loop");
  EXPECT_TRUE(is_environment(host_.root(), "/home/me/env"));
  EXPECT_FALSE(is_environment(host_.root(), "/home/me"));
  EXPECT_FALSE(is_environment(host_.root(), "/x/dir"));
  EXPECT_FALSE(is_environment(host_.root(), "/x/loop"));
  EXPECT_FALSE(is_environment(host_.root(), "/etc/passwd"));
}

}  // namespace
}  // namespace vrun
