"""Every system call of vbuild fails once with each of its errors, and is the last one before SIGKILL once, in each case of
tests/integration/vbuild_scene.py. The ordinary check has a sample (test_vbuild_robust.py).

usage: vbuild_faults.py VBUILD PYTHON [CASE...]
"""

import os
import shutil
import sys
from concurrent.futures import ThreadPoolExecutor

sys.path.insert(0, os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "integration"))

from vbuild_scene import CASES, ERRORS, Scene  # noqa: E402


def run_case(vbuild, python, name):
    scene = Scene(vbuild, python, name)
    try:
        faults = 0
        problems = []
        for call, number in scene.calls():
            # exit_group(2) is not to be held up; nothing happens after it.
            kinds = ERRORS.get(call, ()) + (() if call == "exit_group" else ("KILL",))
            for fault in kinds:
                faults += 1
                problem = scene.try_fault(call, number, fault)
                if problem:
                    problems.append(f"{name}: {call} #{number} {fault}: {problem}")
        return faults, problems
    finally:
        shutil.rmtree(scene.base, ignore_errors=True)


def main():
    vbuild, python, *chosen = sys.argv[1:]
    failed = 0
    with ThreadPoolExecutor(len(os.sched_getaffinity(0))) as pool:
        results = pool.map(lambda name: (name, *run_case(vbuild, python, name)), chosen or CASES)
        for name, faults, problems in results:
            print(f"{name}: {faults} faults, {len(problems)} problems", flush=True)
            print("".join(problem + "\n" for problem in problems), end="")
            failed += len(problems)
            if faults < 300:
                print(f"{name}: too few faults for a build")
                failed += 1
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
