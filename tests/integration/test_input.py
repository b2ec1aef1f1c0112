"""Bad input: one line that says what is wrong and what to do, status 125, nothing started, nothing left behind."""

import os
import shutil
import socket
import stat
import struct
import subprocess
import sys
import tempfile
import unittest

from harness import (IS_ROOT, SYSTEM_PYTHON, VRUN, X86_64, Case, as_user, host_mounts, make_environment, missing, read, run,
                     site_packages, write)


class InputCase(Case):
    def setUp(self):
        super().setUp()
        self.mounts = host_mounts()

    def refuse(self, environment, *texts, options=(), **more):
        """vrun refuses, and the command, which would leave a mark, is not started."""
        mark = os.path.join(self.project, "started")
        if os.path.exists(mark):
            os.unlink(mark)
        message = self.refused(self.vrun("touch", mark, environment=environment, options=options, **more), *texts)
        self.assertEqual(os.listdir(self.project), [])
        self.assertEqual(host_mounts(), self.mounts)
        return message


class EnvDir(InputCase):
    """B-01, B-02, B-08."""

    def test_none_is_named_or_found(self):
        self.refused(self.raw("--", "true", cwd=self.project), "no environment", "VRUN_ENV", "vbuild .venv")

    def test_not_an_environment(self):
        directory = os.path.join(self.directory, "empty")
        os.mkdir(directory)
        file = write(os.path.join(self.directory, "file"))
        fifo = os.path.join(self.directory, "fifo")
        os.mkfifo(fifo)
        dangling = os.path.join(self.directory, "dangling")
        os.symlink("nowhere", dangling)
        loop = os.path.join(self.directory, "loop")
        os.symlink("loop", loop)
        server = socket.socket(socket.AF_UNIX)
        self.addCleanup(server.close)
        listening = os.path.join(self.directory, "socket")
        server.bind(listening)
        rows = [(os.path.join(self.directory, "missing"), "there is no virtual environment", "vbuild"),
                (file, "not a directory"), (fifo, "not a directory"), (listening, "not a directory"),
                ("/dev/null", "not a directory"), (directory, "no pyvenv.cfg", "vbuild"), ("/", "'/'"), ("/proc/self/root", ),
                (dangling, "'nowhere'"), (loop, ), ("/proc/self", ), ("/dev/fd/0", ), ("x" * 300, ), ("/" + "x/" * 3000, )]
        for path, *texts in rows:
            with self.subTest(path=path[:60]):
                self.refuse(path, *texts)
        self.refused(self.raw("", "--", "true"), "empty")

    def test_another_user_may_not_read_it(self):
        environment = make_environment(os.path.join(self.directory, "env"))
        os.chmod(environment, 0o000)
        words = as_user([VRUN, environment, "--", "true"])
        os.chmod(self.directory, 0o755)
        self.refused(run(words, cwd="/", env=self.variables()), environment, "EACCES")
        os.chmod(environment, 0o755)
        self.assertIn("note", run(words, cwd="/", env=self.variables()).stderr)  # not EACCES any more

    def test_an_unreadable_part(self):
        if IS_ROOT:
            self.skipTest("only as an ordinary user: root reads everything")
        environment = make_environment(os.path.join(self.directory, "env"))
        os.chmod(environment + "/pyvenv.cfg", 0o000)
        self.refuse(environment, "pyvenv.cfg", "EACCES")

    def test_mistaken_for_the_command(self):
        self.refused(self.raw("pytest"), "'pytest'", "--")


class Configuration(InputCase):
    """pyvenv.cfg, B-03 to B-05: what supported CPythons would read differently is refused."""

    def setUp(self):
        super().setUp()
        self.env = make_environment(os.path.join(self.directory, "env"))
        self.file = os.path.join(self.env, "pyvenv.cfg")
        self.text = "home = /usr/bin\ninclude-system-site-packages = false\nversion = 3.11.2\n"

    def set(self, content):
        if os.path.isdir(self.file):
            os.rmdir(self.file)
        else:
            os.unlink(self.file)
        with open(self.file, "wb") as file:
            file.write(content if isinstance(content, bytes) else content.encode())

    def test_works_as_it_is(self):
        self.set(self.text)
        self.assertEqual(self.ok(self.vrun("true", environment=self.env)), "")

    def test_refused(self):
        yes = "include-system-site-packages = true\n"
        rows = {
            "empty": "",
            "no home": "include-system-site-packages = false\n",
            "relative home": self.text.replace("/usr/bin", "bin"),
            "home that does not exist": self.text.replace("/usr/bin", "/no/such/bin"),
            "home of another interpreter": self.text.replace("/usr/bin", "/tmp"),
            "empty home": self.text.replace("/usr/bin", ""),
            "a key twice": self.text + yes,
            "a key twice, in another case": self.text + "Include-System-Site-Packages = true\n",
            "home twice": self.text + "home = /tmp\n",
            "NUL": self.text.encode() + b"x = \0\n",
            "a carriage return in a line": self.text + "x = y\rinclude-system-site-packages = true\n",
            "byte order mark": b"\xef\xbb\xbf" + self.text.encode(),
            "UTF-16": self.text.encode("utf-16"),
            "not UTF-8": self.text.encode() + b"x = \xff\xfe\n",
            "white space of Unicode around the key": self.text.replace("false", "false") + "\u2028home = /tmp\n",
            "white space of Unicode around the value": self.text.replace("false", "\u00a0true"),
            "a long line": self.text + "x = " + "y" * 5000 + "\n",
            "a large file": self.text + "# comment\n" * 10000,
        }
        for what, content in rows.items():
            with self.subTest(what=what):
                self.set(content)
                self.refuse(self.env, "pyvenv.cfg")

    def test_not_a_file(self):
        for what in ("directory", "fifo", "link to itself", "link", "missing"):
            with self.subTest(what=what):
                if os.path.isdir(self.file) and not os.path.islink(self.file):
                    os.rmdir(self.file)
                elif os.path.lexists(self.file):
                    os.unlink(self.file)
                {"directory": lambda: os.mkdir(self.file), "fifo": lambda: os.mkfifo(self.file),
                 "link to itself": lambda: os.symlink("pyvenv.cfg", self.file),
                 "link": lambda: os.symlink(self.environment + "/pyvenv.cfg", self.file), "missing": lambda: None}[what]()
                self.refuse(self.env, "pyvenv.cfg")

    def test_a_huge_sparse_file(self):
        with open(self.file, "r+b") as file:
            file.truncate(1 << 40)
        self.refuse(self.env, "pyvenv.cfg", timeout=10)

    def test_accepted_as_python_reads_it(self):
        """Odd but clear: vrun concludes what Python itself does."""
        rows = {"no final newline": self.text.rstrip("\n"), "CRLF": self.text.replace("\n", "\r\n"),
                "TRUE": self.text.replace("false", "TRUE"), "yes": self.text.replace("false", "yes"),
                "1": self.text.replace("false", "1"), "no such key": "home = /usr/bin\n",
                "tabs": self.text.replace("false", "\tfalse\t"), "comment": self.text + "# include-system-site-packages\n",
                "unknown keys": self.text + "uv = 1\nfoo = bar = baz\n"}
        # Beyond its list of directories, whether the system's packages can be imported is what it comes to.
        package = next((d for d in ("/usr/lib/python3/dist-packages", ) if os.path.isdir(d) and os.listdir(d)), None)
        if package is None:
            missing(self, "no packages of the system here")
        code = "import os, sys; print(%r in sys.path and bool(os.listdir(%r)))" % (package, package)
        seen = set()
        for what, content in rows.items():
            with self.subTest(what=what):
                self.set(content)
                outside = self.outside(self.env + "/bin/python", "-c", code).stdout
                self.assertEqual(self.ok(self.python(code, environment=self.env)), outside)
                seen.add(outside)
        self.assertEqual(seen, {"True\n", "False\n"})

    def test_second_file(self):
        write(os.path.join(self.env, "bin/pyvenv.cfg"), self.text.replace("false", "true"))
        self.refuse(self.env, "bin/pyvenv.cfg")


class Interpreters(InputCase):
    """B-06, B-07."""

    def setUp(self):
        super().setUp()
        self.env = make_environment(os.path.join(self.directory, "env"))

    def replace(self, make):
        for name in os.listdir(self.env + "/bin"):
            path = os.path.join(self.env, "bin", name)
            if os.path.isdir(path) and not os.path.islink(path):
                os.rmdir(path)
            elif name.startswith("python"):
                os.unlink(path)
        make(os.path.join(self.env, "bin/python"))

    def test_refused(self):
        elf = read_bytes(os.path.realpath(SYSTEM_PYTHON))
        aarch64 = bytearray(elf[:65536])
        struct.pack_into("<H", aarch64, 18, 183 if X86_64 else 62)
        rows = {
            "missing": lambda path: None,
            "dangling": lambda path: os.symlink("/no/such/python3.11", path),
            "loop": lambda path: os.symlink("python", path),
            "directory": os.mkdir,
            "fifo": os.mkfifo,
            "empty": lambda path: write(path, "", 0o755),
            "script": lambda path: write(path, "#!/bin/sh\ntouch started\n", 0o755),
            "text": lambda path: write(path, "hello", 0o755),
            "another program": lambda path: os.symlink("/usr/bin/env", path),
            "of another architecture": lambda path: write_bytes(path, bytes(aarch64)),
            "truncated": lambda path: write_bytes(path, elf[:40]),
            "cut in the middle": lambda path: write_bytes(path, elf[:100000]),
        }
        for what, make in rows.items():
            with self.subTest(what=what):
                self.replace(make)
                message = self.refuse(self.env, timeout=10)
                self.assertRegex(message, "[Pp]ython")

    def test_architecture_is_named(self):
        elf = bytearray(read_bytes(os.path.realpath(SYSTEM_PYTHON)))
        struct.pack_into("<H", elf, 18, 183 if X86_64 else 62)
        self.replace(lambda path: write_bytes(path, bytes(elf)))
        self.refuse(self.env, "AArch64" if X86_64 else "x86-64")

    def test_dangling_names_the_repair(self):
        self.replace(lambda path: os.symlink("/no/such/python3.11", path))
        self.refuse(self.env, "vbuild --upgrade")

    def test_another_version_than_the_environments(self):
        library = os.path.dirname(site_packages(self.env))
        os.rename(library, os.path.join(self.env, "lib/python3.4"))
        self.refuse(self.env, "lib/python3", "vbuild --upgrade")

    def test_nothing_of_the_environment_runs_outside(self):
        """An interpreter that would leave a mark on the host is not started to look at it."""
        mark = os.path.join(self.home, "ran")
        self.replace(lambda path: write(path, f"#!/bin/sh\ntouch {mark}\n", 0o755))
        self.assertEqual(subprocess.run([self.env + "/bin/python"]).returncode, 0)
        self.assertTrue(os.path.exists(mark))
        os.unlink(mark)
        self.vrun("true", environment=self.env)
        self.vrun("true", environment=self.env, options=["--explain"])
        self.assertFalse(os.path.exists(mark))


class Options(InputCase):
    """B-19, and the words of the command line."""

    def test_refused(self):
        missing_path = os.path.join(self.directory, "missing")
        file = write(os.path.join(self.directory, "file"))
        rows = [
            (["--no-such-option"], "--no-such-option", "vrun --help"),
            (["--explian"], "--explian"),
            (["--ex"], "--ex"),
            (["-x"], "-x"),
            (["--net=foo"], "--net", "'foo'", "none", "host"),
            (["--net="], "--net"),
            (["--allow", "ptraec"], "--allow", "'ptraec'", "nearest is 'ptrace'", "userns"),
            (["--allow="], "--allow"),
            (["--setenv", "NAME"], "--setenv", "'NAME'", "NAME=VALUE"),
            (["--setenv", "=x"], "--setenv", "'=x'"),
            (["--ro", missing_path], missing_path, "ENOENT"),
            (["--rw", missing_path], missing_path, "ENOENT"),
            (["--ro", ""], "--ro"),
            (["--ro", "/"], "'/'"),
            (["--rw", "/"], "'/'"),
            (["--ro", "/usr/.."], "'/'"),
            (["--ro", "/proc"], "/proc"),
            (["--rw", "/proc/self/root"], ),
            (["--ro", "/dev"], "/dev"),
            (["--ro", file, "--rw", file], file),
            (["--rw", file, "--ro", file], file),
            (["--ro", self.directory, "--rw", self.project + "/.."], self.directory),
            (["--project", missing_path], missing_path, "ENOENT"),
            (["--project", file], file, "ENOTDIR"),
            (["--project", self.project, "--project", self.project], "project"),
            (["-C", missing_path], missing_path),
            (["-C", file], file),
        ]
        for options, *texts in rows:
            with self.subTest(options=options):
                self.refuse(self.environment, *texts, options=options)

    def test_values_that_are_missing(self):
        for option in ("--ro", "--rw", "--net", "--allow", "--setenv", "--keep-env", "--project", "--cwd", "-C"):
            with self.subTest(option=option):
                self.refused(self.raw(self.environment, option), option.lstrip("-") if option != "-C" else "cwd")

    def test_a_value_for_a_switch(self):
        self.refused(self.raw("--env-rw=yes", self.environment, "--", "true"), "env-rw")

    def test_an_empty_command(self):
        self.refused(self.raw(self.environment, "--", ""), "empty")


class Machine(InputCase):
    """Machines on which the layers cannot be had."""

    def in_user_namespace(self, setup):
        """vrun in a user namespace of this test's making, in which `setup` was done first."""
        words = [*self.ordinary(), "unshare", "-r", "sh", "-c", f'{setup} && exec "$@"', "-", *self.command(["true"])]
        if shutil.which("unshare") is None or self.outside(*self.ordinary(), "unshare", "-r", "true").returncode != 0:
            missing(self, "unshare -r does not work here")
        return self.outside(*words)

    def test_user_namespaces_switched_off(self):
        result = self.in_user_namespace("echo 0 > /proc/sys/user/max_user_namespaces")
        # In a namespace of somebody's making its maker has set that, and knows why.
        self.refused(result, "ENOSPC", "allows no further user namespaces", "run vrun outside of it")
        control = self.in_user_namespace("true")
        self.assertEqual((control.returncode, control.stderr), (0, ""))

    def test_other_namespaces_switched_off(self):
        for kind in ("mnt", "pid", "net", "ipc", "uts", "cgroup"):
            with self.subTest(kind=kind):
                result = self.in_user_namespace(f"echo 0 > /proc/sys/user/max_{kind}_namespaces")
                self.refused(result, "ENOSPC", "sysctl", f"user.max_{kind}_namespaces=")

    def under_filter(self, number, answer):
        """vrun below a system-call filter, such as a container's, that answers one call with an errno."""
        if not X86_64:
            self.skipTest("only as x86-64: these are its numbers")
        code = ("import ctypes, os, struct, sys\n"
                "libc = ctypes.CDLL(None)\n"
                "instructions = b''.join(struct.pack('<HBBI', *i) for i in ((0x20, 0, 0, 0),\n"
                f"    (0x15, 0, 1, {number}), (0x06, 0, 0, 0x50000 | {answer}), (0x06, 0, 0, 0x7fff0000)))\n"
                "buffer = ctypes.create_string_buffer(instructions, len(instructions))\n"
                "class P(ctypes.Structure): _fields_ = [('n', ctypes.c_ushort), ('p', ctypes.c_void_p)]\n"
                "assert libc.prctl(38, 1, 0, 0, 0) == 0\n"
                "assert libc.prctl(22, 2, ctypes.byref(P(4, ctypes.addressof(buffer))), 0, 0) == 0\n"
                "os.execv(sys.argv[1], sys.argv[1:])")
        return self.outside(sys.executable, "-c", code, *self.command(["true"]))

    def test_calls_that_a_container_forbids(self):
        rows = {"clone3": (435, 1), "clone3, as Docker answers": (435, 38), "fsopen": (430, 1), "open_tree": (428, 38),
                "move_mount": (429, 1), "mount_setattr": (442, 38), "pivot_root": (155, 1), "umount2": (166, 1),
                "seccomp": (317, 22), "capset": (126, 1), "close_range": (436, 38), "sethostname": (170, 1)}
        for what, (number, answer) in rows.items():
            with self.subTest(call=what):
                result = self.under_filter(number, answer)
                if result.returncode == 0:
                    # A call may be done without, but then nothing may be weaker.
                    self.fail("the run went on without it")
                self.refused(result)
        control = self.under_filter(600, 1)
        self.assertEqual((control.returncode, control.stderr), (0, ""))

    def test_covered_proc(self):
        """As in most containers: the kernel then refuses a new one. Or /proc is not there at all."""
        rows = {"mount --bind /dev/null /proc/keys": "EPERM", "mount -t tmpfs none /proc/acpi": "EPERM",
                "mount -t tmpfs none /proc/sys": "/proc", "mount -t tmpfs none /proc": "/proc",
                "mount --bind /proc/sys /proc/sys && mount -o remount,bind,ro /proc/sys": "EROFS"}
        for setup, text in rows.items():
            with self.subTest(setup=setup):
                words = [*self.ordinary(), "unshare", "-rm", "sh", "-c", setup]
                if self.outside(*words).returncode != 0:
                    missing(self, "unshare -rm and mounts in it do not work here")
                words[-1] += ' && exec "$@"'
                self.refused(self.outside(*words, "-", *self.command(["true"])), text, "/proc")

    def test_as_root_of_a_user_namespace(self):
        """unshare -r: uid 0 there is the caller's own uid outside, and nothing has to be given up."""
        result = self.in_user_namespace("true")
        self.assertEqual((result.returncode, result.stderr), (0, ""))

    def test_root_that_cannot_become_another_user(self):
        if not IS_ROOT:
            self.skipTest("only as root: the only uid of the namespace is root's outside too")
        self.refused(self.outside("unshare", "-r", *self.command(["true"])), "no other user to become")

    def test_resource_limits(self):
        import resource
        for name, value in (("RLIMIT_NOFILE", 8), ("RLIMIT_FSIZE", 0), ("RLIMIT_STACK", 128 << 10), ("RLIMIT_AS", 64 << 20),
                            ("RLIMIT_NPROC", 1)):
            with self.subTest(limit=name):
                which = getattr(resource, name)
                result = self.vrun("/bin/true", preexec_fn=lambda: resource.setrlimit(which, (value, value)))
                if result.returncode == 0:
                    self.assertEqual((result.stdout, result.stderr), ("", ""))
                else:
                    self.refused(result)


def read_bytes(path):
    with open(path, "rb") as file:
        return file.read()


def write_bytes(path, content):
    with open(path, "wb") as file:
        file.write(content)
    os.chmod(path, 0o755)


if __name__ == "__main__":
    unittest.main()
