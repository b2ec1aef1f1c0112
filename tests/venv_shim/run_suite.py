"""Runs test.test_venv of the Python that runs this file, with whatever `venv` is first on its path.

    run_suite.py COUNTS             the suite is to pass
    run_suite.py COUNTS --must-fail the builder is a fake: every test of what a builder makes is to fail

Prints what went wrong and a line with counts; COUNTS gets the three numbers 'passed failed skipped'. Status 77: this
Python does not have its tests. Every Python from 3.8 on must be able to read this file.
"""

import os
import platform
import sys
import unittest

# These look at what is in memory, and ask for no environment.
WITHOUT_BUILDER = {"test_devnull", "test_upgrade_dependencies", "test_venv_same_path"}


class Result(unittest.TestResult):
    def __init__(self):
        super().__init__()
        self.passed = []

    def addSuccess(self, test):
        super().addSuccess(test)
        self.passed.append(test)


def name_of(test):
    """A subtest's own test is what counts."""
    return getattr(test, "test_case", test).id()


def main():
    counts, must_fail = sys.argv[1], sys.argv[2:] == ["--must-fail"]
    try:
        from test import test_venv
    except ImportError as error:
        print("{}: {}".format(sys.executable, error))
        return 77
    import venv
    if not hasattr(venv, "SilentFailure"):
        sys.exit("{}: this is not the stand-in: {}".format(sys.executable, venv.__file__))

    result = Result()
    unittest.defaultTestLoader.loadTestsFromModule(test_venv).run(result)
    skipped = {name_of(test): reason for test, reason in result.skipped}
    broken = {}
    for test, text in result.failures + result.errors:
        broken.setdefault(name_of(test), text)
    good = {name_of(test) for test in result.passed} - set(broken)
    if must_fail:
        kept = {name for name in good if name.rsplit(".", 1)[1] in WITHOUT_BUILDER}
        for name in sorted(good - kept):
            print("FAILED: {} passes without a builder".format(name))
        good, failed = set(broken) | kept, len(good - kept)
    else:
        for name, text in sorted(broken.items()):
            print("FAILED: {}\n{}".format(name, text))
        failed = len(broken)
    for name, reason in sorted(skipped.items()):
        print("  {}: skipped: {}".format(name, reason))
    if not good:
        failed += 1
        print("FAILED: no test ran")

    title = "{} {} ({})".format(platform.python_implementation(), platform.python_version(), sys.executable)
    what = "without a builder, as they must" if must_fail else "with vbuild"
    print("{}, {}: {} passed, {} failed, {} skipped".format(title, what, len(good), failed, len(skipped)))
    with open(counts, "w", encoding="ascii") as file:
        print(len(good), failed, len(skipped), file=file)
    return 1 if failed else 0


if __name__ == "__main__":
    # The directory of this file is no part of what is tested; PYTHONPATH comes after it.
    sys.path.remove(os.path.dirname(os.path.abspath(__file__)))
    sys.exit(main())
