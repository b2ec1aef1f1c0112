"""Every system call of a run's set-up fails or kills once, and ten thousand runs in a row leave nothing.

python3 tests/all/endings.py [UID]: as this user. The programs come from VRUN, VBUILD and VRUN_PROBE, as in
tests/integration. Takes some minutes, and says how far it is.
"""

import functools
import os
import sys
import unittest

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(os.path.dirname(HERE), "integration"))
if len(sys.argv) > 1:
    import run
    run.become(int(sys.argv[1]))

from faults import FaultCase  # noqa: E402 (after the user is changed)
from harness import Case, host_mounts  # noqa: E402

say = functools.partial(print, flush=True)


class EveryCall(FaultCase):
    def test(self):
        rows = [(call, fault) for call in self.calls for fault in self.faults_of(call)]
        say(f"{len(self.calls)} calls, {len(rows)} faults")
        self.check(rows, say)


class EveryCallOfTheFirstRun(FaultCase):
    """The index of packages is made and stored; only vrun's own calls differ then."""

    cold = True

    def test(self):
        # Looking through /usr is tens of thousands of like calls, of which a sample; the storing is looked at whole.
        storing = {"mkdir", "mkdirat", "flock", "ftruncate", "write", "renameat", "rename"}
        own = [call for call in self.calls if call.process == 0]
        rows = [(call, fault) for number, call in enumerate(own) if call.name in storing or number % 200 == 0
                for fault in self.faults_of(call)]
        say(f"first run: {len(rows)} faults")
        self.check(rows, say)
        names = {name for _, _, files in os.walk(self.cache) for name in files}
        self.assertLessEqual(len(names), 2, "the index, and at most one that a killed run began")


class TenThousand(Case):
    def test(self):
        before = host_mounts(), os.listdir(self.temporary), os.listdir(self.home), sorted(os.listdir("/proc/self/fd"))
        for number in range(10_000):
            self.assertEqual(self.vrun("/bin/true").returncode, 0)
            if number % 2000 == 1999:
                say(f"{number + 1} runs")
        self.assertEqual((host_mounts(), os.listdir(self.temporary), os.listdir(self.home),
                          sorted(os.listdir("/proc/self/fd"))), before)


if __name__ == "__main__":
    unittest.main(argv=sys.argv[:1])
