"""Timing: contenders that take turns, users that they run as, and the tables that come of it."""

import ctypes
import json
import os
import signal
import statistics
import sys
import tempfile
import time
from typing import NamedTuple

PR_SET_PDEATHSIG, PR_SET_DUMPABLE = 1, 4


class Settings(NamedTuple):
    """How much is done: the numbers of --quick show only that everything still runs."""

    start: int = 200  # rounds of a start
    build: int = 40  # rounds of making an environment
    work: int = 7  # rounds of something that takes long
    many: int = 1000  # runs of each number at once
    growth: tuple = (1, 10, 100, 1000)
    megabytes: int = 1024
    network: bool = True


QUICK = Settings(start=2, build=2, work=2, many=16, growth=(1, 10), megabytes=16, network=False)


class Contender:
    """A command to time; `prepare` runs before each time and is not timed. `missing` says why it is not here."""

    def __init__(self, name, command=None, prepare=None, missing=None, variables=None):
        self.name, self.command, self.prepare, self.missing = name, command, prepare, missing
        self.variables = variables
        self.times = []
        self.processor = []  # its processor time, with that of what it started and waited for

    def start(self, output=os.devnull, errors=os.devnull):
        """Its process. posix_spawn of a resolved path: what Python itself does in between stays small and the same."""
        actions = [(os.POSIX_SPAWN_OPEN, 1, output, os.O_WRONLY, 0), (os.POSIX_SPAWN_OPEN, 2, errors, os.O_WRONLY, 0)]
        return os.posix_spawn(self.command[0], self.command, self.variables or os.environ, file_actions=actions)

    def measure(self):
        """Seconds. Errors: RuntimeError, with what it said, when its exit status is not 0."""
        if self.prepare:
            self.prepare()
        began = time.perf_counter()
        _, status, usage = os.wait4(self.start(), 0)
        taken = time.perf_counter() - began
        if status != 0:
            raise RuntimeError(f"its exit status is {os.waitstatus_to_exitcode(status)}")
        self.times.append(taken)
        self.processor.append(usage.ru_utime + usage.ru_stime)

    def try_out(self):
        """One run that is not counted. Afterwards one that cannot run here is missing, with the reason."""
        if self.missing:
            return
        with tempfile.NamedTemporaryFile() as errors:
            try:
                if self.prepare:
                    self.prepare()
                _, status = os.waitpid(self.start(errors=errors.name), 0)
                if status != 0:
                    said = errors.read().decode(errors="replace").strip().splitlines()
                    self.missing = said[-1] if said else f"its exit status is {os.waitstatus_to_exitcode(status)}"
            except OSError as error:
                self.missing = str(error)


class Table(NamedTuple):
    """What is printed and kept. A row is a dictionary with "name" and either "missing" or a value for each column."""

    key: str
    title: str
    columns: dict  # {key of a row: (heading, format)}
    rows: list
    note: str = ""


TIMES = {"median": ("median ms", "{:.2f}"), "first": ("quartile 1", "{:.2f}"), "third": ("quartile 3", "{:.2f}"),
         "ratio": ("ratio", "{:.2f}"), "processor": ("cpu ms", "{:.2f}")}


def take_turns(key, title, contenders, rounds, note=""):
    """Every contender runs once a round, so that a slow moment of the machine meets all of them. The ratio is to the first."""
    for contender in contenders:
        contender.try_out()
    present = [contender for contender in contenders if not contender.missing]
    for done in range(rounds):
        for contender in present:
            contender.measure()
        progress(title, done + 1, rounds)
    base = statistics.median(contenders[0].times) if contenders[0].times else None
    rows = []
    for contender in contenders:
        if contender.missing:
            rows.append({"name": contender.name, "missing": contender.missing})
            continue
        first, median, third = statistics.quantiles([taken * 1000 for taken in contender.times], n=4, method="inclusive")
        rows.append({"name": contender.name, "median": median, "first": first, "third": third,
                     "ratio": median / base / 1000 if base else None,
                     "processor": statistics.mean(contender.processor) * 1000, "times_ms": [taken * 1000 for taken in contender.times]})
    return Table(key, f"{title} ({rounds} rounds)", TIMES, rows, note)


def progress(title, done, of):
    if sys.stderr.isatty():
        print(f"\r{title}: {done} of {of}", end="" if done < of else "\r\033[K", file=sys.stderr, flush=True)


def cell(row, key, form):
    return "-" if row.get(key) is None else form.format(row[key])


def show(table):
    print(f"\n{table.title}")
    width = max([len(row["name"]) for row in table.rows] + [20])
    print(" ".join([f"  {'':{width}}", *(f"{heading:>12}" for heading, _ in table.columns.values())]))
    for row in table.rows:
        if "missing" in row:
            print(f"  {row['name']:{width}} missing: {row['missing']}")
        else:
            print(" ".join([f"  {row['name']:{width}}", *(f"{cell(row, key, form):>12}" for key, (_, form) in table.columns.items())]))
    if table.note:
        print(f"  {table.note}")
    sys.stdout.flush()


def as_user(uid, function, *arguments):
    """function(*arguments), a list of tables, in a process that is the user `uid` for good; in this one when it is already."""
    if uid == os.geteuid():
        return function(*arguments)
    reading, writing = os.pipe()
    sys.stdout.flush()
    pid = os.fork()
    if pid == 0:
        status = 1
        try:
            os.close(reading)
            libc = ctypes.CDLL(None)
            os.setgroups([])
            os.setresgid(uid, uid, uid)
            os.setresuid(uid, uid, uid)
            # Another user's process is closed and loses the signal above, until it says otherwise.
            libc.prctl(PR_SET_DUMPABLE, 1, 0, 0, 0)
            libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
            with open(writing, "w") as file:
                json.dump([table._asdict() for table in function(*arguments)], file)
            status = 0
        finally:
            sys.stdout.flush()
            sys.stderr.flush()
            if status:
                import traceback
                traceback.print_exc()
            os._exit(status)
    os.close(writing)
    with open(reading) as file:
        text = file.read()
    _, status = os.waitpid(pid, 0)
    if status != 0:
        raise RuntimeError(f"measuring as user {uid} failed")
    return [Table(**table) for table in json.loads(text)]
