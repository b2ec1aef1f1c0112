"""Limits at length: a hundred submissions on two processors, and attempts that take their time.

    python3 tests/all/limits.py [UID [NAME...]]

VRUN and VBUILD name the programs. NAMEs are of tests here.
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


# Rows of the catalogue (docs/threat-model.md): what is tried, with which options, and what comes of it: the limit that
# ends the run, or what the attempt says that has met its own.
MEMORY = "--memory=100M"
ROWS = [
    ("R-01", ["fork_forever"], ["--pids=32", "--wall=1s"], "wall"),
    ("R-01", ["fork"], ["--pids=16"], r"EAGAIN 15"),
    ("R-02", ["threads", "100000"], ["--pids=16"], r"RuntimeError 15"),
    ("R-03", ["fork"], ["--pids=20"], r"EAGAIN 19"),
    ("R-04", ["heap"], [MEMORY], "memory"),
    ("R-04", ["heap_in_children"], [MEMORY], "memory"),
    ("R-05", ["memfd"], [MEMORY], "memory"),
    ("R-05", ["shared_mapping"], [MEMORY], "memory"),
    ("R-05", ["system_v"], [MEMORY], "memory"),
    ("R-05", ["file_in", "/dev/shm"], [MEMORY], "memory"),
    ("R-06", ["locked_heap"], [MEMORY], r"(locked|E\w+)\n(MemoryError|EAGAIN) \d+|memory"),
    ("R-07", ["fill_everywhere"], ["--project-ro", "--tmp-size=8M", "--shm-size=8M"], r"(/run ENOSPC 16\n|/\S* ENOSPC 8(\n|\Z)){5}"),
    ("R-08", ["inodes", "/tmp", "300000"], [], r"ENOSPC \d+"),
    ("R-09", ["sparse_file", "/tmp", str(1 << 40)], ["--fsize=3M"], r"EFBIG 0"),
    ("R-10", ["descriptors"], ["--nofile=50"], r"EMFILE 4\d"),
    ("R-11", ["flood"], ["--output-max=1M"], "output-max"),
    ("R-12", ["spin"], ["--cpu-time=1s"], "cpu-time"),
    ("R-12", ["spin_in_children"], ["--cpu-time=1s"], "cpu-time"),
    ("R-13", ["spin_everywhere"], ["--cpu-time=1s"], "cpu-time"),
    ("R-14", ["sleeper"], ["--wall=2s"], "wall"),
    ("R-14", ["stopped"], ["--wall=1s"], "wall"),
    ("R-14", ["vfork_stuck"], ["--wall=1s"], "wall"),
    ("R-15", ["daemon"], [], r"left it behind"),
    ("R-16", ["zombies", "1000"], ["--pids=32"], r"went through"),
    ("R-17", ["arguments"], [], r"E2BIG 1\d"),
    ("R-18", ["watches"], [], r"EMFILE \d+"),
    ("R-19", ["terminals"], ["--nofile=8000"], r"(ENOSPC|EMFILE) \d+"),
    ("R-20", ["semaphores"], [], r"ENOSPC \d+"),
    ("R-21", ["sync_forever"], ["--wall=2s"], "wall"),
    ("R-22", ["scheduling"], [], r"fifo EPERM\nnice (EACCES|EPERM)"),
    ("R-23", ["crashes", "100"], ["--pids=8"], r"went through"),
    ("R-24", ["in_one_call"], ["--wall=1s"], "wall"),
    ("R-24", ["big_integer"], ["--cpu-time=1s"], "cpu-time"),
    ("R-24", ["unzip"], [MEMORY, "--cpu-time=20s"], "memory|cpu-time"),
    ("R-24", ["recursion"], [MEMORY, "--cpu-time=20s"], "memory|cpu-time"),
]
IN_TIME = 20  # seconds more than a limit of time, on a machine with something else to do
SMALL = 8 << 10  # KiB


class Catalogue(Case):
    """Every row is stopped in time, by the limit that it is about, while vrun stays small and the host goes on working;
    and nothing is left."""

    def host_works(self):
        """As the same user, at the same time: a process, a file, a terminal, a watch."""
        self.assertEqual(subprocess.run(["/bin/true"], timeout=IN_TIME).returncode, 0)
        write(os.path.join(self.directory, "beside"), "x")
        for descriptor in os.openpty():
            os.close(descriptor)

    def attempt(self, words, options):
        """(verdict, output, the most memory that vrun used, seconds)"""
        report = os.path.join(self.directory, "report.json")
        begin = time.monotonic()
        if not any(option.startswith("--wall") for option in options):
            options = [*options, "--wall=100s"]
        process = self.start("python", "-B", BOMBS, *words, options=["--cgroup=none", "--ro", BOMBS, "--report", report, *options],
                             stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
        largest, looks, output = 0, 0, b""
        os.set_blocking(process.stdout.fileno(), False)
        while process.poll() is None:
            output = (output + (process.stdout.read() or b""))[-(1 << 16):]
            largest = max(largest, self.most_memory(process.pid))
            if looks % 20 == 0:
                self.host_works()
            looks += 1
            time.sleep(0.02)
        output += process.stdout.read() or b""
        return json.loads(read(report)), output.decode(errors="replace"), largest, time.monotonic() - begin

    @staticmethod
    def most_memory(pid):
        try:
            return max([0] + [int(line.split()[1]) for line in read(f"/proc/{pid}/status").splitlines() if line.startswith("VmHWM")])
        except OSError:
            return 0

    def test_rows(self):
        self.assertEqual(sorted({row[0] for row in ROWS}), [f"R-{number:02}" for number in range(1, 25)])
        self.ok(self.vrun("true"))
        for row, words, options, expected in ROWS:
            with self.subTest(row=row, words=words):
                before = (host_mounts(), sorted(os.listdir(self.temporary)), read("/proc/sysvipc/shm"))
                beside = self.start("python", "-B", BOMBS, "fork", options=["--cgroup=none", "--ro", BOMBS, "--pids=20"],
                                    stdout=subprocess.PIPE) if row == "R-03" else None
                verdict, output, largest, seconds = self.attempt(words, options)
                self.assertRegex(verdict["limit"] or output.strip(), f"\\A({expected})\\Z")
                self.assertIn("--" + verdict["limit"] if verdict["limit"] else "", verdict["message"])
                self.assertNotIn("went through" if expected != "went through" else "-", output)
                self.assertLess(seconds, IN_TIME + 2)
                self.assertLess(largest, SMALL)
                self.host_works()
                if beside:
                    self.assertEqual(beside.communicate(timeout=60)[0].decode(), f"{expected}\n")
                self.check_nothing_is_left()
                self.assertEqual((host_mounts(), sorted(os.listdir(self.temporary)), read("/proc/sysvipc/shm")), before)
                print(f"{row} {' '.join(words)}: {verdict['limit'] or output.strip()[-40:]!r} after {seconds:.1f} s, vrun {largest} KiB", flush=True)


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
        result = self.bomb("spin_unaccounted", "0.005", options=["--cpu-time=2s", "--wall=250s", "--report", report])
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
    unittest.main(argv=sys.argv[:1] + sys.argv[2:], verbosity=2)
