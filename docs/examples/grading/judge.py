"""Tests of a submission with pytest as the judge: what a course shows to its students, not what it grades by."""

import os
import subprocess
import sys

MAIN = os.path.join(os.environ["SUBMISSION"], "main.py")


def answer(given):
    return subprocess.run([sys.executable, MAIN], input=given, capture_output=True, text=True, timeout=10).stdout.split()


def test_ten():
    assert answer("10\n") == ["2", "3", "5", "7"]


def test_nothing():
    assert answer("2\n") == []
