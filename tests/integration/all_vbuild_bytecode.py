"""The cache of bytecode: what it holds is written and used, and whatever is wrong with it, the build succeeds."""

import base64
import glob
import hashlib
import os
import shutil
import struct
import subprocess
import time
import unittest
import zipfile

from support import SYSTEM_PYTHON, VBUILD, VRUN, cpythons
from vbuild_case import Case, exact_snapshot


class Bytecode(Case):
    def setUp(self):
        super().setUp()
        self.home = os.path.join(self.directory, "home")
        os.makedirs(self.home)
        self.cache = os.path.join(self.home, ".cache/vbuild/bytecode")
        self.python = SYSTEM_PYTHON
        self.variables = {"HOME": self.home, "PATH": "/usr/bin:/bin"}

    def make(self, *arguments, **variables):
        """Builds anew and gives what -v says."""
        shutil.rmtree(self.env, ignore_errors=True)
        result = self.check(["env", "-i", *[f"{k}={v}" for k, v in {**self.variables, **variables}.items()], VBUILD,
                             "-v", "--python", self.python, *arguments, self.env])
        self.check([self.env + "/bin/python", "-I", "-B", "-c", "import pip"])
        return result.stderr

    def compiled(self):
        return glob.glob(self.env + "/lib/python3*/site-packages/**/*.pyc", recursive=True)

    def entries(self):
        return sorted(glob.glob(self.cache + "/*.pycs"))

    filled = {}  # by Python, the content of a cache: compiling takes seconds

    def fill(self):
        if self.python in self.filled and not self.entries():
            for name, content in self.filled[self.python].items():
                os.makedirs(self.cache, mode=0o700, exist_ok=True)
                with open(os.open(os.path.join(self.cache, name), os.O_WRONLY | os.O_CREAT, 0o600), "wb") as file:
                    file.write(content)
        self.make("--compile=now")
        if self.python not in self.filled:
            self.filled[self.python] = {}
            for path in self.entries():
                with open(path, "rb") as file:
                    self.filled[self.python][os.path.basename(path)] = file.read()
        self.assertTrue(self.compiled())
        self.assertTrue(self.entries())

    def assert_left_out(self, told, *reasons):
        self.assertEqual(self.compiled(), [])
        for reason in reasons:
            self.assertIn(reason, told)
        # RECORD lists what is there.
        for record in glob.glob(self.env + "/lib/python3*/site-packages/*.dist-info/RECORD"):
            with open(record, encoding="utf-8", newline="") as file:
                self.assertNotIn(".pyc", file.read())

    def test_nothing_is_compiled_again(self):
        for _, self.python in cpythons():
            with self.subTest(python=self.python):
                self.make()
                self.assertEqual(self.compiled(), [])  # nothing is started for it
                self.fill()
                self.make()
                before = {path: os.stat(path).st_mtime_ns for path in self.compiled()}
                self.assertTrue(before)
                result = self.check([self.env + "/bin/python", "-v", "-m", "pip", "list"])
                used = [line for line in result.stderr.splitlines() if "matches " + self.env in line]
                self.assertGreater(len(used), 100)
                for line in result.stderr.splitlines():
                    self.assertFalse(line.startswith("# wrote '" + self.env), line)
                    self.assertFalse(line.startswith("# code object from '" + self.env) and ".pyc" not in line, line)
                self.assertEqual(before, {path: os.stat(path).st_mtime_ns for path in self.compiled()})
                # Positive control: of a changed source, it is.
                source = glob.glob(self.env + "/lib/python3*/site-packages/pip/__init__.py")[0]
                os.utime(source, (1, 1))
                again = self.check([self.env + "/bin/python", "-v", "-m", "pip", "--version"]).stderr
                self.assertTrue("bytecode is stale for 'pip'" in again)

    def test_filled_by_several_at_once(self):
        variables = [f"{name}={value}" for name, value in self.variables.items()]
        environments = [self.env + str(number) for number in range(4)]
        builders = [subprocess.Popen(["env", "-i", *variables, VBUILD, "--python", self.python, "--compile=now", path],
                                     stderr=subprocess.PIPE, text=True) for path in environments]
        for builder, self.env in zip(builders, environments):
            self.assertEqual((builder.communicate()[1], builder.returncode), ("", 0))
            self.check([self.env + "/bin/python", "-I", "-B", "-c", "import pip"])
            self.assertTrue(self.compiled())
        # Nobody saw half of an entry, and nobody's half is left.
        self.assertEqual(sorted(os.listdir(self.cache)), [os.path.basename(path) for path in self.entries()])
        told = self.make()
        self.assertTrue(self.compiled(), told)

    def test_same_as_what_the_interpreter_compiles(self):
        self.fill()
        compiled = self.compiled()
        sources = [path for path in glob.glob(self.env + "/lib/python3*/site-packages/**/*.py", recursive=True)]
        self.assertEqual(len(compiled), len(sources))
        code = "import marshal, sys; sys.stdout.write(marshal.loads(open(sys.argv[1], 'rb').read()[16:]).co_name)"
        self.assertEqual(self.check([self.python, "-I", "-c", code, compiled[0]]).stdout, "<module>")
        for path in compiled[:20]:
            source = path.replace("__pycache__/", "").rsplit(".", 2)[0] + ".py"
            with open(path, "rb") as file:
                flags, mtime, size = struct.unpack("<LLL", file.read(16)[4:])
            status = os.stat(source)
            self.assertEqual((flags, mtime, size), (0, int(status.st_mtime), status.st_size))

    def test_reproducible(self):
        """With SOURCE_DATE_EPOCH, bytes and times are the same whoever compiled it, and when."""
        for _, self.python in cpythons():
            with self.subTest(python=self.python):
                trees = []
                for option in ("now", "auto", "now"):
                    if option == "now":
                        shutil.rmtree(self.cache, ignore_errors=True)
                    self.make("--compile=" + option, SOURCE_DATE_EPOCH="1234567890")
                    trees.append(exact_snapshot(self.env))
                    self.assertEqual({entry[1] for entry in trees[-1].values()}, {1234567890 * 10**9})
                self.assertGreater(sum(path.endswith(".pyc") for path in trees[0]), 100)
                for tree in trees[1:]:
                    self.assertEqual([path for path in tree if tree[path] != trees[0].get(path)], [])
                result = self.check([self.env + "/bin/python", "-v", "-m", "pip", "--version"])
                self.assertGreater(result.stderr.count("matches " + self.env), 50)

    def test_tracebacks_name_the_file_that_is_there(self):
        self.fill()
        self.make()
        code = ("import traceback, pip._internal.cli.main_parser as m\n"
                "try: m.parse_command(5)\n"
                "except TypeError as e:\n"
                "  print([f.filename for f in traceback.extract_tb(e.__traceback__) if 'main_parser' in f.filename][-1])")
        told = self.check([self.env + "/bin/python", "-I", "-c", code]).stdout.splitlines()
        self.assertTrue(told[-1].startswith(self.env + "/lib/"), told)
        self.assertTrue(os.path.exists(told[-1]))

    def test_pip_uninstalls_and_replaces_it(self):
        self.fill()
        self.make()
        packages = os.path.dirname(glob.glob(self.env + "/lib/python3*/site-packages/pip")[0])
        with open(glob.glob(packages + "/pip-*.dist-info/RECORD")[0], encoding="utf-8", newline="") as file:
            rows = [row for row in file.read().split("\r\n") if ".pyc" in row]
        self.assertTrue(rows)
        for row in rows:
            self.assertTrue(row.endswith(".pyc,,"), row)
            self.assertTrue(os.path.exists(os.path.join(packages, row[:-2])), row)
        self.check([self.env + "/bin/python", "-m", "pip", "uninstall", "-y", "pip"])
        self.assertFalse(os.path.exists(packages + "/pip"))
        # An existing environment gets it back, with its bytecode.
        self.check(["env", "-i", "HOME=" + self.home, VBUILD, "--python", self.python, self.env])
        self.assertTrue(os.path.isdir(packages + "/pip/__pycache__"))

    def test_no(self):
        self.fill()
        self.assert_left_out(self.make("--compile=no"))
        self.assertTrue(self.make("--compile=auto"))
        self.assertTrue(self.compiled())

    def test_damaged(self):
        self.fill()
        pristine = os.path.join(self.directory, "pristine")
        shutil.copytree(self.cache, pristine)

        def restore():
            shutil.rmtree(self.cache)
            shutil.copytree(pristine, self.cache)

        def change(edit):
            for path in self.entries():
                with open(path, "rb") as file:
                    content = bytearray(file.read())
                content = edit(content)
                with open(path, "wb") as file:
                    file.write(content)

        def flip(at):
            def edit(content):
                content[at] ^= 1
                return content
            return edit

        cases = {"format": (flip(0), "another format"), "digest": (flip(20), "index is damaged"),
                 "size": (flip(51), "too large"), "index": (flip(60), "index is damaged"),
                 "piece": (flip(-1), "a piece is damaged"), "truncated": (lambda c: c[:-100], "ends too early"),
                 "half": (lambda c: c[:70], "ends too early"), "empty": (lambda c: b"", "ends too early"),
                 "not ours": (lambda c: b"\0" * 100, "another format")}
        for name, (edit, reason) in cases.items():
            with self.subTest(name):
                restore()
                change(edit)
                self.assert_left_out(self.make(), reason)
                self.build("--clear", self.env, env=self.variables)  # and without -v nothing is said
        # --compile=now mends it.
        self.fill()
        self.make()
        self.assertTrue(self.compiled())

    def test_entries_exchanged(self):
        """An entry under the name of another: right in itself, but not for this wheel."""
        self.fill()
        path = self.entries()[0]
        with open(path, "rb") as file:
            good = file.read()
        other = next((entry for entry in self.entries() if entry != path), None)
        if other is None:
            self.skipTest("this Python begins with one wheel, so there is no other entry")
        with open(other, "wb") as file:
            file.write(good)
        self.assertIn("another wheel", self.make())

    def test_others_could_have_changed_it(self):
        self.fill()
        for path, mode in ((self.cache, 0o777), (self.cache, 0o720), (self.entries()[0], 0o666)):
            before = os.stat(path).st_mode & 0o7777
            os.chmod(path, mode)
            self.assertIn("others can change it", self.make())
            os.chmod(path, before)
        self.make()
        self.assertTrue(self.compiled())
        os.rename(self.cache, self.cache + "-real")
        os.symlink(self.cache + "-real", self.cache)
        self.assert_left_out(self.make(), "no bytecode")

    @unittest.skipUnless(os.geteuid() == 0, "only root can give files away")
    def test_another_users(self):
        self.fill()
        os.chown(self.cache, 1000, 1000)
        self.assert_left_out(self.make(), "belongs to somebody else")
        os.chown(self.cache, 0, 0)
        for path in self.entries():
            os.chown(path, 1000, 1000)
        self.assert_left_out(self.make(), "belongs to somebody else")

    def test_nowhere_to_have_one(self):
        for variables in ({"HOME": ""}, {"HOME": "relative"}, {"HOME": "/proc/nothing"},
                          {"XDG_CACHE_HOME": "/proc/nothing"}, {"XDG_CACHE_HOME": "/dev/null"}):
            for option in ("auto", "now"):
                with self.subTest(variables=variables, option=option):
                    self.assert_left_out(self.make("--compile=" + option, **variables), "no bytecode: ")

    def test_read_only(self):
        self.fill()
        for path in self.entries():
            os.chmod(path, 0o400)
            os.utime(path, (1, 1))
        os.chmod(self.cache, 0o500)
        self.addCleanup(os.chmod, self.cache, 0o700)
        self.make()
        self.assertTrue(self.compiled())

    def test_is_pruned(self):
        os.makedirs(self.cache, mode=0o700)
        old, kept, other = (os.path.join(self.cache, name) for name in ("old.pycs", "kept.pycs", "other"))
        for path in (old, kept, other):
            with open(path, "w", encoding="utf-8"):
                pass
        os.utime(old, (time.time() - 91 * 86400,) * 2)
        os.utime(other, (time.time() - 91 * 86400,) * 2)
        for number in range(80):
            path = os.path.join(self.cache, f"{number}.pycs")
            with open(path, "w", encoding="utf-8"):
                pass
            os.utime(path, (time.time() - 86400 * 2 + number,) * 2)
        self.fill()
        self.assertFalse(os.path.exists(old))
        self.assertTrue(os.path.exists(kept) and os.path.exists(other))
        self.assertEqual(len(self.entries()), 64)
        self.assertFalse(os.path.exists(os.path.join(self.cache, "0.pycs")))
        self.assertEqual(glob.glob(self.cache + "/.*"), [])

    def test_of_a_wheel_that_is_given(self):
        """Of wheels with the same name and version, each has its own; what a module is compiled for does not matter."""
        record = "given-1.0.dist-info/RECORD"
        found = []
        for number in range(2):
            path = os.path.join(self.directory, str(number), "given-1.0-py3-none-any.whl")
            os.mkdir(os.path.dirname(path))
            files = {"given/__init__.py": f"value = {number}\n", "given/broken.py": "(\n",
                     "given-1.0.dist-info/METADATA": "Metadata-Version: 2.1\nName: given\nVersion: 1.0\n",
                     "given-1.0.dist-info/WHEEL": "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n"}
            rows = [f"{name},sha256={base64.urlsafe_b64encode(hashlib.sha256(text.encode()).digest()).decode().rstrip('=')},\n"
                    for name, text in files.items()]
            with zipfile.ZipFile(path, "w") as archive:
                for name, text in [*files.items(), (record, "".join(rows) + record + ",,\n")]:
                    archive.writestr(name, text)
            arguments = ("--without-pip", "--system-site-packages", "--install", path)
            self.make(*arguments)
            self.assertEqual(self.compiled(), [])
            self.make("--compile=now", *arguments)
            self.make(*arguments)
            compiled, = self.compiled()
            self.assertEqual(os.path.basename(compiled).split(".")[0], "__init__")
            with open(glob.glob(self.env + "/lib/python3*/site-packages/" + record)[0], encoding="utf-8") as file:
                self.assertIn(os.path.relpath(compiled, os.path.dirname(os.path.dirname(os.path.dirname(compiled)))) + ",,",
                              file.read().splitlines())
            found.append(self.check([self.env + "/bin/python", "-v", "-c", "import given; print(given.value)"]))
            self.assertIn("matches " + self.env, found[-1].stderr)
        self.assertEqual([result.stdout for result in found], ["0\n", "1\n"])
        self.assertEqual(len(self.entries()), 2)

    def test_of_every_module_of_a_wheel_that_is_given(self):
        """Also of what it has for the package directories in .data; what lies elsewhere is no module."""
        name, data = "given-1.0.dist-info/RECORD", "given-1.0.data/"
        packages = "lib/python%d.%d/site-packages" % cpythons()[-1][0][:2]
        files = {"given.py": "value = 1\n", data + "purelib/pure.py": "value = 2\n", data + "platlib/plat/__init__.py": "value = 3\n",
                 data + f"data/{packages}/placed.py": "value = 4\n", data + "data/share/elsewhere.py": "value = 5\n",
                 data + "scripts/script.py": "#!python\n",
                 "given-1.0.dist-info/METADATA": "Metadata-Version: 2.1\nName: given\nVersion: 1.0\n",
                 "given-1.0.dist-info/WHEEL": "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n"}
        path = os.path.join(self.directory, "given-1.0-py3-none-any.whl")
        rows = [f"{name},sha256={base64.urlsafe_b64encode(hashlib.sha256(text.encode()).digest()).decode().rstrip('=')},\n"
                for name, text in files.items()]
        with zipfile.ZipFile(path, "w") as archive:
            for member, text in [*files.items(), (name, "".join(rows) + name + ",,\n")]:
                archive.writestr(member, text)
        _, self.python = cpythons()[-1]
        self.make("--compile=now", "--without-pip", "--system-site-packages", "--install", path)
        names = {os.path.basename(found).split(".")[0] for found in self.compiled()}
        self.assertEqual(names, {"given", "pure", "__init__", "placed"})
        self.assertEqual(glob.glob(self.env + "/bin/__pycache__") + glob.glob(self.env + "/share/__pycache__"), [])
        code = "import given, pure, plat, placed; print(given.value, pure.value, plat.value, placed.value)"
        result = self.check([self.env + "/bin/python", "-v", "-c", code])
        self.assertEqual(result.stdout, "1 2 3 4\n")
        self.assertEqual(result.stderr.count("matches " + self.env), 4)
        self.check([VBUILD, "--doctor", self.env])
        with open(f"{self.env}/{packages}/{name}", encoding="utf-8") as file:
            compiled = [row for row in file.read().splitlines() if ".pyc" in row]
        self.assertEqual(sorted(os.path.join(self.env, packages, row[:-2]) for row in compiled), sorted(self.compiled()))
        self.check([self.python, "-I", "-m", "pip", "--python", self.env + "/bin/python", "uninstall", "-q", "-y", "given"])
        self.assertEqual(self.compiled(), [])

    def test_inside_the_sandbox(self):
        self.fill()
        self.make()
        result = self.check([VRUN, self.env, "--", "python", "-v", "-m", "pip", "--version"])
        self.assertGreater(result.stderr.count("matches " + self.env), 50)
        # What the system has compiled may be out of date, and is not to be written either.
        self.assertEqual([line for line in result.stderr.splitlines() if "could not create '" + self.env in line], [])


if __name__ == "__main__":
    unittest.main()
