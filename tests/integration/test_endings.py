"""How a run ends when something fails, dies or is swapped under it, and what is then left on the host."""

import ctypes
import errno
import mmap
import os
import subprocess
import time
import unittest

from faults import KILL, LAUNCHER, FaultCase
from harness import DEADLINE, Case, host_mounts, make_environment, read, wait_until, write

F_SETPIPE_SZ = 1031
AT_FDCWD, RENAME_EXCHANGE = -100, 2


class Faults(FaultCase):
    """A sample: of each kind of call in each process, one, with its faults in turn. tests/all has every call."""

    def test_sample(self):
        kinds = {}
        for call in self.calls:
            kinds.setdefault((call.process, call.name), []).append(call)
        rows = []
        for number, calls in enumerate(kinds.values()):
            call = calls[len(calls) // 2]
            faults = self.faults_of(call)
            rows.append((call, faults[number % len(faults)]))
        self.check(rows)

    def test_map_of_users_that_does_not_tell(self):
        """Root whose id map reads as empty must not stay root."""
        reads = [call for call in self.calls if call.process == 0 and call.name == "read" and call.number > self.main][:3]
        self.check([(call, fault) for call in reads for fault in (0, errno.EIO)])

    def test_control(self):
        """Without a fault the probe's account has every layer."""
        self.assertRegex(self.expected, r"(?s)CapBnd:\t0+\n.*NoNewPrivs:\t1\nSeccomp:\t2\n.*user namespaces 0\n.*end\n\Z")
        self.assertEqual(self.expected.count(" of its own\n"), 7)
        self.assertIn(KILL, self.faults_of(self.calls[0]))


class LargeProjects(FaultCase):
    """A start costs no more calls in a project of any size, and what it then leaves out is said."""

    def calls_with(self, directories):
        """How many calls vrun itself makes, until a project has this many directories."""
        have = len(os.listdir(self.project))
        for number in range(have, directories):
            os.makedirs(os.path.join(self.project, f"d{number}/a"))
        result = self.inject("list")
        self.assertEqual(result.returncode, 0)
        self.take_state()
        return sum(line.startswith(f"{LAUNCHER} ") for line in read(self.log).splitlines()), result.stderr

    def test_calls_are_bounded(self):
        small, nothing = self.calls_with(20)
        self.assertEqual(nothing, "")
        large, note = self.calls_with(1100)
        self.assertRegex(note, r"\Avrun: note: [^\n]* more directories than are searched for other environments[^\n]*\n\Z")
        larger, _ = self.calls_with(4000)
        self.assertGreater(large, small + 2000, "the control: directories that are searched cost calls")
        # The listing of the project itself, which is read to its end, is longer.
        self.assertLess(abs(larger - large), 20)

    def test_files_cost_no_calls(self):
        """Ten files or five thousand, in the project itself and further down: names are read by the thousand."""
        os.makedirs(os.path.join(self.project, "a/b"))
        few, many = self.calls_with_files(5), self.calls_with_files(2500)
        self.assertLess(abs(many - few), 30)

    def calls_with_files(self, count):
        for directory in (".", "a/b"):
            for number in range(count):
                os.close(os.open(os.path.join(self.project, directory, f"file{number}.txt"), os.O_CREAT))
        return self.calls_with(0)[0]

    def test_beyond_the_search(self):
        """What lies deeper than is searched is shown, which is said; --hide covers it. The usual places stay covered."""
        deep, usual = (make_environment(os.path.join(self.project, name)) for name in ("1/2/3/4/5/6/env", ".tox/py"))
        script = f"test -e {deep}/pyvenv.cfg && echo shown; test -e {usual}/pyvenv.cfg || echo covered"
        result = self.vrun("sh", "-c", script)
        self.assertEqual((result.returncode, result.stdout), (0, "shown\ncovered\n"))
        self.assertIn("more directories than are searched", result.stderr)
        hidden = self.vrun("sh", "-c", f"test -e {deep}/pyvenv.cfg || echo covered", options=["--hide", deep])
        self.assertEqual(hidden.stdout, "covered\n")
        explained = self.vrun("true", options=["--explain", "--verbose"])
        self.assertIn("not searched for environments: directories more than 5 levels down", explained.stdout)


class Many(Case):
    alone = True

    def snapshot(self):
        return (host_mounts(), [sorted(os.listdir(path)) for path in (self.temporary, self.home, self.project)],
                [read(f"/proc/sysvipc/{kind}") for kind in ("msg", "sem", "shm")], sorted(os.listdir("/proc/self/fd")))

    def test_two_hundred_at_once(self):
        self.ok(self.vrun("true"))
        before = self.snapshot()
        processes = [subprocess.Popen(self.command(["sh", "-c", "echo $0; exit $(($0 % 100))", str(number)]), cwd=self.project,
                                      env=self.variables(), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                                      stderr=subprocess.PIPE) for number in range(200)]
        for number, process in enumerate(processes):
            output = process.communicate(timeout=120)
            self.assertEqual((output, process.returncode), ((f"{number}\n".encode(), b""), number % 100))
        self.assertEqual(self.snapshot(), before)

    def test_two_hundred_in_a_row(self):
        self.ok(self.vrun("true"))
        before = self.snapshot()
        for number in range(200):
            self.assertEqual(self.vrun("sh", "-c", f"exit {number}").returncode, number)
        self.assertEqual(self.snapshot(), before)


class EnlargedPipe(Case):
    def test_vrun_rests(self):
        """The run enlarges the pipe of its standard input and does not read: vrun has nothing to do, and does nothing."""
        code = (f"import fcntl, sys, time; fcntl.fcntl(0, {F_SETPIPE_SZ}, 1 << 20); print('ready', flush=True)\n"
                "time.sleep(1.5); print(len(sys.stdin.read()))")
        process = self.start("python", "-c", code, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        process.stdin.write(b"x" * 3000)
        process.stdin.flush()
        self.assertEqual(process.stdout.readline(), b"ready\n")
        process.stdin.close()
        process.stdin = None

        def ticks():
            return sum(map(int, read(f"/proc/{process.pid}/stat").rsplit(")", 1)[1].split()[11:13])) / os.sysconf("SC_CLK_TCK")
        begin, used = time.monotonic(), ticks()
        wait_until(lambda: time.monotonic() - begin > 1, "a second passes")
        self.assertLess(ticks() - used, 0.05, "seconds of processor time in a second of rest")
        self.assertEqual(process.stdout.read(), b"3000\n")
        self.assertEqual(process.wait(DEADLINE), 0)


class Swapper(Case):
    """A process of the caller's swaps directories for links to a secret while runs start."""

    def setUp(self):
        super().setUp()
        self.secret = os.path.join(self.directory, "secret")
        write(os.path.join(self.secret, "file"), "secret")
        os.mkdir(os.path.join(self.secret, "site-packages"))

    def swap(self, *pairs):
        """Until the test ends; RENAME_EXCHANGE leaves no moment without either. What really was swapped is counted."""
        libc = ctypes.CDLL(None, use_errno=True)
        self.swaps = mmap.mmap(-1, 8)
        pid = os.fork()
        if pid == 0:
            done = 0
            while os.getppid() != 1:
                for one, other in pairs:
                    answer = libc.renameat2(AT_FDCWD, os.fsencode(one), AT_FDCWD, os.fsencode(other), RENAME_EXCHANGE)
                    done += answer == 0
                self.swaps[:] = done.to_bytes(8, "little")
            os._exit(0)

        def stop():
            os.kill(pid, 9)
            os.waitpid(pid, 0)
        self.addCleanup(stop)

    def swapped(self):
        return int.from_bytes(self.swaps[:], "little")

    def secret_state(self):
        return [(path, names, os.stat(path).st_mtime_ns) for path, _, names in os.walk(self.secret)]

    def starts(self, count, environment):
        """Each run ends right or does not start; the secret is never there to read, nor changed."""
        before, right, refused = self.secret_state(), 0, 0
        # What the links lead to has no place in the view; the project and the environment must be what they were.
        script = "cat file */file .venv/file .git/file 2>/dev/null; echo made > made; ls -d " + self.secret + " 2>/dev/null; exit 42"
        for _ in range(count):
            result = self.vrun("sh", "-c", script, environment=environment)
            self.assertNotIn("secret", result.stdout)
            self.assertIn(result.returncode, (42, 125), result.stderr)
            right += result.returncode == 42
            refused += result.returncode == 125
            if result.returncode == 125:
                self.assertRegex(result.stderr, r"\Avrun: [^\n]+\n\Z")
                self.assertEqual(result.stdout, "")
        self.assertEqual(self.secret_state(), before)
        return right, refused

    def test_in_the_project(self):
        rows = []
        for name in (".git", ".venv", "src"):
            path = os.path.join(self.project, name)
            os.mkdir(path)
            os.symlink(self.secret, os.path.join(self.directory, "link" + name))
            rows.append((path, os.path.join(self.directory, "link" + name)))
        right, refused = self.starts(3, self.environment)
        self.assertEqual((right, refused), (3, 0), "the control, without swaps")
        self.swap(*rows)
        swapped = self.swapped()
        self.starts(40, self.environment)
        self.assertGreater(self.swapped() - swapped, 40 * 20, "the control: swaps while runs start")

    def test_above_the_environment(self):
        above = os.path.join(self.directory, "above")
        environment = make_environment(os.path.join(above, "env"))
        os.symlink(self.secret, os.path.join(self.directory, "link"))
        write(os.path.join(self.secret, "env/pyvenv.cfg"), "home = /usr/bin\n")
        self.swap((above, os.path.join(self.directory, "link")))
        swapped = self.swapped()
        right, refused = self.starts(40, environment)
        self.assertGreater(self.swapped() - swapped, 40 * 20, "the control: swaps while runs start")
        self.assertGreater(refused, 0, "the control: some of the runs met the link")

    def test_project_itself(self):
        link = os.path.join(self.directory, "link")
        os.symlink(self.secret, link)
        before = self.secret_state()
        self.swap((self.project, link))
        swapped, endings = self.swapped(), set()
        for _ in range(40):
            # By name: the current directory would follow the swap.
            result = self.raw("--project", self.project, self.environment, "--", "sh", "-c", "pwd -P; exit 42", cwd="/")
            self.assertIn(result.returncode, (42, 125), result.stderr)
            endings.add(result.stdout or result.stderr)
        self.assertGreater(self.swapped() - swapped, 40 * 20, "the control: swaps while runs start")
        self.assertGreater(len(endings), 1, "the control: the directory in some of the runs, and the link in others")
        self.assertEqual(self.secret_state(), before)


class HostileTrees(Case):
    """What stands in the project or the environment leads nowhere."""

    def test_links_and_special_files_with_names_that_are_protected(self):
        secret = write(os.path.join(self.directory, "outside/secret"), "secret")
        outside = os.path.dirname(secret)
        rows = {".git": outside, ".vscode": "/", ".envrc": "/etc/shadow", "lib64": "..", "loop": "loop",
                ".venv": "missing", ".env": "/proc/self/root", ".mcp.json": secret, "up": "../../../../.."}
        for name, target in rows.items():
            os.symlink(target, os.path.join(self.project, name))
        os.mkfifo(os.path.join(self.project, ".gitmodules"))
        before = (os.listdir(outside), os.stat(outside).st_mtime_ns)
        script = "cat .git/secret .env" + secret + " .mcp.json up" + secret + "; for n in .git .vscode; do echo x > $n/made; done; exit 42"
        result = self.vrun("sh", "-c", script)
        self.assertEqual((result.returncode, result.stdout), (42, ""), result.stderr)
        self.assertEqual((os.listdir(outside), os.stat(outside).st_mtime_ns), before)
        self.assertEqual(self.outside("cat", ".git/secret", ".mcp.json").stdout, "secretsecret", "the control")

    def test_links_in_the_environment(self):
        environment = make_environment(os.path.join(self.directory, "env"))
        secret = write(os.path.join(self.directory, "outside/secret"), "secret")
        os.symlink(os.path.dirname(secret), os.path.join(environment, "data"))
        os.symlink("/", os.path.join(environment, "lib", "root"))
        os.symlink("loop", os.path.join(environment, "loop"))
        result = self.vrun("sh", "-c", f"cat {environment}/data/secret {environment}/lib/root{secret}; exit 42",
                           environment=environment)
        self.assertEqual((result.returncode, result.stdout), (42, ""))
        self.assertEqual(self.outside("cat", f"{environment}/data/secret").stdout, "secret", "the control")


if __name__ == "__main__":
    unittest.main()
