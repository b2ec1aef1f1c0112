"""Lets each system call of a run fail in turn, or kills the process that makes it, and judges what is left.

A run either does not start its command, with exit 125 and one line, or starts it with every layer that a run without
faults has: the probe's own account of itself is compared with that of such a run. Nothing is left on the host.
"""

import collections
import errno
import os
import re
import shutil
import signal
import subprocess

from harness import DEADLINE, PROBE, Case, end_children, host_mounts, missing, read, run

FAULT = os.path.join(os.path.dirname(PROBE), "fault")
KILL = "kill"
Call = collections.namedtuple("Call", "process number name start errors")
LAUNCHER = 0

# Before main(), the dynamic loader works, and its failures are its own; so are those of glibc's last words.
LOADER_FAILED = 127


def describe(call, fault):
    what = fault if fault == KILL else "answers nothing" if fault == 0 else errno.errorcode[fault]
    return f"process {call.process}, call {call.number}, {call.name}: {what}"


class FaultCase(Case):
    """What the tests of faults share."""

    cold = False  # with the index of packages to be made, or with one that is there

    def setUp(self):
        super().setUp()
        if not os.path.exists(FAULT):
            missing(self, f"the fault injector is not built: {FAULT}")
        self.mark = os.path.join(self.project, "mark")
        self.log = os.path.join(self.directory, "log")
        self.cache = os.path.join(self.directory, "cache")
        self.runtime = os.path.join(self.directory, "runtime")
        os.mkdir(self.runtime)
        self.probe_path()
        self.inject("list")  # fills the cache
        self.take_state()
        self.calls = self.read_calls(self.inject("list"))
        self.expected = self.take_state()
        self.mounts = host_mounts()

    def variables(self, more=None):
        return super().variables({"XDG_CACHE_HOME": self.cache, "XDG_RUNTIME_DIR": self.runtime, **(more or {})})

    def inject(self, *words):
        """(status, stdout, stderr) of a run of `probe state` under the injector."""
        if self.cold:
            shutil.rmtree(self.cache, ignore_errors=True)
        command = [FAULT, str(words[0]), self.log, *map(str, words[1:]),
                   *self.command([self.probe_path(), "state", "mark"])]
        result = run(command, cwd=self.project, env=self.variables(), timeout=DEADLINE)
        return result

    def read_calls(self, result):
        self.ok(result)
        calls = []
        for line in read(self.log).splitlines():
            process, number, name, start, *errors = line.split()
            calls.append(Call(int(process), int(number), name, start, [int(error) for error in errors]))
        # vrun and its loader come first; fcntl is the first call of vrun's own.
        self.main = next(call.number for call in calls if call.process == LAUNCHER and call.name == "fcntl")
        # What the command does once it is executed is its own affair.
        command = max(call.process for call in calls)
        calls = [call for call in calls if call.process != command or call.start == "before"]
        self.assertGreater(len(calls), 300)
        # A process that only holds a user namespace open is killed at once, often before its first call.
        calls = [call for call in calls if call.process in (LAUNCHER, command - 1, command)]
        self.command_process = command
        return calls

    def take_state(self):
        """What the command said of itself; nothing when it was not started."""
        if not os.path.exists(self.mark):
            return None
        text = read(self.mark)
        os.unlink(self.mark)
        for kind in re.findall(r"^namespace (\w+):", text, re.M):
            own = os.readlink(f"/proc/self/ns/{kind}")
            text = re.sub(rf"^namespace {kind}:.*$", lambda found: f"namespace {kind} " + (
                "of the host" if found.group() == f"namespace {own}" else "of its own"), text, flags=re.M)
        return text

    def faults_of(self, call):
        return [KILL, *call.errors]

    def judge(self, call, fault):
        """Everything that is wrong with one ending, as text; nothing when all is well."""
        result = self.inject(fault, call.process, call.number)
        happened = read(self.log).split()
        if not happened:
            # A call that waits, such as poll, is made more often in one run than in another.
            return None if call.start == "after" or call.name in ("poll", "recvmsg", "read") else "the fault never came"
        before = happened[3] == "before"
        # When vrun was killed, the command may live for an instant, and write.
        left = end_children(1)
        state = self.take_state()
        expected = self.expected
        if state is not None and happened[2] == "mount_setattr" and fault in (errno.EPERM, errno.EINVAL):
            # A file system that cannot map owners shows files as root's, where writing is not what was asked for.
            state, expected = (text.replace(",idmapped", "") for text in (state, expected))
        complete = state == expected
        wrong = []
        # A run that is given up after its command began may end in the middle of the account. While vrun waits, its run
        # goes on: when a wait fails, the command may begin before the run is ended.
        may_begin = call.start == "after" or not before or (call.process == LAUNCHER and call.name == "poll")
        cut_short = (fault == KILL or may_begin) and result.returncode != 0 and expected.startswith(state or "")
        if state is not None and not complete and not cut_short:
            wrong.append("half protected: " + "\n".join(sorted(set(state.splitlines()) ^ set(expected.splitlines()))))
        one_line = re.fullmatch(r"vrun: [^\n]+\n", result.stderr)
        status = result.returncode
        if result.stdout:
            wrong.append("it wrote on standard output")
        if status == 0:
            if not complete or (result.stderr and not one_line):
                wrong.append("it ended well without the command")
        elif fault == KILL:
            if status != 128 + signal.SIGKILL and not (status == 125 and one_line):
                wrong.append("a killed process is not told of")
        elif call.process == LAUNCHER and call.number < self.main:
            if status not in (125, LOADER_FAILED, 128 + signal.SIGSEGV) or state is not None:
                wrong.append("the loader did not stop it")
        elif status in (126, 127) and call.process == self.command_process:
            if state is not None or not one_line:
                wrong.append("the command did not start, and did")
        elif status != 125 or not one_line:
            wrong.append("neither exit 125 nor one line")
        elif state is not None and not may_begin:
            wrong.append("exit 125, and the command ran")
        if left:
            wrong.append(f"processes that outlived it: {left}")
        if host_mounts() != self.mounts:
            wrong.append("the mounts of the host changed")
        for path, expected in ((self.project, {"probe"}), (self.home, set()), (self.temporary, set()), (self.runtime, set())):
            if set(os.listdir(path)) != expected:
                wrong.append(f"left in {path}: {os.listdir(path)}")
        if not wrong:
            return None
        return "; ".join(wrong) + f" (exit {status}, stderr {result.stderr!r})"

    def check(self, rows, say=lambda text: None):
        """Each (call, fault) of `rows`."""
        bad = []
        for number, (call, fault) in enumerate(rows):
            try:
                problem = self.judge(call, fault)
            except subprocess.TimeoutExpired:
                problem = f"it hung for {DEADLINE} s"
                end_children(0)
                self.take_state()
            if problem:
                bad.append(f"{describe(call, fault)}: {problem}")
                say(bad[-1])
            if number % 500 == 499:
                say(f"{number + 1} of {len(rows)} faults, {len(bad)} bad")
        self.assertEqual(bad, [])
