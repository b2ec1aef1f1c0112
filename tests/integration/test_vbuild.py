"""vbuild against `python3 -m venv`: the same tree, made without starting a Python."""

import base64
import csv
import glob
import hashlib
import os
import shutil
import unittest

from support import IN_CI, SYSTEM_PYTHON, VBUILD, run
from vbuild_case import PYPY, Case, pythons, snapshot, version_of


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


# What a program and its library need to be known as Python 3.12.1, and to say that they run.
STUB = """
#include <stdio.h>
const unsigned long Py_Version = 0x030c01f0;
const char* suffix = ".cpython-312-x86_64-linux-gnu.so";
int Py_BytesMain(int argc, char** argv) { return argc < 1 || printf("%s ran\\n", argv[0]) < 0; }
"""


class Relocatable(Case):
    """A Python that finds its library from where it is (RUNPATH $ORIGIN/../lib), as python-build-standalone and conda
    have them: the copy that `python3 -m venv --copies` makes does not start."""

    def make(self, prefix, runpath, library):
        """A stub of one, as a tree."""
        if not shutil.which("cc"):
            if IN_CI:
                self.fail("needed in CI: cc")
            self.skipTest("there is no C compiler here")
        base = os.path.join(self.directory, prefix)
        for path in ("bin", "lib/python3.12/venv/scripts/common", os.path.dirname(library)):
            os.makedirs(os.path.join(base, path), exist_ok=True)
        for path in ("os.py", "site.py", "venv/scripts/common/activate"):
            with open(f"{base}/lib/python3.12/{path}", "w", encoding="utf-8"):
                pass
        with open(self.directory + "/library.c", "w", encoding="utf-8") as file:
            file.write(STUB)
        with open(self.directory + "/program.c", "w", encoding="utf-8") as file:
            file.write("int Py_BytesMain(int, char**);\nint main(int n, char** v) { return Py_BytesMain(n, v); }\n")
        self.check(["cc", "-shared", "-fPIC", "-Wl,-soname,libpython3.12.so.1.0", "-o", f"{base}/{library}",
                    self.directory + "/library.c"])
        self.check(["cc", "-o", base + "/bin/python3.12", self.directory + "/program.c", f"{base}/{library}",
                    "-Wl,-rpath," + runpath])
        os.symlink("python3.12", base + "/bin/python3")
        self.assertEqual(self.check([base + "/bin/python3"]).stdout, base + "/bin/python3 ran\n")
        return base + "/bin/python3"

    def test_copies_start(self):
        for runpath, library in (("$ORIGIN/../lib", "lib"), ("${ORIGIN}/../lib64", "lib64"), ("$ORIGIN", "bin")):
            with self.subTest(runpath=runpath):
                python = self.make("base-" + library, runpath, library + "/libpython3.12.so.1.0")
                for options in (["--copies"], ["--copies", "--upgrade"], ["--copies", "--clear"], ["--clear"]):
                    self.build("--without-pip", *options, self.env, python=python)
                    for name in ("python", "python3", "python3.12"):
                        program = f"{self.env}/bin/{name}"
                        self.assertEqual(os.path.islink(program), "--copies" not in options)
                        self.assertEqual(self.check([program]).stdout, program + " ran\n")
                    self.check([VBUILD, "--doctor", self.env])
                # With links, nothing but links.
                self.assertEqual(glob.glob(self.env + "/*/libpython*"), [])
                shutil.rmtree(self.env)

    def test_the_copy_alone_would_not(self):
        """Otherwise the other tests would prove nothing."""
        python = self.make("base", "$ORIGIN/../lib", "lib/libpython3.12.so.1.0")
        os.makedirs(self.env + "/bin")
        shutil.copy(python, self.env + "/bin")
        self.assertEqual(run([self.env + "/bin/python3"]).returncode, 127)

    def test_an_absolute_place_needs_no_copy(self):
        base = os.path.join(self.directory, "base")
        python = self.make("base", base + "/lib", "lib/libpython3.12.so.1.0")
        self.build("--without-pip", "--copies", self.env, python=python)
        self.assertEqual(self.check([self.env + "/bin/python"]).returncode, 0)
        self.assertEqual(glob.glob(self.env + "/*/libpython*"), [])

    def test_a_library_outside_of_the_tree_is_refused(self):
        python = self.make("base/deep", "$ORIGIN/../../lib", "../lib/libpython3.12.so.1.0")
        line = self.refused("--python", python, "--without-pip", "--copies", self.env)
        self.assertIn("outside of an environment; leave --copies out", line)
        self.build("--without-pip", self.env, python=python)


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


if __name__ == "__main__":
    unittest.main()
