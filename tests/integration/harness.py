"""What the tests of vrun share beyond support.py: environments, a private place for each test, and probes.

Rules that Case keeps, so that no test has to:
  - everything is made below one private directory, which is also $HOME's and $TMPDIR's place, and is gone afterwards;
  - vrun is started with an environment of our own, so that the outcome does not depend on the caller's variables;
  - the test process adopts whatever a run leaves behind, and a process that is still there afterwards fails the test.
"""

import ctypes
import glob
import os
import platform
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import unittest

from support import IN_CI, ROOT, SLOW, SYSTEM_PYTHON, VBUILD, VRUN, cpythons, run  # noqa: F401 (for the test files)

def landlock_version():
    """0 or less where the kernel has no Landlock, 6 from Linux 6.12 on."""
    return ctypes.CDLL(None).syscall(444, None, 0, 1)


PROBE = os.environ.get("VRUN_PROBE", os.path.join(ROOT, "build/dev/tests/probes/probe"))
IS_ROOT = os.geteuid() == 0
X86_64 = platform.machine() == "x86_64"
# What vrun says of --net=host where Landlock cannot keep abstract sockets apart.
HOST_NETWORK_NOTE = ("" if landlock_version() >= 6 else
                     "vrun: note: with --net=host this kernel lets the run connect to abstract Unix sockets of the host; "
                     "Linux 6.12 does not\n")
SETUP_FAILED, CANNOT_EXECUTE, NOT_FOUND = 125, 126, 127
DEADLINE = 20 * SLOW  # seconds until a condition that does not come true fails a test

# Whoever started the tests may ignore signals, as nohup does; what is started from here would inherit that.
for number in (signal.SIGHUP, signal.SIGINT, signal.SIGQUIT, signal.SIGTERM):
    if signal.getsignal(number) == signal.SIG_IGN:
        signal.signal(number, signal.SIG_DFL)

PR_SET_CHILD_SUBREAPER = 36
ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)


def missing(test, reason):
    """The machine lacks what `test` needs: a skip, and in CI a failure."""
    if IN_CI:
        test.fail("needed in CI: " + reason)
    test.skipTest(reason)


def wait_until(condition, what, seconds=DEADLINE):
    """Returns the first true value of condition(); fails after `seconds`."""
    end = time.monotonic() + seconds
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > end:
            raise AssertionError(f"did not happen within {seconds} s: {what}")
        time.sleep(0.005)


def make_environment(path, python=SYSTEM_PYTHON, system_site_packages=False):
    """An environment without pip, made by vbuild where it is built already."""
    options = ["--without-pip"] + (["--system-site-packages"] if system_site_packages else [])
    if os.path.exists(VBUILD) and path.isprintable():  # vbuild refuses control characters
        command = [VBUILD, "--python", python, *options, path]
    else:
        command = [python, "-I", "-m", "venv", *options, path]
    result = run(command)
    if result.returncode != 0:
        raise AssertionError(f"{command}: {result.stdout}{result.stderr}")
    return path


def site_packages(environment):
    return glob.glob(os.path.join(environment, "lib/python3.*/site-packages"))[0]


def write(path, text="", mode=None):
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, "w", encoding="utf-8") as file:
        file.write(text)
    if mode is not None:
        os.chmod(path, mode)
    return path


def read(path):
    with open(path, encoding="utf-8", errors="surrogateescape") as file:
        return file.read()


def host_mounts():
    return read("/proc/self/mountinfo")


def end_children(deadline=2 * SLOW):
    """Waits for every child and adopted orphan; returns what was still alive at the deadline, and ends that."""
    end = time.monotonic() + deadline
    alive = {}
    while True:
        try:
            pid, _ = os.waitpid(-1, os.WNOHANG)
        except ChildProcessError:
            return sorted(alive.values())
        if pid != 0:
            continue
        if time.monotonic() > end:
            # Their own children come to us then, so this goes on until there is none.
            for child in read(f"/proc/self/task/{os.getpid()}/children").split():
                try:
                    alive[child] = f"{child} {read(f'/proc/{child}/comm').strip()}"
                    os.kill(int(child), signal.SIGKILL)
                except (FileNotFoundError, ProcessLookupError):
                    pass
        time.sleep(0.002)


class Case(unittest.TestCase):
    """Each test gets self.directory with project/ (the current directory of runs) and home/; each class gets
    cls.environment, an environment without packages that no run can change."""

    maxDiff = None

    @classmethod
    def setUpClass(cls):
        cls.shared = os.path.realpath(tempfile.mkdtemp(prefix="vrun-class-"))
        cls.addClassCleanup(shutil.rmtree, cls.shared, ignore_errors=True)
        cls.environment = make_environment(os.path.join(cls.shared, "env"))

    def setUp(self):
        self.directory = os.path.realpath(tempfile.mkdtemp(prefix="vrun-test-"))
        self.addCleanup(self.remove_directory)
        self.project, self.home, self.temporary = (os.path.join(self.directory, name)
                                                   for name in ("project", "home", "temporary"))
        for path in (self.project, self.home, self.temporary):
            os.mkdir(path)
        self.addCleanup(self.check_nothing_is_left)

    def remove_directory(self):
        for directory, names, _ in os.walk(self.directory):  # tests make unreadable ones
            for name in names:
                path = os.path.join(directory, name)
                if not os.path.islink(path):
                    os.chmod(path, 0o700)
        shutil.rmtree(self.directory)

    def check_nothing_is_left(self):
        alive = end_children()
        self.assertEqual(alive, [], "processes outlived the test")

    def variables(self, more=None):
        # The index of packages below /usr is shared by the tests of a class, as by the runs of a user.
        variables = {"PATH": "/usr/local/bin:/usr/bin:/bin", "HOME": self.home, "XDG_CACHE_HOME": self.shared + "/cache", "TMPDIR": self.temporary,
                     "LANG": "C.UTF-8", "TERM": "dumb"}
        variables.update(more or {})
        return variables

    def command(self, words, options=(), environment=None):
        return [VRUN, *options, environment or self.environment, "--", *words]

    def vrun(self, *words, options=(), environment=None, cwd=None, variables=None, timeout=20, **more):
        return run(self.command(words, options, environment), cwd=cwd or self.project, timeout=timeout,
                   env=self.variables(variables), **more)

    def ordinary(self):
        """Words that run what follows as a user without rights: root of a user namespace that root makes stays root."""
        if not IS_ROOT:
            return []
        os.chmod(self.directory, 0o755)
        os.chmod(self.shared, 0o755)
        return ["setpriv", "--reuid", "12345", "--regid", "12345", "--clear-groups"]

    def raw(self, *arguments, cwd=None, variables=None, timeout=20, **more):
        """vrun with exactly these arguments."""
        return run([VRUN, *arguments], cwd=cwd or self.project, timeout=timeout, env=self.variables(variables), **more)

    def start(self, *words, options=(), environment=None, variables=None, **more):
        """vrun in the background; ended when the test does not do so itself."""
        more.setdefault("stdin", subprocess.DEVNULL)
        process = subprocess.Popen(self.command(words, options, environment), cwd=self.project,
                                   env=self.variables(variables), **more)
        self.addCleanup(self.end, process)
        return process

    @staticmethod
    def end(process):
        if process.poll() is None:
            process.kill()
        process.wait()
        for stream in (process.stdin, process.stdout, process.stderr):
            if stream:
                stream.close()

    def outside(self, *words, cwd=None, variables=None, **more):
        return run(list(words), cwd=cwd or self.project, env=self.variables(variables), **more)

    def python(self, code, *arguments, **more):
        """Runs Python code inside."""
        return self.vrun("python", "-c", code, *arguments, **more)

    def ok(self, result, note=""):
        """The output of a run that went well; `note` is what vrun had to say."""
        self.assertEqual((result.returncode, result.stderr), (0, note), result.stdout)
        return result.stdout

    def refused(self, result, *texts, status=SETUP_FAILED):
        """vrun said no: the status, nothing on stdout, and one line on stderr that contains each of `texts`."""
        self.assertEqual((result.returncode, result.stdout), (status, ""), result.stderr)
        self.assertRegex(result.stderr, r"\Avrun: [^\n]+\n\Z")
        for text in texts:
            self.assertIn(text, result.stderr)
        unprintable = re.sub(r"[\n -~]|[^\x00-\x9f]", "", result.stderr)
        self.assertEqual(unprintable, "", "control characters in a message")
        return result.stderr

    def probe_path(self):
        """A copy of the probe in the project, where a run can see it."""
        path = os.path.join(self.project, "probe")
        if not os.path.exists(path):
            if not os.path.exists(PROBE):
                missing(self, f"the probe program is not built: {PROBE}")
            shutil.copy(PROBE, path)
        return path

    def probe(self, *words, **more):
        return self.vrun(self.probe_path(), *words, **more)

    def probe_outside(self, *words, **more):
        return self.outside(self.probe_path(), *words, **more)


def as_user(command, uid=1000):
    """A command line that runs `command` as an ordinary user, when the tests run as root."""
    return ["setpriv", f"--reuid={uid}", f"--regid={uid}", "--clear-groups", *command] if IS_ROOT else list(command)


if __name__ == "__main__":
    sys.exit("this file has no tests")
