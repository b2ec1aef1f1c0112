"""What the tests of vbuild share: the Pythons to compare with, trees as values, and how vbuild is called."""

import itertools
import os
import shutil
import stat

from support import IN_CI, SYSTEM_PYTHON, VBUILD, TestCase, cpythons, run

PYPY = "/usr/bin/pypy3"
# Everything that the tests have, and not the sample of an ordinary check: tests/all/vbuild_tests.sh.
WHOLE = os.environ.get("VBUILD_TEST_WHOLE") == "1"


def pythons():
    """Paths of every Python to compare with."""
    found = [path for _, path in cpythons()]
    if os.path.exists(PYPY):
        found.append(PYPY)
    return found


def few_pythons():
    """One of every kind: the system's, the oldest and the newest CPython, and PyPy."""
    ordered = [path for _, path in cpythons()]
    few = dict.fromkeys([SYSTEM_PYTHON, ordered[0], ordered[-1], PYPY])
    return [path for path in pythons() if WHOLE or path in few]


def pairwise(factors):
    """Rows, as dictionaries, in which every two values of different factors meet at least once."""
    names = list(factors)
    pairs = {((a, x), (b, y)) for a, b in itertools.combinations(names, 2) for x in factors[a] for y in factors[b]}
    rows = [tuple(zip(names, values)) for values in itertools.product(*factors.values())]
    chosen = []
    while pairs:
        row = max(rows, key=lambda row: sum(pair in pairs for pair in itertools.combinations(row, 2)))
        pairs -= set(itertools.combinations(row, 2))
        chosen.append(dict(row))
    return chosen


def snapshot(directory):
    """{relative path: (kind, mode, content)} without bytecode."""
    tree = {}
    for parent, directories, files in os.walk(directory):
        directories[:] = [name for name in directories if name != "__pycache__"]
        for name in directories + files:
            path = os.path.join(parent, name)
            status = os.lstat(path)
            if stat.S_ISLNK(status.st_mode):
                value = ("link", os.readlink(path))
            elif stat.S_ISDIR(status.st_mode):
                value = ("directory", stat.S_IMODE(status.st_mode))
            else:
                with open(path, "rb") as file:
                    content = file.read()
                if name == "RECORD":
                    content = b"\r\n".join(row for row in content.split(b"\r\n") if b".pyc," not in row)
                value = ("file", stat.S_IMODE(status.st_mode), content)
            tree[os.path.relpath(path, directory)] = value
    return tree


def exact_snapshot(directory):
    """{relative path: (mode, time of change, content)} of everything, itself included."""
    tree = {}
    paths = [directory]
    for parent, directories, files in os.walk(directory):
        paths += [os.path.join(parent, name) for name in directories + files]
    for path in paths:
        status = os.lstat(path)
        content = os.readlink(path) if stat.S_ISLNK(status.st_mode) else None
        if stat.S_ISREG(status.st_mode):
            with open(path, "rb") as file:
                content = file.read()
        tree[os.path.relpath(path, directory)] = (status.st_mode, status.st_mtime_ns, content)
    return tree


def version_of(python):
    return tuple(map(int, run([python, "-I", "-c", "import sys; print(*sys.version_info[:2])"]).stdout.split()))


def has_strace():
    return shutil.which("strace") and run(["strace", "-f", "-o", "/dev/null", "true"]).returncode == 0


# What is read from a Python's library, and enough of a program to see that the two find each other.
STUB = """
#include <stdio.h>
const unsigned long Py_Version = %s;
const char* suffix = ".cpython-%s-x86_64-linux-gnu.so";
int Py_BytesMain(int argc, char** argv) { return argc < 1 || printf("%%s ran\\n", argv[0]) < 0; }
"""


class Case(TestCase):
    maxDiff = 4000

    def setUp(self):
        super().setUp()
        self.env = os.path.join(self.directory, "env")

    def vbuild(self, *arguments, **options):
        return run([VBUILD, *arguments], **options)

    def build(self, *arguments, python=SYSTEM_PYTHON, **options):
        """vbuild that must succeed, silently."""
        result = self.check([VBUILD, "--python", python, *arguments], **options)
        self.assertEqual(result.stdout + result.stderr, "")
        return result

    def refused(self, *arguments, status=1, **options):
        """vbuild that must fail with one line, and leave nothing new in the test's directory."""
        before = sorted(os.listdir(self.directory))
        result = self.vbuild(*arguments, **options)
        self.assertEqual(result.returncode, status, result.stderr)
        self.assertEqual(result.stdout, "")
        lines = result.stderr.splitlines()
        self.assertTrue(lines and lines[-1].startswith("vbuild: "), result.stderr)
        self.assertEqual(len(lines), 1 if status == 1 else 2, result.stderr)
        self.assertEqual(sorted(os.listdir(self.directory)), before)
        return lines[-1]

    def stub_python(self, prefix, version="3.12", flags="", platlibdir="lib", runpath=None, library=None, micro=0):
        """Something that vbuild takes for a Python, and that runs: a tree in `prefix`, its library in the directory
        `library` of it and found by `runpath`. Gives the path of its python3."""
        if not shutil.which("cc"):
            if IN_CI:
                self.fail("needed in CI: cc")
            self.skipTest("there is no C compiler here")
        base = os.path.join(self.directory, prefix)
        name = f"python{version}{flags}"
        stdlib = os.path.join(base, platlibdir, name)
        shared = os.path.join(base, library or platlibdir, f"lib{name}.so.1.0")
        for path in (base + "/bin", stdlib + "/venv/scripts/common", os.path.dirname(shared)):
            os.makedirs(path, exist_ok=True)
        for path in ("os.py", "site.py", "venv/scripts/common/activate"):
            with open(os.path.join(stdlib, path), "w", encoding="utf-8"):
                pass
        source = os.path.join(self.directory, "stub.c")
        minor = int(version.split(".")[1])
        with open(source, "w", encoding="utf-8") as file:
            file.write(STUB % (f"0x03{minor:02x}{micro:02x}f0", f"3{minor}{flags}"))
        self.check(["cc", "-shared", "-fPIC", f"-Wl,-soname,{os.path.basename(shared)}", "-o", shared, source])
        with open(source, "w", encoding="utf-8") as file:
            file.write("int Py_BytesMain(int, char**);\nint main(int n, char** v) { return Py_BytesMain(n, v); }\n")
        self.check(["cc", "-o", f"{base}/bin/{name}", source, shared,
                    "-Wl,-rpath," + (runpath or "$ORIGIN/../" + platlibdir)])
        os.unlink(source)
        for other in {"python", "python3", "python" + version} - {name}:
            os.symlink(name, f"{base}/bin/{other}")
        self.assertEqual(self.check([base + "/bin/python3"]).stdout, base + "/bin/python3 ran\n")
        return base + "/bin/python3"

    def need_strace(self):
        if not has_strace():
            if IN_CI:
                self.fail("needed in CI: strace")
            self.skipTest("strace is not here or may not trace")
