"""run.py itself, with tests of its own in a copy of it."""

import contextlib
import os
import shutil
import signal
import subprocess
import sys
import unittest

from harness import DEADLINE, wait_until
from support import ROOT, TestCase

# Parts of a test each wait for a signal: one that is taken for the failure of a part would have the next one wait. Not
# by pause(2): a signal just before it would be handled only once it returned.
WAITING = """
import os, time, unittest

class Waiting(unittest.TestCase):
    def test_first(self):
        self.addCleanup(open, "cleaned", "w")
        for part in range(3):
            with self.subTest(part=part):
                open("waiting", "w").close()
                os.rename("waiting", "waits")
                while True:
                    time.sleep(0.01)

    def test_second(self):
        open("went on", "w").close()
"""


class Runner(TestCase):
    @staticmethod
    def end(runner):
        with contextlib.suppress(ProcessLookupError):
            os.killpg(runner.pid, signal.SIGKILL)

    def test_ends_when_it_is_told_to(self):
        place = os.path.join(self.directory, "integration")
        os.mkdir(place)
        os.mkdir(os.path.join(self.directory, "attacks"))
        for name in ("run.py", "support.py"):
            shutil.copy(os.path.join(ROOT, "tests/integration", name), place)
        with open(os.path.join(place, "test_waiting.py"), "w", encoding="utf-8") as file:
            file.write(WAITING)
        runner = subprocess.Popen([sys.executable, "-B", "run.py", "test_waiting.py"], cwd=place, stdout=subprocess.PIPE,
                                  stderr=subprocess.STDOUT, text=True, start_new_session=True)
        self.addCleanup(self.end, runner)
        wait_until(lambda: os.path.exists(os.path.join(place, "waits")), "the test waits")
        runner.terminate()
        output, _ = runner.communicate(timeout=DEADLINE)
        self.assertEqual(runner.returncode, 143, output)
        self.assertTrue(os.path.exists(os.path.join(place, "cleaned")), output)
        self.assertFalse(os.path.exists(os.path.join(place, "went on")), output)


if __name__ == "__main__":
    unittest.main()
