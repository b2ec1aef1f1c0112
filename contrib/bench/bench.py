#!/usr/bin/python3
"""Measures vrun and vbuild against other tools, in one run, alternating between them.

./dev bench [--only PART]... [--quick] [--json FILE] [--write-docs] [--directory DIR] [--uid UID]

  start    a run of a program that does nothing, by vrun, the kernel alone and other tools; as root and as another user
  counts   system calls, instructions and memory of it
  build    making an environment, on memory and on a disk
  work     real programs inside and outside, and a gigabyte of output
  many     many runs at once
  growth   a start with many paths, packages, files, environments, mounts

Every contender runs once a round, so that a slow moment of the machine meets all of them. Shown are the median, the
quartiles, and the median as a multiple of the first line's. A tool that is not here is named as missing. Those from the
Python index come by pip's own configuration into a directory that is gone afterwards.
"""

import argparse
import glob
import os
import shutil
import signal
import sys
import tempfile

from building import building, index_peers
from growth import growth, many
from measure import QUICK, Settings, as_user, show
from report import machine, write_documents, write_json
from start import counts, starts
from tools import ROOT, VBUILD, VRUN, Place
from work import work

PARTS = ("start", "counts", "build", "work", "many", "growth")


def measured(directory, part, settings, uid, places):
    """The tables of one part, measured as the user `uid` in new directories below `directory` and each of `places`."""
    made = {what: tempfile.mkdtemp(prefix="vrun-bench-", dir=place) for what, place in {"": directory, **places}.items()}
    try:
        for path in made.values():
            os.chown(path, uid, uid)
        return as_user(uid, measure_part, part, settings, made[""], {what: made[what] for what in places})
    finally:
        os.chdir("/")
        for path in made.values():
            shutil.rmtree(path, ignore_errors=True)


def share_packages(directory):
    """Copies what the real test suite needs to where the ordinary user can read it."""
    cache = os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache")
    found = [os.environ["VRUN_TEST_PACKAGES"]] if os.environ.get("VRUN_TEST_PACKAGES") else glob.glob(cache + "/vrun-tests/real-suite-*")
    if found and os.path.exists(os.path.join(found[-1], "complete")):
        os.environ["VRUN_TEST_PACKAGES"] = shutil.copytree(found[-1], os.path.join(directory, "packages"))


def readable_by_all(path):
    """Whether everybody may read the file, and enter the directories above it."""
    parents = os.path.realpath(path).split("/")[1:-1]
    above = ["/" + "/".join(parents[:count]) for count in range(len(parents) + 1)]
    return bool(os.stat(path).st_mode & 0o004) and all(os.stat(directory).st_mode & 0o001 for directory in above)


def measure_part(part, settings, scratch, places):
    if os.geteuid() != 0:
        os.environ["HOME"] = os.path.join(scratch, "home")
        os.mkdir(os.environ["HOME"])
    os.environ["XDG_CACHE_HOME"] = os.path.join(scratch, "cache")
    if part == "build":
        tables = building(places, settings, index_peers(scratch, settings.network))
    else:
        function = {"start": starts, "counts": counts, "work": work, "many": many, "growth": growth}[part]
        tables = function(Place(scratch), settings)
    for table in tables:
        show(table)
    return tables


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", action="append", choices=PARTS, help="one part, or more of them")
    parser.add_argument("--rounds", type=int, help=f"rounds of a start (default {Settings().start})")
    parser.add_argument("--quick", action="store_true", help="a little of everything, without the Python index: shows that it works")
    parser.add_argument("--json", metavar="FILE", help="write everything, with each time, there")
    parser.add_argument("--write-docs", action="store_true", help="rewrite the tables and the chart of docs/performance.md")
    parser.add_argument("--directory", default="/var/tmp", metavar="DIR", help="for environments on a disk (default /var/tmp)")
    parser.add_argument("--uid", type=int, default=1000, help="the ordinary user when started by root (default 1000)")
    arguments = parser.parse_args()
    json_path = os.path.abspath(arguments.json) if arguments.json else None
    settings = QUICK if arguments.quick else Settings()
    if arguments.rounds:
        settings = settings._replace(start=max(2, arguments.rounds))
    parts = [part for part in PARTS if part in (arguments.only or PARTS)]
    root = os.geteuid() == 0
    ordinary = arguments.uid if root else os.geteuid()

    absent = [path for path in (VRUN, VBUILD) if not os.path.exists(path)]
    if absent:
        parser.error(f"{absent[0]} is not built: ./dev bench does that")
    unreadable = [path for path in (VRUN, VBUILD, os.path.join(ROOT, "contrib/bench/floor.c")) if not readable_by_all(path)]
    if root and unreadable:
        parser.error(f"the user {ordinary} cannot read {unreadable[0]}: put the checkout where everybody can")
    facts = machine()
    directory = tempfile.mkdtemp(prefix="vrun-bench-")
    os.chmod(directory, 0o755)
    tables = []
    try:
        share_packages(directory)
        for part in parts:
            places = {"memory": "/dev/shm", "disk": arguments.directory} if part == "build" else {}
            for uid in [0, ordinary] if root and part in ("start", "many") else [ordinary]:
                tables += measured(directory, part, settings, uid, places)
    finally:
        shutil.rmtree(directory, ignore_errors=True)
    if json_path:
        write_json(json_path, tables, facts)
    if arguments.write_docs:
        write_documents(tables, facts)


if __name__ == "__main__":
    for ending in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(ending, lambda number, _: sys.exit(128 + number))
    sys.exit(main())
