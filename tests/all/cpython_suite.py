"""CPython's own test suite inside vrun and outside: every test case ends alike, but for cpython_suite_differences.md.

    cpython_suite.py [--python PATH]... [--jobs N] [--logs DIR] [--quick] [MODULE...]

Without MODULE the whole suite runs, some ten minutes a side on two cores; --quick takes the modules that have to do
with what a sandbox changes. Without --python: the system's, and the newest other version that brings its tests.

Both sides run as the same ordinary user with the same variables, without a network but loopback, on a private tmpfs as
/tmp. A module in which the sides differ runs again on both, alone: what is not the same twice outside says nothing of
vrun and is listed apart, and a difference is one that was seen twice. Standard library only.
"""

import argparse
import contextlib
import ctypes
import fcntl
import glob
import os
import pwd
import re
import shutil
import signal
import socket
import stat
import struct
import subprocess
import sys
import tempfile
import time
import xml.etree.ElementTree

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(os.path.dirname(HERE))
sys.path.insert(0, os.path.join(ROOT, "tests/integration"))
from support import IN_CI, SYSTEM_PYTHON, VBUILD, VRUN, cpythons, run  # noqa: E402

DIFFERENCES = os.path.join(HERE, "cpython_suite_differences.md")
TEST_SECONDS = 300  # regrtest ends a file of tests that takes longer, with the stacks of all threads
SIDE_SECONDS = 3600  # no side is worth more
# vrun refuses UDP-Lite, and the test_socket of 3.13 does not survive that: it ends early, with every other test in it.
NOT_RUN = "*UDPLITE*"

QUICK = """
test_asyncio test_concurrent_futures test_ctypes test_curses test_dbm test_ensurepip test_faulthandler test_fcntl
test_fileio test_ftplib test_gdb test_getpass test_grp test_httplib test_httpservers test_import test_ioctl test_kqueue
test_largefile test_locale test_mmap test_multiprocessing_fork test_multiprocessing_forkserver
test_multiprocessing_main_handling test_multiprocessing_spawn test_openpty test_os test_ossaudiodev test_pathlib
test_platform test_poll test_popen test_posix test_posixpath test_pty test_pwd test_readline test_resource test_select
test_selectors test_shelve test_shutil test_signal test_site test_smtplib test_socket test_socketserver test_sqlite3
test_ssl test_stat test_subprocess test_sysconfig test_syslog test_tarfile test_tempfile test_threading test_time
test_tty test_urllib test_urllib2 test_urllib2_localnet test_urllib2net test_urllibnet test_uuid test_venv test_wait3
test_wait4 test_zipfile test_zoneinfo
""".split()


# ---------------------------------------------------------------------------------------------------------------------
# The stage: what both sides start in.

CLONE_NEWNS, CLONE_NEWUSER, CLONE_NEWNET = 0x20000, 0x10000000, 0x40000000
MS_NOSUID, MS_NODEV, MS_BIND, MS_REC, MS_PRIVATE = 2, 4, 4096, 16384, 1 << 18
SIOCGIFFLAGS, SIOCSIFFLAGS, IFF_UP = 0x8913, 0x8914, 1
libc = ctypes.CDLL(None, use_errno=True)


def checked(result):
    if result != 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))


def mount(source, target, kind, flags, data=None):
    encoded = [None if text is None else os.fsencode(text) for text in (source, target, kind, data)]
    checked(libc.mount(*encoded[:3], ctypes.c_ulong(flags), encoded[3]))


def raise_loopback():
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as control:
        request = struct.pack("16sh14x", b"lo", 0)
        flags = struct.unpack("16sh14x", fcntl.ioctl(control, SIOCGIFFLAGS, request))[1]
        fcntl.ioctl(control, SIOCSIFFLAGS, struct.pack("16sh14x", b"lo", flags | IFF_UP))


class Stage:
    """Who runs the tests, and where: a function for the child between fork and exec."""

    def __init__(self, uid, prefix):
        self.uid = uid
        self.gid = uid if os.geteuid() == 0 else os.getgid()
        # An interpreter in a home that its owner alone can enter has to be reached at the path it was built for.
        home = os.path.expanduser("~")
        closed = not os.stat(home).st_mode & stat.S_IXOTH
        self.covered = home if os.geteuid() == 0 and closed and prefix.startswith(home + "/") else None
        self.prefix = prefix

    def enter(self, isolated):
        """In the child. `isolated` is for the run outside: a network namespace and a /tmp such as vrun gives."""
        os.setsid()
        os.umask(0o022)
        for number in (signal.SIGHUP, signal.SIGINT, signal.SIGQUIT, signal.SIGTERM):
            signal.signal(number, signal.SIG_DFL)
        is_root = os.geteuid() == 0
        if is_root or isolated:
            flags = CLONE_NEWNS | (CLONE_NEWNET if isolated else 0) | (0 if is_root else CLONE_NEWUSER)
            checked(libc.unshare(flags))
            if not is_root:
                for name, text in (("setgroups", "deny"), ("uid_map", f"{self.uid} {self.uid} 1"),
                                   ("gid_map", f"{self.gid} {self.gid} 1")):
                    with open("/proc/self/" + name, "w", encoding="ascii") as file:
                        file.write(text)
            mount(None, "/", None, MS_REC | MS_PRIVATE)
        if self.covered:
            tree = os.open(self.prefix, os.O_PATH)
            mount("none", self.covered, "tmpfs", MS_NOSUID | MS_NODEV, "mode=755")
            os.makedirs(self.prefix)
            mount(f"/proc/self/fd/{tree}", self.prefix, None, MS_BIND | MS_REC)
            os.close(tree)
        if isolated:
            mount("none", "/tmp", "tmpfs", MS_NOSUID | MS_NODEV, "mode=1777,size=2g")
            raise_loopback()
        if is_root:
            os.setgroups([])
            os.setresgid(self.gid, self.gid, self.gid)
            os.setresuid(self.uid, self.uid, self.uid)


# ---------------------------------------------------------------------------------------------------------------------
# One side.

# "0:00:03 load avg: 1.19 [12/60/1] test_os failed (2 errors) (33.5 sec) -- running (1): test_ssl (31.0 sec)"
PROGRESS = re.compile(r"\[ *\d+/\d+(?:/\d+)?\] (test_\S+) (.+?)(?: in \d.*| \(\d[^()]*(?:sec|ms|min|hour)[^()]*\))?"
                      r"(?: -- running.*)?$")


# "ERROR: test_kill (test.test_os.Kill.test_kill) (number=9)": the parameters are those of a subtest.
BROKEN = re.compile(r"(?:ERROR|FAIL): (\S+) \(([\w.]+)\)")
OUTCOMES = ["passed", "expected failure", "skipped", "unexpected success", "failed"]  # the worst last


class Results:
    """What came of each case, and of each file of tests: {name: outcome}; and what each said: {name: [text]}."""

    def __init__(self):
        self.cases = {}
        self.modules = {}
        self.texts = {}

    def outcome(self, name):
        return (self.modules if name in self.modules else self.cases).get(name, "no result")

    def add(self, name, outcome, text):
        name = re.sub(r" at 0x[0-9a-f]+", "", name)
        # Some cases run more than once, with other parameters, and subtests fail one by one: the worst is what counts.
        if outcome != self.cases.get(name):
            if OUTCOMES.index(outcome) < OUTCOMES.index(self.cases.get(name, outcome)):
                return
            self.cases[name], self.texts[name] = outcome, []
        self.texts[name].append(text)

    def said(self, name):
        return self.texts.get(name) or [self.modules.get(name, "")]

    def read_progress(self, line):
        found = PROGRESS.search(line)
        if found:
            outcome = found[2]
            # The counts are those of the cases.
            self.modules[found[1]] = "failed" if re.match(r"failed \(\d", outcome) else outcome
        return found is not None

    def read_junit(self, path):
        for element in xml.etree.ElementTree.parse(path).iter("testcase"):
            name = element.get("name")
            if name is None:
                continue  # some of its subtests failed: read_failures knows it
            found = {child.tag: child.text or "" for child in element}
            for tag, outcome in (("failure", "failed"), ("error", "failed"), ("skipped", "skipped"),
                                 ("output", "expected failure"), ("outcome", "unexpected success")):
                if tag in found:
                    self.add(name, outcome, found[tag])
                    break
            else:
                self.add(name, "passed", "")

    def read_failures(self, log):
        """What is not in the XML: cases whose subtests failed, and classes that could not be set up."""
        lines, known = log.splitlines(), {name for name, outcome in self.cases.items() if outcome == "failed"}
        for start in (number for number, line in enumerate(lines) if line.startswith(("ERROR: ", "FAIL: "))):
            found = BROKEN.match(lines[start])
            end = next((number for number in range(start + 2, len(lines)) if re.match(r"[=-]{70}", lines[number])),
                       len(lines))
            if found:
                last = found[2].rsplit(".", 1)[-1]
                name = found[2] if last == found[1] else f"{found[1]} ({found[2]})"
                if name not in known:
                    self.add(name, "failed", "\n".join(lines[start:end]))

    def module_of(self, case):
        words = re.sub(r".*\((.*)\)", r"\1", case).split(".")
        for length in range(len(words), 0, -1):
            name = ".".join(words[1:length])
            if words[0] == "test" and name in self.modules:
                return name
        # Suites that live beside their package: ctypes.test.test_arrays.
        return "test_" + words[0] if "test_" + words[0] in self.modules else None


def end(process):
    """Ends a side that still runs. On SIGINT regrtest ends its workers, which have sessions of their own."""
    for number in (signal.SIGINT, signal.SIGKILL):
        if process.poll() is None:
            process.send_signal(number)
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(timeout=20)


class Suite:
    """One Python's suite, in a private directory of the caller's."""

    def __init__(self, python, directory, uid, jobs, logs):
        self.python, self.jobs, self.logs = python, jobs, logs
        what = "import platform, sys, sysconfig; print(platform.python_version(), sys.base_prefix)"
        self.version, self.prefix = self.run_python("-I", "-c", what).split()
        self.stage = Stage(uid, self.prefix)
        self.directory = directory
        self.environment = os.path.join(self.directory, "env")
        self.project = os.path.join(self.directory, "project")
        self.home = os.path.join(self.directory, "home")
        for path in (self.project, self.home):
            os.mkdir(path)
        # The ordinary user may not be able to enter the build directory.
        self.vrun = shutil.copy(VRUN, os.path.join(self.directory, "vrun"))
        made = run([VBUILD, "--without-pip", "--python", python, self.environment])
        if made.returncode != 0:
            raise SystemExit(f"{VBUILD}: {made.stdout}{made.stderr}")
        for directory, _, names in os.walk(self.directory):
            for path in [directory, *(os.path.join(directory, name) for name in names)]:
                os.chown(path, self.stage.uid, self.stage.gid, follow_symlinks=False)
        self.number = 0

    def run_python(self, *arguments):
        result = run([self.python, *arguments])
        if result.returncode != 0:
            raise SystemExit(f"{self.python}: {result.stderr}")
        return result.stdout

    def inside(self, command):
        return [self.vrun, "--project", self.project, self.environment, "--", *command]

    def base_variables(self):
        return {"PATH": "/usr/local/bin:/usr/bin:/bin", "HOME": self.home, "LANG": "C.UTF-8", "TERM": "xterm"}

    def variables(self):
        """Those of the inside; the outside gets them too."""
        result = run(self.inside(["env", "-0"]), cwd=self.project, env=self.base_variables(),
                     preexec_fn=lambda: self.stage.enter(False))
        if result.returncode != 0:
            raise SystemExit(result.stderr)
        return dict(item.split("=", 1) for item in result.stdout.split("\0") if item)

    def run_side(self, side, modules, jobs):
        self.number += 1
        name = f"{self.version}-{self.number}-{side}"
        junit = os.path.join(self.project, name + ".xml")
        command = [os.path.join(self.environment, "bin/python"), "-m", "test", f"-j{jobs}", "-W", "-u",
                   "subprocess,curses,network", "--timeout", str(TEST_SECONDS), "--junit-xml", junit,
                   "--ignore", NOT_RUN, *modules]
        variables = self.base_variables() if side == "inside" else self.variables()
        if side == "inside":
            command = self.inside(command)
        results, began = Results(), time.monotonic()
        log_path = os.path.join(self.logs or self.directory, name + ".log")
        with open(log_path, "w", encoding="utf-8") as log:
            process = subprocess.Popen(command, cwd=self.project, env=variables, stdin=subprocess.DEVNULL,
                                       stdout=subprocess.PIPE, stderr=subprocess.STDOUT, encoding="utf-8",
                                       errors="backslashreplace",
                                       preexec_fn=lambda: self.stage.enter(side == "outside"))
            signal.signal(signal.SIGALRM, lambda *_: end(process))
            signal.alarm(SIDE_SECONDS)
            try:
                for line in process.stdout:
                    log.write(line)
                    if results.read_progress(line):
                        print(f"{self.version} {side}: {line.rstrip()}", flush=True)
                process.wait()
            finally:
                signal.alarm(0)
                end(process)
        if not os.path.exists(junit):
            with open(log_path, encoding="utf-8") as log:
                sys.stdout.writelines(log.readlines()[-40:])
            raise SystemExit(f"{self.version} {side}: the suite ended early, with status {process.returncode}")
        results.read_junit(junit)
        with open(log_path, encoding="utf-8") as log:
            results.read_failures(log.read())
        if self.logs:
            shutil.copy(junit, os.path.join(self.logs, name + ".xml"))
        print(f"{self.version} {side}: {len(results.cases)} cases of {len(results.modules)} modules in "
              f"{time.monotonic() - began:.0f} s", flush=True)
        return results


def differences(outside, inside):
    """{case or module: (outcome outside, outcome inside)} where these are not the same."""
    found = {}
    for name in sorted(set(outside.cases) | set(inside.cases)):
        pair = tuple(side.cases.get(name, "no result") for side in (outside, inside))
        if pair[0] != pair[1]:
            found[name] = pair
    explained = {outside.module_of(name) or inside.module_of(name) for name in found}
    for name in sorted(set(outside.modules) | set(inside.modules)):
        pair = tuple(side.modules.get(name, "no result") for side in (outside, inside))
        if pair[0] != pair[1] and name not in explained:
            found[name] = pair
    return found


# ---------------------------------------------------------------------------------------------------------------------
# The verdict.

def read_expected():
    """The table's rows: [(patterns of the version, of the case, of what is said inside)]; * stands for anything."""
    with open(DIFFERENCES, encoding="utf-8") as file:
        rows = [line for line in file if line.startswith("| `")]
    return [[re.findall("`(.+?)`", cell) for cell in row.split("|")[1:4]] for row in rows]


def matches(patterns, text):
    return any(re.fullmatch(".*".join(map(re.escape, pattern.split("*"))), text, re.DOTALL) for pattern in patterns)


def is_expected(rows, version, name, texts):
    return all(any(matches(versions, version) and matches(cases, name) and
                   matches([f"*{part}*" for part in said], text) for versions, cases, said in rows) for text in texts)


def compare(suite, modules, rows):
    """Runs both sides; returns (cases alike, differences that nobody expects)."""
    outside, inside = (suite.run_side(side, modules, suite.jobs) for side in ("outside", "inside"))
    found = differences(outside, inside)
    unexpected = {name: pair for name, pair in found.items()
                  if not is_expected(rows, suite.version, name, inside.said(name))}
    expected = {name: pair for name, pair in found.items() if name not in unexpected}
    again = sorted({name if name in outside.modules else outside.module_of(name) or inside.module_of(name) or ""
                    for name in unexpected} - {""})
    once, flaky = {}, {}
    if again:
        print(f"{suite.version}: again, because they differ: {' '.join(again)}", flush=True)
        outside_again, inside_again = (suite.run_side(side, again, 1) for side in ("outside", "inside"))

        for name, pair in sorted(unexpected.items()):
            second = outside_again.outcome(name), inside_again.outcome(name)
            if second[0] != pair[0]:
                flaky[name] = pair + second
            elif second[0] == second[1]:
                once[name] = pair + second
        for name, pair in differences(outside_again, inside_again).items():
            if name not in found:
                once[name] = ("alike", "alike") + pair
    failed = {name: pair for name, pair in unexpected.items() if name not in flaky and name not in once}

    for title, names in (("not the same twice outside", flaky), ("not the same twice inside", once)):
        for name, outcomes in sorted(names.items()):
            print(f"{suite.version}: {title}: {name}: {outcomes[0]}/{outcomes[1]}, then {outcomes[2]}/{outcomes[3]}")
    for name, pair in sorted(expected.items()):
        print(f"{suite.version}: different, as listed: {name}: {pair[0]} outside, {pair[1]} inside")
    for name, pair in sorted(failed.items()):
        print(f"{suite.version}: FAILED: {name}: {pair[0]} outside, {pair[1]} inside")
        for text in inside.said(name):
            print("  " + text.strip().replace("\n", "\n  "))
    alike = sum(inside.cases.get(name) == outcome for name, outcome in outside.cases.items())
    return alike, failed


def has_tests(python):
    return run([python, "-I", "-c", "import test.libregrtest, test.test_os"]).returncode == 0


def choose_pythons():
    with_tests = [(version, python) for version, python in cpythons() if version >= (3, 11) and has_tests(python)]
    chosen = [(version, python) for version, python in with_tests if python == SYSTEM_PYTHON]
    others = [item for item in with_tests if item[0][:2] not in {version[:2] for version, _ in chosen}]
    return [python for _, python in chosen + others[-1:]]


def ordinary_uid():
    """This user's; for root the first of the machine's ordinary users, else a number that nobody has."""
    if os.geteuid() != 0:
        return os.getuid()
    return min((entry.pw_uid for entry in pwd.getpwall() if 1000 <= entry.pw_uid < 60000), default=12345)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--python", action="append", help="an interpreter that has its tests")
    parser.add_argument("--jobs", type=int, default=len(os.sched_getaffinity(0)))
    parser.add_argument("--logs", help="a directory to leave what the suites wrote in")
    parser.add_argument("--uid", type=int, default=ordinary_uid(), help="the ordinary user (root only)")
    parser.add_argument("--quick", action="store_true", help="only the modules that matter most to a sandbox")
    parser.add_argument("modules", nargs="*")
    arguments = parser.parse_args()
    if arguments.logs:
        arguments.logs = os.path.abspath(arguments.logs)
        os.makedirs(arguments.logs, exist_ok=True)
    pythons = arguments.python or choose_pythons()
    if not pythons:
        print("no CPython 3.11 or later here has its tests (Debian: libpython3.11-testsuite)")
        return 1 if IN_CI else 0

    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    rows, status = read_expected(), 0
    for python in pythons:
        with contextlib.ExitStack() as stack:
            # Not below /tmp, which is private memory on both sides.
            directory = os.path.realpath(tempfile.mkdtemp(prefix="vrun-suite-", dir="/var/tmp"))
            stack.callback(shutil.rmtree, directory, ignore_errors=True)
            suite = Suite(python, directory, arguments.uid, arguments.jobs, arguments.logs)
            known = {os.path.basename(path).split(".")[0] for path in glob.glob(
                os.path.join(suite.prefix, "lib/python" + suite.version.rsplit(".", 1)[0], "test/test_*"))}
            modules = [name for name in QUICK if name in known] if arguments.quick else arguments.modules
            alike, failed = compare(suite, modules, rows)
            print(f"{suite.version} ({python}): {alike} cases alike, {len(failed)} differ", flush=True)
            if failed or not alike:
                status = 1
    return status


if __name__ == "__main__":
    sys.exit(main())
