"""Limits: what a run may use, what comes of using more, and what is left then (docs/threat-model.md, R-01 to R-24).

Each attempt is made once without the limit too, where that is harmless: it goes through there.
"""

import contextlib
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import tempfile
import time
import unittest

from harness import IS_ROOT, ROOT, SLOW, VRUN, Case, read, run, wait_until, write

TIMED_OUT, KILLED = 124, 137
BOMBS = os.path.join(ROOT, "tests/attacks/bombs.py")
MIB = 1 << 20


def stretched(seconds):
    """A time that this machine can meet, as vrun writes it."""
    return f"{seconds * SLOW:g}s"


class LimitCase(Case):
    """Without a control group, unless a test says otherwise: that is what every machine has."""

    def command(self, words, options=(), environment=None):
        if not any(option.startswith("--cgroup") for option in options):
            options = ["--cgroup=none", *options]
        return super().command(words, options, environment)

    def bomb(self, *words, options=(), **more):
        return self.vrun("python", "-B", BOMBS, *map(str, words), options=["--ro", BOMBS, *options], **more)

    def went_beyond(self, result, limit, value, status=KILLED):
        self.assertEqual((result.returncode, result.stderr), (status, f"vrun: the run was ended: it went beyond --{limit} {value}\n"),
                         result.stdout)
        self.assertNotIn("went through", result.stdout)

    def goes_through(self, *words, **more):
        self.assertEqual(self.ok(self.bomb(*words, **more)).splitlines()[-1], "went through")


class Processes(LimitCase):
    def test_r01_forks(self):
        self.assertEqual(self.ok(self.bomb("fork", options=["--pids=16"])), "EAGAIN 15\n")
        self.goes_through("fork")

    def test_r01_forks_without_end(self):
        begin = time.monotonic()
        result = self.bomb("fork_forever", options=["--pids=32", "--wall=" + stretched(0.5)])
        self.went_beyond(result, "wall", stretched(0.5), TIMED_OUT)
        self.assertLess(time.monotonic() - begin, 5 * SLOW)

    def test_r02_threads(self):
        self.assertEqual(self.ok(self.bomb("threads", options=["--pids=16"])), "RuntimeError 15\n")
        self.goes_through("threads")

    def test_r03_each_run_has_its_own(self):
        runs = [self.start("python", "-B", BOMBS, "fork", options=["--ro", BOMBS, "--pids=16"], stdout=subprocess.PIPE)
                for _ in range(3)]
        self.assertEqual([run.communicate(timeout=20)[0] for run in runs], [b"EAGAIN 15\n"] * 3)

    def test_r15_daemon(self):
        """What is still there when the command has ended is ended: the harness looks."""
        self.assertEqual(self.ok(self.bomb("daemon", options=["--wall=10s"])), "left it behind\n")

    def test_r16_zombies(self):
        """They count until pid 1 has taken them, and are more than there may be at once."""
        self.goes_through("zombies", 100, options=["--pids=32"])

    def test_r17_arguments(self):
        words = ["x" * (64 << 10)] * 3
        result = self.vrun("true", *words, options=["--stack=256K"])
        self.assertEqual((result.returncode, "E2BIG" in result.stderr), (126, True), result.stderr)
        self.ok(self.vrun("true", *words))


class Time(LimitCase):
    def ended_in_time(self, *words, limit="wall", stdout="", seconds=0.3, within=5):
        begin = time.monotonic()
        result = self.bomb(*words, options=[f"--{limit}={stretched(seconds)}"], timeout=2 * within)
        self.went_beyond(result, limit, stretched(seconds), TIMED_OUT)
        self.assertEqual(result.stdout, stdout)
        self.assertLess(time.monotonic() - begin, within * SLOW)

    def test_r12_processor_time(self):
        self.ended_in_time("spin", limit="cpu-time")

    def test_r12_processor_time_of_all_together(self):
        self.ended_in_time("spin_in_children", limit="cpu-time")

    def test_r12_processor_time_of_whom_nobody_waits_for(self):
        """Of a short life less is seen than it used, but some, and the less the busier the machine is; the kernel adds it
        to no account."""
        self.ended_in_time("spin_unaccounted", 0.02, limit="cpu-time", within=20)

    def test_r12_processor_time_counts_once(self):
        report = os.path.join(self.directory, "report.json")
        used = float(self.ok(self.bomb("spin_in_children", 0.04, 10, options=["--report", report, "--cpu-time=60s"])))
        verdict = json.loads(read(report))
        self.assertGreater(used, 0.4)
        self.assertGreater(verdict["cpu_s"], used)
        # The interpreter's own end comes after what it says.
        self.assertLess(verdict["cpu_s"], used + 0.2 * SLOW)
        self.assertEqual(verdict["counted_by"], "supervisor")

    def test_r12_sleep_takes_none(self):
        self.ok(self.vrun("sleep", stretched(0.5), options=["--cpu-time=" + stretched(0.3)]))

    def test_r14_ignores_every_signal(self):
        self.ended_in_time("sleeper", stdout="asleep\n", seconds=2)

    def test_r14_stopped(self):
        self.ended_in_time("stopped")

    def test_r24_in_one_call(self):
        self.ended_in_time("in_one_call")

    def test_in_time(self):
        result = self.vrun("sh", "-c", "echo out; exit 3", options=["--wall=10s", "--cpu-time=10s"])
        self.assertEqual((result.returncode, result.stdout, result.stderr), (3, "out\n", ""))


class Memory(LimitCase):
    OPTIONS = ("--memory=100M",)

    def ended(self, *words, options=OPTIONS):
        self.went_beyond(self.bomb(*words, options=options), "memory", "100M")

    def test_r04_heap(self):
        self.ended("heap")
        self.goes_through("heap", 150 * MIB)

    def test_r04_heap_of_all_together(self):
        self.ended("heap_in_children")

    def test_r05_files_without_names(self):
        for name in ("memfd", "shared_mapping", "system_v"):
            with self.subTest(name):
                self.ended(name)
        self.goes_through("memfd", 150 * MIB)

    def test_r05_files_in_memory(self):
        for directory in ("/tmp", "/dev/shm"):
            with self.subTest(directory):
                self.ended("file_in", directory)
        self.goes_through("file_in", "/tmp", 150 * MIB)

    def test_r05_pipes(self):
        """The kernel's own limit for one user, 64 MiB by default, holds before ours."""
        result = self.bomb("pipes", options=["--nofile=4000", *self.OPTIONS])
        self.assertIn(result.returncode, (0, KILLED), result.stderr)
        self.assertNotIn("went through", result.stdout)

    def test_what_is_shared_counts_once(self):
        code = ("import os, time\nheld = bytearray(60 << 20)\n"
                "for at in range(0, len(held), 4096): held[at] = 1\n"
                "children = []\n"
                "for _ in range(8):\n"
                "  child = os.fork()\n"
                "  if child == 0: time.sleep(0.3); os._exit(0)\n"
                "  children.append(child)\n"
                "for child in children: os.waitpid(child, 0)\nprint('done')")
        self.assertEqual(self.ok(self.python(code, options=self.OPTIONS)), "done\n")

    def test_what_is_reserved_does_not_count(self):
        code = "import mmap; reserved = mmap.mmap(-1, 1 << 32, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS | 0x4000); print('done')"
        self.assertEqual(self.ok(self.python(code, options=self.OPTIONS)), "done\n")


class Files(LimitCase):
    def test_r07_disk(self):
        for directory, option in (("/tmp", "tmp-size"), ("/var/tmp", "tmp-size"), (self.home, "tmp-size"), ("/dev/shm", "shm-size")):
            with self.subTest(directory):
                self.assertEqual(self.ok(self.bomb("file_in", directory, options=[f"--{option}=8M"])), "ENOSPC 8\n")

    def test_r08_inodes(self):
        self.assertRegex(self.ok(self.bomb("inodes", "/run", 10_000)), r"\AENOSPC 409\d\n\Z")

    def test_r09_size_of_a_file(self):
        self.assertEqual(self.ok(self.bomb("big_file", self.project, options=["--fsize=3M"])), "EFBIG 3\n")
        self.assertEqual(self.ok(self.bomb("sparse_file", "/tmp", 1 << 40, options=["--fsize=3M"])), "EFBIG 0\n")
        self.goes_through("sparse_file", "/tmp", 1 << 40)

    def test_r10_descriptors(self):
        self.assertRegex(self.ok(self.bomb("descriptors", options=["--nofile=50"])), r"\AEMFILE 4\d\n\Z")


class Output(LimitCase):
    def test_r11_flood(self):
        result = self.bomb("flood", options=["--output-max=1M"])
        self.went_beyond(result, "output-max", "1M")
        self.assertEqual(len(result.stdout), MIB)

    def test_r11_both_count(self):
        script = "head -c 600000 /dev/zero; head -c 600000 /dev/zero >&2; sleep 10"
        process = self.start("sh", "-c", script, options=["--output-max=1000000"], stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        out, error = process.communicate(timeout=20)
        self.assertEqual((process.returncode, len(out)), (KILLED, 600_000))
        self.assertEqual(len(error.rstrip(b"\n").rsplit(b"vrun: ", 1)[0]), 400_000)

    def test_up_to_the_limit(self):
        result = self.vrun("head", "-c", "1000", "/dev/zero", options=["--output-max=1000"])
        self.assertEqual((result.returncode, len(result.stdout), result.stderr), (0, 1000, ""))

    def test_vrun_stays_small(self):
        """Who reads slowly makes the run wait, not vrun remember."""
        process = self.start("python", "-B", BOMBS, "flood", options=["--ro", BOMBS, "--output-max=1G"], stdout=subprocess.PIPE)
        process.stdout.read(MIB)
        before = self.resident(process.pid)
        for _ in range(32):
            process.stdout.read(MIB)
        self.assertLess(self.resident(process.pid) - before, 128)

    @staticmethod
    def resident(pid):
        """The most that a process ever used, in KiB."""
        return int(re.search(r"VmHWM:\s+(\d+)", read(f"/proc/{pid}/status"))[1])


class Settings(LimitCase):
    def test_limits_cannot_be_raised(self):
        options = ["--pids=64", "--fsize=1M", "--nofile=64", "--stack=8M", "--cpu-time=10s"]
        expected = "".join(f"{name} EPERM\n" for name in ("NPROC", "FSIZE", "NOFILE", "STACK", "CPU"))
        self.assertEqual(self.ok(self.bomb("raise_limits", options=options)), expected)

    def test_the_callers_own_limit_stays(self):
        command = ["prlimit", "--nofile=100:200", *self.command(["sh", "-c", "ulimit -Hn"], ["--nofile=5000"])]
        self.assertEqual(self.ok(self.outside(*command)), "200\n")

    def test_what_nothing_holds_is_said(self):
        result = self.vrun("true", options=["--cpus=1"])
        self.assertEqual((result.returncode, result.stderr),
                         (0, "vrun: note: nothing holds --cpus here: there is no control group for it\n"))

    def test_required(self):
        self.refused(self.vrun("true", options=["--require-limits", "--memory=1G"]), "cannot hold --memory", "systemd-run")
        self.ok(self.vrun("true", options=["--require-limits", "--wall=10s", "--pids=64", "--output-max=1M", "--tmp-size=1M"]))

    def test_malformed(self):
        for option in ("--wall=5", "--memory=1.5G", "--pids=0", "--cpus=none", "--swap=x", "--fsize=-1"):
            self.refused(self.vrun("true", options=[option]), option.split("=")[0] + " wants ")

    def test_they_are_explained(self):
        result = self.vrun("true", options=["--explain", "--wall=90s", "--memory=512M", "--cpus=1.5"])
        self.assertRegex(self.ok(result), r"(?m)^limits +wall 90s, memory 512M, cpus 1.5$")

    def test_nothing_is_watched_without_need(self):
        process = self.start("cat", stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        process.stdin.write(b"x")
        process.stdin.flush()
        process.stdout.read(1)
        links = [os.readlink(f"/proc/{process.pid}/fd/{fd}") for fd in os.listdir(f"/proc/{process.pid}/fd")] \
            if os.geteuid() == 0 else []
        self.assertNotIn("anon_inode:[timerfd]", links)
        process.stdin.close()
        process.stdin = None
        wait_until(lambda: process.poll() is not None, "cat ends")


def own_group():
    """The directory of the control group in which the tests run; None without cgroup v2."""
    path = next((line[3:] for line in read("/proc/self/cgroup").splitlines() if line.startswith("0::")), None)
    mount = next((line.split()[4] for line in read("/proc/self/mountinfo").splitlines() if " - cgroup2 " in line), None)
    return mount + path.rstrip("/") if path and mount else None


def delegated(own):
    """Whether the group above `own` is the tests', too, and has controllers for the groups in it."""
    above = (own or "") + "/.."
    return own and os.access(above + "/cgroup.procs", os.W_OK) and read(above + "/cgroup.subtree_control").strip() != ""


class GroupCase(LimitCase):
    """With a control group that is delegated to the tests, with every controller turned on for the groups in it."""

    CONTROLLERS = "only as a user who has control groups"

    def setUp(self):
        super().setUp()
        self.base = self.find_base()

    def find_base(self):
        if not delegated(own_group()):
            self.skipTest(self.CONTROLLERS)
        return os.path.realpath(own_group() + "/..")

    def need(self, *controllers):
        missing = set(controllers) - set(read(self.base + "/cgroup.subtree_control").split())
        if missing:
            self.skipTest(f"{self.CONTROLLERS} with {' and '.join(sorted(missing))}")


class Groups(GroupCase):
    """For root also without such a one, in a group that is made for the tests."""

    def setUp(self):
        super().setUp()
        self.report = os.path.join(self.directory, "report.json")

    def find_base(self):
        own = own_group()
        if delegated(own) or not own or not IS_ROOT:
            return super().find_base()
        base = tempfile.mkdtemp(prefix="vrun-test-", dir=own)
        self.addCleanup(os.rmdir, base)
        return base

    def groups(self):
        return [name for name in os.listdir(self.base) if name.startswith("vrun-") and os.path.isdir(os.path.join(self.base, name))]

    def grouped(self, *words, options=()):
        """(what vrun came to, the verdict) of a bomb in a group of its own."""
        result = self.bomb(*words, options=["--cgroup", self.base, "--report", self.report, *options])
        wait_until(lambda: self.groups() == [], "the group is removed")
        return result, json.loads(read(self.report))

    def start_grouped(self, *words):
        process = self.start(*words, options=["--cgroup", self.base], stdout=subprocess.PIPE)
        self.assertEqual(process.stdout.readline(), b"ready\n")
        return process

    def test_every_process_is_born_there(self):
        process = self.start_grouped("sh", "-c", "sleep 60 & echo ready; wait")
        (name,) = self.groups()

        def inside():
            return sorted(read(f"/proc/{pid}/comm").strip() for pid in read(f"{self.base}/{name}/cgroup.procs").split())
        wait_until(lambda: inside() == ["sh", "sleep", "vrun-init"], "all processes are in the group")
        process.terminate()
        process.wait(20)
        wait_until(lambda: self.groups() == [], "the group is removed")

    def test_it_goes_when_vrun_is_killed(self):
        process = self.start_grouped("sh", "-c", "trap '' TERM; echo ready; sleep 60")
        self.assertEqual(len(self.groups()), 1)
        process.kill()
        wait_until(lambda: self.groups() == [], "the group is removed")

    def test_it_goes_after_a_failure(self):
        options = ["--cgroup", self.base, "--cwd", "/nowhere"]
        self.refused(self.vrun("true", options=options), "cannot start in")
        wait_until(lambda: self.groups() == [], "the group is removed")

    def test_many_at_once(self):
        processes = [self.start("sh", "-c", f"exit {number}", options=["--cgroup", self.base]) for number in range(20)]
        self.assertEqual([process.wait(60) for process in processes], list(range(20)))
        wait_until(lambda: self.groups() == [], "every group is removed")

    def test_processor_time_of_whom_nobody_waits_for(self):
        """R-12: what processes used that nobody waited for is in no account but the group's."""
        result, verdict = self.grouped("spin_unaccounted", options=["--cpu-time=500ms", "--wall=30s"])
        self.went_beyond(result, "cpu-time", "0.5s", TIMED_OUT)
        self.assertEqual((verdict["counted_by"], verdict["limits"]["cpu-time"]["enforced"]), ("cgroup", "cgroup"))
        self.assertGreater(verdict["cpu_s"], 0.5)

    def test_what_is_no_group(self):
        for path in ("/tmp", "/nowhere/at/all", self.environment):
            self.refused(self.vrun("true", options=["--cgroup", path]), "cannot use the control group", path)
        self.refused(self.vrun("true", options=["--cgroup", "word"]), "--cgroup wants")

    def test_memory(self):
        self.need("memory")
        for words in (["heap"], ["heap_in_children"], ["memfd"], ["shared_mapping"], ["system_v"], ["file_in", "/tmp"],
                      ["sockets"], ["pipes"]):
            with self.subTest(words[0]):
                result, verdict = self.grouped(*words, options=["--memory=40M", "--nofile=5000"])
                self.went_beyond(result, "memory", "40M")
                self.assertEqual((verdict["status"], verdict["limit"], verdict["oom_killed"]), ("memory", "memory", True))
                self.assertEqual((verdict["limits"]["memory"]["enforced"], verdict["degraded"]), ("cgroup", []))
                self.assertLessEqual(verdict["mem_peak_bytes"], 40 * MIB)

    def test_pids(self):
        self.need("pids")
        result, verdict = self.grouped("fork", options=["--pids=16"])
        self.assertEqual(self.ok(result), "EAGAIN 15\n")
        self.assertEqual((verdict["limits"]["pids"]["enforced"], verdict["limits"]["pids"]["reached"]), ("cgroup", True))
        result, verdict = self.grouped("raise_limits", options=["--pids=16"])
        self.assertEqual((result.returncode, verdict["limits"]["pids"]["reached"]), (0, False))

    def test_processors(self):
        self.need("cpu")
        result, verdict = self.grouped("spin", options=["--cpus=0.2", "--wall=2s"])
        self.went_beyond(result, "wall", "2s", TIMED_OUT)
        self.assertLess(verdict["cpu_s"], 0.2 * verdict["wall_s"] + 0.1)
        self.assertEqual(verdict["limits"]["cpus"]["enforced"], "cgroup")

    def test_all_are_required(self):
        self.need("memory", "pids", "cpu")
        result, verdict = self.grouped("daemon", options=["--require-limits", "--memory=200M", "--swap=0", "--pids=20", "--cpus=1",
                                                          "--cpu-time=20s", "--wall=20s", "--nofile=100"])
        self.ok(result)
        self.assertEqual(verdict["degraded"], [])


class Alone(GroupCase):
    """In a group of vrun's own, as a service manager makes one: its controllers are for groups without processes."""

    def setUp(self):
        super().setUp()
        self.need("memory", "pids", "cpu")
        self.own = tempfile.mkdtemp(prefix="alone-", dir=self.base)
        self.addCleanup(os.rmdir, self.own)

    def start_alone(self, *options, limits=("--memory=200M", "--pids=20", "--cpus=1"), **more):
        options = ["--cgroup=own", "--require-limits", *limits, *options]
        enter = ["sh", "-c", 'echo $$ >"$0/cgroup.procs" && exec "$@"', self.own]
        process = subprocess.Popen([*enter, *Case.command(self, ["sh", "-c", "echo ready; read line"], options)], cwd=self.project,
                                   env=self.variables(), stdin=subprocess.PIPE, stdout=subprocess.PIPE, **more)
        self.addCleanup(self.end, process)
        self.assertEqual(process.stdout.readline(), b"ready\n")
        return process

    def state(self):
        """(groups within, controllers for them, processes)"""
        within = sorted(name for name in os.listdir(self.own) if os.path.isdir(os.path.join(self.own, name)))
        return within, sorted(read(self.own + "/cgroup.subtree_control").split()), read(self.own + "/cgroup.procs").split()

    def moved_aside(self, process):
        (run_group, aside), controllers, processes = self.state()
        self.assertRegex(run_group, r"\Avrun-[0-9a-f]+\Z")
        self.assertEqual((aside, controllers, processes), ("vrun-itself", ["cpu", "memory", "pids"], []))
        self.assertIn(str(process.pid), read(f"{self.own}/vrun-itself/cgroup.procs").split())
        limits = [read(f"{self.own}/{run_group}/{name}.max").strip() for name in ("memory", "pids", "cpu")]
        self.assertEqual(limits, [str(200 * MIB), "21", "100000 100000"])

    def test_it_moves_aside_and_back(self):
        read_end, write_end = os.pipe()
        os.set_blocking(write_end, False)
        with contextlib.suppress(BlockingIOError):  # a full pipe keeps vrun from ending once it has left its group
            while True:
                os.write(write_end, b" " * 4096)
        process = self.start_alone("--report", f"fd:{write_end}", pass_fds=[write_end])
        os.close(write_end)
        self.moved_aside(process)
        process.stdin.close()
        wait_until(lambda: self.state() == ([], [], [str(process.pid)]), "vrun is back, alone")
        with open(read_end) as file:
            verdict = json.load(file)
        self.assertEqual((process.wait(20), verdict["degraded"]), (1, []))  # 1: read met the end
        self.assertEqual({limit["enforced"] for limit in verdict["limits"].values()}, {"cgroup"})
        self.assertEqual(self.state(), ([], [], []))

    def test_nothing_stays_when_it_is_killed(self):
        process = self.start_alone()
        self.moved_aside(process)
        process.kill()
        process.wait(20)
        wait_until(lambda: self.state() == ([], [], []), "the group is as it was")

    def test_one_controller(self):
        """That of processes can be turned on in a group that has some, but no group below it could have any then."""
        for option, controller in (("--pids=20", "pids"), ("--cpus=1", "cpu"), ("--memory=200M", "memory")):
            with self.subTest(option):
                process = self.start_alone(limits=[option])
                (_, aside), controllers, processes = self.state()
                self.assertEqual((aside, controllers, processes), ("vrun-itself", [controller], []))
                process.stdin.close()
                self.assertEqual(process.wait(20), 1)
                self.assertEqual(self.state(), ([], [], []))

    def beside_others(self, *options):
        command = Case.command(self, ["true"], options)
        result = self.outside("sh", "-c", 'echo $$ >"$0/cgroup.procs"; "$@"; exit $?', self.own, *command)
        self.assertEqual(self.state()[::2], ([], []))
        return result

    def test_not_beside_others(self):
        """What is not vrun's is not moved: the limit is held without a group, or the run is refused."""
        for limit in ("--memory=200M", "--pids=20", "--cpu-time=10s"):
            with self.subTest(limit):
                self.ok(self.beside_others(limit))
                result = self.beside_others("--cgroup=own", "--require-limits", limit)
                if limit == "--memory=200M":
                    self.refused(result, "cannot hold --memory as --require-limits wants")
                else:
                    self.ok(result)
                self.assertEqual(self.state(), ([], [], []))

    def test_not_where_no_group_could_have_processes(self):
        """Somebody else has turned on a controller beside processes."""
        holder = subprocess.Popen(["sleep", "60"])
        self.addCleanup(self.end, holder)
        write(self.own + "/cgroup.procs", str(holder.pid))
        write(self.own + "/cgroup.subtree_control", "+pids")
        self.refused(self.vrun("true", options=["--cgroup", self.own, "--pids=20"]), "cannot use the control group", "cannot have processes")
        self.assertEqual(self.state(), ([], ["pids"], [str(holder.pid)]))


class Systemd(LimitCase):
    """A systemd-run that only says what it was asked for, for an ordinary user."""

    def setUp(self):
        super().setUp()
        self.runtime, self.log = os.path.join(self.directory, "runtime"), os.path.join(self.temporary, "log")
        write(os.path.join(self.directory, "bin/systemd-run"),
              '#!/bin/sh\necho "$@" >"$LOG"\nwhile [ "$1" != -- ]; do shift; done\nshift\nexec "$@"\n', 0o755)
        os.makedirs(self.runtime + "/systemd")
        os.chmod(self.temporary, 0o777)
        self.words = {"PATH": f"{self.directory}/bin:/usr/bin:/bin", "XDG_RUNTIME_DIR": self.runtime, "LOG": self.log}

    def listen(self):
        manager = socket.socket(socket.AF_UNIX)
        self.addCleanup(manager.close)
        manager.bind(self.runtime + "/systemd/private")

    def run_anew(self, *options):
        return run([*self.ordinary(), *Case.command(self, ["sh", "-c", "echo out; exit 3"], ["--no-project", *options])],
                   env=self.variables(self.words), cwd=self.project)

    def test_a_limit_that_wants_a_group(self):
        self.listen()
        result = self.run_anew("--memory=100M")
        self.assertEqual((result.returncode, result.stdout, result.stderr), (3, "out\n", ""))
        self.assertEqual(read(self.log), f"--user --scope --quiet --collect --property=Delegate=yes -- {os.path.realpath(VRUN)} "
                         f"--cgroup=scope --no-project --memory=100M {self.environment} -- sh -c echo out; exit 3\n")

    def test_by_name(self):
        self.listen()
        result = self.run_anew("--cgroup=systemd")
        self.assertEqual((result.returncode, result.stdout), (3, "out\n"))
        self.assertNotIn("--cgroup=systemd", read(self.log))

    def test_not_without_need(self):
        self.listen()
        for options in ([], ["--wall=10s", "--fsize=1M"], ["--memory=100M", "--cgroup=none"],
                        ["--report", self.temporary + "/report.json"]):
            self.assertEqual(self.run_anew(*options).returncode, 3)
            self.assertFalse(os.path.exists(self.log), options)

    def test_nobody_there(self):
        self.assertEqual(self.run_anew("--memory=100M").returncode, 3)
        self.assertFalse(os.path.exists(self.log))
        self.refused(self.run_anew("--cgroup=systemd"), "cannot have systemd make a control group")


class WithSystemd(LimitCase):
    """The real one: the system's for root, and a manager of an ordinary user's own."""

    def setUp(self):
        super().setUp()
        runtime = "/run" if IS_ROOT else os.environ.get("XDG_RUNTIME_DIR", "/nowhere")
        if not os.path.exists(runtime + "/systemd/private") or not shutil.which("systemd-run"):
            self.skipTest("only as a user with a systemd that answers")
        self.runtime = {"XDG_RUNTIME_DIR": runtime}
        self.report = os.path.join(self.directory, "report.json")

    def command(self, words, options=(), environment=None):
        return Case.command(self, words, options, environment)

    def variables(self, more=None):
        return super().variables({**self.runtime, **(more or {})})

    def groups(self):
        """Those of runs, and those that systemd made for vrun."""
        return [place for place, _, _ in os.walk("/sys/fs/cgroup")
                if os.path.basename(place).startswith("vrun-") or re.fullmatch(r"run-.*\.scope", os.path.basename(place))]

    def nothing_left(self):
        wait_until(lambda: self.groups() == [], "every group is gone")

    def test_every_limit_is_held_in_full(self):
        options = ["--require-limits", "--memory=40M", "--swap=0", "--pids=20", "--cpus=1", "--cpu-time=60s", "--report", self.report]
        self.went_beyond(self.bomb("heap", options=options), "memory", "40M")
        verdict = json.loads(read(self.report))
        self.assertEqual((verdict["limit"], verdict["oom_killed"], verdict["counted_by"], verdict["degraded"]),
                         ("memory", True, "cgroup", []))
        self.assertEqual({limit["enforced"] for limit in verdict["limits"].values()}, {"cgroup"})
        self.nothing_left()
        self.assertEqual(self.ok(self.bomb("fork", options=["--pids=16", "--require-limits"])), "EAGAIN 15\n")
        self.nothing_left()

    def test_by_name(self):
        result = self.vrun("sh", "-c", "echo out; echo error >&2; exit 3", options=["--cgroup=systemd", "--report", self.report])
        self.assertEqual((result.returncode, result.stdout, result.stderr), (3, "out\n", "error\n"))
        self.assertEqual(json.loads(read(self.report))["counted_by"], "cgroup")
        self.nothing_left()

    def test_it_is_in_a_group_of_its_own_and_that_goes_with_vrun(self):
        for number in (signal.SIGTERM, signal.SIGKILL):
            with self.subTest(number):
                process = self.start("sh", "-c", "echo ready; sleep 60", options=["--cgroup=systemd", "--pids=20"], stdout=subprocess.PIPE)
                self.assertEqual(process.stdout.readline(), b"ready\n")
                groups = sorted(self.groups(), key=len)
                self.assertEqual([os.path.dirname(place) for place in groups[1:]], [groups[0]] * 2)
                self.assertIn(str(process.pid), read(groups[0] + "/vrun-itself/cgroup.procs").split())
                process.send_signal(number)
                process.wait(20)
                self.nothing_left()

    def test_without_need_it_is_not_asked(self):
        self.assertEqual(self.ok(self.vrun("echo", "x", options=["--wall=60s"])), "x\n")
        self.ok(self.vrun("true", options=["--report", self.report]))
        self.assertEqual(json.loads(read(self.report))["degraded"], [])

    def test_doctor(self):
        parts = json.loads(self.raw("--doctor", "--json", timeout=20 * SLOW).stdout)["parts"]
        self.assertEqual([part["state"] for part in parts if part["part"] == "limits"], ["protected"])


if __name__ == "__main__":
    unittest.main()
