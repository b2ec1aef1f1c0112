"""vrun --why: its answers are what a run with the same options sees."""

import json
import os
import socket
import unittest

from harness import SYSTEM_PYTHON, X86_64, Case, make_environment, site_packages, write

# Of each path: whether it is there, with something in it if it is a directory, and whether it can be written to.
LOOK = """
import json, os, sys
def look(path):
    if not os.path.exists(path):
        return [False, False]
    writable = os.access(path, os.W_OK)
    covered = (os.path.isdir(path) and not writable and not os.listdir(path)) or (
        os.path.isfile(path) and not os.access(path, os.X_OK) and not open(path, 'rb').read(1))
    return [not covered, writable]
print(json.dumps([look(path) for path in sys.argv[1:]]))
"""
CONNECT = """
import errno, socket, sys
for word in sys.argv[1:]:
    host, _, port = word.rpartition(':')
    try:
        (family, _, _, _, address), *_ = socket.getaddrinfo(host.strip('[]'), int(port), type=socket.SOCK_STREAM)
    except socket.gaierror as error:
        print('EAI_NONAME' if error.errno == socket.EAI_NONAME else error)
        continue
    with socket.socket(family) as connection:
        connection.settimeout(5)
        result = connection.connect_ex(address)
        print(errno.errorcode.get(result, 'OK'))
"""
# Numbers of x86-64 and harmless arguments, for the probe.
CALLS = {"getpid": "39", "getuid": "102", "umask": "95 022", "socketpair": "53 1 1 0 buffer", "landlock_create_ruleset": "444 0 0 1",
         "ptrace": "101 -1", "unshare": "272 0", "clone3": "435 0 0", "setns": "308 -1 0", "openat2": "437 -1", "keyctl": "250 -1",
         "io_uring_setup": "425 0 0", "mount": "165 0 0 0 0 0", "kcmp": "312 -1", "mbind": "237 -1", "statmount": "457 0"}


class Why(Case):
    def why(self, what, *options, cwd=None, **more):
        result = self.raw("--why", what, "--json", *options, self.environment, cwd=cwd, **more)
        self.assertEqual(result.stderr, "", what)
        told = json.loads(result.stdout)
        self.assertEqual((told["schema"], result.returncode), ("vrun.why/1", 0 if told["reachable"] else 1))
        return told

    def check_paths(self, paths, *options, minimum, notes=False):
        result = self.vrun("python", "-c", LOOK, *paths, options=options)
        self.assertTrue(result.returncode == 0 and bool(result.stderr) == notes, result.stderr)
        seen = json.loads(result.stdout)
        reachable = 0
        for path, (there, writable) in zip(paths, seen):
            with self.subTest(path=path, options=options):
                told = self.why(path, *options)
                self.assertEqual(told["kind"], "path")
                self.assertEqual((told["reachable"], told["how"].startswith("writable")), (there, writable), told)
                reachable += there
        self.assertGreaterEqual(min(reachable, len(paths) - reachable), minimum)

    def paths(self):
        write(self.project + "/src/main.py", "1")
        write(self.project + "/.git/config", "[core]\n")
        write(self.project + "/pyproject.toml", "[project]\n")
        write(self.directory + "/data/table", "1")
        write(self.home + "/.ssh/key", "1")
        make_environment(self.project + "/.tox/other")
        os.symlink("../data/table", self.project + "/table")
        os.symlink("src", self.project + "/code")
        os.symlink("loop", self.project + "/loop")
        os.symlink("/proc/self/root/etc", self.project + "/configuration")
        python = os.path.realpath(SYSTEM_PYTHON)
        return ["/", "/usr", python, "/bin/sh", "/usr/share", "/etc/passwd", "/etc/shadow", "/etc/ssl", "/etc/hosts",
                self.project, self.project + "/src/main.py", self.project + "/code/main.py", self.project + "/.git/config",
                self.project + "/pyproject.toml", self.project + "/.tox/other/pyvenv.cfg", self.project + "/missing", self.project + "/loop",
                self.project + "/table", self.directory + "/data/table", self.home, self.home + "/.ssh/key",
                self.environment + "/bin/python", self.environment + "/pyvenv.cfg", site_packages(self.environment) + "/none",
                "/usr/lib/python3/dist-packages", "/tmp", "/var/tmp", "/var/lib", "/opt", "/root", "/boot", "/sys", "/dev/null",
                "/dev/kmsg", "/dev/mem", "/dev/shm", "/dev/pts/ptmx", "/run/systemd", "/proc/cpuinfo", "/proc/kallsyms",
                "/proc/sys/vm/swappiness", "/proc/self/status", f"/proc/{os.getppid() + 100000}",
                self.project + "/configuration/passwd", self.project + "/configuration/shadow", "/proc/self/cwd/src", "/proc/self/exe",
                "/proc/self/root/nowhere", "/proc/sys/nowhere", "/dev/pts", "/dev/pts/0", self.project + "/src/main.py/x",
                self.project + "/../data/table", "/" + "n" * 300]

    def test_paths(self):
        self.check_paths(self.paths(), minimum=12)

    def test_paths_with_options(self):
        paths = self.paths()
        options = ["--ro", self.directory + "/data", "--hide", self.project + "/src", "--rw", self.project + "/.git",
                   "--tmpfs", "/opt", "--env-rw", "--home", self.home]
        os.makedirs(self.directory + "/data", exist_ok=True)
        self.check_paths(paths, *options, minimum=10, notes=True)

    def test_the_option_that_is_named_changes_it(self):
        key = write(self.home + "/.ssh/key", "1")
        told = self.why(key)
        option, path, *_ = told["option"].split()
        self.assertEqual((told["reachable"], option, path), (False, "--ro", key))
        self.assertTrue(self.why(key, option, path)["reachable"])
        self.ok(self.vrun("cat", key, options=[option, path]))

    def test_calls(self):
        if not X86_64:
            self.skipTest("only as x86-64: these are its numbers")
        for options in ([], ["--allow=userns", "--allow=keyring"]):
            lines = "".join(line + "\n" for line in CALLS.values())
            answers = self.ok(self.probe("syscalls", input=lines, stdin=None, options=options)).split()
            self.assertEqual(len(answers), len(CALLS))
            for name, answer in zip(CALLS, answers):
                with self.subTest(call=name, options=options):
                    told = self.why(name, *options)
                    self.assertEqual(told["kind"], "call")
                    if told["reachable"]:
                        # A kernel may not have it, or say so to a user without capabilities.
                        self.assertTrue(answer not in ("EPERM", "ENOSYS") or "--allow" in told["because"], answer)
                    else:
                        self.assertEqual(told["how"], answer)

    def test_addresses(self):
        with socket.socket() as listener:
            listener.bind(("127.0.0.1", 0))
            listener.listen()
            local = f"127.0.0.1:{listener.getsockname()[1]}"
            # 192.0.2.1 and 2001:db8::1 are nobody's (RFC 5737, RFC 3849), and .invalid is no name (RFC 2606).
            addresses = (local, "192.0.2.1:9", "localhost:9", "LocalHost:9", "vrun:9", "0.0.0.0:9", "127.1:9", "[::1]:9", "[::]:9",
                         "[2001:db8::1]:9", "[::ffff:127.0.0.1]:9", "[::ffff:192.0.2.1]:9", "127.0.0.1.invalid:9", "a.localhost:9")
            inside = self.ok(self.python(CONNECT, *addresses)).split()
            self.assertEqual(len(set(inside)), 3, inside)
            for address, answer in zip(addresses, inside):
                told = self.why(address)
                self.assertEqual((told["kind"], told["reachable"], told["how"]), ("address", False, answer))
            shared = self.python(CONNECT, local, options=["--net=host"])
            self.assertEqual(shared.stdout.split(), ["OK"], shared.stderr)
            self.assertTrue(self.why(local, "--net=host")["reachable"])

    def test_variables(self):
        callers = {"LC_ALL": "C", "TOKEN": "1", "KEPT": "1", "TZ": "/etc/shadow"}
        options = ["--keep-env", "KEPT", "--setenv", "SET=1", "--keep-env", "NOWHERE"]
        inside = {line.partition("=")[0] for line in self.ok(self.vrun("env", options=options, variables=callers)).splitlines()}
        names = ["LC_ALL", "TOKEN", "KEPT", "TZ", "SET", "HOME", "PATH", "VIRTUAL_ENV", "LD_PRELOAD", "NOWHERE", "PYTHONPATH", "TERM"]
        for name in names:
            with self.subTest(variable=name):
                told = self.why(name, *options, variables=callers)
                self.assertEqual((told["kind"], told["reachable"]), ("variable", name in inside))
        self.assertEqual({"TOKEN", "TZ"} & inside, set())
        cleared = self.why("LC_ALL", "--clear-env", variables=callers)
        self.assertEqual((cleared["reachable"], cleared["because"]), (False, "--clear-env passes on only what is named"))

    def test_for_people(self):
        result = self.raw("--why", "/etc/shadow", self.environment)
        self.assertEqual((result.returncode, result.stderr), (1, ""))
        lines = result.stdout.splitlines()
        self.assertEqual(lines[0], "/etc/shadow: not reachable, absent")
        self.assertEqual([line.split()[0] for line in lines[1:]], ["because", "step", "option"])
        # The step is one that --explain shows.
        self.assertIn("  " + lines[2].split(None, 1)[1], self.raw("--explain", "--verbose", self.environment).stdout)
        strange = self.raw("--why", "/x\x1b[2J", self.environment).stdout
        self.assertNotIn("\x1b", strange)

    def test_refused(self):
        for words in (["--why", "", self.environment], ["--why", "a b", self.environment], ["--why", "x:0", self.environment],
                      ["--why", "PATH", "--explain", self.environment], ["--why", "/", self.directory + "/missing"]):
            self.refused(self.raw(*words))
        self.refused(self.raw("--why", "setup.py", self.environment), "./setup.py")


if __name__ == "__main__":
    unittest.main()
