"""What vrun adds after a failure: files of the host that the command was told to use, or needs, and that its run hid."""

import os
import shutil
import unittest

from harness import NOT_FOUND, Case, make_environment, missing, write


class Unseen(Case):
    def notes(self, result, status):
        self.assertEqual(result.returncode, status, result.stdout + result.stderr)
        return [line[len("vrun: note: "):] for line in result.stderr.splitlines() if line.startswith("vrun: note: ")]


class Words(Unseen):
    """The words of the command."""

    def setUp(self):
        super().setUp()
        self.script = write(os.path.join(self.directory, "scripts/x.py"), "import sys\nprint('ran')\nsys.exit(len(sys.argv) - 1)")
        self.said = [f"the run did not see '{self.script}'; --ro {self.script} shows it"]

    def test_a_file_outside_of_the_view(self):
        self.assertEqual(self.outside("python3", self.script).stdout, "ran\n")
        self.assertEqual(self.notes(self.vrun("python", self.script), 2), self.said)
        self.assertEqual(self.notes(self.vrun("python", "../scripts/x.py"), 2), self.said)
        self.assertEqual(self.ok(self.vrun("python", self.script, options=["--ro", self.script])), "ran\n")

    def test_below_a_home_that_is_no_project(self):
        script = write(os.path.join(self.home, "x.py"))
        said = f"the run did not see '{script}'; --ro {script} shows it"
        self.assertEqual(self.notes(self.vrun("python", "x.py", cwd=self.home), 2)[1:], [said])

    def test_nothing_after_a_success(self):
        self.assertEqual(self.ok(self.vrun("true", self.script)), "")
        self.assertEqual(self.notes(self.vrun("false", self.script), 1), self.said)

    def test_nothing_of_what_is_nowhere(self):
        self.assertEqual(self.vrun("false", self.script + "x", "--none=/no/such", "", "x").stderr, "")

    def test_nothing_of_what_is_shown(self):
        result = self.vrun("python", self.script, "1", "2", options=["--ro", os.path.dirname(self.script)])
        self.assertEqual((result.returncode, result.stdout, result.stderr), (2, "ran\n", ""))
        write(os.path.join(self.project, "here"))
        self.assertEqual(self.vrun("false", "here", self.project, self.environment, "/usr", "/tmp", self.home).stderr, "")

    def test_nothing_after_a_signal(self):
        result = self.vrun("sh", "-c", "kill -TERM $$", self.script)
        self.assertEqual((result.returncode, result.stderr), (128 + 15, ""))

    def test_nothing_of_where_a_link_leads_that_the_run_made(self):
        code = "import os, sys; os.symlink(sys.argv[2], sys.argv[1]); sys.exit(1)"
        secret = write(os.path.join(self.home, ".ssh/id_ed25519"))
        relative = os.path.relpath(secret, self.project)
        result = self.vrun("sh", "-c", f"ln -s {relative} link; exit 1", "link")
        self.assertEqual((result.returncode, result.stderr, os.readlink(os.path.join(self.project, "link"))),
                         (1, "", relative))
        self.assertEqual(self.notes(self.python(code, "other", secret), 1),
                         [f"the run did not see '{secret}'; --ro {secret} shows it, and lends every program of the run "
                          "the key in it"])

    def test_names_are_escaped(self):
        path = write(os.path.join(self.directory, "scripts/a\x1b[31m"))
        said = [f"the run did not see '{self.directory}/scripts/a\\x1b[31m'"]
        self.assertEqual([note.split(";")[0] for note in self.notes(self.vrun("false", path), 1)], said)


class Secrets(Unseen):
    def test_are_called_that(self):
        if not shutil.which("ssh", path="/usr/bin"):
            missing(self, "ssh")
        write(os.path.join(self.home, ".ssh/id_ed25519"))
        ssh = ["ssh", "-o", "BatchMode=yes", "-p", "1", "127.0.0.1"]
        self.assertEqual(self.notes(self.vrun(*ssh), 255), [], "it cannot reach anybody")
        place = os.path.join(self.home, ".ssh")
        self.assertIn(f"ssh did not see '{place}'; --ro {place} shows it, and lends every program of the run the keys in it",
                      self.notes(self.vrun(*ssh, options=["--net=host"]), 255))


class Libraries(Unseen):
    """A program whose library is outside: a copy of true(1) whose C library goes by another name."""

    def setUp(self):
        super().setUp()
        with open(shutil.which("true", path="/usr/bin:/bin"), "rb") as file:
            content = file.read()
        self.libraries = os.path.join(self.directory, "libraries")
        os.mkdir(self.libraries)
        own = next((path for path in self.outside("ldd", "/bin/true").stdout.split() if path.endswith("/libc.so.6")), None)
        if content.count(b"\0libc.so.6\0") != 1 or own is None:
            missing(self, "true(1) needs no libc.so.6")
        self.library = shutil.copy(own, os.path.join(self.libraries, "libx.so.6"))
        with open(os.path.join(self.project, "program"), "wb") as file:
            file.write(content.replace(b"\0libc.so.6\0", b"\0libx.so.6\0"))
        os.chmod(os.path.join(self.project, "program"), 0o755)

    def test_of_the_callers_variable(self):
        path = {"LD_LIBRARY_PATH": self.libraries}
        self.assertEqual(self.outside("./program", variables=path).returncode, 0)
        self.assertEqual(self.notes(self.vrun("./program"), NOT_FOUND), [])
        self.assertEqual(self.notes(self.vrun("./program", variables=path), NOT_FOUND),
                         [f"'./program' needs the library '{self.library}': --keep-env LD_LIBRARY_PATH says where it is, "
                          f"and --ro {self.library} shows it"])
        options = ["--keep-env", "LD_LIBRARY_PATH"]
        self.assertEqual(self.notes(self.vrun("./program", variables=path, options=options), NOT_FOUND),
                         [f"'./program' needs the library '{self.library}', which is not shown: --ro {self.library} "
                          "shows it"])
        self.assertEqual(self.ok(self.vrun("./program", variables=path, options=[*options, "--ro", self.library])), "")

    def test_only_then(self):
        self.assertEqual(self.notes(self.vrun("sh", "-c", "no-such-command", variables={"LD_LIBRARY_PATH": self.libraries}),
                                    NOT_FOUND), [])


class WorkingDirectory(Unseen):
    def test_outside_of_the_view(self):
        place = os.path.join(self.directory, "place")
        message = self.refused(self.vrun("pwd", options=["--cwd", place]), f"cannot start in '{place}': ENOENT")
        self.assertNotIn("outside", message)
        os.mkdir(place)
        self.refused(self.vrun("pwd", options=["--cwd", place]), f"; outside it is there: --ro {place} shows it\n")
        self.assertEqual(self.ok(self.vrun("pwd", options=["--cwd", place, "--ro", place])), place + "\n")


class Environments(Unseen):
    def test_a_tool_of_another_one(self):
        other = make_environment(os.path.join(self.directory, "other"))
        self.refused(self.vrun(other + "/bin/python"), f"; outside it is there: --ro {other} shows it\n", status=NOT_FOUND)
        self.assertEqual(self.ok(self.vrun(other + "/bin/python", "-c", "import sys; print(sys.prefix)",
                                           options=["--ro", other])), other + "\n")


if __name__ == "__main__":
    unittest.main()
