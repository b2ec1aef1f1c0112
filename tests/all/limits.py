"""Limits at length: a hundred submissions on two processors, and attempts that take their time.

    python3 tests/all/limits.py [UID]

VRUN and VBUILD name the programs. Everything is ended when it takes ten minutes.
"""

import ctypes
import json
import os
import resource
import subprocess
import sys
import time
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../integration"))

if len(sys.argv) > 1:
    os.setgroups([])
    os.setresgid(*[int(sys.argv[1])] * 3)
    os.setresuid(*[int(sys.argv[1])] * 3)

from harness import ROOT, VRUN, Case, host_mounts, read, write  # noqa: E402

BOMBS = os.path.join(ROOT, "tests/attacks/bombs.py")
# What a submission does, and the status and limit that come of it.
KINDS = [
    (["answer"], "ok", None),
    (["spin"], "time", "cpu-time"),
    (["sleeper"], "wall", "wall"),
    (["heap"], "memory", "memory"),
    (["flood"], "output", "output-max"),
    (["fork", "500"], "ok", None),
    (["fork_forever"], "wall", "wall"),
    (["daemon"], "ok", None),
    (["memfd"], "memory", "memory"),
    (["descriptors"], "ok", None),
]
LIMITS = ["--cgroup=none", "--wall=20s", "--cpu-time=2s", "--memory=80M", "--pids=20", "--output-max=1M", "--nofile=100"]
SUBMISSIONS = 100


class ManySubmissions(Case):
    def test_a_hundred_on_two_processors(self):
        reports = os.path.join(self.directory, "reports")
        os.mkdir(reports)
        self.ok(self.vrun("true"))
        before = (host_mounts(), sorted(os.listdir(self.temporary)))
        answer = write(os.path.join(self.directory, "answer.py"), "print(42)\n")
        lines = []
        for number in range(SUBMISSIONS):
            words, _, _ = KINDS[number % len(KINDS)]
            program = [answer] if words == ["answer"] else [BOMBS, *words]
            lines.append(" ".join([str(number), "--ro", program[0], self.environment, "--", "python", "-B", *program]))
        script = ('number=$1; shift; "$VRUN" $LIMITS --report "$REPORTS/$number.json" --stdout "$REPORTS/$number.out" '
                  '--no-project "$@" 2>/dev/null; exit 0')
        variables = self.variables({"VRUN": VRUN, "LIMITS": " ".join(LIMITS), "REPORTS": reports})
        begin = time.monotonic()
        result = subprocess.run(["taskset", "-c", "0,1", "xargs", "-P", "6", "-L", "1", "sh", "-c", script, "sh"],
                                input="\n".join(lines) + "\n", text=True, env=variables, cwd=self.project, timeout=500)
        print(f"{SUBMISSIONS} submissions in {time.monotonic() - begin:.0f} s", flush=True)
        self.assertEqual(result.returncode, 0)
        wrong = []
        for number in range(SUBMISSIONS):
            words, status, limit = KINDS[number % len(KINDS)]
            verdict = json.loads(read(f"{reports}/{number}.json"))
            # Many processes that only fork may use up their processor time before the wall time is over.
            fits = (verdict["status"], verdict["limit"]) == (status, limit) or \
                (words == ["fork_forever"] and verdict["limit"] in ("wall", "cpu-time"))
            if not fits or verdict["procs_peak"] > 20:
                wrong.append((words, verdict["status"], verdict["limit"], verdict["procs_peak"]))
            if words == ["answer"]:
                self.assertEqual(read(f"{reports}/{number}.out"), "42\n")
        self.assertEqual(wrong, [])
        self.assertEqual((host_mounts(), sorted(os.listdir(self.temporary))), before)


class Slow(Case):
    def bomb(self, *words, options=()):
        return self.vrun("python", "-B", BOMBS, *words, options=["--cgroup=none", "--ro", BOMBS, *options], timeout=300)

    def test_r08_inodes_everywhere(self):
        for directory in ("/tmp", "/var/tmp", self.home, "/dev/shm"):
            with self.subTest(directory):
                self.assertRegex(self.ok(self.bomb("inodes", directory, "300000")), r"\AENOSPC \d+\n\Z")

    def test_r12_short_lives_that_nobody_waits_for(self):
        report = os.path.join(self.directory, "report.json")
        begin = time.monotonic()
        result = self.bomb("spin_unaccounted", "0.005", options=["--cpu-time=2s", "--wall=60s", "--report", report])
        took = time.monotonic() - begin
        self.assertEqual((result.returncode, json.loads(read(report))["limit"]), (124, "cpu-time"))
        print(f"--cpu-time=2s held 5 ms children after {took:.1f} s", flush=True)

    def ended(self, limit, *words, options=()):
        """Standard output of what went beyond `limit`, and in time."""
        report = os.path.join(self.directory, "report.json")
        result = self.bomb(*words, options=["--report", report, *options])
        self.assertEqual(json.loads(read(report))["limit"], limit, result.stderr)
        self.assertNotIn("went through", result.stdout)
        return result.stdout

    def test_r06_locked_memory(self):
        """The caller's own limit of it passes on, and is met before that of all memory, unless it is larger."""
        soft = resource.getrlimit(resource.RLIMIT_MEMLOCK)[0]
        if 0 <= soft < 100 << 20:
            self.assertRegex(self.ok(self.bomb("locked_heap", options=["--memory=100M"])), r"\Alocked\n(MemoryError|EAGAIN) \d\n\Z")
        else:
            self.assertEqual(self.ended("memory", "locked_heap", options=["--memory=100M"]), "locked\n")
        self.assertEqual(self.ended("memory", "heap", options=["--memory=100M"]), "")

    def test_r13_processors_are_no_limit(self):
        """A run is on whichever processors it likes; what it uses counts wherever that was."""
        self.assertEqual(self.ended("cpu-time", "spin_everywhere", options=["--cpu-time=1s", "--wall=60s"]), f"{os.cpu_count()}\n")

    def test_r21_sync(self):
        """Nothing holds it: the host's disks are one. But it ends."""
        self.ended("wall", "sync_forever", options=["--wall=2s"])

    def holding(self, word):
        """What a run met first that takes as much as it gets, while it holds it; it ends with the test."""
        process = self.start("python", "-B", BOMBS, word, options=["--cgroup=none", "--ro", BOMBS, "--nofile=8000", "--wall=60s"],
                             stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        answer = process.stdout.readline().decode().split()
        self.addCleanup(process.stdout.close)
        return process, answer

    def test_r18_watches(self):
        """Their number is one user's, inside and outside together; when the run has ended, all are free again."""
        process, (error, count) = self.holding("watches")
        self.assertEqual((error, int(count) > 0), ("EMFILE", True))
        process.stdin.close()
        self.assertEqual(process.wait(20), 0)
        libc = ctypes.CDLL(None, use_errno=True)
        taken = [libc.inotify_init1(0) for _ in range(int(count))]
        for descriptor in taken:
            if descriptor >= 0:
                os.close(descriptor)
        self.assertGreater(min(taken), 0)

    def test_r19_terminals(self):
        """The run has a file system of its own for them, and the host still makes some."""
        _, (error, _) = self.holding("terminals")
        self.assertIn(error, ("ENOSPC", "EMFILE"))
        for descriptor in os.openpty():
            os.close(descriptor)

    def test_r20_semaphores(self):
        before = read("/proc/sysvipc/sem")
        _, (error, _) = self.holding("semaphores")
        self.assertEqual(error, "ENOSPC")
        self.assertEqual(read("/proc/sysvipc/sem"), before)
        libc = ctypes.CDLL(None, use_errno=True)
        number = libc.semget(0, 1, 0o1600)
        self.assertGreaterEqual(number, 0, os.strerror(ctypes.get_errno()))
        self.assertEqual(libc.semctl(number, 0, 0), 0)  # IPC_RMID

    def test_r16_zombies(self):
        self.assertEqual(self.ok(self.bomb("zombies", "3000", options=["--pids=32"])), "went through\n")

    def test_r23_crashes(self):
        code = "import os\nfor _ in range(500):\n  if os.fork() == 0: os.kill(os.getpid(), 11)\n  os.wait()\nprint('done')"
        self.assertEqual(self.ok(self.vrun("python", "-c", code, options=["--cgroup=none", "--pids=8", "--wall=60s"])), "done\n")

    def test_vrun_stays_small_whatever_the_run_does(self):
        process = self.start("sh", "-c", "for i in $(seq 300); do sleep 60 & done; wait",
                             options=["--cgroup=none", "--memory=2G", "--pids=400", "--wall=8s"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        largest = 0
        while process.poll() is None:
            try:
                status = read(f"/proc/{process.pid}/status")
            except OSError:
                break
            largest = max([largest] + [int(line.split()[1]) for line in status.splitlines() if line.startswith("VmHWM")])
            time.sleep(0.05)
        self.assertEqual(process.wait(), 124)
        print(f"vrun beside 300 processes: {largest} KiB", flush=True)
        self.assertLess(largest, 8 << 10)


if __name__ == "__main__":
    unittest.main(argv=sys.argv[:1], verbosity=2)
