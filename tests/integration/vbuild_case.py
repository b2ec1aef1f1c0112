"""What the tests of vbuild share: the Pythons to compare with, trees as values, and how vbuild is called."""

import os
import shutil
import stat

from support import IN_CI, SYSTEM_PYTHON, VBUILD, TestCase, cpythons, run

PYPY = "/usr/bin/pypy3"


def pythons():
    """Paths of every Python to compare with."""
    found = [path for _, path in cpythons()]
    if os.path.exists(PYPY):
        found.append(PYPY)
    return found


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

    def need_strace(self):
        if not has_strace():
            if IN_CI:
                self.fail("needed in CI: strace")
            self.skipTest("strace is not here or may not trace")
