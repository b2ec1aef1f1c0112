"""vbuild against `python3 -m venv`, byte for byte: every Python of this machine, every way to start it, every option.

usage: venv_matrix.py [PYTHON ...]     the Pythons to compare (all of this machine)

Without pip the options are tried in all combinations, for a new and for an upgraded environment; and in pairs with the
ways to start the Python and with what ENV_DIR was before. With pip, which takes venv seconds, all of that in pairs. In what was made with pip, pip itself has to work and every RECORD to be right.
What the two do differently on purpose is in venv_differences.py.
"""

import base64
import csv
import difflib
import glob
import hashlib
import itertools
import os
import shutil
import subprocess
import sys
import tempfile
import zipfile
from concurrent.futures import ThreadPoolExecutor

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
sys.path.insert(0, os.path.join(ROOT, "tests/integration"))

from support import VBUILD, run  # noqa: E402
from vbuild_case import PYPY, pairwise, pythons, snapshot, version_of  # noqa: E402

# What is done to ENV_DIR before, and the option that says so.
NEW, EMPTY, AGAIN, CLEAR_NEW, CLEAR, UPGRADE = "new", "empty", "again", "clear-new", "clear", "upgrade"
STATES = {NEW: [], EMPTY: [], AGAIN: [], CLEAR_NEW: ["--clear"], CLEAR: ["--clear"], UPGRADE: ["--upgrade"]}


class Wrong(Exception):
    """A comparison that failed."""


def require(condition, *what):
    if not condition:
        raise Wrong("\n".join(str(part) for part in what))


def succeed(command, **options):
    result = run(command, **options)
    require(result.returncode == 0, command, f"status {result.returncode}", result.stdout, result.stderr)
    return result


def read(path):
    with open(path, encoding="utf-8", errors="surrogateescape") as file:
        return file.read()


def write(path, text):
    with open(path, "w", encoding="utf-8") as file:
        file.write(text)
    return path


def difference(expected, actual):
    """Two values of a snapshot, as text."""
    if expected[0] != "file" or actual[:2] != expected[:2]:
        return f"venv: {expected[:2]}, vbuild: {actual[:2]}"
    lines = [content.decode("utf-8", "replace").splitlines() for content in (expected[2], actual[2])]
    return "\n".join(difflib.unified_diff(*lines, "venv", "vbuild", n=0, lineterm=""))


class Start:
    """A way to start a Python: what stands before `-m venv`, and the same for vbuild."""

    def __init__(self, name, path, by_path=False):
        self.name, self.path, self.by_path = name, path, by_path

    def environment(self):
        variables = {key: value for key, value in os.environ.items()
                     if not key.startswith(("PYTHON", "PYENV", "VIRTUAL_ENV", "PIP"))}
        if self.by_path:
            variables["PATH"] = os.path.dirname(self.path) + ":/usr/bin:/bin"
        return variables

    def venv(self, options):
        program = os.path.basename(self.path) if self.by_path else self.path
        # -I keeps what lies in the current directory out of the reference, and is no part of its command.
        return [program, "-I", "-m", "venv", *options]

    def vbuild(self, options):
        return [VBUILD, *([] if self.by_path else ["--python", self.path]), *options]


def starts_of(python, place):
    """Every way to start `python` that vbuild promises the same for."""
    directory, version = os.path.dirname(python), version_of(python)
    names = ("pypy3", "pypy", "pypy3.%d" % version[1]) if python == PYPY else ("python3", "python", "python3.%d" % version[1])
    starts = [Start(name, os.path.join(directory, name)) for name in names if os.path.exists(os.path.join(directory, name))]
    if python == PYPY:
        return starts
    starts.append(Start("PATH", os.path.join(directory, "python3"), by_path=True))
    tree = os.path.join(place, "tree")
    os.symlink(os.path.dirname(directory), tree)
    starts.append(Start("linked tree", tree + "/bin/python3"))
    if version >= (3, 11):
        for kind in ("--symlinks", "--copies"):
            outer = os.path.join(place, "outer" + kind)
            succeed([python, "-I", "-m", "venv", "--without-pip", kind, outer])
            starts += [Start(f"{name} of an environment, {kind}", f"{outer}/bin/{name}") for name in ("python", "python3")]
        inner = os.path.join(place, "inner")
        succeed([outer + "/bin/python", "-I", "-m", "venv", "--without-pip", inner])
        starts.append(Start("environment of an environment", inner + "/bin/python"))
    return starts


class Comparison:
    """One Python."""

    def __init__(self, python, place):
        self.python, self.place, self.version = python, place, version_of(python)
        self.starts = {start.name: start for start in starts_of(python, place)}
        self.env = os.path.join(place, "env")
        self.cwd = os.path.join(place, "it's here")
        os.mkdir(self.cwd)
        self.worked = set()

    def factors(self):
        programs = ((), ("--symlinks",), ("--copies",))
        values = {
            "programs": programs[:2] if self.python == PYPY else programs,
            "system": ((), ("--system-site-packages",)),
            "prompt": ((), ("--prompt", "it's é \U0001f40d"), ("--prompt", "."), ("--prompt", "")),
            "state": tuple(STATES),
        }
        if self.version >= (3, 13):
            values["scm"] = ((), ("--without-scm-ignore-files",))
        return values

    def rows(self):
        options = self.factors()
        first = {**options, "state": (NEW, UPGRADE), "start": list(self.starts)[:1]}
        everything = [dict(zip(first, values)) for values in itertools.product(*first.values())]
        with_starts = {"start": list(self.starts), **options}
        pip = pairwise({**with_starts, "state": (NEW, AGAIN, UPGRADE), "prompt": options["prompt"][:2],
                        "programs": ((), options["programs"][-1])})
        unique = {tuple(sorted(row.items())): row for row in everything + pairwise(with_starts)}
        return [dict(row, pip=("--without-pip",)) for row in unique.values()] + [dict(row, pip=()) for row in pip]

    def make(self, command, row, variables):
        """Makes the environment of `row` with `command`, a method of Start."""
        if row["state"] == EMPTY:
            os.mkdir(self.env)
        if row["state"] in (AGAIN, CLEAR, UPGRADE):
            # Of the same kind of programs: what venv does otherwise is one of the differences.
            succeed([*command(["--without-pip", *row["programs"], self.env])], cwd=self.cwd, env=variables)
        options = [word for name in ("programs", "pip", "system", "prompt", "scm") for word in row.get(name, ())]
        return succeed([*command([*options, *STATES[row["state"]], self.env])], cwd=self.cwd, env=variables)

    def compare(self, row):
        start = self.starts[row["start"]]
        variables = start.environment()
        self.make(start.venv, row, variables)
        expected = snapshot(self.env)
        shutil.rmtree(self.env)
        result = self.make(start.vbuild, row, variables)
        try:
            require(result.stdout + result.stderr == "", "vbuild says", result.stdout + result.stderr)
            actual = snapshot(self.env)
            if self.python == PYPY:
                expected = {name: value for name, value in expected.items() if not (name + "/").startswith("share/")}
            require(sorted(actual) == sorted(expected), "only one of them has", sorted(set(actual) ^ set(expected)))
            for name, value in expected.items():
                require(actual[name] == value, name, difference(value, actual[name]))
            if not row["pip"]:
                check_records(self.env)
                # What pip says of the system's packages is not vbuild's doing.
                if row["programs"] not in self.worked and not row["system"]:
                    self.worked.add(row["programs"])
                    work_with_pip(self.env, self.place)
        finally:
            shutil.rmtree(self.env, ignore_errors=True)


def check_records(env):
    """Every row of every RECORD is true, and every file has one."""
    packages = glob.glob(env + "/lib/*/site-packages")[0]
    records = glob.glob(packages + "/*.dist-info/RECORD")
    require(records, "no RECORD")
    listed = set()
    for record in records:
        with open(record, newline="", encoding="utf-8") as file:
            for path, digest, size in csv.reader(file):
                absolute = os.path.normpath(os.path.join(packages, path))
                listed.add(absolute)
                with open(absolute, "rb") as content:
                    content = content.read()
                if digest:
                    method, _, value = digest.partition("=")
                    hashed = base64.urlsafe_b64encode(hashlib.new(method, content).digest()).rstrip(b"=").decode()
                    require((value, size) == (hashed, str(len(content))), f"{record}: {path}")
    present = {os.path.join(parent, name) for parent, _, names in os.walk(packages) for name in names}
    require(present <= listed, "in no RECORD", sorted(present - listed))


def work_with_pip(env, place):
    """list, check, install, uninstall of a wheel and of pip itself."""
    variables = {"PATH": "/usr/bin:/bin", "HOME": place, "PIP_DISABLE_PIP_VERSION_CHECK": "1", "PIP_NO_INDEX": "1"}
    wheel = os.path.join(place, "demo-1.0-py3-none-any.whl")
    with zipfile.ZipFile(wheel, "w") as archive:
        archive.writestr("demo.py", "def main():\n    print('demo ran')\n")
        archive.writestr("demo-1.0.dist-info/METADATA", "Metadata-Version: 2.1\nName: demo\nVersion: 1.0\n")
        archive.writestr("demo-1.0.dist-info/WHEEL", "Wheel-Version: 1.0\nGenerator: x\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        archive.writestr("demo-1.0.dist-info/entry_points.txt", "[console_scripts]\ndemo = demo:main\n")
        archive.writestr("demo-1.0.dist-info/RECORD", "demo.py,,\n")

    def pip(*words):
        return succeed([env + "/bin/pip", *words], env=variables, cwd="/").stdout

    require("pip" in pip("list", "--format=freeze", "--local"), "pip does not list itself")
    require("No broken" in pip("check"), "pip check")
    pip("install", wheel)
    require(succeed([env + "/bin/demo"], env=variables).stdout == "demo ran\n", "the installed script")
    pip("uninstall", "-y", "demo")
    require(not os.path.exists(env + "/bin/demo"), "demo is still there")
    pip("uninstall", "-y", "pip")
    left = glob.glob(env + "/bin/pip*") + glob.glob(env + "/lib/*/site-packages/pip*")
    require(not left, "left of pip:", left)


def compare(python):
    """(passed, failures as text)"""
    with tempfile.TemporaryDirectory(prefix="vrun-matrix-") as place:
        comparison = Comparison(python, place)
        failures, passed = [], 0
        for row in comparison.rows():
            try:
                comparison.compare(row)
                passed += 1
            except (Wrong, OSError, subprocess.TimeoutExpired) as error:
                failures.append(f"{python}: {row}\n{error}")
                shutil.rmtree(comparison.env, ignore_errors=True)
        return passed, failures


def main():
    failed = 0
    with ThreadPoolExecutor(len(os.sched_getaffinity(0))) as pool:
        chosen = sys.argv[1:] or pythons()
        for python, (passed, failures) in zip(chosen, pool.map(compare, chosen)):
            print(f"{python}: {passed} environments are the same, {len(failures)} are not", flush=True)
            print("".join(failure + "\n" for failure in failures), end="", flush=True)
            failed += len(failures)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
