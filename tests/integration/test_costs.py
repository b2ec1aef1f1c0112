"""What a run costs, counted where counts are exact: the system calls before its command starts."""

import re
import unittest

from faults import FaultCase
from harness import Case, run

STEPS = r"^  (?:memory|directory|link|file|show|cover|hold|proc|terminals|seal) "
# A step of the view takes up to seven calls. What is looked at before, on the machine, in the environment and in the
# project, takes a few for each directory of packages.
CALLS_FOR_A_STEP = 7
OTHER_CALLS = 600
TIMING = r"vrun: +\d+ us  [a-z][a-z ,-]+"


class SystemCalls(FaultCase):
    def test_there_are_no_more_than_needed(self):
        plan = run(self.command(["true"], ["--explain", "--verbose"])).stdout
        steps = len(re.findall(STEPS, plan, re.M))
        self.assertGreater(steps, 60, plan)
        before = sum(call.start == "before" for call in self.calls)
        self.assertLess(before, OTHER_CALLS + CALLS_FOR_A_STEP * steps)
        # The bound would be worth nothing far above the count.
        self.assertGreater(before, (OTHER_CALLS + CALLS_FOR_A_STEP * steps) * 0.6)
        print(f"system calls before the command: {before}, with {steps} steps of the view")


class Timing(Case):
    def test_every_step_is_named(self):
        result = self.vrun("sh", "-c", "echo out; exit 3", options=["--timing"])
        self.assertEqual((result.returncode, result.stdout), (3, "out\n"))
        lines = result.stderr.splitlines()
        self.assertGreater(len(lines), 10)
        for line in lines:
            self.assertRegex(line, f"^{TIMING}$")
        times = [int(line.split()[1]) for line in lines]
        self.assertTrue(lines[-1].endswith("in all"))
        self.assertAlmostEqual(sum(times[:-1]), times[-1], delta=len(lines))

    def test_nothing_is_said_without_it(self):
        self.assertEqual(self.vrun("true").stderr, "")


if __name__ == "__main__":
    unittest.main()
