"""Limits: what a run may use, what comes of using more, and what is left then (docs/threat-model.md, R-01 to R-24).

Each attempt is made once without the limit too, where that is harmless: it goes through there.
"""

import os
import re
import subprocess
import time
import unittest

from harness import ROOT, SLOW, Case, read, wait_until

TIMED_OUT, KILLED = 124, 137
BOMBS = os.path.join(ROOT, "tests/attacks/bombs.py")
MIB = 1 << 20


def stretched(seconds):
    """A time that this machine can meet, as vrun writes it."""
    return f"{seconds * SLOW:g}s"


class LimitCase(Case):
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
    def ended_in_time(self, *words, limit="wall", stdout=""):
        begin = time.monotonic()
        result = self.bomb(*words, options=[f"--{limit}={stretched(0.3)}"])
        self.went_beyond(result, limit, stretched(0.3), TIMED_OUT)
        self.assertEqual(result.stdout, stdout)
        self.assertLess(time.monotonic() - begin, 5 * SLOW)

    def test_r12_processor_time(self):
        self.ended_in_time("spin", limit="cpu-time")

    def test_r12_processor_time_of_all_together(self):
        self.ended_in_time("spin_in_children", limit="cpu-time")

    def test_r12_sleep_takes_none(self):
        self.ok(self.vrun("sleep", stretched(0.5), options=["--cpu-time=" + stretched(0.3)]))

    def test_r14_ignores_every_signal(self):
        self.ended_in_time("sleeper", stdout="asleep\n")

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


if __name__ == "__main__":
    unittest.main()
