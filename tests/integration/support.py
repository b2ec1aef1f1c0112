"""What the integration tests share: where things are, and how to run them."""

import glob
import os
import shutil
import subprocess
import tempfile
import unittest

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
VRUN = os.environ.get("VRUN", os.path.join(ROOT, "build/dev/runner/vrun"))
VBUILD = os.environ.get("VBUILD", os.path.join(ROOT, "build/dev/builder/vbuild"))
SYSTEM_PYTHON = "/usr/bin/python3"
IN_CI = os.environ.get("CI") == "true"
# How many times longer everything may take: an emulated machine is slow.
SLOW = int(os.environ.get("VRUN_TEST_SLOW", "1"))


def run(command, timeout=300, **options):
    """subprocess.run with text captured, no terminal and a limit; the caller looks at the status."""
    options.setdefault("stdin", subprocess.DEVNULL)
    return subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, encoding="utf-8",
                          errors="surrogateescape", timeout=timeout * SLOW, **options)


class TestCase(unittest.TestCase):
    """A test with a private directory, `self.directory`, gone afterwards."""

    def setUp(self):
        self.directory = tempfile.mkdtemp(prefix="vrun-test-")
        self.addCleanup(shutil.rmtree, self.directory, ignore_errors=True)

    def check(self, command, **options):
        """Runs `command`, which must succeed."""
        result = run(command, **options)
        self.assertEqual(result.returncode, 0, f"{command}\n{result.stdout}{result.stderr}")
        return result


def cpythons():
    """Every CPython 3.8 or later found on this machine, as [(version, path)]; one of each version and place."""
    home = os.path.expanduser("~")
    patterns = ["/usr/bin/python3", "/usr/bin/python3.?", "/usr/bin/python3.??", "/usr/local/bin/python3.??",
                "/opt/*/bin/python3", home + "/.pyenv/versions/*/bin/python3",
                home + "/.local/share/uv/python/cpython-*/bin/python3"]
    code = "import sys; print(sys.implementation.name, *sys.version_info[:3])"
    found = {}
    for path in sorted(path for pattern in patterns for path in glob.glob(pattern)):
        real = os.path.realpath(path)
        if real in found or not os.access(real, os.X_OK):
            continue
        result = run([path, "-I", "-c", code])
        name, *version = result.stdout.split() or [""]
        if name == "cpython" and tuple(map(int, version)) >= (3, 8):
            found[real] = (tuple(map(int, version)), path)
    return sorted(found.values())
