"""vbuild against `python3 -m venv`: the same tree, made without starting a Python."""

import base64
import csv
import glob
import hashlib
import os
import shutil
import unittest

from support import SYSTEM_PYTHON, VBUILD
from vbuild_case import PYPY, Case, exact_snapshot, pythons, snapshot, version_of


class Tree(Case):
    """The tree of venv, byte for byte."""

    def compare(self, python, options, without=(), umask=0o022):
        before = os.umask(umask)
        try:
            self.check([python, "-I", "-m", "venv", *options, self.env])
            expected = snapshot(self.env)
            shutil.rmtree(self.env)
            self.build(*options, self.env, python=python)
            actual = snapshot(self.env)
            shutil.rmtree(self.env)
        finally:
            os.umask(before)
        for path in without:
            expected = {name: value for name, value in expected.items() if not (name + "/").startswith(path + "/")}
        # -I is how this test keeps the current directory out of the reference; it is no part of the command.
        self.assertEqual(sorted(actual), sorted(expected))
        for name, value in expected.items():
            self.assertEqual(actual[name], value, f"{python} {options}: {name}")

    def test_every_python_with_every_option(self):
        reached = pythons()
        home = os.path.expanduser("~/.pyenv/versions")
        if not os.access(home, os.R_OK | os.X_OK):
            print(f"  ({home} cannot be read: its Pythons are not compared)", flush=True)
        self.assertTrue(reached)
        rows = [[], ["--without-pip"], ["--copies", "--without-pip"], ["--system-site-packages", "--without-pip"],
                ["--prompt", "it's é \U0001f40d", "--without-pip"], ["--prompt", ".", "--without-pip"],
                ["--clear", "--without-pip"], ["--symlinks", "--without-pip"]]
        for python in reached:
            if python == SYSTEM_PYTHON and not glob.glob("/usr/lib/python3*/ensurepip/__init__.py"):
                continue
            for options in rows:
                if python == PYPY and "--copies" in options:
                    continue
                if version_of(python) < (3, 9) and "." in options:
                    continue
                with self.subTest(python=python, options=options):
                    self.compare(python, options, without=["share"] if python == PYPY else [])

    def test_newer_options(self):
        for python in pythons():
            if version_of(python) >= (3, 13):
                self.compare(python, ["--without-pip", "--without-scm-ignore-files"])

    def test_invoked_names(self):
        for python in pythons():
            if python == PYPY:
                continue
            version = version_of(python)
            for name in ["python", "python3", "python3.%d" % version[1]]:
                path = os.path.join(os.path.dirname(python), name)
                if os.path.exists(path):
                    with self.subTest(path=path):
                        self.compare(path, ["--without-pip"])
                        if version >= (3, 13):
                            self.compare(path, [])

    def test_modes_follow_the_umask(self):
        for umask in (0o077, 0o027, 0o002):
            with self.subTest(umask=oct(umask)):
                self.compare(SYSTEM_PYTHON, [], umask=umask)

    def test_copies_with_pip(self):
        self.compare(SYSTEM_PYTHON, ["--copies", "--system-site-packages"])

    def test_several_directories_and_parents(self):
        first, second = (os.path.join(self.directory, name) for name in ("a/b/c", "d"))
        self.build("--without-pip", first, second)
        self.check([second + "/bin/python", "-c", "import sys; assert sys.prefix != sys.base_prefix"])
        self.assertTrue(os.path.exists(first + "/pyvenv.cfg"))

    def test_odd_paths_and_prompts(self):
        for name in ("with space", "it's", "$(touch canary)`touch canary`", "ünï \U0001f40d", "a;b&c|d", "%s{}!#~", "x" * 255):
            with self.subTest(name=name):
                path = os.path.join(self.directory, name)
                self.build("--without-pip", path)
                result = self.check([path + "/bin/python", "-I", "-c", "import sys; print(sys.prefix)"],
                                    env={"PYTHONIOENCODING": "utf-8", "LC_ALL": "C.UTF-8"})
                self.assertEqual(result.stdout.strip(), path)

    def test_configuration_is_read_back_as_it_was_meant(self):
        for prompt in ["plain", "a 'b' \"c\"", "back\\slash", "non\u00a0breaking", "\u200bzero", "tab-less é", ""]:
            self.build("--without-pip", "--prompt", prompt, self.env)
            with open(self.env + "/pyvenv.cfg", encoding="utf-8") as file:
                values = dict(line.rstrip("\n").split(" = ", 1) for line in file)
            self.assertEqual(values["prompt"], repr(prompt))
            self.assertEqual(values["include-system-site-packages"], "false")

    def test_nested(self):
        """From inside an environment the base is the base, as CPython 3.11 has it."""
        for python in pythons():
            if python == PYPY or version_of(python) < (3, 11):
                continue
            for options in (["--symlinks"], ["--copies"]):
                outer = os.path.join(self.directory, "outer")
                self.check([python, "-m", "venv", "--without-pip", *options, outer])
                with self.subTest(python=python, options=options):
                    self.compare(outer + "/bin/python3", ["--without-pip"])
                shutil.rmtree(outer)


class Pip(Case):
    def test_works(self):
        for python in pythons():
            with self.subTest(python=python):
                self.build("--clear", self.env, python=python)
                pip = self.env + "/bin/pip"
                version = self.check([pip, "--version"], cwd="/")
                self.assertIn(os.path.realpath(self.env), os.path.realpath(version.stdout.split()[3]))
                self.assertEqual(self.check([pip, "check", "--disable-pip-version-check"]).returncode, 0)
                listed = self.check([pip, "list", "--disable-pip-version-check", "--format=freeze"]).stdout.split()
                names = {line.split("==")[0] for line in listed}
                names -= {"cffi", "greenlet", "hpy", "readline"}  # part of PyPy
                self.assertEqual(names, {"pip"} if version_of(python) >= (3, 12) else {"pip", "setuptools"})

    def test_every_hash_in_record_verifies(self):
        self.build(self.env)
        packages = glob.glob(self.env + "/lib/python3*/site-packages")[0]
        for record in glob.glob(packages + "/*.dist-info/RECORD"):
            with open(record, newline="", encoding="utf-8") as file:
                rows = list(csv.reader(file))
            for path, digest, size in rows:
                file_path = os.path.normpath(os.path.join(packages, path))
                self.assertTrue(os.path.isfile(file_path), path)
                if not digest:
                    self.assertTrue(path.endswith("RECORD"))
                    continue
                with open(file_path, "rb") as file:
                    content = file.read()
                actual = base64.urlsafe_b64encode(hashlib.sha256(content).digest()).rstrip(b"=").decode()
                self.assertEqual((digest, size), ("sha256=" + actual, str(len(content))))
        listed = {os.path.normpath(os.path.join(packages, row[0]))
                  for record in glob.glob(packages + "/*.dist-info/RECORD")
                  for row in csv.reader(open(record, newline="", encoding="utf-8"))}
        present = {os.path.join(parent, name) for parent, _, names in os.walk(packages) for name in names}
        self.assertEqual(present - listed, set())

    def test_can_uninstall_and_reinstall_itself(self):
        self.build(self.env)
        self.check([self.env + "/bin/python", "-m", "pip", "uninstall", "-y", "pip"])
        self.assertEqual(glob.glob(self.env + "/lib/python3*/site-packages/pip*"), [])
        self.assertFalse(os.path.exists(self.env + "/bin/pip"))
        self.build(self.env)
        self.check([self.env + "/bin/pip", "--version"])

    def test_scripts_run_from_any_path_and_expand_nothing(self):
        for name in ("a b", "it's a $(touch canary) `touch canary`", "long" * 40, "q'''q \\x \\\\", 'd"q $HOME', "é ü"):
            with self.subTest(name=name):
                place = os.path.join(self.directory, "run")
                os.makedirs(place, exist_ok=True)
                env = os.path.join(self.directory, name)
                self.build(env)
                for command in ([env + "/bin/pip", "--version"], ["pip", "--version"]):
                    result = self.check(command, cwd=place, env=dict(os.environ, PATH=env + "/bin:/usr/bin:/bin"))
                    self.assertTrue(result.stdout.startswith("pip "))
                    self.assertEqual(result.stderr, "")
                self.assertEqual(os.listdir(place), [])
                shutil.rmtree(env)

    def test_seeds_are_those_of_ensurepip(self):
        for python in pythons():
            if python == PYPY:
                continue
            expected = self.check([python, "-I", "-m", "ensurepip", "--version"]).stdout.split()[1]
            self.build("--clear", self.env, python=python)
            self.assertTrue(glob.glob(f"{self.env}/lib/python3*/site-packages/pip-{expected}.dist-info"), expected)

    def test_upgrade_deps_says_when_there_is_no_index(self):
        environment = dict(os.environ, PIP_INDEX_URL="file:///nowhere", PIP_NO_INPUT="1", PIP_RETRIES="0",
                           PIP_CONFIG_FILE="/dev/null")
        result = self.vbuild("--upgrade-deps", self.env, "--python", SYSTEM_PYTHON, env=environment)
        if result.returncode == 0:  # "already satisfied" where the index has nothing to say
            return
        self.assertIn("cannot upgrade pip", result.stderr.splitlines()[-1])
        self.check([self.env + "/bin/pip", "--version"])


class Reproducible(Case):
    """SOURCE_DATE_EPOCH: the same input gives the same bytes and times."""

    DATE = 1_234_567_890

    def make(self, *arguments, python=SYSTEM_PYTHON, date=DATE):
        environment = dict(os.environ, SOURCE_DATE_EPOCH=str(date))
        self.check([VBUILD, "--python", python, *arguments, self.env], env=environment)
        return exact_snapshot(self.env)

    def assert_dated(self, tree, date=DATE):
        self.assertEqual({path: entry[1] for path, entry in tree.items() if entry[1] != date * 10**9}, {})

    def test_two_builds_are_identical(self):
        for python in pythons():
            for options in ([], ["--copies"], ["--without-pip", "--system-site-packages"]):
                with self.subTest(python=python, options=options):
                    first = self.make(*options, python=python)
                    shutil.rmtree(self.env)
                    second = self.make(*options, python=python)
                    shutil.rmtree(self.env)
                    self.assertEqual(first.keys(), second.keys())
                    self.assertEqual([path for path in first if first[path] != second[path]], [])
                    self.assert_dated(first)
        # Without it they are of their own time.
        self.build(self.env)
        self.assertTrue(all(entry[1] > self.DATE * 10**9 for entry in exact_snapshot(self.env).values()))

    def test_in_a_directory_that_is_there(self):
        new = self.make()
        shutil.rmtree(self.env)
        os.mkdir(self.env)
        self.assertEqual(self.make(), new)
        with open(self.env + "/file", "w", encoding="utf-8"):
            pass
        changed = {path: entry for path, entry in self.make("--clear").items() if entry != new.get(path)}
        self.assertEqual(list(changed), ["pyvenv.cfg"])  # which says --clear
        self.assert_dated(exact_snapshot(self.env))
        self.assert_dated(self.make("--clear", date=0), 0)

    def test_what_is_no_date(self):
        for date in ("-1", "1.5", "now", "1 ", " 1", "0x10", "4294967296", "1e3"):
            with self.subTest(date=date):
                environment = dict(os.environ, SOURCE_DATE_EPOCH=date)
                line = self.refused("--python", SYSTEM_PYTHON, self.env, env=environment)
                self.assertIn(f"SOURCE_DATE_EPOCH: '{date}'", line)


if __name__ == "__main__":
    unittest.main()
