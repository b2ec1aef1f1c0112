"""Runs the integration tests: python3 tests/integration/run.py [options] [test_file.py | test_file.Class[.test]...]

Standard library only. Programs under test come from the variables VRUN and VBUILD (support.py beside this file).
A test that cannot run here skips with its reason; with --no-skips that is a failure, except for a reason that begins
with "only as ", which says that the test belongs to the pass of another user.

Classes of tests run side by side, in as many processes as --jobs says, and one that looks at the whole host before
and after (its attribute `alone` is true) when all others are through.
"""

import argparse
import faulthandler
import multiprocessing
import os
import signal
import sys
import time
import unittest

from support import SLOW

HERE = os.path.dirname(os.path.abspath(__file__))
PLACES = [HERE, os.path.join(os.path.dirname(HERE), "attacks")]
SLOWEST_TEST = 600 * SLOW  # seconds after which a hanging test ends the whole run, with the stacks of all threads


class Result(unittest.TestResult):
    """One line a test: its name, what came of it and, when it took long, how long."""

    def __init__(self, no_skips):
        super().__init__()
        self.no_skips = no_skips
        self.passed = 0

    def startTest(self, test):
        super().startTest(test)
        faulthandler.dump_traceback_later(SLOWEST_TEST, exit=True)
        self.started = time.monotonic()

    def stopTest(self, test):
        super().stopTest(test)
        faulthandler.cancel_dump_traceback_later()

    def _line(self, test, outcome):
        seconds = time.monotonic() - self.started
        duration = f" ({seconds:.1f} s)" if seconds >= 1 else ""
        # In one call, so that lines of processes side by side do not mix.
        sys.stdout.flush()
        text = f"{test.id()}: {outcome}{duration}\n".encode(errors="backslashreplace")
        while text:
            text = text[os.write(sys.stdout.fileno(), text):]

    def addSuccess(self, test):
        super().addSuccess(test)
        self.passed += 1
        self._line(test, "ok")

    def addFailure(self, test, err):
        super().addFailure(test, err)
        self._line(test, "FAILED\n" + self.failures[-1][1])

    def addError(self, test, err):
        self.started = getattr(self, "started", time.monotonic())  # setUpClass fails before any test starts
        super().addError(test, err)
        self._line(test, "ERROR\n" + self.errors[-1][1])

    def addSubTest(self, test, subtest, err):
        super().addSubTest(test, subtest, err)
        if err is not None:
            self._line(subtest, "FAILED\n" + self._exc_info_to_string(err, test))

    def addSkip(self, test, reason):
        self.started = getattr(self, "started", time.monotonic())
        if self.no_skips and not reason.startswith("only as "):
            self.failures.append((test, reason))
            self._line(test, f"FAILED: it may not be skipped here, but: {reason}")
        else:
            super().addSkip(test, reason)
            self._line(test, f"skipped: {reason}")

    def addExpectedFailure(self, test, err):
        super().addExpectedFailure(test, err)
        self.passed += 1
        self._line(test, "failed, as expected")

    def addUnexpectedSuccess(self, test):
        super().addUnexpectedSuccess(test)
        self._line(test, "FAILED: it passed, though a failure was expected")

    def counts(self):
        failed = len(self.failures) + len(self.errors) + len(self.unexpectedSuccesses)
        return self.passed, failed, len(self.skipped)


def become(uid):
    """Gives up root for good: the tests run as the ordinary user `uid`."""
    os.setgroups([])
    os.setresgid(uid, uid, uid)
    os.setresuid(uid, uid, uid)


def load(names):
    """The tests by class, as [(class, suite)], in an order that is always the same: from the end of the alphabet, where
    the longest are, so that no process is left with one of them at the end."""
    sys.path[:0] = [place for place in PLACES if place not in sys.path]
    loader = unittest.TestLoader()
    single = [name for name in names if not name.endswith(".py")]
    files = [os.path.basename(name) for name in names if name not in single] or ([] if single else ["test_*.py"])
    classes = {}

    def add(tests):
        for test in tests:
            if isinstance(test, unittest.TestSuite):
                add(test)
            else:
                classes.setdefault(type(test), unittest.TestSuite()).addTest(test)

    add(loader.discover(place, name, place) for place in PLACES for name in files)
    add(loader.loadTestsFromName(name) for name in single)
    return sorted(classes.items(), key=lambda item: (item[0].__module__, item[0].__qualname__), reverse=True)


def work(arguments, following, totals):
    """One of the processes side by side: takes the next class until there is none."""
    result = Result(arguments.no_skips)

    def stop(*_):
        # unittest takes an exit for a failure of the test, or of a part of it, and would go on with the next.
        result.failfast = True
        result.stop()
        sys.exit(128 + signal.SIGTERM)

    signal.signal(signal.SIGTERM, stop)
    classes = load(arguments.names)
    while not result.shouldStop:
        with following.get_lock():
            index = following.value
            following.value += 1
        if index >= len(classes):
            break
        if not getattr(classes[index][0], "alone", False):
            classes[index][1].run(result)
    with totals.get_lock():
        for i, count in enumerate(result.counts()):
            totals[i] += count


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--uid", type=int, help="run as this ordinary user (root only)")
    parser.add_argument("--no-skips", action="store_true", help="a skip is a failure")
    parser.add_argument("--jobs", type=int, default=1, help="so many classes of tests side by side (default: 1)")
    parser.add_argument("--counts", metavar="FILE", help="write 'passed failed skipped' there")
    parser.add_argument("names", nargs="*", help="test files, or classes and tests as they are printed; all when none is given")
    arguments = parser.parse_args()
    counts = open(arguments.counts, "w") if arguments.counts else None
    if arguments.uid is not None:
        become(arguments.uid)

    # Each process loads the tests by itself: what their modules ask of the kernel at that time is not inherited.
    fork = multiprocessing.get_context("fork")
    following, totals = fork.Value("i", 0), fork.Array("i", 3)
    workers = [fork.Process(target=work, args=(arguments, following, totals), daemon=True)
               for _ in range(max(1, arguments.jobs))]
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))  # and with us the workers
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    passed, failed, skipped = totals
    for worker in workers:
        if worker.exitcode != 0:
            print(f"integration: FAILED: tests ended early, with status {worker.exitcode}")
            failed += 1

    result = Result(arguments.no_skips)
    for kind, tests in load(arguments.names):
        if getattr(kind, "alone", False):
            tests.run(result)
    passed, failed, skipped = (one + other for one, other in zip((passed, failed, skipped), result.counts()))
    print(f"integration: {passed} passed, {failed} failed, {skipped} skipped")
    if counts:
        print(passed, failed, skipped, file=counts)
        counts.close()
    return 1 if failed or not passed else 0


if __name__ == "__main__":
    sys.exit(main())
