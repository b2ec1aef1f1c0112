#include "policy/unseen.h"

#include <gtest/gtest.h>

#include "tests/unit/fake_host.h"

namespace vrun {
namespace {

using Notes = std::vector<std::string>;

/// A program or library that needs `needed`.
std::string needs(std::vector<std::string> needed, const std::string& runpath = "", const std::string& rpath = "") {
  FakeElf content;
  content.needed = std::move(needed);
  content.runpath = runpath;
  content.rpath = rpath;
  return fake_elf(content);
}

class Unseen : public testing::Test {
 protected:
  Unseen() {
    host_.directory("/home/me/project/src");
    host_.file("/home/me/project/src/main.py").environment("/home/me/project/.venv", "/usr/bin/python3", "3.11.2");
    host_.environment("/home/me/other", "/usr/bin/python3", "3.11.2");
    host_.file("/home/me/scripts/x.py").file("/home/me/scripts/y.py").file("/home/me/scripts/z.py");
    host_.file("/home/me/.ssh/id_ed25519").file("/home/me/.config/gh/hosts.yml").file("/home/me/.gitconfig");
    host_.file("/usr/bin/git", fake_elf({}), 0755).file("/usr/bin/tool", fake_elf({}), 0755);
    host_.file("/home/me/bin/mine", fake_elf({}), 0755);
    caller_.uid = caller_.gid = 1000;
    caller_.home = "/home/me";
    caller_.variables = {{"HOME", "/home/me"}, {"PATH", "/usr/bin:relative:/home/me/bin"}};
    policy_.environment = "/home/me/project/.venv";
    policy_.project = "/home/me/project";
  }

  template <typename Question>
  auto ask(std::vector<std::string> command, Question question) {
    policy_.command = std::move(command);
    const RunFacts facts = read_run_facts(host_.root(), policy_, caller_);
    const Plan plan = plan_run(policy_, facts, caller_);
    return question(Planned{host_.root(), policy_, facts, caller_, plan});
  }
  Notes after(int exit_code, std::vector<std::string> command) {
    return ask(std::move(command), [&](const Planned& planned) { return explain_failure(planned, exit_code); });
  }
  std::string missing_command(std::string name) { return ask({std::move(name)}, explain_missing_command); }
  std::string missing_interpreter(std::string name) { return ask({std::move(name)}, explain_missing_interpreter); }
  /// A program at `path` that needs libthing.so.1.
  void needs_thing(const char* path, const std::string& runpath = "") {
    host_.file(path, needs({"libthing.so.1"}, runpath), 0755);
  }

  FakeHost host_ = FakeHost::debian();
  RunPolicy policy_;
  Caller caller_;
};

TEST_F(Unseen, WordsOfTheCommand) {
  const Notes note = {"the run did not see '/home/me/scripts/x.py'; --ro /home/me/scripts/x.py shows it"};
  EXPECT_EQ(after(2, {"python", "/home/me/scripts/x.py"}), note);
  EXPECT_EQ(after(1, {"python", "../scripts/x.py"}), note);
  EXPECT_EQ(after(1, {"tool", "--config=/home/me/scripts/x.py", "--verbose", "-"}), note);
  EXPECT_EQ(after(1, {"tool", "/home/me/scripts/x.py", "--again=/home/me/scripts/x.py"}), note);
  // The command is no word of itself.
  EXPECT_EQ(after(1, {"/home/me/scripts/x.py"}), Notes{});
}

TEST_F(Unseen, NothingOfWhatIsThereOrNowhere) {
  EXPECT_EQ(after(1, {"python", "src/main.py", "/home/me/project/src", "/usr/bin/tool", "/home/me", "/", "/tmp"}),
            Notes{});
  EXPECT_EQ(after(1, {"python", "/home/me/scripts/none.py", "none.py", "", "a b", "--x=", "\xff\n"}), Notes{});
  policy_.shares = {{"/home/me/scripts", Access::read_only}};
  EXPECT_EQ(after(1, {"python", "/home/me/scripts/x.py"}), Notes{});
}

TEST_F(Unseen, NothingOfHiddenPackages) {
  EXPECT_EQ(after(1, {"cat", "/usr/lib/python3/dist-packages", "/usr/lib/python3/dist-packages/syspkg/__init__.py"}),
            Notes{});
}

TEST_F(Unseen, TwoLinesAtMost) {
  EXPECT_EQ(after(128, {"git", "/home/me/scripts/x.py", "../scripts/y.py", "../scripts/z.py"}),
            (Notes{"the run did not see '/home/me/scripts/x.py'; --ro /home/me/scripts/x.py shows it",
                   "the run did not see '/home/me/scripts/y.py'; --ro /home/me/scripts/y.py shows it"}));
  std::vector<std::string> many(5000, "nowhere");
  many.front() = "tool";
  many.back() = "/home/me/scripts/x.py";
  EXPECT_EQ(after(1, many), Notes{});
}

TEST_F(Unseen, NamesAreEscaped) {
  host_.file("/home/me/scripts/a\x1b'b");
  EXPECT_EQ(after(1, {"tool", "/home/me/scripts/a\x1b'b"}),
            Notes{"the run did not see '/home/me/scripts/a\\x1b\\'b'; --ro '/home/me/scripts/a\\x1b\\'b' shows it"});
}

TEST_F(Unseen, WhatTheCommandLineHides) {
  policy_.hidden = {"/home/me/project/src"};
  EXPECT_EQ(
      after(1, {"tool", "src/main.py"}),
      Notes{"the run did not see '/home/me/project/src/main.py'; without --hide /home/me/project/src it is what it "
            "was"});
}

TEST_F(Unseen, LinksThatARunCouldHaveMadeLeadNowhere) {
  host_.link("/home/me/project/link", "/home/me/.ssh").link("/home/me/project/x.py", "../scripts/x.py");
  EXPECT_EQ(after(1, {"tool", "link", "link/id_ed25519", "x.py"}), Notes{});
  // Where it can make none they are the caller's.
  policy_.project_access = Access::read_only;
  EXPECT_EQ(after(1, {"tool", "x.py"}),
            Notes{"the run did not see '/home/me/project/x.py'; --ro /home/me/scripts/x.py shows it"});
}

TEST_F(Unseen, SecretsAreNamedAsSuch) {
  const auto advice = [&](const std::string& path) {
    const Notes notes = after(1, {"tool", path});
    return notes.empty() ? "" : notes.front().substr(notes.front().find("; ") + 2);
  };
  const std::string lends = " shows it, and lends every program of the run the ";
  EXPECT_EQ(advice("/home/me/.ssh"), "--ro /home/me/.ssh" + lends + "keys in it");
  EXPECT_EQ(advice("/home/me/.ssh/id_ed25519"), "--ro /home/me/.ssh/id_ed25519" + lends + "key in it");
  EXPECT_EQ(advice("/home/me/.config/gh/hosts.yml"),
            "--ro /home/me/.config/gh/hosts.yml" + lends + "access tokens in it");
  EXPECT_EQ(advice("/home/me/.config"), "--ro /home/me/.config" + lends + "access tokens in it");
  host_.file("/srv/app/.env").file("/srv/app/tls.pem").file("/etc/ssl/private/host.key").file("/srv/app/readme");
  EXPECT_EQ(advice("/srv/app/.env"), "--ro /srv/app/.env" + lends + "passwords that may be in it");
  EXPECT_EQ(advice("/srv/app/tls.pem"), "--ro /srv/app/tls.pem" + lends + "keys that may be in it");
  EXPECT_EQ(advice("/etc/ssl/private/host.key"), "--ro /etc/ssl/private" + lends + "keys in it");
  EXPECT_EQ(advice("/srv/app/readme"), "--ro /srv/app/readme shows it");
}

TEST_F(Unseen, Settings) {
  const Notes note = {"git did not see '/home/me/.gitconfig'; --ro /home/me/.gitconfig shows it"};
  EXPECT_EQ(after(128, {"git", "status"}), note);
  EXPECT_EQ(after(128, {"/usr/bin/git", "status"}), note);
  EXPECT_EQ(after(1, {"git", "status"}), Notes{});
  EXPECT_EQ(after(128, {"tool"}), Notes{});
  policy_.shares = {{"/home/me/.gitconfig", Access::read_only}};
  EXPECT_EQ(after(128, {"git", "status"}), Notes{});
  host_.remove("/home/me/.gitconfig");
  policy_.shares.clear();
  EXPECT_EQ(after(128, {"git", "status"}), Notes{});
}

TEST_F(Unseen, SettingsThatNeedANetwork) {
  host_.file("/home/me/.config/pip/pip.conf");
  EXPECT_EQ(after(255, {"ssh", "host"}), Notes{});
  EXPECT_EQ(after(1, {"pip", "install", "x"}), Notes{});
  policy_.network = Network::host;
  const std::string lends = " shows it, and lends every program of the run the ";
  EXPECT_EQ(after(255, {"ssh", "host"}),
            Notes{"ssh did not see '/home/me/.ssh'; --ro /home/me/.ssh" + lends + "keys in it"});
  EXPECT_EQ(after(1, {"ssh", "host", "false"}), Notes{});
  const Notes pip = {"pip did not see '/home/me/.config/pip/pip.conf'; --ro /home/me/.config/pip/pip.conf" + lends +
                     "passwords that may be in it"};
  EXPECT_EQ(after(1, {"pip", "install", "x"}), pip);
  EXPECT_EQ(after(1, {"pip3.11", "install", "x"}), pip);
  EXPECT_EQ(after(1, {"python3", "-m", "pip", "install", "x"}), pip);
  EXPECT_EQ(after(1, {"python3", "-m", "pipdeptree"}), Notes{});
}

TEST_F(Unseen, LibraryOfARunpath) {
  needs_thing("/home/me/project/prog", "/opt/thing/lib:$ORIGIN/../libs");
  EXPECT_EQ(after(127, {"./prog"}), Notes{});
  host_.file("/opt/thing/lib/libthing.so.1", fake_elf({}));
  const Notes note = {
      "'./prog' needs the library '/opt/thing/lib/libthing.so.1', which is not shown: --ro "
      "/opt/thing/lib/libthing.so.1 shows it"};
  EXPECT_EQ(after(127, {"./prog"}), note);
  EXPECT_EQ(after(126, {"./prog"}), Notes{});
  // Where another one is found the loader looks no further.
  host_.file("/usr/lib/libthing.so.1", fake_elf({}));
  EXPECT_EQ(after(127, {"./prog"}), Notes{});
  host_.remove("/usr/lib/libthing.so.1");
  policy_.shares = {{"/opt/thing", Access::read_only}};
  EXPECT_EQ(after(127, {"./prog"}), Notes{});
  policy_.shares.clear();
  host_.remove("/opt/thing").file("/home/me/libs/libthing.so.1", fake_elf({}));
  EXPECT_EQ(after(127, {"./prog"}),
            (Notes{"'./prog' needs the library '/home/me/libs/libthing.so.1', which is not shown: "
                   "--ro /home/me/libs/libthing.so.1 shows it"}));
}

TEST_F(Unseen, LibraryOfALibrary) {
  needs_thing("/usr/lib/libinner.so");
  host_.file("/usr/bin/outer", needs({"libinner.so"}, "", "/opt/thing/lib"), 0755);
  host_.file("/opt/thing/lib/libthing.so.1", fake_elf({}));
  EXPECT_EQ(after(127, {"outer"}),
            (Notes{"'outer' needs the library '/opt/thing/lib/libthing.so.1', which is not shown: "
                   "--ro /opt/thing/lib/libthing.so.1 shows it"}));
}

TEST_F(Unseen, LibraryThatTheMachinesLoaderKnows) {
  needs_thing("/usr/bin/prog");
  host_.file("/opt/thing/lib/libthing.so.1", fake_elf({}));
  EXPECT_EQ(after(127, {"prog"}), Notes{});
  host_.file("/etc/ld.so.conf.d/readme", "/opt/thing/lib");
  EXPECT_EQ(after(127, {"prog"}), Notes{});
  host_.file("/etc/ld.so.conf.d/thing.conf", "# of thing\n\n/nowhere\n/opt/thing/lib/ \n");
  EXPECT_EQ(after(127, {"prog"}), (Notes{"'prog' needs the library '/opt/thing/lib/libthing.so.1', which is not shown: "
                                         "--ro /opt/thing/lib/libthing.so.1 shows it"}));
}

TEST_F(Unseen, LibraryOfTheCallersVariable) {
  needs_thing("/home/me/project/prog");
  host_.file("/home/me/project/lib/libthing.so.1", fake_elf({})).file("/opt/thing/lib/libthing.so.1", fake_elf({}));
  caller_.variables.push_back({"LD_LIBRARY_PATH", "/nowhere:/home/me/project/lib"});
  EXPECT_EQ(after(127, {"./prog"}),
            (Notes{"'./prog' needs the library '/home/me/project/lib/libthing.so.1': --keep-env "
                   "LD_LIBRARY_PATH says where it is"}));
  caller_.variables.back().value = "lib:/opt/thing/lib";
  EXPECT_EQ(
      after(127, {"./prog"}),
      (Notes{"'./prog' needs the library '/opt/thing/lib/libthing.so.1': --keep-env LD_LIBRARY_PATH says where it "
             "is, and --ro /opt/thing/lib/libthing.so.1 shows it"}));
  policy_.kept_variables = {"LD_LIBRARY_PATH"};
  EXPECT_EQ(after(127, {"./prog"}),
            (Notes{"'./prog' needs the library '/opt/thing/lib/libthing.so.1', which is not shown: "
                   "--ro /opt/thing/lib/libthing.so.1 shows it"}));
  caller_.variables.back().value = "/home/me/project/lib";
  EXPECT_EQ(after(127, {"./prog"}), Notes{});
}

TEST_F(Unseen, WhatIsNoLibrarysNameIsNotLookedFor) {
  host_.file("/home/me/project/prog", needs({"id_ed25519", "../.ssh/x.so"}, "/home/me/.ssh"), 0755);
  host_.file("/home/me/.ssh/x.so");
  EXPECT_EQ(after(127, {"./prog"}), Notes{});
}

TEST_F(Unseen, Command) {
  EXPECT_EQ(missing_command("/home/me/bin/mine"), "; outside it is there: --ro /home/me/bin/mine shows it");
  EXPECT_EQ(missing_command("../bin/mine"), "; outside it is there: --ro /home/me/bin/mine shows it");
  EXPECT_EQ(missing_command("mine"),
            "; outside it is '/home/me/bin/mine': name that in full, and --ro /home/me/bin/mine shows it");
  EXPECT_EQ(missing_command("/home/me/other/bin/python"), "; outside it is there: --ro /home/me/other shows it");
  EXPECT_EQ(missing_command("/home/me/scripts/x.py"), "") << "no program";
  EXPECT_EQ(missing_command("/home/me/bin/none"), "");
  EXPECT_EQ(missing_command("none"), "");
  host_.file("/home/me/project/bin/mine", fake_elf({}), 0755);
  caller_.variables = {{"HOME", "/home/me"}, {"PATH", "/home/me/project/bin"}};
  EXPECT_EQ(missing_command("mine"), "; outside it is '/home/me/project/bin/mine': name that in full");
}

TEST_F(Unseen, WorkingDirectory) {
  const auto missing = [&](const char* directory) {
    policy_.working_directory = directory;
    return ask({"tool"}, explain_missing_directory);
  };
  EXPECT_EQ(missing("/home/me/scripts"), "; outside it is there: --ro /home/me/scripts shows it");
  EXPECT_EQ(missing("/home/me/none"), "");
  EXPECT_EQ(missing("/home/me/project/src"), "");
}

TEST_F(Unseen, Interpreter) {
  host_.file("/home/me/project/script", "#! /home/me/bin/mine -x\n", 0755);
  EXPECT_EQ(missing_interpreter("./script"), "; outside it is there: --ro /home/me/bin/mine shows it");
  host_.file("/home/me/project/script", "#!/home/me/other/bin/python\n", 0755);
  EXPECT_EQ(missing_interpreter("./script"), "; outside it is there: --ro /home/me/other shows it");
  host_.file("/home/me/project/second", "#!/home/me/project/script\n", 0755);
  EXPECT_EQ(missing_interpreter("./second"), "; outside it is there: --ro /home/me/other shows it");
  host_.file("/home/me/project/circle", "#!/home/me/project/circle\n", 0755);
  EXPECT_EQ(missing_interpreter("./circle"), "");
  host_.file("/home/me/project/script", "#!/no/such\n", 0755);
  EXPECT_EQ(missing_interpreter("./script"), "");
  host_.file("/home/me/project/script", "text\n", 0755);
  EXPECT_EQ(missing_interpreter("./script"), "");
  FakeElf program;
  program.interpreter = "/opt/libc/ld.so";
  host_.file("/home/me/project/prog", fake_elf(program), 0755);
  EXPECT_EQ(missing_interpreter("./prog"), "");
  host_.file("/opt/libc/ld.so", fake_elf({}), 0755);
  EXPECT_EQ(missing_interpreter("./prog"), "; outside it is there: --ro /opt/libc/ld.so shows it");
}

}  // namespace
}  // namespace vrun
