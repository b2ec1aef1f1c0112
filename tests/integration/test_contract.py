"""The contract of a run: exit statuses, messages, signals, descriptors, and that nothing outlives it (design.md §6)."""

import os
import pty
import re
import resource
import select
import signal
import subprocess
import sys
import time
import unittest

from harness import (CANNOT_EXECUTE, IS_ROOT, NOT_FOUND, PROBE, VRUN, Case, end_children, host_mounts, make_environment, missing,
                     read, wait_until, write)


def read_line(stream):
    return stream.readline().decode().strip()


class ExitStatus(Case):
    def test_of_the_command(self):
        for status in (0, 1, 2, 42, 124, 125, 126, 127, 128, 255):
            with self.subTest(status=status):
                result = self.vrun("sh", "-c", f"exit {status}")
                self.assertEqual((result.returncode, result.stdout, result.stderr), (status, "", ""))

    def test_killed_by_a_signal(self):
        for number in (signal.SIGHUP, signal.SIGINT, signal.SIGABRT, signal.SIGKILL, signal.SIGUSR1, signal.SIGSEGV,
                       signal.SIGPIPE, signal.SIGTERM, signal.SIGSYS, signal.SIGRTMIN + 2):
            with self.subTest(signal=number):
                result = self.probe("kill-self", str(int(number)))
                self.assertEqual((result.returncode, result.stdout, result.stderr), (128 + number, "", ""))

    def test_true_is_silent(self):
        self.assertEqual(self.ok(self.vrun("true")), "")

    def test_the_commands_and_not_the_last_childs(self):
        self.assertEqual(self.vrun("sh", "-c", "(exit 9) & wait; (sleep 60; exit 8) & exit 3").returncode, 3)

    def test_not_found(self):
        message = self.refused(self.vrun("no-such-command"), "'no-such-command'", status=NOT_FOUND)
        self.assertIn("PATH", message)
        message = self.refused(self.vrun("/no/such/command"), "'/no/such/command'", status=NOT_FOUND)
        self.assertNotIn("--ro", message)
        self.refused(self.vrun("./no-such-command"), status=NOT_FOUND)

    def test_a_command_outside_of_the_view(self):
        tool = write(os.path.join(self.home, "tool"), "#!/bin/sh\necho ran\n", 0o755)
        self.assertEqual(self.outside(tool).stdout, "ran\n")
        self.refused(self.vrun(tool), f"; outside it is there: --ro {tool} shows it\n", status=NOT_FOUND)
        self.assertEqual(self.ok(self.vrun(tool, options=["--ro", tool])), "ran\n")

    def test_not_executable(self):
        write(os.path.join(self.project, "plain"), "echo ran\n", 0o644)
        os.mkdir(os.path.join(self.project, "directory"))
        write(os.path.join(self.project, "empty"), "", 0o755)
        write(os.path.join(self.project, "text"), "echo ran\n", 0o755)
        write(os.path.join(self.project, "elf"), "\x7fELF garbage", 0o755)
        for name in ("plain", "directory", "empty", "text", "elf"):
            with self.subTest(name=name):
                self.refused(self.vrun("./" + name), "./" + name, status=CANNOT_EXECUTE)

    def test_a_script_whose_interpreter_is_not_there(self):
        write(os.path.join(self.project, "script"), "#!/no/such/interpreter\n", 0o755)
        message = self.refused(self.vrun("./script"), "./script", "'/no/such/interpreter'", status=CANNOT_EXECUTE)
        self.assertNotIn("--ro", message)
        # One that is there outside: a script in the project with the Python of another environment.
        other = make_environment(os.path.join(self.directory, "other"))
        write(os.path.join(self.project, "tool"), f"#! {other}/bin/python -I\nprint('ran')\n", 0o755)
        self.assertEqual(self.outside("./tool").stdout, "ran\n")
        self.refused(self.vrun("./tool"), "./tool", f"its interpreter '{other}/bin/python'", f"; outside it is there: --ro {other} shows it\n",
                     status=CANNOT_EXECUTE)
        self.refused(self.vrun("tool", variables={"PATH": "/bin"}, options=["--setenv", f"PATH={self.project}:/bin"]),
                     f"'{other}/bin/python'", status=CANNOT_EXECUTE)
        self.assertEqual(self.ok(self.vrun("./tool", options=["--ro", other])), "ran\n")
        write(os.path.join(self.project, "second"), f"#!{self.project}/tool\n", 0o755)
        self.refused(self.vrun("./second"), f"loader of its interpreter '{self.project}/tool'", status=CANNOT_EXECUTE)

    def test_a_program_whose_loader_is_not_there(self):
        with open("/bin/true", "rb") as file:
            program = file.read()
        loader = re.search(rb"/lib[\w./-]*/ld-[\w.-]+\0", program)
        if not loader:
            missing(self, "/bin/true has no loader")
        other = b"/lib/no-such-loader\0".ljust(len(loader[0]), b"\0")
        with open(os.path.join(self.project, "program"), "wb") as file:
            file.write(program.replace(loader[0], other, 1))
        os.chmod(os.path.join(self.project, "program"), 0o755)
        message = self.refused(self.vrun("./program"), "loader", status=CANNOT_EXECUTE)
        self.assertNotIn("--ro", message)

    def test_the_commands_messages_are_its_own(self):
        result = self.vrun("sh", "-c", "echo out; echo err >&2; exit 125")
        self.assertEqual((result.returncode, result.stdout, result.stderr), (125, "out\n", "err\n"))


class OutsideOnly(Case):
    """A command that the caller's PATH has and the run's has not."""

    def test_says_where_it_is(self):
        tools = os.path.join(self.directory, "tools")
        write(tools + "/only-outside", "#!/bin/sh\necho it runs\n", 0o755)
        path = {"PATH": f"/usr/bin:{tools}:/bin"}
        self.assertEqual(self.outside("only-outside", variables=path).stdout, "it runs\n")
        result = self.vrun("only-outside", variables=path)
        self.refused(result, "'only-outside'", f"'{tools}/only-outside': name that in full, and --ro {tools}/only-outside shows it", status=127)
        self.assertEqual(self.ok(self.vrun(tools + "/only-outside", options=["--ro", tools], variables=path)), "it runs\n")

    def test_says_nothing_of_what_is_nowhere(self):
        message = self.refused(self.vrun("nowhere-at-all"), "'nowhere-at-all'", status=127)
        self.assertNotIn("outside", message)


class Settings(Case):
    """Settings of git that are outside only, after a failure that git calls fatal."""

    FATAL = ["git", "-C", "missing", "status"]

    def setUp(self):
        super().setUp()
        if not os.path.exists("/usr/bin/git"):
            missing(self, "git")

    def test_are_named(self):
        self.assertEqual(self.vrun(*self.FATAL).returncode, 128)
        self.assertNotIn("vrun", self.vrun(*self.FATAL).stderr)
        paths = [write(os.path.join(self.home, name), "[user]\nname = me\n") for name in (".gitconfig", ".config/git/config")]
        notes = [line for line in self.vrun(*self.FATAL).stderr.splitlines() if line.startswith("vrun")]
        self.assertEqual(notes, [f"vrun: note: git did not see '{path}'; --ro {path} shows it" for path in paths])
        shown = [option for path in paths for option in ("--ro", path)]
        self.assertNotIn("vrun", self.vrun(*self.FATAL, options=shown).stderr)
        self.assertEqual(self.ok(self.vrun("git", "config", "user.name", options=shown)), "me\n")
        hidden = self.vrun(*self.FATAL, options=["--ro", paths[0], "--rw", os.path.dirname(paths[1]), "--hide", paths[1]])
        self.assertEqual(hidden.stderr.count("vrun: note"), 1)

    def test_only_then(self):
        write(os.path.join(self.home, ".gitconfig"))
        for words in (["git", "config", "no.such"], ["git", "--version"], ["sh", "-c", "exit 128"]):
            with self.subTest(words=words):
                self.assertEqual(self.vrun(*words).stderr, "")


class Arguments(Case):
    def test_every_byte(self):
        words = [bytes(range(1, 256)), b"", b" ", b"\n", b"--explain", b"--", b"-C", b"$(id)", b"a" * 100000, b"\xff\xfe"]
        command = [os.fsencode(word) for word in self.command(["printf", r"%s\0"])]
        result = subprocess.run(command + words, stdout=subprocess.PIPE, cwd=self.project, env=self.variables())
        self.assertEqual(result.stdout, b"".join(word + b"\0" for word in words))

    def test_where_the_command_begins(self):
        for words in (["--", "printf", "%s", "-x"], ["printf", "%s", "-x"]):
            with self.subTest(words=words):
                self.assertEqual(self.ok(self.raw(self.environment, *words)), "-x")
        self.assertEqual(self.ok(self.raw("--", "printf", "%s", "-x", variables={"VRUN_ENV": self.environment})), "-x")
        self.assertEqual(self.ok(self.raw(self.environment, "--setenv", "A=b", "--", "sh", "-c", "echo $A")), "b\n")

    def test_how_the_environment_is_found(self):
        code = ["--", "python", "-c", "import sys; print(sys.prefix)"]
        for name in ("VRUN_ENV", "VIRTUAL_ENV"):
            with self.subTest(variable=name):
                self.assertEqual(self.ok(self.raw(*code, variables={name: self.environment})), self.environment + "\n")
        own = make_environment(os.path.join(self.project, ".venv"))
        deep = os.path.join(self.project, "a/b")
        os.makedirs(deep)
        self.assertEqual(self.ok(self.raw("--project", self.project, *code, cwd=deep)), own + "\n")

    def test_no_command_is_the_environments_python(self):
        result = self.raw(self.environment, input="import sys; print(sys.prefix)\n", stdin=None)
        self.assertEqual(self.ok(result), self.environment + "\n")

    def test_explain_runs_nothing(self):
        result = self.vrun("touch", "made", options=["--explain"])
        self.assertIn(self.environment, self.ok(result))
        self.assertEqual(os.listdir(self.project), [])

    def test_help_and_version(self):
        self.assertIn("usage: vrun", self.ok(self.raw("--help")))
        self.assertRegex(self.ok(self.raw("--version")), r"\Avrun \d+\.\d+\.\d+\n\Z")

    def test_output_that_cannot_be_written(self):
        """/dev/full in place of standard output: the command's matter, and vrun's own for --help."""
        with open("/dev/full", "w", encoding="ascii") as full:
            for words in (["--help"], ["--explain", self.environment]):
                with self.subTest(words=words):
                    result = subprocess.run([VRUN, *words], stdout=full, stderr=subprocess.PIPE, cwd=self.project,
                                            env=self.variables())
                    self.assertEqual(result.returncode, 125)


class Signals(Case):
    def start_probe(self, **more):
        process = self.start(self.probe_path(), "signals", stdout=subprocess.PIPE, stderr=subprocess.PIPE, **more)
        self.assertEqual(read_line(process.stdout), "ready")
        return process

    def finish(self, process):
        """What the command received until SIGUSR2 ended it."""
        process.send_signal(signal.SIGUSR2)
        output, errors = process.communicate(timeout=20)
        self.assertEqual((process.returncode, errors), (7, b""))
        return output.decode().split()

    def test_reach_the_command_exactly_once(self):
        process = self.start_probe()
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGUSR1, signal.SIGQUIT, signal.SIGTERM):
            process.send_signal(number)
            self.assertEqual(read_line(process.stdout), number.name)
        self.assertEqual(self.finish(process), ["SIGUSR2"])

    def test_default_action_ends_the_command(self):
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGUSR1):
            with self.subTest(signal=number.name):
                process = self.start("sh", "-c", "echo ready; exec sleep 60", stdout=subprocess.PIPE)
                self.assertEqual(read_line(process.stdout), "ready")
                process.send_signal(number)
                self.assertEqual(process.wait(timeout=20), 128 + number)

    def test_the_commands_answer_is_the_exit_status(self):
        process = self.start("sh", "-c", "trap 'exit 33' TERM; echo ready; while :; do sleep 0.01; done",
                             stdout=subprocess.PIPE)
        self.assertEqual(read_line(process.stdout), "ready")
        process.terminate()
        self.assertEqual(process.wait(timeout=20), 33)

    def test_ignored_by_the_caller(self):
        """As under nohup: what the caller ignores does not reach the command, which itself starts with the defaults."""
        def ignore():
            signal.signal(signal.SIGHUP, signal.SIG_IGN)
            signal.signal(signal.SIGINT, signal.SIG_IGN)
            signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM, signal.SIGALRM, signal.SIGCHLD})
        process = self.start_probe(preexec_fn=ignore)
        process.send_signal(signal.SIGHUP)
        process.send_signal(signal.SIGINT)
        process.send_signal(signal.SIGUSR1)
        self.assertEqual(read_line(process.stdout), "SIGUSR1")
        self.assertEqual(self.finish(process), ["SIGUSR2"])

    def test_mask_and_dispositions_are_reset(self):
        def disturb():
            for number in (signal.SIGINT, signal.SIGHUP, signal.SIGPIPE, signal.SIGRTMIN + 5):
                signal.signal(number, signal.SIG_IGN)
            signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())
        def sets(text):
            return {line for line in text.splitlines() if line.startswith(("SigBlk", "SigIgn", "SigCgt", "SigPnd", "ShdPnd"))}
        words = ["cat", "/proc/self/status"]
        none = {name + ":\t" + "0" * 16 for name in ("SigBlk", "SigIgn", "SigCgt", "SigPnd", "ShdPnd")}
        outside = sets(subprocess.run(words, preexec_fn=disturb, stdout=subprocess.PIPE, encoding="ascii").stdout)
        self.assertEqual({line.split(":")[0] for line in outside - none}, {"SigBlk", "SigIgn"})
        self.assertEqual(sets(self.ok(self.vrun(*words, preexec_fn=disturb))), none)

    def test_children_ignored_by_the_caller(self):
        """SIGCHLD, which a kernel that ignores it reaps by itself."""
        ignore = lambda: signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # noqa: E731
        self.assertEqual(self.vrun("sh", "-c", "exit 4", preexec_fn=ignore, timeout=5).returncode, 4)

    def test_before_the_command_runs(self):
        """A signal that arrives at any moment ends the run, or the command gets it; it is never lost in between."""
        for delay in range(0, 16):
            process = self.start("sleep", "60", stderr=subprocess.PIPE)
            time.sleep(delay / 1000)  # not a condition: the moments are the input of this test
            process.terminate()
            self.assertIn(process.wait(timeout=20), (-signal.SIGTERM, 128 + signal.SIGTERM), f"after {delay} ms")

    def test_interrupt_key(self):
        """Ctrl-C in a terminal reaches the command once."""
        master, slave = pty.openpty()
        self.addCleanup(os.close, master)

        def lead():
            os.setsid()
            import fcntl
            import termios
            fcntl.ioctl(0, termios.TIOCSCTTY, 0)
        process = self.start(self.probe_path(), "signals", stdin=slave, stdout=subprocess.PIPE, preexec_fn=lead)
        os.close(slave)
        self.assertEqual(read_line(process.stdout), "ready")
        os.write(master, b"\x03")
        self.assertEqual(read_line(process.stdout), "SIGINT")
        process.send_signal(signal.SIGUSR2)
        self.assertEqual(process.communicate(timeout=20)[0], b"SIGUSR2\n")

    def test_signals_to_a_group_of_the_commands_own(self):
        """kill(0) of the command stays inside: the caller's group hears nothing."""
        result = self.python("import os, signal\nsignal.signal(15, lambda *_: print('inside', flush=True))\nos.kill(0, 15)")
        self.assertEqual(self.ok(result), "inside\n")


class Lifetime(Case):
    """Everything that holds the write end of a pipe is part of the run; the pipe's end says that all of it has ended."""

    HOLDERS = "(sleep 60 & sleep 60) & (setsid sh -c 'sleep 60 & sleep 60' &) ; "

    def ends_within(self, stream, seconds):
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            if select.select([stream], [], [], max(0, end - time.monotonic()))[0] and not os.read(stream.fileno(), 65536):
                return True
        return False

    def test_control_without_vrun_they_stay(self):
        process = subprocess.Popen(["sh", "-c", self.HOLDERS + "exit 5"], stdout=subprocess.PIPE)
        self.assertEqual(process.wait(timeout=20), 5)
        self.assertFalse(self.ends_within(process.stdout, 0.3))
        process.stdout.close()
        self.assertNotEqual(end_children(0), [])

    def test_everything_ends_with_the_command(self):
        process = self.start("sh", "-c", self.HOLDERS + "exit 5", stdout=subprocess.PIPE)
        self.assertTrue(self.ends_within(process.stdout, 2))
        self.assertEqual(process.wait(timeout=20), 5)

    def test_everything_ends_when_vrun_is_killed(self):
        process = self.start("sh", "-c", self.HOLDERS + "echo ready; sleep 60", stdout=subprocess.PIPE)
        self.assertEqual(read_line(process.stdout), "ready")
        process.kill()
        self.assertTrue(self.ends_within(process.stdout, 1), "something lived on for a second")
        self.assertEqual(process.wait(timeout=20), -signal.SIGKILL)

    def test_everything_ends_when_vrun_is_killed_while_it_sets_up(self):
        for delay in range(0, 60):
            process = self.start("sh", "-c", self.HOLDERS + "sleep 60", stdout=subprocess.PIPE)
            time.sleep(delay / 5000)  # not a condition: the moments are the input of this test
            process.kill()
            self.assertTrue(self.ends_within(process.stdout, 1), f"killed after {delay / 5} ms, something lived on")

    def test_orphans_are_reaped(self):
        code = ("import os, time\n"
                "for _ in range(200):\n"
                "  pid = os.fork()\n"
                "  if pid == 0:\n"
                "    if os.fork() == 0: os._exit(0)\n"
                "    os._exit(0)\n"
                "  os.waitpid(pid, 0)\n"
                "def others():\n"
                "  return [p for p in os.listdir('/proc') if p.isdigit() and int(p) != os.getpid()]\n"
                "end = time.monotonic() + 5\n"
                "while others() and time.monotonic() < end: time.sleep(0.01)\n"
                "print([open(f'/proc/{p}/stat').read() for p in others()])")
        self.assertEqual(self.ok(self.python(code)), "[]\n")

    def test_reader_goes_away(self):
        """vrun ENV -- yes | head -1"""
        process = self.start("yes", stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        self.assertEqual(read_line(process.stdout), "y")
        process.stdout.close()
        self.assertEqual(process.wait(timeout=20), 128 + signal.SIGPIPE)
        self.assertEqual(process.stderr.read(), b"")

    def test_standard_input_reaches_the_command(self):
        self.assertEqual(self.ok(self.vrun("cat", input="line\n" * 20000, stdin=None)), "line\n" * 20000)

    def test_much_output(self):
        result = self.vrun("head", "-c", "5000000", "/dev/zero")
        self.assertEqual(len(self.ok(result)), 5000000)

    def test_a_hundred_at_once(self):
        before = host_mounts()
        processes = [self.start("sh", "-c", "echo $0", str(number), stdout=subprocess.PIPE, stderr=subprocess.PIPE)
                     for number in range(100)]
        for number, process in enumerate(processes):
            self.assertEqual(process.communicate(timeout=60), (f"{number}\n".encode(), b""))
            self.assertEqual(process.returncode, 0)
        self.assertEqual(host_mounts(), before)
        self.assertEqual((os.listdir(self.temporary), os.listdir(self.home)), ([], []))

    def test_nothing_is_left_on_the_host(self):
        before = host_mounts()
        endings = {"ok": ["true"], "failed": ["false"], "not found": ["no-such-command"], "killed": ["sh", "-c", "kill -9 $$"]}
        for what, words in endings.items():
            with self.subTest(ending=what):
                self.vrun(*words)
                self.assertEqual(host_mounts(), before)
                self.assertEqual([os.listdir(path) for path in (self.temporary, self.home, self.project)], [[], [], []])
        process = self.start("sleep", "60")
        process.kill()
        process.wait()
        self.assertEqual(end_children(), [])
        self.assertEqual(host_mounts(), before)
        self.assertEqual([os.listdir(path) for path in (self.temporary, self.home, self.project)], [[], [], []])


class ClosedProject(Case):
    def test_the_status_counts_when_the_run_closes_its_directory(self):
        """But that all is well cannot be said where vrun cannot look for what tools of the host would trust."""
        for status in (0, 7):
            result = self.vrun("sh", "-c", f"chmod 0 .; exit {status}")
            os.chmod(self.project, 0o700)
            self.assertEqual((result.returncode, result.stdout), (status or (0 if IS_ROOT else 125), ""), result.stderr)
            if not IS_ROOT:  # to root nothing is closed
                self.assertRegex(result.stderr, r"\Avrun: cannot tell what the run made in [^\n]*EACCES[^\n]*\n\Z")


class Descriptors(Case):
    def test_extra_ones_are_not_inherited(self):
        probe = self.probe_path()
        opened = [os.open(path, flags) for path, flags in (("/", os.O_RDONLY | os.O_DIRECTORY), (probe, os.O_RDONLY),
                                                           ("/dev/null", os.O_RDWR), (self.home, os.O_PATH))]
        high = 900
        os.dup2(opened[0], high)
        opened += [high, *os.pipe()]
        for fd in opened:
            self.addCleanup(os.close, fd)
        outside = self.probe_outside("fds", pass_fds=opened).stdout.split()
        self.assertEqual(outside, ["0", "1", "2", *map(str, sorted(opened))])
        self.assertEqual(self.ok(self.probe("fds", pass_fds=opened)), "0 1 2 \n")

    def test_above_a_lowered_limit(self):
        fd = os.open("/", os.O_RDONLY)
        os.dup2(fd, 700)
        os.close(fd)
        self.addCleanup(os.close, 700)
        code = "import os\ntry: print(os.listdir(700))\nexcept OSError as e: print(e.errno)"
        lower = lambda: resource.setrlimit(resource.RLIMIT_NOFILE, (256, 256))  # noqa: E731
        outside = self.outside(sys.executable, "-c", code, pass_fds=[700], preexec_fn=lower)
        self.assertIn("usr", outside.stdout)
        self.assertEqual(self.ok(self.python(code, pass_fds=[700], preexec_fn=lower)), "9\n")

    def test_closed_standard_descriptors(self):
        """All combinations: nothing of vrun's, and nothing of the host but /dev/null, stands in for a closed one."""
        for combination in range(8):
            closed = [fd for fd in range(3) if combination & 1 << fd]
            with self.subTest(closed=closed):
                result_file = os.path.join(self.project, f"result-{combination}")
                # The descriptors are counted by the probe, what they are by another run of it.
                words = ["sh", "-c", '"$1" descriptors "$2"; exit 6', "-", self.probe_path(), result_file]

                def close(numbers=closed):
                    for fd in numbers:
                        os.close(fd)
                with open(os.devnull, "rb") as null:
                    process = subprocess.Popen(self.command(words), stdin=null, stdout=subprocess.PIPE,
                                               stderr=subprocess.PIPE, preexec_fn=close, cwd=self.project,
                                               env=self.variables())
                output = process.communicate(timeout=20)
                self.assertEqual((process.returncode, output), (6, (b"", b"")))
                expected = ["null"] + ["null" if fd in closed else "pipe" for fd in (1, 2)]
                self.assertEqual(read(result_file).split(), expected)

    def test_directories_and_devices_are_refused(self):
        """A directory would lead out of the view, and a device of the host into its driver."""
        for path, flags in (("/", os.O_RDONLY | os.O_DIRECTORY), ("/", os.O_PATH), ("/dev/urandom", os.O_RDONLY)):
            opened = os.open(path, flags)
            self.addCleanup(os.close, opened)
            self.ok(self.outside("true", stdin=opened))
            with self.subTest(path=path, flags=flags):
                self.refused(self.vrun("true", stdin=opened), "standard input", "directory or a device")

    def test_setup_failure_with_everything_closed(self):
        def close():
            for fd in range(3):
                os.close(fd)
        process = subprocess.Popen([VRUN, os.path.join(self.directory, "missing"), "--", "true"], preexec_fn=close,
                                   cwd=self.project, env=self.variables())
        self.assertEqual(process.wait(timeout=20), 125)

    def test_a_session_of_its_own(self):
        code = "import os; print(os.getsid(0) == os.getpid() or os.getsid(0), os.getpgid(0) == os.getpid())"
        self.assertEqual(self.ok(self.python(code)), "True True\n")

    def test_few_descriptors_allowed(self):
        lower = lambda: resource.setrlimit(resource.RLIMIT_NOFILE, (4, 4))  # noqa: E731
        self.refused(self.vrun("true", preexec_fn=lower), "EMFILE")

    def test_terminal_keeps_its_settings(self):
        import termios
        master, slave = pty.openpty()
        self.addCleanup(os.close, master)
        self.addCleanup(os.close, slave)
        before = termios.tcgetattr(slave)
        process = self.start("true", stdin=slave, stdout=slave, stderr=slave)
        self.assertEqual(process.wait(timeout=20), 0)
        self.assertEqual(termios.tcgetattr(slave), before)


class Surroundings(Case):
    def test_variables(self):
        """Exactly the documented ones."""
        lines = self.ok(self.vrun("env", variables={"SECRET": "s", "LC_ALL": "C.UTF-8", "TZ": "UTC", "CI": "true"}))
        names = {line.split("=", 1)[0] for line in lines.splitlines()}
        self.assertEqual(names, {"CI", "GIT_CONFIG_NOSYSTEM", "GIT_TERMINAL_PROMPT", "HOME", "LANG", "LC_ALL", "LOGNAME",
                                 "PATH", "PIP_CONFIG_FILE", "PIP_DISABLE_PIP_VERSION_CHECK", "PIP_NO_INPUT",
                                 "PYTHONNOUSERSITE", "PYTHON_KEYRING_BACKEND", "SHELL", "TERM", "TMPDIR", "TZ", "USER",
                                 "VIRTUAL_ENV", "VRUN"})

    def test_hostile_values_are_dropped(self):
        values = {"TZ": ":/etc/shadow", "TERM": "../../x", "LANG": "a\nb"}
        names = {line.split("=", 1)[0] for line in self.ok(self.vrun("env", variables=values)).splitlines()}
        self.assertEqual(names & set(values), set())

    def test_setenv_and_keep_env(self):
        result = self.vrun("sh", "-c", 'echo "$A|$B|$C|$PATH"', variables={"C": "kept", "A": "caller"},
                           options=["--setenv", "A=1", "--setenv=B=x=y", "--keep-env", "C", "--keep-env=NOT_SET",
                                    "--setenv", "PATH=/bin"])
        self.assertEqual(self.ok(result), "1|x=y|kept|/bin\n")

    def test_no_variables_at_all(self):
        result = subprocess.run(self.command(["/bin/sh", "-c", 'echo "$HOME"']), env={}, stdout=subprocess.PIPE,
                                stderr=subprocess.PIPE, cwd=self.project, encoding="utf-8")
        self.assertEqual(self.ok(result), "/home/vrun\n")

    def test_working_directory(self):
        os.mkdir(os.path.join(self.project, "sub"))
        for options, expected in (([], self.project), (["-C", "sub"], self.project + "/sub"),
                                  (["--cwd=" + self.environment], self.environment), (["-C", "/tmp"], "/tmp")):
            with self.subTest(options=options):
                self.assertEqual(self.ok(self.vrun("pwd", options=options)), expected + "\n")
        self.refused(self.vrun("pwd", options=["-C", self.home + "/nowhere"]), self.home + "/nowhere")
        self.refused(self.vrun("pwd", options=["-C", "missing"]), "missing")

    def test_a_deleted_current_directory(self):
        words = self.command(["true"])
        script = 'mkdir gone && cd gone && rmdir ../gone && exec "$@"'
        result = self.outside("sh", "-c", script, "-", *words)
        self.refused(result, "current directory")

    def test_umask(self):
        for mask in ("022", "077", "000"):
            with self.subTest(mask=mask):
                words = ["sh", "-c", f'umask {mask} && exec "$@"', "-", *self.command(["sh", "-c", "umask; stat -c %a / /dev /etc/passwd"])]
                result = self.outside(*words)
                self.assertEqual(self.ok(result), f"0{mask}\n755\n755\n644\n")

    def test_names_in_messages_are_escaped(self):
        name = "a\x0ab\x1b[31mc\x07"
        for result in (self.vrun(name), self.vrun("./" + name)):
            message = self.refused(result, status=NOT_FOUND)
            self.assertIn(r"a\x0ab\x1b[31mc\x07", message)
        self.refused(self.raw(os.path.join(self.directory, name), "--", "true"), r"a\x0ab\x1b[31mc\x07")
        self.refused(self.vrun("true", options=["--ro", name]), r"a\x0ab\x1b[31mc\x07")
        self.refused(self.vrun("true", options=["--net", name]), r"a\x0ab\x1b[31mc\x07")
        self.refused(self.vrun("true", options=["--" + name]), r"a\x0ab\x1b[31mc\x07")

    def test_odd_names_work(self):
        for name in ("a b", "a:b", "a,b", "a\\b", "a'b\"c", "-x", "a\nb", "é\udcff", "$(id)", "a=b"):
            with self.subTest(name=name):
                # Neither is possible for venv: the one would break PATH, the other is not text.
                odd = ":" in name or "\udcff" in name
                environment = self.environment if odd else make_environment(os.path.join(self.directory, name, "e"))
                project = os.path.join(self.directory, name, "p")
                os.makedirs(project)
                code = ("import os, sys; open('made', 'w').close()\n"
                        "print(ascii([os.fsencode(sys.prefix), os.fsencode(os.getcwd())]))")
                python = os.path.join(environment, "bin/python")
                result = self.vrun(python, "-c", code, environment=environment, cwd=project)
                self.assertEqual(self.ok(result), f"{[os.fsencode(environment), os.fsencode(project)]}\n")
                self.assertEqual(os.listdir(project), ["made"])

    def test_probe_is_what_it_says(self):
        """The probe's own controls: outside it reaches what inside it must not."""
        if not os.path.exists(PROBE):
            missing(self, f"the probe program is not built: {PROBE}")
        self.assertEqual(self.probe_outside("exit", "3").returncode, 3)
        wait_until(lambda: self.probe_outside("kill-self", "15").returncode == -15, "the probe kills itself", 5)


if __name__ == "__main__":
    unittest.main()
