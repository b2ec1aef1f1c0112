"""Names that tools of the host would execute or trust, made by a run where there were none (docs/decisions/0003)."""

import errno
import json
import os
import re
import signal
import stat
import unittest

from faults import LAUNCHER, FaultCase
from harness import DEADLINE, IS_ROOT, VRUN, Case, make_environment, missing, read, run, write

# Inside: waits until a name is gone, and says whether it went.
WAIT = f"""
import os, sys, time
def wait(name):
    end = time.monotonic() + {DEADLINE / 2}
    while os.path.lexists(name):
        if time.monotonic() > end:
            print(name, 'stays')
            return
        time.sleep(0.001)
    print(name, 'went')
def settle():  # what happened before was seen
    os.mkdir('.hg')
    wait('.hg')
"""
WAYS = {
    "file": "open('.envrc', 'x').write('text')",
    "directory": "os.mkdir('.envrc')",
    "link": "os.symlink('/nonexistent', '.envrc')",
    "fifo": "os.mkfifo('.envrc')",
    "rename": "open('other', 'x').write('text'); os.rename('other', '.envrc')",
    "rename from below": "os.makedirs('a/b'); open('a/b/c', 'x').write('text'); os.rename('a/b/c', '.envrc')",
    "hard link": "open('other', 'x').write('text'); os.link('other', '.envrc')",
    "renamed directory": "os.mkdir('d'); open('d/text', 'x'); os.rename('d', '.envrc')",
}


class AbsentCase(Case):
    def path(self, *names):
        return os.path.join(self.project, *names)

    def note(self, name, aside=None, of="the run made"):
        aside = aside or f"{os.path.basename(name)}.from-run"
        allow = f" (to allow it: --rw {self.path(name)})" if of == "the run made" else ""
        return (f"vrun: note: {of} '{self.path(name)}', which tools on this machine may trust or execute; "
                f"it is now '{aside}'{allow}\n")

    def made(self, code, **more):
        return self.python(WAIT + code, **more)


class WhileTheRunLasts(AbsentCase):
    def test_each_way_to_make_a_name(self):
        for way, code in WAYS.items():
            with self.subTest(way=way):
                result = self.made(code + "\nwait('.envrc')")
                self.assertEqual(self.ok(result, self.note(".envrc")), ".envrc went\n")
                aside = self.path(".envrc.from-run")
                self.assertFalse(os.path.lexists(self.path(".envrc")))
                if way in ("file", "rename", "rename from below", "hard link"):
                    self.assertEqual(read(aside), "text")
                elif way == "link":
                    self.assertEqual(os.readlink(aside), "/nonexistent")
                elif way == "fifo":
                    self.assertTrue(stat.S_ISFIFO(os.lstat(aside).st_mode))
                else:
                    self.assertTrue(os.path.isdir(aside))
                self.assertEqual(self.ok(self.outside("find", ".", "-mindepth", "1", "-delete")), "")

    def test_all_names_among_many(self):
        """More at once than a queue of events would hold."""
        names = self.names()
        self.assertGreater(len(names), 20)
        result = self.made(f"names = {names}\n"
                           "for i in range(20000): open('filler', 'x'); os.unlink('filler')\n"
                           "for name in names: os.mkdir(name)\n"
                           "for name in names: wait(name)")
        self.assertEqual(result.stdout, "".join(f"{name} went\n" for name in names))
        self.assertEqual(sorted(result.stderr.splitlines(True)), sorted(self.note(name) for name in names))

    def names(self):
        shown = self.vrun("true", options=["--explain", "--json"])
        return [os.path.relpath(path, self.project) for path in json.loads(shown.stdout)["moved_aside"]]

    def test_in_a_directory_that_cannot_be_read(self):
        """The kernel tells nothing of it then, and vrun looks by itself."""
        owner = self.ordinary()
        if owner:
            for path in (self.project, self.home):
                os.chown(path, 12345, 12345)
        os.chmod(self.project, 0o300)
        code = WAIT + "open('.envrc', 'x')\nwait('.envrc')"
        result = run([*owner, *self.command(["python", "-c", code], ["--project", self.project])], cwd="/",
                     env=self.variables({"XDG_CACHE_HOME": ""}))
        self.assertEqual((result.returncode, result.stdout), (0, ".envrc went\n"), result.stderr)
        self.assertEqual(result.stderr, self.note(".envrc"))

    def test_a_run_that_does_not_stop_making_it_is_ended(self):
        for code in ("while True:\n try: os.mkdir('.git')\n except FileExistsError: pass",
                     "os.mkdir('.git')\n"
                     "while True:\n"
                     " for name in os.listdir('.'):\n"
                     "  try: os.rename(name, '.git')\n"
                     "  except OSError: pass"):
            with self.subTest(code=code):
                result = self.made(code, options=["--report", os.path.join(self.directory, "report")])
                self.assertEqual(result.returncode, 128 + signal.SIGKILL, result.stderr)
                lines = result.stderr.splitlines()
                self.assertEqual(lines[-1], f"vrun: the run was ended: it made '{self.path('.git')}' again and again, "
                                            "which tools on this machine may trust or execute")
                self.assertIn(len(lines), (10, 11))  # nine times, and what was there at the end
                self.assertFalse(os.path.lexists(self.path(".git")))
                verdict = json.loads(read(os.path.join(self.directory, "report")))
                self.assertEqual((verdict["status"], verdict["killed_by"]), ("killed", "protected-name"))
                self.ok(self.outside("find", ".", "-mindepth", "1", "-delete"))

    def test_a_few_times_are_borne(self):
        result = self.made("for i in range(8):\n os.mkdir('.git')\n wait('.git')")
        self.assertEqual((result.returncode, result.stdout), (0, ".git went\n" * 8), result.stderr)


class AtTheEnd(AbsentCase):
    def test_what_nobody_was_told_of(self):
        """What a link of a protected name leads to, in a directory that the run made: watched by nobody."""
        os.symlink("config/envrc", self.path(".envrc"))
        result = self.made("os.mkdir('config')\nsettle()\nopen('config/envrc', 'x').write('text')")
        self.assertEqual(result.stdout, ".hg went\n")
        self.assertEqual(result.stderr, self.note(".hg") + self.note("config/envrc"))
        self.assertEqual(read(self.path("config/envrc.from-run")), "text")

    def test_it_cannot_be_moved(self):
        owner = self.ordinary()
        if owner:
            os.chown(self.project, 12345, 12345)
        os.symlink("config/envrc", self.path(".envrc"))
        for status in (0, 7):
            code = WAIT + ("os.mkdir('config')\nsettle()\nopen('config/envrc', 'x')\nos.chmod('config', 0o500)\n"
                           f"sys.exit({status})")
            report = os.path.join(self.home, "report")
            os.chmod(self.home, 0o777)
            result = run([*owner, *self.command(["python", "-c", code], ["--report", report])], cwd=self.project,
                         env=self.variables({"XDG_CACHE_HOME": ""}))
            # What the command says counts, but not that all is well.
            self.assertEqual(result.returncode, status or 125, result.stderr)
            message = (f"cannot move aside what the run made: '{self.path('config/envrc')}': EACCES (Permission denied); tools "
                       "on this machine may trust or execute what is there: look at it before you use any in this directory")
            self.assertEqual(result.stderr.splitlines()[-1], "vrun: " + message)
            self.assertEqual(json.loads(read(report))["message"], message)
            os.unlink(report)
            os.chmod(self.path("config"), 0o700)
            self.ok(self.outside("rm", "-r", "config", ".hg.from-run"))

    def test_names_of_its_own_are_taken(self):
        write(self.path(".envrc.from-run"), "mine")
        result = self.made("open('.envrc', 'x').write('text')")
        self.ok(result, self.note(".envrc", ".envrc.from-run.2"))
        self.assertEqual((read(self.path(".envrc.from-run")), read(self.path(".envrc.from-run.2"))), ("mine", "text"))
        result = self.made("for i in range(3, 100): open(f'.envrc.from-run.{i}', 'x')\nopen('.envrc', 'x').write('more')")
        aside = re.search(r"now '(\.envrc\.from-run\.\d{4,})'", result.stderr)
        self.assertTrue(aside, result.stderr)
        self.assertEqual(read(self.path(aside[1])), "more")

    def test_odd_names(self):
        """An environment's link may have any name."""
        name = "e\nnv" + "x" * 250
        os.symlink(self.environment, self.path(name))
        result = self.vrun("sh", "-c", f"rm -f e*; mkdir '{name}'", environment=self.path(name))
        self.assertEqual((result.returncode, result.stderr.count("\n")), (0, 1))
        self.assertIn("the run replaced the link", result.stderr)
        self.assertFalse(os.path.lexists(self.path(name)))
        self.assertEqual([entry[:5] for entry in os.listdir(self.project)], ["e\nnvx"])


class Links(AbsentCase):
    def test_a_protected_name(self):
        os.mkdir(self.path("real"))
        os.symlink("real", self.path(".vscode"))
        self.ok(self.vrun("true"))
        result = self.made("os.unlink('.vscode'); os.symlink('elsewhere', '.vscode')\nwait('.vscode')")
        self.assertEqual(self.ok(result, self.note(".vscode", of="the run replaced the link")), ".vscode went\n")
        self.assertEqual(os.readlink(self.path(".vscode.from-run")), "elsewhere")

    def test_the_same_again(self):
        os.symlink("real", self.path(".vscode"))
        self.ok(self.made("os.unlink('.vscode'); os.symlink('real', '.vscode')\nsettle()"), self.note(".hg"))
        self.assertEqual(os.readlink(self.path(".vscode")), "real")

    def test_one_to_the_environment(self):
        """In a directory of the project, which may be renamed: another one has its place then."""
        os.mkdir(self.path("envs"))
        os.symlink(self.environment, self.path("envs/current"))
        for code, moved in (("os.unlink('envs/current'); os.symlink('/nonexistent', 'envs/current')\nwait('envs/current')", "envs/current"),
                            ("os.rename('envs', 'old'); os.makedirs('envs/current')\nsettle()", "envs/current"),
                            ("os.rename('envs', 'old'); os.symlink('old', 'envs')\nsettle()", "envs")):
            with self.subTest(code=code):
                result = self.made(code, environment=self.path("envs/current"))
                self.assertIn(self.note(moved, of="the run replaced the link"), result.stderr)
                self.assertFalse(os.path.lexists(self.path(moved)))
                self.ok(self.outside("find", ".", "-mindepth", "1", "-delete"))
                os.mkdir(self.path("envs"))
                os.symlink(self.environment, self.path("envs/current"))

    def test_nothing_outside_is_moved(self):
        """Neither what a new link leads to, nor what lies below one that has the place of a directory."""
        outside = os.path.join(self.directory, "outside")
        write(os.path.join(outside, "envrc"), "mine")
        os.symlink("config/envrc", self.path(".envrc"))
        result = self.made(f"os.symlink({outside!r} + '/envrc', '.vscode')\nos.symlink({outside!r}, 'config')\nwait('.vscode')")
        self.assertEqual(result.stdout, ".vscode went\n")
        self.assertEqual((os.listdir(outside), read(os.path.join(outside, "envrc"))), (["envrc"], "mine"))
        self.assertEqual(os.readlink(self.path("config.from-run")), outside)
        self.assertFalse(os.path.lexists(self.path("config")))

    def test_links_that_led_nowhere_before_stay(self):
        os.symlink("nowhere", self.path("config"))
        os.symlink("config/envrc", self.path(".envrc"))
        self.ok(self.vrun("true"))
        self.assertEqual((os.readlink(self.path("config")), os.readlink(self.path(".envrc"))), ("nowhere", "config/envrc"))


class Allowed(AbsentCase):
    def test_the_command_line_allows_one(self):
        for named in (self.path(".envrc"), ".envrc"):
            result = self.made("open('.envrc', 'x').write('text')\nos.mkdir('.vscode')\nwait('.vscode')", options=["--rw", named])
            self.assertEqual(self.ok(result, self.note(".vscode")), ".vscode went\n")
            self.assertEqual(read(self.path(".envrc")), "text")
            self.ok(self.outside("find", ".", "-mindepth", "1", "-delete"))

    def test_git_init(self):
        if not os.path.exists("/usr/bin/git"):
            missing(self, "git is not installed")
        self.ok(self.vrun("git", "init", "-q", options=["--rw", ".git"]))
        self.assertEqual(self.outside("git", "status", "--short").stdout, "")
        self.ok(self.vrun("sh", "-c", "echo x >f; git add f", options=["--rw", ".git"]))
        self.assertEqual(self.outside("git", "status", "--short").stdout, "A  f\n")
        self.assertIn("Read-only", self.vrun("git", "add", "f").stderr + self.vrun("touch", ".git/x").stderr)

    def test_a_link_that_may_be_replaced(self):
        os.symlink("nowhere", self.path(".vscode"))
        self.ok(self.made("os.unlink('.vscode'); os.mkdir('.vscode')", options=["--rw", ".vscode"]))
        self.assertTrue(os.path.isdir(self.path(".vscode")))

    def test_the_project_does_not(self):
        write(self.path("vrun.toml"), "rw = ['.git']\n")
        result = self.made("os.mkdir('.git')\nwait('.git')")
        self.assertEqual((result.returncode, result.stdout), (0, ".git went\n"), result.stderr)
        self.assertIn("which a file of the project cannot grant", result.stderr)

    def test_other_absent_names_are_refused(self):
        for options in (["--rw", "other"], ["--ro", ".git"], ["--rw", ".git/config"], ["--rw", ".git", "--profile", "grade"],
                        ["--rw", os.path.join(self.directory, ".git")]):
            with self.subTest(options=options):
                self.refused(self.vrun("true", options=options), "ENOENT")
        self.assertEqual(os.listdir(self.project), [])

    def test_it_is_told_of(self):
        page = self.ok(self.vrun("true", options=["--explain"]))
        self.assertRegex(page, r"moved aside +if the run makes it: \.aider\.conf\.yml, ")
        for option, wanted in (([], f"--rw {self.path('.envrc')} lets the run make it"), (["--rw", ".envrc"], "the run may make it itself")):
            result = self.vrun("true", options=[*option, "--why", "./.envrc"])
            self.assertEqual(result.returncode, 1)
            self.assertIn(wanted, result.stdout)
        shown = json.loads(self.vrun("true", options=["--explain", "--json", "--rw", ".envrc"]).stdout)
        self.assertIn(self.path(".vscode"), shown["moved_aside"])
        self.assertNotIn(self.path(".envrc"), shown["moved_aside"])
        layer = next(layer for layer in shown["layers"] if layer["layer"] == "absent-names")
        self.assertEqual(layer, {"layer": "absent-names", "share": "reduced", "by": [f"--rw {self.path('.envrc')}"]})


class Faults(FaultCase):
    """What the kernel may refuse. The commands are shell scripts: what else the injector runs is of no interest here."""

    WAIT_FOR_IT = "i=0; while [ -e .envrc ]; do i=$((i + 1)); [ $i -lt 5000 ] || exit 3; sleep 0.002; done"
    script = "exit 0"
    options = ()

    def command(self, words, options=(), environment=None):
        if "state" not in words or self.script == "exit 0":
            return super().command(words, options, environment)
        return [VRUN, *self.options, self.environment, "--", "sh", "-c", self.script]

    def calls_of_vrun(self):
        self.ok(self.inject("list"))
        lines = [line.split() for line in read(self.log).splitlines()]
        return [(int(number), name) for process, number, name, *_ in lines if int(process) == LAUNCHER]

    def test_the_kernel_does_not_tell(self):
        """Without F_NOTIFY, as when fs.dir-notify-enable is 0, vrun looks by itself."""
        number = max(call.number for call in self.calls
                     if call.process == LAUNCHER and call.name == "fcntl" and call.start == "before")
        self.script = "echo text >.envrc; " + self.WAIT_FOR_IT
        result = self.inject(errno.EINVAL, LAUNCHER, number)
        self.assertEqual(read(self.log).split()[2], "fcntl")
        self.assertEqual((result.returncode, result.stdout), (0, ""), result.stderr)
        self.assertEqual(read(os.path.join(self.project, ".envrc.from-run")), "text\n")

    def test_a_file_system_that_cannot_keep_from_replacing(self):
        self.script = "echo text >.envrc; " + self.WAIT_FOR_IT
        result = self.inject("list")
        number = next(int(line.split()[1]) for line in read(self.log).splitlines()
                      if line.split()[0] == str(LAUNCHER) and line.split()[2] == "renameat2")
        os.unlink(os.path.join(self.project, ".envrc.from-run"))
        tries = 0
        while tries < 20:  # how often vrun waits before it is told differs
            tries += 1
            result = self.inject(errno.EINVAL, LAUNCHER, number)
            made = [name for name in os.listdir(self.project) if name.startswith(".envrc")]
            self.assertEqual(result.returncode if read(self.log).strip() else 0, 0, result.stderr)
            for name in made:
                self.assertEqual(read(os.path.join(self.project, name)), "text\n")
                os.unlink(os.path.join(self.project, name))
            if read(self.log).split()[2:3] == ["renameat2"]:
                self.assertEqual(len(made), 1)
                self.assertRegex(made[0], r"^\.envrc\.from-run\.\d+$")
                return
        self.fail("the fault never came to renameat2")

    def test_nothing_is_watched_where_the_run_cannot_write(self):
        self.script = "true"
        watching = [name for _, name in self.calls_of_vrun()]
        self.options = ["--project-ro"]
        still = [name for _, name in self.calls_of_vrun()]
        self.assertEqual(watching.count("fcntl") - still.count("fcntl"), 1)


if __name__ == "__main__":
    unittest.main()
