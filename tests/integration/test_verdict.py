"""What came of a run, in writing (--report, --meta), and what comes out of it (--stdin, --stdout, --stderr, --get)."""

import contextlib
import json
import os
import signal
import stat
import subprocess
import unittest

from harness import ROOT, SETUP_FAILED, SLOW, Case, read, wait_until, write
from schema import differences

BOMBS = os.path.join(ROOT, "tests/attacks/bombs.py")
SCHEMA = json.loads(read(os.path.join(ROOT, "docs/verdict.schema.json")))


class VerdictCase(Case):
    def setUp(self):
        super().setUp()
        self.results = os.path.join(self.directory, "results")
        os.mkdir(self.results)
        self.report = os.path.join(self.results, "report.json")

    def verdict(self):
        found = json.loads(read(self.report))
        self.assertEqual(differences(found, SCHEMA), [])
        return found

    def judged(self, *words, options=(), status=None, **more):
        """Runs it; the verdict, which has to fit the schema and vrun's exit status."""
        result = self.vrun(*words, options=["--report", self.report, *options], **more)
        found = self.verdict()
        self.assertEqual(found["vrun_status"], result.returncode, result.stderr)
        if status is not None:
            self.assertEqual(found["status"], status, found)
        self.assertEqual(os.listdir(self.project), [])
        return found

    def bomb(self, *words, options=(), **more):
        return self.judged("python", "-B", BOMBS, *words, options=["--ro", BOMBS, *options], **more)


class Endings(VerdictCase):
    def test_by_itself(self):
        found = self.judged("sh", "-c", "echo out; echo error >&2", status="ok")
        self.assertEqual((found["exit_code"], found["signal"], found["killed"], found["limit"]), (0, None, False, None))
        self.assertEqual((found["stdout_bytes"], found["stderr_bytes"], found["truncated"]), (4, 6, False))
        self.assertEqual((found["limits"], found["degraded"]), ({}, []))
        kernel = [row for row in found["reduced_layers"] if row["by"].startswith("the kernel's Landlock")]
        self.assertEqual(found["reduced_layers"], kernel)
        self.assertEqual(found["command"], ["sh", "-c", "echo out; echo error >&2"])
        self.assertEqual(found["env"]["path"], self.environment)
        self.assertEqual(found["host"]["kernel"], os.uname().release)

    def test_with_a_status(self):
        found = self.judged("sh", "-c", "exit 125", status="nonzero")
        self.assertEqual((found["exit_code"], found["vrun_status"], found["message"]), (125, 125, ""))

    def test_137_is_not_guessed_from(self):
        """Neither a status that looks like a signal, nor SIGKILL without a limit, is a limit."""
        self.assertEqual(self.judged("sh", "-c", "exit 137", options=["--memory=1G"], status="nonzero")["exit_code"], 137)
        found = self.judged("sh", "-c", "kill -9 $$", options=["--memory=1G", "--wall=60s"], status="signal")
        self.assertEqual((found["signal"], found["signal_name"], found["exit_code"], found["killed_by"]), (9, "SIGKILL", None, None))

    def test_beyond_limits(self):
        for words, options, status, limit in (
                (["sleeper"], ["--wall=300ms"], "wall", "wall"),
                (["spin"], ["--cpu-time=300ms"], "time", "cpu-time"),
                (["heap"], ["--memory=60M"], "memory", "memory"),
                (["flood"], ["--output-max=64K"], "output", "output-max")):
            with self.subTest(status):
                found = self.bomb(*words, options=options, status=status)
                self.assertEqual((found["limit"], found["killed"], found["killed_by"], found["exit_code"]), (limit, True, limit, None))
                self.assertEqual(found["truncated"], status == "output")
                self.assertIn(f"beyond --{limit}", found["message"])
                self.assertEqual(found["limits"][limit]["full"], limit not in found["degraded"])

    def test_killed_from_outside(self):
        process = self.start("sleep", "60", options=["--report", self.report])

        def first_process():
            for child in read(f"/proc/{process.pid}/task/{process.pid}/children").split():
                with contextlib.suppress(FileNotFoundError):  # root's vrun has a child for a moment before that one
                    if read(f"/proc/{child}/comm").strip() == "vrun-init":
                        return int(child)
        os.kill(wait_until(first_process, "pid 1 of the run is there"), signal.SIGKILL)
        self.assertEqual(process.wait(20), 137)
        found = self.verdict()
        self.assertEqual((found["status"], found["killed_by"], found["limit"]), ("killed", "outside", None))

    def test_not_executed(self):
        self.assertIn("cannot find", self.judged("no-such-command", status="not-executed")["message"])

    def test_not_set_up(self):
        for words in ([self.directory + "/nothing"], ["--ro", self.directory + "/nothing", self.environment]):
            result = self.raw("--report", self.report, *words, "--", "true")
            found = self.verdict()
            self.assertEqual((found["status"], found["vrun_status"]), ("setup-error", SETUP_FAILED))
            self.assertEqual(result.stderr, f"vrun: {found['message']}\n")

    def test_names_that_are_no_text(self):
        found = self.judged("true", b"\xff\n\"\\\x1b", "ä\u202e")
        self.assertEqual(found["command"][1:], ["\ufffd\n\"\\\x1b", "ä\u202e"])
        self.assertNotIn("\u202e", read(self.report))


class Accounts(VerdictCase):
    def test_of_the_whole_tree(self):
        # Each holds its memory until all do, and then for long enough to be seen.
        code = ("import os, time\n"
                "ready, full = os.pipe()\n"
                "wait, go = os.pipe()\n"
                "for _ in range(3):\n"
                "  if os.fork() == 0:\n"
                "    os.close(go)\n"
                "    held = bytearray(30 << 20)\n"
                "    for at in range(0, len(held), 4096): held[at] = 1\n"
                "    while time.process_time() < 0.2: pass\n"
                "    os.write(full, b'x')\n"
                "    os.read(wait, 1)\n"
                "    os._exit(0)\n"
                "for _ in range(3): os.read(ready, 1)\n"
                f"time.sleep({SLOW})\n"
                "os.close(go)\n"
                "for _ in range(3): os.wait()\n")
        found = self.judged("python", "-c", code, status="ok")
        self.assertGreater(found["cpu_s"], 0.6)
        self.assertLess(found["cpu_s"], 6 * SLOW)
        self.assertGreater(found["mem_peak_bytes"], 90 << 20)
        self.assertLess(found["mem_peak_bytes"], 200 << 20)
        self.assertLess(found["rss_peak_bytes"], 80 << 20)
        self.assertGreater(found["wall_s"], 0.5)
        self.assertIn(found["procs_peak"], (3, 4))

    def test_files_in_memory_count(self):
        found = self.judged("sh", "-c", f"head -c 40000000 /dev/zero >/tmp/x; sleep {0.3 * SLOW}", status="ok")
        self.assertGreater(found["mem_peak_bytes"], 40_000_000)

    def test_meta(self):
        meta = os.path.join(self.results, "meta")

        def lines(*words, options=()):
            self.vrun(*words, options=["--meta", meta, *options])
            return dict(line.split(":", 1) for line in read(meta).splitlines())
        found = lines("true")
        self.assertEqual(found.get("exitcode"), "0")
        self.assertLessEqual({"time", "time-wall", "max-rss", "csw-voluntary", "csw-forced"}, set(found))
        self.assertTrue({"status", "killed", "exitsig", "cg-oom-killed"}.isdisjoint(found))
        self.assertRegex(found["time"], r"\A\d+\.\d{3}\Z")
        found = lines("sh", "-c", "exit 3")
        self.assertEqual((found["status"], found["exitcode"]), ("RE", "3"))
        found = lines("sh", "-c", "kill -11 $$")
        self.assertEqual((found["status"], found["exitsig"], found["message"]), ("SG", "11", "Caught fatal signal 11"))
        found = lines("sleep", "60", options=["--wall=200ms"])
        self.assertEqual((found["status"], found["killed"], found["message"]), ("TO", "1", "Time limit exceeded (wall clock)"))
        self.assertNotIn("exitcode", found)
        self.assertEqual(lines("no-such-command")["status"], "XX")


class Forgery(VerdictCase):
    """E-114: the command cannot write, read or precede its verdict."""

    def status(self, command, **streams):
        return subprocess.run(command, cwd=self.project, env=self.variables(), stdin=subprocess.DEVNULL, timeout=20 * SLOW, **streams).returncode

    def test_in_a_directory_that_it_can_write(self):
        self.report = os.path.join(self.project, "report.json")
        canary = write(os.path.join(self.directory, "canary"), "untouched")
        for script in ("echo forged > report.json", f"ln -s {canary} report.json", "mkfifo report.json",
                       "ls -a > /tmp/list; grep -q report /tmp/list && echo seen; ls -l /proc/self/fd | grep -c project"):
            with self.subTest(script):
                result = self.vrun("sh", "-c", script, options=["--report", self.report])
                self.assertNotIn("seen", result.stdout)
                self.verdict()
                self.assertTrue(stat.S_ISREG(os.lstat(self.report).st_mode))
                self.assertEqual(os.listdir(self.project), ["report.json"])
                os.unlink(self.report)
        self.assertEqual(read(canary), "untouched")

    def test_a_link_of_an_earlier_run_leads_nowhere(self):
        """To a disk, say, where root could write."""
        self.report = os.path.join(self.project, "report.json")
        canary = write(os.path.join(self.directory, "canary"), "untouched")
        for target in ("/dev/full", canary, "/dev/nothing", self.project):
            with self.subTest(target=target):
                self.ok(self.vrun("ln", "-s", target, "report.json"))
                self.ok(self.vrun("true", options=["--report", self.report]))
                self.assertTrue(stat.S_ISREG(os.lstat(self.report).st_mode))
                self.assertEqual(self.verdict()["status"], "ok")
                os.unlink(self.report)
        self.assertEqual(read(canary), "untouched")
        out = self.vrun("true", options=["--report", "/dev/stdout"]).stdout
        self.assertEqual(json.loads(out)["status"], "ok")

    def test_directory_in_its_place(self):
        self.report = os.path.join(self.project, "report.json")
        result = self.vrun("mkdir", "report.json", options=["--report", self.report])
        self.assertEqual(result.returncode, SETUP_FAILED)
        self.assertIn("EISDIR", result.stderr)

    def test_its_directory_moved_away(self):
        os.mkdir(os.path.join(self.project, "a"))
        result = self.vrun("sh", "-c", "mv a b; mkdir a", options=["--report", self.project + "/a/report.json"])
        self.assertEqual(result.returncode, SETUP_FAILED)
        self.assertIn("was replaced during the run", result.stderr)

    def test_descriptor(self):
        read_end, write_end = os.pipe()
        result = self.vrun("sh", "-c", "ls /proc/self/fd; echo x >&$0", str(write_end), pass_fds=[write_end],
                           options=["--report", f"fd:{write_end}"])
        os.close(write_end)
        with open(read_end) as file:
            found = json.load(file)
        self.assertEqual(differences(found, SCHEMA), [])
        self.assertEqual(found["status"], "nonzero")
        self.assertRegex(result.stderr, "ad (file descriptor|fd number)")

    def test_a_name_of_a_descriptor_is_the_descriptor(self):
        """/dev/stdout is a link: what it leads to goes on where it was, and the link stays. Not as root, whom nothing would
        keep from replacing it."""
        out = os.path.join(self.results, "out")
        for option in ("--report", "--meta"):
            for name in ("/dev/stdout", "/dev/fd/1", "/proc/self/fd/1"):
                with self.subTest(option=option, name=name), open(write(out, "first\n"), "a") as file:
                    command = self.command(["echo", "second"], ["--no-project", option, name])
                    self.assertEqual(self.status([*self.ordinary(), *command], stdout=file), 0)
                    self.assertRegex(read(out), "\\Afirst\nsecond\n({\n|time:)")
                    self.assertTrue(os.path.islink("/dev/stdout"))

    def test_where_nobody_reads(self):
        """A message and vrun's own status, never SIGPIPE's; what is said to nobody changes no status."""
        read_end, nobody = os.pipe()
        os.close(read_end)
        self.addCleanup(os.close, nobody)
        fifo = os.path.join(self.results, "fifo")
        os.mkfifo(fifo)
        for environment in (self.environment, self.directory + "/nothing"):
            command = self.command(["true"], ["--report", f"fd:{nobody}"], environment)
            result = self.outside(*command, pass_fds=[nobody])
            self.assertEqual((result.returncode, result.stdout), (SETUP_FAILED, ""))
            self.assertRegex(result.stderr, r"vrun: cannot write the report 'fd:\d+': EPIPE [^\n]+\n\Z")
            self.assertEqual(self.status(self.command(["true"], [], environment), stderr=nobody),
                             0 if environment == self.environment else SETUP_FAILED)
        self.assertEqual(self.status(self.command(["sleep", "60"], ["--wall=200ms"]), stderr=nobody), 124)
        self.refused(self.vrun("true", options=["--report", fifo]), "ENXIO", "start its reader first")
        reader = os.open(fifo, os.O_RDONLY | os.O_NONBLOCK)
        process = self.start("cat", options=["--report", fifo], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        process.stdin.write(b"x")
        process.stdin.flush()
        self.assertEqual(process.stdout.read(1), b"x")
        os.close(reader)
        _, error = process.communicate(timeout=20 * SLOW)
        self.assertEqual((process.returncode, error), (SETUP_FAILED, f"vrun: cannot write the report '{fifo}': EPIPE (Broken pipe)\n".encode()))
        # Whoever reads the head of what is printed alone gets no message, and the writer the usual end.
        self.assertEqual(self.status(self.command([], ["--explain"]), stdout=nobody), -signal.SIGPIPE)

    def test_files_may_not_grow(self):
        """As SIGPIPE, SIGXFSZ says no more than the errno does."""
        result = self.outside("prlimit", "--fsize=1000", *self.command(["true", "x" * 1000], ["--report", self.report]))
        self.assertEqual((result.returncode, result.stderr),
                         (SETUP_FAILED, f"vrun: cannot write the report '{self.report}': EFBIG (File too large)\n"))
        self.assertEqual(os.listdir(self.results), [])

    def test_where_nothing_can_be_written(self):
        self.refused(self.vrun("true", options=["--report", self.directory + "/no/report"]), "cannot write the report", "ENOENT")
        self.refused(self.vrun("true", options=["--report", self.results]), "EISDIR")
        self.refused(self.vrun("true", options=["--report", "fd:77"]), "EBADF")
        self.refused(self.vrun("true", options=["--report", "fd:x"]), "fd:N")
        with open("/dev/null", "rb") as file:
            self.refused(self.vrun("true", options=["--report", "fd:0"], stdin=file), "not open for writing")


class Streams(VerdictCase):
    def path(self, name):
        return os.path.join(self.results, name)

    def test_files(self):
        write(self.path("in"), "input")
        found = self.judged("sh", "-c", "cat; echo error >&2", status="ok",
                            options=["--stdin", self.path("in"), "--stdout", self.path("out"), "--stderr", self.path("err")])
        self.assertEqual((read(self.path("out")), read(self.path("err"))), ("input", "error\n"))
        self.assertEqual((found["stdout_bytes"], found["stderr_bytes"]), (5, 6))

    def test_one_for_both(self):
        self.judged("sh", "-c", "echo 1; echo 2 >&2; echo 3", options=["--stdout", self.path("out"), "--stderr", self.path("out")])
        self.assertEqual(read(self.path("out")), "1\n2\n3\n")

    def test_one_for_both_by_another_name(self):
        os.mkdir(self.path("directory"))
        os.symlink(self.results, self.path("link"))
        for name in ("./out", "directory/../out", "link/out"):
            found = self.judged("sh", "-c", "echo 1; echo 2 >&2; echo 3", cwd=self.results,
                                options=["--project", self.project, "--stdout", "out", "--stderr", name, "--output-max=10"])
            self.assertEqual(read(self.path("out")), "1\n2\n3\n", name)
            self.assertEqual((found["stdout_bytes"], found["stderr_bytes"]), (6, None))
        found = self.bomb("flood", options=["--stdout", self.path("out"), "--stderr", self.path("link/out"), "--output-max=20"])
        self.assertEqual((len(read(self.path("out"))), found["truncated"]), (20, True))

    def test_files_that_are_one(self):
        """What is written to one would be lost, or end up in the other."""
        write(self.path("there"), "kept")
        os.link(self.path("there"), self.path("second"))
        os.symlink(self.results, self.path("link"))
        os.mkfifo(self.path("fifo"))
        with open(self.path("there"), "a") as file:
            for first, second, name, other in (
                    ("report", "meta", "new", "new"), ("report", "meta", "new", "link/new"), ("report", "meta", "there", "second"),
                    ("report", "meta", "fifo", "link/fifo"), ("report", "stdout", "new", "link/new"), ("report", "stderr", "there", "there"),
                    ("meta", "stdout", "new", "new"), ("report", "stdin", "there", "there"), ("stdin", "stdout", "there", "link/there"),
                    ("stdin", "stderr", "there", "there"), ("report", "stdout", f"fd:{file.fileno()}", "there")):
                with self.subTest(f"--{first} {name} --{second} {other}"):
                    options = [f"--{first}", name if ":" in name else self.path(name), f"--{second}", self.path(other)]
                    self.refused(self.vrun("echo", "lost", options=options, pass_fds=[file.fileno()]),
                                 f"--{first} and --{second} name the same file '{self.path(other)}'; give each a file of its own")
                    self.assertEqual((read(self.path("there")), sorted(os.listdir(self.results))), ("kept", ["fifo", "link", "second", "there"]))
        self.ok(self.vrun("true", options=["--report", "/dev/null", "--meta", "/dev/null", "--stdin", "/dev/null", "--stdout", "/dev/null"]))

    def test_nothing_is_cut_off_before_all_are_there(self):
        write(self.path("out"), "kept")
        self.refused(self.vrun("true", options=["--stdout", self.path("out"), "--stderr", self.path("no/such")]), "ENOENT")
        self.assertEqual(read(self.path("out")), "kept")

    def test_what_vrun_says_is_not_in_them(self):
        result = self.vrun("sleep", "60", options=["--wall=200ms", "--stderr", self.path("err")])
        self.assertEqual((read(self.path("err")), result.returncode), ("", 124))
        self.assertIn("beyond --wall", result.stderr)

    def test_truncated(self):
        write(self.path("out"), "something longer that was there before")
        found = self.bomb("flood", options=["--stdout", self.path("out"), "--output-max=20"], status="output")
        self.assertEqual((len(read(self.path("out"))), found["truncated"], found["stdout_bytes"]), (20, True, 20))

    def test_not_safe(self):
        os.symlink("/etc/passwd", self.path("link"))
        os.mkfifo(self.path("fifo"))
        write(self.path("file"), "kept")
        os.link(self.path("file"), self.path("other"))
        for option, name, text in (("stdin", "link", "ELOOP"), ("stdout", "link", "ELOOP"), ("stdin", "fifo", "regular"),
                                   ("stderr", "fifo", "ENXIO"), ("stdout", "other", "other names"), ("stdin", ".", "regular")):
            self.refused(self.vrun("true", options=[f"--{option}", self.path(name)]), text)
        self.assertEqual(read(self.path("file")), "kept")


class Fetching(VerdictCase):
    """E-115 to E-117: what is fetched is a file of the run's and nothing else."""

    def setUp(self):
        super().setUp()
        self.target = os.path.join(self.directory, "fetched")
        os.mkdir(self.target)

    def fetch(self, script, *patterns, options=()):
        """{path in the run: why not, or None}, and what was fetched."""
        gets = [f"--get={pattern}={self.target}" for pattern in patterns]
        self.vrun("sh", "-c", script, options=["--report", self.report, *gets, *options])
        found = {entry["path"]: entry["refused"] for entry in self.verdict()["results"]}
        return found, sorted(os.listdir(self.target))

    def test_results(self):
        script = "mkdir -p sub/1 sub/2; echo 1 >sub/1/a; echo 2 >sub/2/b; echo 3 >/tmp/c.txt; chmod 4777 /tmp/c.txt; echo 4 >$HOME/d"
        found, files = self.fetch(script, "sub/*/?", "/tmp/*.txt", self.home + "/d", "/tmp/none")
        self.assertEqual(found, {self.project + "/sub/1/a": None, self.project + "/sub/2/b": None, "/tmp/c.txt": None,
                                 self.home + "/d": None, "/tmp/none": "there is no such file"})
        self.assertEqual(files, ["a", "b", "c.txt", "d"])
        self.assertEqual(read(self.target + "/c.txt"), "3\n")
        self.assertEqual(stat.S_IMODE(os.lstat(self.target + "/c.txt").st_mode) & 0o7133, 0)

    def test_traps(self):
        canary = write(os.path.join(self.directory, "canary"), "secret")
        script = (f"mkdir /tmp/r; cd /tmp/r; ln -s {canary} link; mkfifo fifo; truncate -s 1T sparse; echo x >one; ln one two; "
                  "mkdir dir; ln -s / away; echo x >\"$(printf 'a\\033b')\"; echo x >good; python -c "
                  "'import socket; socket.socket(socket.AF_UNIX).bind(\"socket\")'")
        found, files = self.fetch(script, "/tmp/r/*", f"/tmp/r/away{canary}")
        self.assertEqual(found, {"/tmp/r/" + name: why for name, why in {
            "link": "it is a link", "fifo": "it is not a regular file", "sparse": "it is too large",
            "one": "it has other names too", "two": "it has other names too", "dir": "it is not a regular file",
            "away": "it is a link", "a\x1bb": "its name has characters that are not fit for one", "good": None,
            "socket": "ENXIO"}.items()})
        self.assertEqual(files, ["good"])

    def test_only_from_where_the_run_can_write(self):
        found, files = self.fetch("true", "/etc/passwd", "/usr/bin/env", "/tmp/../etc/group")
        self.assertEqual(set(found.values()), {"it is not where the run can write"})
        self.assertEqual(files, [])

    def test_never_over_what_is_there(self):
        write(self.target + "/a", "kept")
        found, _ = self.fetch("echo new >/tmp/a", "/tmp/a")
        self.assertEqual((found["/tmp/a"], read(self.target + "/a")), ("there is a file of that name already", "kept"))

    def test_sizes(self):
        found, files = self.fetch("head -c 2000 /dev/zero >/tmp/a; head -c 1000 /dev/zero >/tmp/b", "/tmp/[ab]", options=["--fsize=2000"])
        self.assertEqual((found, files), ({"/tmp/a": None, "/tmp/b": None}, ["a", "b"]))

    def test_holes_stay_holes(self):
        """R-09: what takes no room in the run takes none outside."""
        script = "truncate -s 60M /tmp/a; printf middle | dd of=/tmp/a bs=1M seek=30 conv=notrunc status=none; truncate -s 1M /tmp/b"
        found, _ = self.fetch(script, "/tmp/[ab]")
        self.assertEqual(found, {"/tmp/a": None, "/tmp/b": None})
        a, b = (os.stat(f"{self.target}/{name}") for name in "ab")
        self.assertEqual((a.st_size, b.st_size), (60 << 20, 1 << 20))
        self.assertLess(a.st_blocks + b.st_blocks, (2 << 20) // 512)
        with open(self.target + "/a", "rb") as file:
            file.seek(30 << 20)
            self.assertEqual(file.read(8), b"middle\0\0")

    def test_nothing_that_the_run_does_not_see(self):
        """What is covered or read-only inside is the host's, whatever a pattern says."""
        for name in ("hidden/secret", "kept/secret", "covered/secret", ".git/secret"):
            write(os.path.join(self.project, name), "host's")
        options = ["--hide", "hidden", "--ro", "kept", "--tmpfs", self.project + "/covered"]
        found, files = self.fetch("ls -a . */; echo new >covered/secret2; echo out >own", "*/secret*", ".g*/secret", "o*", ".*",
                                  options=options)
        self.assertEqual(files, ["own", "secret2"])
        self.assertEqual(read(self.target + "/secret2"), "new\n")
        closed = "it is not where the run can write"
        self.assertEqual(found, {**{f"{self.project}/{name}": closed for name in ("hidden", "kept", ".git")},
                                 **{f"{self.project}/{name}": None for name in ("covered/secret2", "own")}})

    def test_no_more_than_a_thousand(self):
        found, files = self.fetch("mkdir /tmp/m; cd /tmp/m; seq 1100 | xargs touch", "/tmp/m/*", "/tmp/m/*")
        self.assertEqual((len(files), len(found)), (1000, 1001))
        self.assertEqual([why for why in found.values() if why], ["no more than 1000 files are fetched"])

    def test_malformed(self):
        self.refused(self.vrun("true", options=["--get=x"]), "PATTERN=DIR")
        self.refused(self.vrun("true", options=["--get=x=/nowhere"]), "/nowhere", "ENOENT")


if __name__ == "__main__":
    unittest.main()
