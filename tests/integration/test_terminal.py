"""A run has a terminal and pipes of its own; with a shell around it, it behaves as without vrun."""

import errno
import fcntl
import glob
import os
import pty
import re
import select
import shutil
import signal
import struct
import subprocess
import termios
import time
import unittest
import zipfile

from faults import FAULT
from harness import DEADLINE, NOT_FOUND, VRUN, Case, make_environment, missing, read, site_packages, wait_until, write
from test_real_suite import find_packages

PROMPT = b"READY> "


class Shell:
    """An interactive bash on a pseudo-terminal, driven by what it prints."""

    def __init__(self, case):
        self.seen = b""
        self.pid, self.terminal = pty.fork()
        if self.pid == 0:
            os.chdir(case.project)
            os.execve("/bin/bash", ["bash", "--norc", "--noediting", "-i"], case.variables({"PS1": PROMPT.decode()}))
        fcntl.ioctl(self.terminal, termios.TIOCSWINSZ, struct.pack("HHHH", 33, 111, 0, 0))
        case.addCleanup(self.close)
        self.expect(PROMPT)

    def close(self):
        if self.pid:
            os.close(self.terminal)  # a hang-up, as from a closed window
            wait_until(lambda: os.waitpid(self.pid, os.WNOHANG)[0], "the shell ends with its terminal")
            self.pid = 0

    def send(self, text):
        os.write(self.terminal, text.encode())

    def expect(self, text, seconds=DEADLINE):
        """Reads until `text` (bytes, or a compiled pattern) appears; returns everything up to it."""
        pattern = text if hasattr(text, "search") else re.compile(re.escape(text))
        end = time.monotonic() + seconds
        while True:
            found = pattern.search(self.seen)
            if found:
                before, self.seen = self.seen[:found.end()], self.seen[found.end():]
                return before.decode(errors="replace")
            ready, _, _ = select.select([self.terminal], [], [], max(0, end - time.monotonic()))
            if not ready:
                raise AssertionError(f"{text} did not come; on the terminal: {self.seen!r}")
            self.seen += os.read(self.terminal, 65536)

    def run(self, line):
        """A command line of the shell, to its end; returns what it printed."""
        self.send(line + "\n")
        self.expect(b"\n")
        return self.expect(PROMPT)[:-len(PROMPT)]

    def modes(self):
        """Whether the terminal echoes and edits lines, as the shell's children would find it."""
        words = self.run("stty -a").split()
        return "echo" in words, "icanon" in words


class Terminal(Case):
    def setUp(self):
        super().setUp()
        if not os.path.exists("/bin/bash"):
            missing(self, "bash")
        self.shell = Shell(self)
        self.python = f"{VRUN} {self.environment} -- python -q"

    def start_python(self):
        self.shell.send(self.python + "\n")
        self.shell.expect(b">>> ")

    def test_the_terminal_is_the_runs_own_and_like_the_callers(self):
        self.start_python()
        self.shell.send("import os; print(os.ttyname(0), *os.get_terminal_size(), os.isatty(1), os.isatty(2))\n")
        self.assertIn("/dev/pts/0 111 33 True True", self.shell.expect(re.compile(rb"True True\r\n>>> ")))
        self.shell.send("print(os.listdir('/dev/pts'))\n")
        self.assertRegex(self.shell.expect(re.compile(rb"\]\r\n>>> ")), r"\['(0', 'ptmx|ptmx', '0)'\]")

    def test_interrupt_reaches_the_command_once(self):
        self.start_python()
        self.shell.send("import signal, time; hits = []\n")
        self.shell.expect(b">>> ")
        self.shell.send("_ = signal.signal(2, lambda *_: hits.append(1)); print('ar' + 'med'); time.sleep(0.3)\n")
        self.shell.expect(b"armed")
        self.shell.send("\x03")
        self.shell.expect(b">>> ")
        self.shell.send("print('hits', len(hits))\n")
        self.shell.expect(b"hits 1\r\n")

    def test_line_editing(self):
        """Cursor keys, the history and Ctrl-D, as readline has them."""
        self.start_python()
        self.shell.send("import readline\n")
        self.shell.expect(b">>> ")
        self.shell.send("print(3 * 9)" + "\x1b[D" * 2 + "1\n")  # two to the left: before the last figure
        self.shell.expect(b"\r\n57\r\n")
        self.shell.expect(b">>> ")
        self.shell.send("\x1b[A" + "\x7f" + " + 3)\n")
        self.shell.expect(b"\r\n60\r\n")
        self.shell.expect(b">>> ")
        self.shell.send("\x04")
        self.shell.expect(PROMPT)

    def test_suspend_and_continue(self):
        before = self.shell.modes()
        self.start_python()
        self.shell.send("x = 42\n")
        self.shell.expect(b">>> ")
        self.shell.send("\x1a")
        self.assertIn("Stopped", self.shell.expect(PROMPT))
        self.assertEqual(self.shell.modes(), before)
        self.assertIn("Stopped", self.shell.run("jobs"))
        self.shell.send("fg\n")
        self.shell.expect(b"-q")
        self.shell.send("print('x is', x)\n")
        self.shell.expect(b"x is 42")
        self.shell.send("exit()\n")
        self.shell.expect(PROMPT)
        self.assertEqual(self.shell.modes(), before)

    def test_window_size_follows(self):
        self.start_python()
        self.shell.send("import os, signal; n = []; _ = signal.signal(signal.SIGWINCH, lambda *_: n.append(1))\n")
        self.shell.expect(b">>> ")
        fcntl.ioctl(self.shell.terminal, termios.TIOCSWINSZ, struct.pack("HHHH", 20, 70, 0, 0))
        self.shell.send("while not n: signal.pause()\n\n")
        self.shell.expect(b">>> ")
        self.shell.send("print('size', *os.get_terminal_size())\n")
        self.shell.expect(b"size 70 20")

    def test_modes_come_back_after_every_ending(self):
        before = self.shell.modes()
        self.assertEqual(before, (True, True))
        for ending in ("import os; os.kill(os.getpid(), 9)", "import os; os.system('stty raw -echo'); os._exit(3)",
                       "import tty; tty.setraw(0); raise SystemExit"):
            self.start_python()
            self.shell.send(ending + "\n")
            self.shell.expect(PROMPT)
            self.assertEqual(self.shell.modes(), before, ending)

    def test_modes_come_back_when_vrun_is_killed(self):
        before = self.shell.modes()
        self.start_python()
        children = read(f"/proc/{self.shell.pid}/task/{self.shell.pid}/children").split()
        self.assertEqual(len(children), 1)
        os.kill(int(children[0]), signal.SIGKILL)
        self.shell.expect(PROMPT)
        wait_until(lambda: self.shell.modes() == before, "the terminal is as before")

    def test_exit_status_and_pipes_in_the_shell(self):
        self.assertEqual(self.shell.run(f"{VRUN} {self.environment} -- sh -c 'exit 7'; echo status $?").strip(), "status 7")
        out = self.shell.run(f"echo hello | {VRUN} {self.environment} -- cat -A")
        self.assertEqual(out, "hello$\r\n")

    def test_input_stays_with_the_pager_until_the_command_asks(self):
        # Output goes to a pipe: what is typed may be for the program behind it. The command is told of its terminal
        # only when it reads.
        self.shell.send(f"{VRUN} {self.environment} -- sh -c 'read line; echo got $line' | cat\n")
        self.shell.expect(b"\n")
        self.shell.send("typed\n")
        self.shell.expect(b"got typed")
        self.shell.expect(PROMPT)

    def test_background_job_and_back(self):
        self.shell.run(f"{VRUN} {self.environment} -- sleep 300 &")
        self.assertIn("Running", self.shell.run("jobs"))
        self.shell.send("fg\n")
        self.shell.expect(b"sleep 300")
        # Typed until it has an effect: only then is the job known to have the terminal.
        wait_until(lambda: self.shell.send("\x03") or PROMPT in self.drained(), "the job is interrupted")

    def test_suspended_and_on_in_the_background(self):
        """Ctrl-Z, bg: it goes on, and waits when it wants to read; what is typed is the shell's until fg."""
        before = self.shell.modes()
        go, begun, done = (os.path.join(self.project, name) for name in ("go", "begun", "done"))
        # No shell: dash starts its commands with vfork(2), and one that is stopped in between holds it for ever.
        write(os.path.join(self.project, "job.py"), "import os, time\nopen('begun', 'w').close()\n"
              "while not os.path.exists('go'): time.sleep(0.01)\nopen('done', 'w').close()\nprint('got', input())\n")
        self.shell.send(f"{VRUN} {self.environment} -- python job.py\n")
        wait_until(lambda: os.path.exists(begun), "the job has the terminal")
        self.shell.send("\x1a")
        self.assertIn("Stopped", self.shell.expect(PROMPT))
        self.assertEqual(self.shell.modes(), before)
        write(go)
        self.shell.run("bg")
        wait_until(lambda: os.path.exists(done), "the job works in the background")
        for word in ("one", "two"):
            self.assertEqual(self.shell.run("echo " + word), word + "\r\n")
        self.assertRegex(self.shell.run("jobs"), "Running|Stopped")
        self.assertEqual(self.shell.modes(), before)
        self.shell.send("fg\n")
        self.shell.expect(b"job.py\r\n")
        self.shell.send("typed\n")
        self.shell.expect(b"got typed")
        self.shell.expect(PROMPT)
        self.assertEqual(self.shell.modes(), before)

    def test_no_hang_up(self):
        """nohup: the run outlives its terminal, and its output is where nohup put it."""
        words = f"nohup {VRUN} {self.environment} -- sh -c 'echo begun; while ! test -e go; do sleep 0.05; done; echo ended'"
        self.shell.run(words + " &")
        output = os.path.join(self.project, "nohup.out")
        wait_until(lambda: os.path.exists(output) and "begun" in read(output), "it begins")
        self.shell.close()
        write(os.path.join(self.project, "go"))
        wait_until(lambda: "ended" in read(output), "it ends by itself, without the terminal")

    def drained(self):
        while select.select([self.shell.terminal], [], [], 0.1)[0]:
            self.shell.seen += os.read(self.shell.terminal, 65536)
        return self.shell.seen

    def test_no_typing_into_the_callers_terminal(self):
        # TIOCSTI on a terminal that is not its own would run a command in the caller's shell.
        code = "import fcntl\nfor c in 'touch pwned\\\\n': fcntl.ioctl(0, 0x5412, c.encode())"
        out = self.shell.run(f"{VRUN} {self.environment} -- python -c \"{code}\"".replace("\n", "\\n") + " 2>&1 | tail -1")
        self.assertNotIn("pwned", os.listdir(self.project))
        self.assertTrue(out)


class Debugger(Case):
    def test_pytest_with_pdb(self):
        """A test that fails, the debugger's questions and answers, and a terminal as before."""
        environment = make_environment(os.path.join(self.directory, "env"))
        for wheel in glob.glob(os.path.join(find_packages(self), "*.whl")):
            with zipfile.ZipFile(wheel) as archive:
                archive.extractall(site_packages(environment))
        write(os.path.join(self.project, "test_it.py"), "def test_it():\n    answer = 6 * 7\n    assert not answer\n")
        shell = Shell(self)
        before = shell.modes()
        shell.send(f"{VRUN} {environment} -- python -m pytest -q -p no:cacheprovider -p no:xdist --pdb\n")
        shell.expect(b"(Pdb) ")
        shell.send("p 'the answer', answer\n")
        shell.expect(b"('the answer', 42)")
        shell.expect(b"(Pdb) ")
        shell.send("\x1a")
        shell.expect(b"Stopped")
        shell.run("")
        shell.send("fg; echo status $?\n")
        shell.send("continue\n")
        shell.expect(b"1 failed")
        shell.expect(b"status 1\r\n")
        shell.expect(PROMPT)
        self.assertEqual(shell.modes(), before)


class FailureOfVrun(Case):
    """What vrun waits with fails while the command has its terminal."""

    def start(self, *words):
        """vrun on a terminal of its own under the fault injector, whose words these are."""
        log = os.path.join(self.directory, "log")
        command = [FAULT, str(words[0]), log, *map(str, words[1:]), *self.command(["sh", "-c", "echo ready; exec cat"])]
        pid, terminal = pty.fork()
        if pid == 0:
            try:
                os.chdir(self.project)
                os.execve(command[0], command, self.variables())
            finally:
                os._exit(NOT_FOUND)
        return pid, terminal, log

    def end(self, pid, terminal, *texts):
        """Types each text when the command has answered, and reads to the end: what was printed, and the status."""
        seen, texts = b"", list(texts)
        try:
            while select.select([terminal], [], [], DEADLINE)[0] and (chunk := os.read(terminal, 4096)):
                seen += chunk
                if texts and b"ready" in seen:
                    os.write(terminal, texts.pop(0))
            os.kill(pid, signal.SIGKILL)  # nothing came for so long
        except OSError as error:
            self.assertEqual(error.errno, errno.EIO)
        status = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
        return seen.decode(), status

    def test_the_command_ends_and_the_terminal_is_as_before(self):
        self.ok(self.vrun("true"))  # makes the index of packages, which the runs below find then
        pid, terminal, log = self.start("list")
        _, status = self.end(pid, terminal, b"line\n\x04")
        os.close(terminal)
        self.assertEqual(status, 0)
        calls = [line.split() for line in read(log).splitlines()]
        waits = [int(number) for process, number, name, start, *_ in calls if (process, name, start) == ("0", "poll", "after")]
        self.assertGreater(len(waits), 1)
        # Not the first, so that the terminal has been taken; ENOMEM is what poll(2) can give.
        pid, terminal, log = self.start(errno.ENOMEM, 0, waits[1])
        before = termios.tcgetattr(terminal)
        seen, status = self.end(pid, terminal, *[b"line\n"] * 50)
        self.assertEqual(status, 125, seen)
        self.assertRegex(seen, r"vrun: cannot wait for the run: ENOMEM[^\r\n]*\r\n")
        self.assertEqual(termios.tcgetattr(terminal), before)
        os.close(terminal)


class Files(Case):
    """Regular files on 0, 1 and 2 stay outside: the run gets pipes."""

    def run_with(self, code, **streams):
        return subprocess.run(self.command(["python", "-c", code]), cwd=self.project, env=self.variables(), timeout=DEADLINE,
                              **streams)

    def test_a_file_cannot_be_opened_anew(self):
        log = write(os.path.join(self.directory, "log"), "earlier secret\n")
        code = ("import os; print(os.readlink('/proc/self/fd/1').startswith('pipe:'),"
                " os.readlink('/proc/self/fd/2').startswith('pipe:'), os.readlink('/proc/self/fd/0').startswith('pipe:'))")
        with open(log, "a", encoding="utf-8") as file, open(log, encoding="utf-8") as stdin:
            control = subprocess.run(["sh", "-c", "exec 3>&1; head -c 7 /proc/self/fd/3 >&2"], stdout=file, stderr=subprocess.PIPE,
                                     check=True)
            self.assertEqual(control.stderr, b"earlier", "outside, the file can be read again")
            result = self.run_with(code, stdin=stdin, stdout=file, stderr=file)
        self.assertEqual(result.returncode, 0)
        self.assertEqual(read(log), "earlier secret\nTrue True True\n")

    def test_order_of_output_and_errors_in_one_file(self):
        path = os.path.join(self.directory, "both")
        code = "import os\nfor i in range(200): os.write(1 + i % 2, b'%d\\n' % i)"
        with open(path, "wb") as file:
            self.assertEqual(self.run_with(code, stdin=subprocess.DEVNULL, stdout=file, stderr=file).returncode, 0)
        self.assertEqual(read(path).split(), [str(i) for i in range(200)])

    def test_everything_arrives(self):
        path = os.path.join(self.directory, "large")
        code = "import sys; sys.stdout.write('x' * 5_000_000 + 'end')"
        with open(path, "wb") as file:
            self.assertEqual(self.run_with(code, stdin=subprocess.DEVNULL, stdout=file).returncode, 0)
        self.assertEqual(os.path.getsize(path), 5_000_003)
        with open(path, "rb") as file:
            result = self.run_with("import sys; print(len(sys.stdin.read()))", stdin=file, stdout=subprocess.PIPE)
        self.assertEqual(result.stdout, b"5000003\n")

    def test_a_loop_over_a_file_keeps_its_place(self):
        lines = write(os.path.join(self.directory, "lines"), "one\ntwo\nthree\n")
        script = f'while read -r line; do echo "$line"; "{VRUN}" "{self.environment}" -- true; done'
        with open(lines, "rb") as file:
            result = subprocess.run(["sh", "-c", script], cwd=self.project, env=self.variables(), stdin=file,
                                    stdout=subprocess.PIPE, timeout=DEADLINE, check=True)
        self.assertEqual(result.stdout, b"one\ntwo\nthree\n")

    @unittest.skipUnless(os.path.exists("/dev/full"), "no /dev/full")
    def test_output_that_is_lost_is_told(self):
        script = f'ulimit -f 8; exec "{VRUN}" "{self.environment}" -- sh -c "yes | head -c 100000; true" > out'
        result = subprocess.run(["bash", "-c", "trap '' XFSZ; " + script], cwd=self.project, env=self.variables(),
                                stderr=subprocess.PIPE, timeout=DEADLINE, check=False)
        self.assertIn(b"vrun: cannot write standard output: EFBIG", result.stderr)
        self.assertNotEqual(result.returncode, 0)

    def test_reader_that_goes_away(self):
        script = f'"{VRUN}" "{self.environment}" -- yes | head -1; echo ${{PIPESTATUS[0]}}'
        result = subprocess.run([shutil.which("bash"), "-c", script], cwd=self.project, env=self.variables(),
                                stdout=subprocess.PIPE, timeout=DEADLINE, check=True)
        self.assertEqual(result.stdout.split(), [b"y", b"141"])


if __name__ == "__main__":
    unittest.main()
