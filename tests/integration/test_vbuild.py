"""vbuild against `python3 -m venv`: the same tree, made without starting a Python."""

import base64
import csv
import glob
import hashlib
import itertools
import os
import shutil
import unittest

from support import SYSTEM_PYTHON, VBUILD, cpythons, run
from vbuild_case import PYPY, WHOLE, Case, exact_snapshot, few_pythons, pairwise, pythons, snapshot, version_of


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
        finally:
            os.umask(before)
            shutil.rmtree(self.env, ignore_errors=True)  # what one leaves unfinished is not the next one's
        for path in without:
            expected = {name: value for name, value in expected.items() if not (name + "/").startswith(path + "/")}
        # -I is how this test keeps the current directory out of the reference; it is no part of the command.
        self.assertEqual(sorted(actual), sorted(expected))
        for name, value in expected.items():
            self.assertEqual(actual[name], value, f"{python} {options}: {name}")

    def test_every_python_with_every_option(self):
        """A sample of tests/all/venv_matrix.py, which has all options in all combinations."""
        reached = pythons()
        home = os.path.expanduser("~/.pyenv/versions")
        if not os.access(home, os.R_OK | os.X_OK):
            print(f"  ({home} cannot be read: its Pythons are not compared)", flush=True)
        self.assertTrue(reached)
        rows = pairwise({"programs": ((), ("--copies",), ("--symlinks",)), "packages": ((), ("--system-site-packages",)),
                         "prompt": ((), ("--prompt", "it's é \U0001f40d"), ("--prompt", ".")), "clear": ((), ("--clear",))})
        rows = [["--without-pip", *itertools.chain(*row.values())] for row in rows]
        # Any two options meet in one of the rows, and those are dealt to the Pythons: what an option does hardly depends
        # on which one it is. What is installed with pip does; that of the system's and of the newest is in other tests.
        chosen = [(python, row) for python in reached for row in rows] + [(python, []) for python in reached]
        if not WHOLE:
            others = [python for python in few_pythons() if python not in (SYSTEM_PYTHON, cpythons()[-1][1])]
            chosen = [(reached[i % len(reached)], rows[i % len(rows)]) for i in range(max(len(rows), len(reached)))]
            chosen += [(python, []) for python in others]
        for python, options in chosen:
            if python == SYSTEM_PYTHON and not glob.glob("/usr/lib/python3*/ensurepip/__init__.py"):
                continue
            if python == PYPY:
                options = [option for option in options if option != "--copies"]
            if version_of(python) < (3, 9) and "." in options:
                options = [option for option in options if option not in ("--prompt", ".")]
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
                        # pip's scripts have the name, too.
                        if version >= (3, 13) and (WHOLE or name != "python"):
                            self.compare(path, [])

    def test_modes_follow_the_umask(self):
        # One that takes a different part from everybody is enough for what pip has.
        for umask, options in ((0o077, ["--without-pip"]), (0o027, []), (0o002, ["--without-pip"])):
            with self.subTest(umask=oct(umask)):
                self.compare(SYSTEM_PYTHON, [] if WHOLE else options, umask=umask)

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


class Relocatable(Case):
    """A Python that finds its library from where it is (RUNPATH $ORIGIN/../lib), as python-build-standalone and conda
    have them: the copy that `python3 -m venv --copies` makes does not start."""

    def test_copies_start(self):
        for runpath, library in (("$ORIGIN/../lib", "lib"), ("${ORIGIN}/../lib64", "lib64"), ("$ORIGIN", "bin")):
            with self.subTest(runpath=runpath):
                python = self.stub_python("base-" + library, runpath=runpath, library=library)
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
        python = self.stub_python("base", runpath="$ORIGIN/../lib", library="lib")
        os.makedirs(self.env + "/bin")
        shutil.copy(python, self.env + "/bin")
        self.assertEqual(run([self.env + "/bin/python3"]).returncode, 127)

    def test_an_absolute_place_needs_no_copy(self):
        base = os.path.join(self.directory, "base")
        python = self.stub_python("base", runpath=base + "/lib", library="lib")
        self.build("--without-pip", "--copies", self.env, python=python)
        self.assertEqual(self.check([self.env + "/bin/python"]).returncode, 0)
        self.assertEqual(glob.glob(self.env + "/*/libpython*"), [])

    def test_a_library_outside_of_the_tree_is_refused(self):
        python = self.stub_python("base/deep", runpath="$ORIGIN/../../lib", library="../lib")
        line = self.refused("--python", python, "--without-pip", "--copies", self.env)
        self.assertIn("outside of an environment; leave --copies out", line)
        self.build("--without-pip", self.env, python=python)


class Newer(Case):
    """Pythons that are too new to be everywhere, as stubs: what their venv writes is known from its source alone."""

    NAMES = ("activate", "activate.csh", "activate.fish", "Activate.ps1")

    def make(self, version, flags="", platlibdir="lib"):
        python = self.stub_python(f"base-{version}{flags}{platlibdir}", version=version, flags=flags, platlibdir=platlibdir)
        name = f"python{version}{flags}"
        stdlib = os.path.join(os.path.dirname(os.path.dirname(python)), platlibdir, name)
        os.makedirs(stdlib + "/ensurepip/_bundled")
        # The templates of 3.13 and later: all but one in common, bare placeholders, the prompt without parentheses.
        for script in self.NAMES:
            folder = os.path.join(stdlib, "venv/scripts/posix" if script == "activate.csh" else "venv/scripts/common")
            os.makedirs(folder, exist_ok=True)
            with open(os.path.join(folder, script), "w", encoding="utf-8") as file:
                file.write("DIR __VENV_DIR__\nBIN __VENV_BIN_NAME__\nPROMPT __VENV_PROMPT__\n")
        wheel = glob.glob("/usr/share/python-wheels/pip-*.whl") or glob.glob("/usr/lib*/python3*/ensurepip/_bundled/pip-*.whl")
        shutil.copy(wheel[0], stdlib + "/ensurepip/_bundled")
        with open(stdlib + "/ensurepip/__init__.py", "w", encoding="utf-8") as file:
            file.write('_PIP_VERSION = "%s"\n' % os.path.basename(wheel[0]).split("-")[1])
        return python

    def tree(self):
        """Everything but what is in the package directory, as {path: text of a link, else a slash or nothing}."""
        found = {}
        for path, value in snapshot(self.env).items():
            if "/site-packages/" not in path:
                found[path] = value[1] if value[0] == "link" else "/" if value[0] == "directory" else ""
        return found

    def expected(self, python, version, flags="", platlibdir="lib"):
        name = os.path.basename(python)
        library = f"python{version}{flags}"
        bin_names = dict.fromkeys(["python", "python3", "python" + version] + (["\U0001d70bthon"] if version == "3.14" else []), name)
        bin_names[name] = python
        tree = dict.fromkeys(["bin", "include", "lib", "lib/" + library, f"lib/{library}/site-packages"], "/")
        if version == "3.13":
            tree["include/" + library] = "/"
        if version < "3.15":
            tree["lib64"] = "lib"
        elif platlibdir == "lib64":
            tree.update(dict.fromkeys(["lib64", "lib64/" + library, f"lib64/{library}/site-packages"], "/"))
        tree.update({"bin/" + key: value for key, value in bin_names.items()})
        tree.update(dict.fromkeys([".gitignore", "pyvenv.cfg", "bin/pip", "bin/pip3", "bin/pip" + version], ""))
        tree.update(dict.fromkeys(["bin/" + script for script in self.NAMES], ""))
        return tree

    def test_trees(self):
        self.env = os.path.join(self.directory, "it's")
        for version, flags, platlibdir in (("3.13", "t", "lib"), ("3.14", "", "lib"), ("3.14", "t", "lib"), ("3.14", "", "lib64"),
                                           ("3.15", "", "lib"), ("3.15", "t", "lib"), ("3.15", "", "lib64")):
            base = os.path.dirname(self.make(version, flags, platlibdir))
            for name in ("python3", f"python{version}{flags}"):
                python = os.path.join(base, name)
                real = os.path.realpath(python)
                with self.subTest(version=version, flags=flags, platlibdir=platlibdir, name=name):
                    self.build(self.env, python=python)
                    self.assertEqual(self.tree(), self.expected(python, version, flags, platlibdir))
                    with open(self.env + "/pyvenv.cfg", encoding="utf-8") as file:
                        self.assertEqual(file.read(), f"home = {base}\ninclude-system-site-packages = false\nversion = {version}.0\n"
                                         f"executable = {real}\ncommand = {python} -m venv {self.env}\n")
                    with open(self.env + "/.gitignore", encoding="utf-8") as file:
                        self.assertEqual(file.read(), "# Created by venv; see https://docs.python.org/3/library/venv.html\n*\n")
                    with open(self.env + "/bin/activate", encoding="utf-8") as file:
                        quoted = "'" + self.env.replace("'", "'\"'\"'") + "'"
                        self.assertEqual(file.read(), f"DIR {quoted}\nBIN bin\nPROMPT 'it'\"'\"'s'\n")
                    # pip and no setuptools.
                    packages = f"{self.env}/lib/python{version}{flags}/site-packages"
                    self.assertEqual([path for path in os.listdir(packages) if not path.startswith("pip")], [])
                    with open(self.env + "/bin/pip" + version, encoding="utf-8") as file:
                        self.assertIn(f"#!{self.env}/bin/{name}\n", file.read(300))
                    self.assertEqual(self.check([self.env + "/bin/python"]).stdout, self.env + "/bin/python ran\n")
                    if name != "python3":
                        shutil.rmtree(self.env)
                        continue
                    # Again, and with copies, whose stub finds its library too.
                    self.build("--upgrade", self.env, python=python)
                    self.assertEqual(self.tree(), self.expected(python, version, flags, platlibdir))
                    self.build("--clear", "--copies", "--without-pip", "--without-scm-ignore-files", self.env, python=python)
                    self.assertFalse(os.path.exists(self.env + "/.gitignore"))
                    self.assertFalse(os.path.islink(self.env + "/bin/python"))
                    self.assertEqual(self.check([self.env + "/bin/python" + version]).returncode, 0)
                    self.check([VBUILD, "--doctor", self.env])
                shutil.rmtree(self.env, ignore_errors=True)

    def test_from_one_to_the_next(self):
        """The lib64 link of an older one stays where there would be a directory now: it is the same place."""
        older, newer = self.make("3.14", platlibdir="lib64"), self.make("3.15", platlibdir="lib64")
        self.build(self.env, python=older)
        result = self.check([VBUILD, "--python", newer, "--upgrade", self.env])
        self.assertRegex(result.stderr, r"\Avbuild: [^\n]* was an environment of Python 3\.14\.0 and is now one of Python 3\.15\.0[^\n]*\n\Z")
        self.assertEqual(os.readlink(self.env + "/lib64"), "lib")
        self.assertTrue(os.path.isdir(self.env + "/lib64/python3.15/site-packages/pip"))
        self.check([self.env + "/bin/python3.15"])
        self.assertFalse(os.path.lexists(self.env + "/bin/python3.14"))

    def test_are_found_by_version(self):
        for version, flags in (("3.14", ""), ("3.14", "t"), ("3.15", "")):
            self.make(version, flags)
        path = ":".join(os.path.join(self.directory, f"base-{name}lib", "bin") for name in ("3.14", "3.14t", "3.15"))
        for spec, library in (("3.14", "python3.14"), ("3.14t", "python3.14t"), (">=3.15", "python3.15"), ("python3.14t", "python3.14t"),
                              ("3.15.0", "python3.15"), ("==3.14.*", "python3.14")):
            with self.subTest(spec=spec):
                self.check([VBUILD, "--python", spec, "--without-pip", "--clear", self.env], env={"PATH": path, "HOME": "/nowhere"})
                self.assertEqual(os.listdir(self.env + "/lib"), [library])


class Pip(Case):
    def test_works(self):
        for python in few_pythons():  # each in tests/all/venv_matrix.py
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
        # That the hundreds of files of pip have bytes and times of their own does not depend on the Python.
        for python in pythons():
            for options in ([], ["--copies"], ["--without-pip", "--system-site-packages"]):
                if not WHOLE and python != SYSTEM_PYTHON and options[:1] != ["--without-pip"]:
                    continue
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
