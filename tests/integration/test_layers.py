"""Layers that others stand before: each is looked at from a place where the others do not hide it.

Pid 1 of a run is closed to the run itself, so what it gave up is read from outside; mounts below what is shown, and
those that the host makes later, need a mount namespace to make them in.
"""

import ctypes
import glob
import os
import re
import signal
import subprocess
import sys
import unittest

from faults import FaultCase, describe
from harness import IS_ROOT, ROOT, VRUN, X86_64, Case, missing, read, wait_until

LIBC = ctypes.CDLL(None, use_errno=True)
PR_GET_SECUREBITS = 27
AT_FDCWD, RENAME_EXCHANGE = -100, 2
# Each with its lock: no root, no fix-up of set-user-ID, nothing kept, no ambient capabilities (capabilities(7)).
SECUREBITS = 0x3 | 0xc | 0x20 | 0xc0


def parent_of(pid):
    try:
        return next((line.split()[1] for line in read(f"/proc/{pid}/status").splitlines() if line.startswith("PPid:")), "")
    except (FileNotFoundError, ProcessLookupError):
        return ""


def first_process(vrun):
    """The pid, outside, of the run's pid 1."""
    children = [int(name) for name in os.listdir("/proc") if name.isdigit() and parent_of(name) == str(vrun.pid)]
    return children[0] if children else None


class FirstProcess(Case):
    """Pid 1 of a run, seen from outside."""

    def running(self, **more):
        process = self.start("sh", "-c", "echo ready; exec sleep 60", stdout=subprocess.PIPE, **more)
        self.assertEqual(process.stdout.readline(), b"ready\n")
        return process, first_process(process)

    def test_it_gave_everything_up(self):
        """Capabilities too: the command has none after execve, whatever its parent kept."""
        _, pid = self.running()
        status = dict(line.split(":\t", 1) for line in read(f"/proc/{pid}/status").splitlines() if ":\t" in line)
        for name in ("CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb"):
            self.assertEqual(status[name], "0" * 16, name)
        self.assertEqual((status["NoNewPrivs"], status["Seccomp"]), ("1", "2"))

    def test_it_forgot_the_command_line(self):
        """Paths and values on vrun's command line, and the caller's variables, are not its to keep."""
        _, pid = self.running(options=["--setenv", "TOKEN=s3cret"], variables={"CALLERS": "s3cret"})
        self.assertEqual(read(f"/proc/{pid}/cmdline").rstrip("\0"), "vrun-init")
        if IS_ROOT:  # others may not read it of a process that is not dumpable
            self.assertEqual(read(f"/proc/{pid}/environ").strip("\0"), "")

    def test_it_dies_with_vrun_even_when_stopped(self):
        """It also ends by itself when vrun's pipe closes, but only if it is let."""
        process, pid = self.running()
        os.kill(pid, signal.SIGSTOP)
        self.addCleanup(lambda: os.path.exists(f"/proc/{pid}") and os.kill(pid, signal.SIGKILL))
        wait_until(lambda: "\nState:\tT" in read(f"/proc/{pid}/status"), "it is stopped")
        process.kill()
        process.wait()
        # This process adopts orphans.
        wait_until(lambda: os.waitpid(pid, os.WNOHANG)[0] == pid, "it ended", seconds=2)

    def test_its_session_keyring_is_new(self):
        if IS_ROOT:
            self.skipTest("only as an ordinary user: root does not see the keyrings of others")

        def keyrings():
            return {line.split()[0] for line in read("/proc/keys").splitlines() if line.split()[7:9] == ["keyring", "_ses:"]}
        if not os.path.exists("/proc/keys"):
            missing(self, "no kernel keyrings here")
        before = keyrings()
        self.running()
        self.assertGreater(len(keyrings() - before), 0)


KEY = """
import ctypes, errno, sys
libc = ctypes.CDLL(None, use_errno=True)
def call(number, *arguments):
    result = libc.syscall(number, *arguments)
    return result if result >= 0 else errno.errorcode[ctypes.get_errno()]
READ, LINK, SESSION = 11, 8, -3
text = ctypes.create_string_buffer(64)
ring, key = map(int, sys.argv[1:])
print(call(KEYCTL, READ, key, text, 64), call(KEYCTL, LINK, ring, SESSION), call(KEYCTL, READ, key, text, 64),
      text.value.decode())
"""


class Keys(Case):
    """The keyring of a user is known to every process of that user by its number."""

    def test_of_the_user_are_open_with_the_option_and_only_then(self):
        if IS_ROOT:
            self.skipTest("only as an ordinary user: root's run is somebody else's")
        add_key, keyctl = (248, 250) if X86_64 else (217, 219)
        user_keyring, unlink = -4, 9
        key = LIBC.syscall(add_key, b"user", b"vrun-test", b"planted", ctypes.c_size_t(7), user_keyring)
        if key < 0:
            missing(self, "this kernel has no keyrings")
        ring = LIBC.syscall(keyctl, 0, user_keyring, 0)
        self.addCleanup(LIBC.syscall, keyctl, unlink, key, user_keyring)
        code = KEY.replace("KEYCTL", str(keyctl))
        self.assertEqual(self.ok(self.python(code, str(ring), str(key))), "EPERM EPERM EPERM \n")
        opened = self.python(code, str(ring), str(key), options=["--allow", "keyring"])
        self.assertEqual(self.ok(opened), "EACCES 0 7 planted\n")


class Command(Case):
    def test_securebits_are_locked(self):
        code = f"import ctypes; print(ctypes.CDLL(None).prctl({PR_GET_SECUREBITS}, 0, 0, 0, 0))"
        self.assertEqual(self.ok(self.python(code)), f"{SECUREBITS}\n")
        self.assertEqual(self.ok(self.outside(sys.executable, "-c", code)), "0\n")


    LOWER = """
import errno, sys
def write(value):
    try:
        with open('/proc/self/oom_score_adj', 'wb', buffering=0) as file: file.write(str(value).encode())
        return 'done'
    except OSError as error: return errno.errorcode[error.errno]
print(open('/proc/self/oom_score_adj').read().strip(), *map(write, sys.argv[1:]))
"""

    def test_it_is_the_first_to_end_for_want_of_memory(self):
        """An ordinary user's run can go back to what the user's own processes may have, and no further."""
        own = int(read("/proc/self/oom_score_adj"))
        values = ["1000", "999", "-1"]
        outside = self.ok(self.outside(sys.executable, "-c", self.LOWER, *values)).split()
        self.assertEqual(outside[:-1], [str(own), "done", "done"])
        # A root without CAP_SYS_RESOURCE, as in some machines, is as an ordinary user here.
        fixed = IS_ROOT and outside[-1] == "done"
        self.assertEqual(self.ok(self.python(self.LOWER, *values)), f"1000 done {'EACCES' if fixed else 'done'} EACCES\n")
        process = self.start("sh", "-c", "echo ready; exec sleep 60", stdout=subprocess.PIPE)
        self.assertEqual(process.stdout.readline(), b"ready\n")
        self.assertEqual([int(read(f"/proc/{pid}/oom_score_adj")) for pid in (process.pid, first_process(process))], [own, 1000])


class Mounts(Case):
    """A host of the test's own, whose mounts it may change: a mount namespace, for ordinary users within a user namespace."""

    def setUp(self):
        super().setUp()
        self.shown = os.path.join(self.directory, "shown")
        os.makedirs(os.path.join(self.shown, "below"))

    def in_namespace(self, script, *words):
        mine = ["unshare", "--mount", "--propagation", "shared"] if IS_ROOT else [
            "unshare", "--user", "--map-root-user", "--mount", "--propagation", "shared"]
        result = self.outside(*mine, "sh", "-euc", script, "sh", *words, timeout=60)
        if "unshare: " in result.stderr:
            missing(self, f"no mount namespace for the test: {result.stderr}")
        return result

    def test_what_is_mounted_below_is_read_only_too(self):
        script = ('mount -t tmpfs -o mode=777 none "$1/below"; echo was > "$1/below/file"; echo outside > "$1/below/new"\n'
                  '"$2" --ro "$1" "$3" -- sh -c \'cat "$0/below/file"; echo inside > "$0/below/new"\' "$1" || cat "$1/below/new"')
        result = self.in_namespace(script, self.shown, VRUN, self.environment)
        self.assertEqual(result.stdout, "was\noutside\n", result.stderr)
        self.assertIn("Read-only file system", result.stderr)

    def test_what_the_host_mounts_later_stays_outside(self):
        script = ('fifo="$4/fifo"; mkfifo "$fifo"; chmod 777 "$4"\n'
                  '"$2" --ro "$1" "$3" -- sh -c \'echo ready; read line; ls "$0/below"; echo done\' "$1" <"$fifo" >"$4/out" &\n'
                  'exec 3>"$fifo"; while ! grep -q ready "$4/out"; do :; done\n'
                  'mount -t tmpfs none "$1/below"; touch "$1/below/late"\n'
                  'echo go >&3; exec 3>&-; wait; cat "$4/out"; ls "$1/below"')
        place = os.path.join(self.directory, "place")
        os.mkdir(place)
        result = self.in_namespace(script, self.shown, VRUN, self.environment, place)
        self.assertEqual((result.stdout, result.returncode), ("ready\ndone\nlate\n", 0), result.stderr)


class Document(unittest.TestCase):
    """The names in policy/layers.h, the tests in tests/all/layers.txt, and the pages in docs/layers are about the same."""

    def test_every_layer_has_a_row_and_its_test(self):
        names = re.findall(r'"([a-z-]+)"', re.search(r"kLayers = .*?;", read(os.path.join(ROOT, "policy/layers.h")), re.S).group())
        tests, name = {}, None
        for line in read(os.path.join(ROOT, "tests/all/layers.txt")).splitlines():
            if line.endswith(":"):
                name = line[:-1]
            elif line.startswith("  "):
                tests.setdefault(name, set()).add(line.split(":")[-1].strip())
        self.assertEqual(sorted(tests), sorted(names))
        told = {}
        for page in glob.glob(os.path.join(ROOT, "docs/layers/*.md")):
            self.assertIn("## Cost\n", read(page), page)
            for row, seen in re.findall(r"^\| `([a-z-]+)` \| .* \| (.*) \|$", read(page), re.M):
                self.assertNotIn(row, told)
                told[row] = set(re.findall(r"`(\w+\.[\w.]+)`", seen))
        self.assertEqual(sorted(told), sorted(names))
        for name, seen in told.items():
            with self.subTest(layer=name):
                self.assertGreater(len(seen), 0)
                self.assertLessEqual(seen, tests[name])


class Preparation(FaultCase):
    """Between a decision and its effect."""

    def test_a_step_that_did_nothing_is_noticed(self):
        """mount_setattr says that it made a mount read-only, and did not: what was built is read back."""
        calls = [call for call in self.calls if call.name == "mount_setattr" and call.start == "before"]
        own = [call for call in calls if call.process == self.command_process - 1]
        # Root's sources are prepared by vrun, where a call right before another one maps owners.
        numbers = {call.number for call in calls if call.process == 0}
        prepared = [call for call in calls if call.process == 0 and call.number + 1 not in numbers]
        self.assertGreater(len(own) + len(prepared), 6)
        noticed = 0
        # The first of pid 1's only cuts it off from the host's mounts.
        for call in [*own[1::2], *prepared[::5]]:
            with self.subTest(call=describe(call, 0)):
                result = self.inject(0, call.process, call.number)
                if result.returncode == 0:  # what it was to set was so already, as on a /dev that is mounted nosuid
                    self.assertEqual(self.take_state(), self.expected)
                    continue
                self.refused(result, "the view is not the planned one: ")
                self.assertIsNone(self.take_state(), "the command ran")
                noticed += 1
        self.assertGreater(noticed, 3)

    def test_a_directory_that_was_replaced_is_noticed(self):
        """What was looked at is what is shown: two directories swap names while runs start."""
        other = os.path.join(self.directory, "other")
        os.mkdir(other)
        pid = os.fork()
        if pid == 0:
            while os.getppid() != 1:
                LIBC.renameat2(AT_FDCWD, os.fsencode(self.project), AT_FDCWD, os.fsencode(other), RENAME_EXCHANGE)
            os._exit(0)
        messages = set()
        try:
            for _ in range(500):
                messages.add(self.raw("--project", self.project, self.environment, "--", "true", cwd="/").stderr)
                if len(messages) > 1:
                    break
        finally:
            os.kill(pid, signal.SIGKILL)
            os.waitpid(pid, 0)
        self.assertLessEqual(messages, {"", f"vrun: it was replaced while the run was prepared: '{self.project}'\n"})
        self.assertEqual(len(messages), 2)


if __name__ == "__main__":
    unittest.main()
