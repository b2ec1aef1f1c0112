"""Grades submissions: python3 grade.py ENV_DIR SUBMISSIONS HIDDEN [vrun options...]

Two parts that have nothing to do with each other. The student's program runs inside vrun, with one input and nothing
else, and only produces output. This program, outside, compares: it never executes, imports or parses anything that a
student wrote, and the tests are never in the view of a student's program.
"""

import json
import os
import subprocess
import sys
import tempfile

LIMITS = ["--wall=5s", "--cpu-time=1s", "--memory=256M", "--pids=32", "--fsize=16M", "--output-max=1M", "--tmp-size=64M"]


def run(environment, submission, given, options):
    """(verdict, output) of one submission for one input."""
    with tempfile.TemporaryDirectory() as directory:
        report, output = os.path.join(directory, "report.json"), os.path.join(directory, "output")
        subprocess.run(["vrun", *LIMITS, *options, "--no-project", "--ro", submission, "--stdin", given, "--stdout", output,
                        "--stderr", "/dev/null", "--report", report, environment, "--",
                        "python", os.path.join(submission, "main.py")], stderr=subprocess.DEVNULL, timeout=60)
        with open(report) as file:
            verdict = json.load(file)
        # A limit can end it in the middle of a character; and a student may write anything.
        with open(output, errors="replace") as file:
            return verdict, file.read()


def grade(environment, submission, tests, options):
    """(points, why the first test failed)."""
    points, why = 0, ""
    for given, expected in tests:
        verdict, output = run(environment, submission, given, options)
        if verdict["status"] in ("setup-error", "killed"):
            sys.exit(f"{submission}: not the student's fault: {verdict['message']}")
        with open(expected) as file:
            right = output.split() == file.read().split()
        if verdict["status"] == "ok" and right:
            points += 1
        elif not why:
            why = {"ok": "wrong output", "time": "too slow", "wall": "too slow"}.get(verdict["status"], verdict["status"])
    return points, why


def main(environment, submissions, hidden, *options):
    tests = [(os.path.join(hidden, name), os.path.join(hidden, name[:-len(".in")] + ".out"))
             for name in sorted(os.listdir(hidden)) if name.endswith(".in")]
    for name in sorted(os.listdir(submissions)):
        points, why = grade(environment, os.path.abspath(os.path.join(submissions, name)), tests, options)
        print(f"{name}: {points}/{len(tests)}" + (f" ({why})" if why else ""), flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
