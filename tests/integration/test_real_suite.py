"""A real test suite gives the same result inside as outside, on every CPython found on the machine.

The suite is click's own, from its source archive, run by pytest with the wheel of click installed in the environment.
The files of tests/data/real_suite.lock are fetched beforehand, by ./dev check; this test never uses a network.
"""

import glob
import hashlib
import os
import re
import tarfile
import unittest

from support import IN_CI, ROOT, VBUILD, VRUN, TestCase, cpythons, run

LOCK = os.path.join(ROOT, "tests/data/real_suite.lock")


def find_packages(test):
    """The directory with the files of the lock; without them `test` is skipped, and in CI it fails."""
    directory = os.environ.get("VRUN_TEST_PACKAGES")
    if directory is None:
        cache = os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache")
        directory = max(glob.glob(os.path.join(cache, "vrun-tests/real-suite-*")), key=os.path.getmtime, default="")
    if os.path.exists(os.path.join(directory, "complete")):
        return directory
    reason = "the files of tests/data/real_suite.lock are not here; ./dev check fetches them when it has a network"
    if IN_CI:
        test.fail(reason)
    return test.skipTest(reason)


def outcome(output):
    """What pytest's last line counts: {"passed": 600, "skipped": 3}; its time and warnings do not matter."""
    lines = [line for line in output.splitlines() if re.search(r"\bin \d+(\.\d+)?s\b", line)]
    counts = re.findall(r"(\d+) (passed|failed|skipped|errors?|xfailed|xpassed)", lines[-1] if lines else "")
    return {name: int(number) for number, name in counts}


class RealSuite(TestCase):
    def test_packages_are_those_of_the_lock(self):
        packages = find_packages(self)
        with open(LOCK, encoding="utf-8") as file:
            hashes = set(re.findall(r"sha256:([0-9a-f]{64})", file.read()))
        found = set()
        for path in glob.glob(os.path.join(packages, "*.whl")) + glob.glob(os.path.join(packages, "*.tar.gz")):
            with open(path, "rb") as file:
                found.add(hashlib.sha256(file.read()).hexdigest())
        self.assertEqual(found, hashes)

    def test_same_result_inside_and_outside(self):
        packages = find_packages(self)
        pythons = cpythons()
        self.assertTrue(pythons, "no CPython 3.8 or later was found")
        for version, python in pythons:
            with self.subTest(python=python):
                self.compare(packages, version, python)

    def compare(self, packages, version, python):
        name = ".".join(map(str, version)) + "-" + hashlib.sha256(python.encode()).hexdigest()[:8]
        environment = os.path.join(self.directory, name, "env")
        self.check([VBUILD, "--python", python, environment])
        pip = os.path.join(environment, "bin/pip")
        self.check([pip, "install", "-q", "--no-index", "--disable-pip-version-check", "--only-binary", ":all:",
                    "--find-links", packages, "click", "pytest", "pytest-xdist"])
        with tarfile.open(glob.glob(os.path.join(packages, "click-*.tar.gz"))[0]) as archive:
            archive.extractall(os.path.join(self.directory, name))
        suite = glob.glob(os.path.join(self.directory, name, "click-*"))[0]

        arguments = ["-q", "-p", "no:cacheprovider", "tests"]
        outside = run([os.path.join(environment, "bin/python"), "-m", "pytest", *arguments], cwd=suite)
        inside = run([VRUN, environment, "--", "pytest", *arguments], cwd=suite)
        parallel = run([VRUN, environment, "--", "pytest", "-n", "2", *arguments], cwd=suite)

        expected = outcome(outside.stdout)
        self.assertGreater(expected.get("passed", 0), 500, outside.stdout[-2000:] + outside.stderr)
        self.assertEqual(outcome(inside.stdout), expected, inside.stdout[-4000:] + inside.stderr)
        self.assertEqual(inside.returncode, outside.returncode)
        self.assertEqual(outcome(parallel.stdout), expected, parallel.stdout[-4000:] + parallel.stderr)


if __name__ == "__main__":
    unittest.main()
