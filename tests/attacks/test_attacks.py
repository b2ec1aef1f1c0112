"""Tries the battery (battery.py) inside and outside, looks for planted secrets, and for what an attacked host would show."""

import ctypes
import fcntl
import hashlib
import importlib
import json
import os
import re
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import threading
import unittest

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [HERE, os.path.join(os.path.dirname(HERE), "integration")]

import inside  # noqa: E402
from battery import ABSENT, BATTERY, NAMESPACE, PLAIN, ROOT, UNAVAILABLE  # noqa: E402
from harness import IS_ROOT, PROBE, VRUN, X86_64, Case, end_children, host_mounts, make_environment, read, run, site_packages, write  # noqa: E402

LIBC = ctypes.CDLL(None, use_errno=True)
SECRET_FILES = [".ssh/id_ed25519", ".netrc", ".pypirc", ".git-credentials", ".bash_history", ".config/pip/pip.conf",
                ".cache/pip/wheel", ".local/share/keyrings/login.keyring", ".aws/credentials", ".kube/config",
                ".docker/config.json"]
NEW_NAMESPACES = ["unshare", "--user", "--map-root-user", "--mount", "--pid", "--fork", "--mount-proc", "--net", "--ipc",
                  "--uts", "--cgroup", "--kill-child"]


def token():
    return secrets.token_hex(16)


class Scene(Case):
    """A host worth attacking: files, services, shared memory, a process and descriptors, all of them the test's own."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.addClassCleanup(cls.check_no_survivor)
        for name in ("project", "home", "temporary", "shown"):
            os.mkdir(os.path.join(cls.shared, name))
        cls.place = {name: os.path.join(cls.shared, name) for name in ("project", "home", "temporary", "shown")}
        cls.tokens = {}
        cls.secret("variable")
        cls.mark = "vrun-attack-" + secrets.token_hex(6)
        cls.plant_files()
        cls.plant_services()
        cls.plant_memory()
        cls.plant_processes()

    def setUp(self):
        """Nothing for each test: the class is one scene, with a process of its own."""

    @classmethod
    def check_no_survivor(cls):
        alive = end_children()
        if alive:
            raise AssertionError(f"processes outlived the attacks: {alive}")

    @classmethod
    def keep(cls, fd):
        """The descriptor with a high number, which nobody who opens something gets by chance."""
        kept = fcntl.fcntl(fd, fcntl.F_DUPFD, 200)
        os.close(fd)
        cls.addClassCleanup(os.close, kept)
        return kept

    @classmethod
    def secret(cls, kind):
        return cls.tokens.setdefault(kind, token())

    @classmethod
    def plant_files(cls):
        for name in SECRET_FILES:
            write(os.path.join(cls.place["home"], name), cls.secret("home"))
        write(os.path.join(cls.shared, "beside"), cls.secret("beside"))
        for path in (f"/tmp/{cls.mark}", f"/dev/shm/{cls.mark}", f"/var/tmp/{cls.mark}"):
            write(path, cls.secret(path.split("/")[-2]), 0o644)
            cls.addClassCleanup(os.unlink, path)
        write(os.path.join(cls.place["shown"], "file"), "shown")
        cls.other = make_environment(os.path.join(cls.place["project"], "other-environment"))
        for environment in (cls.environment, cls.other):
            write(os.path.join(site_packages(environment), "removable.py"))
            write(os.path.join(site_packages(environment), "__pycache__/planted.pyc"))
        write(os.path.join(site_packages(cls.other), "otherpkg.py"), cls.secret("another environment"))
        log = os.path.join(cls.shared, "log")
        write(log, cls.secret("log") + "\n")
        opened = write(os.path.join(cls.shared, "open"), cls.secret("descriptor"))
        cls.descriptors = [cls.keep(os.open(path, os.O_RDONLY)) for path in (cls.shared, opened)]

    @classmethod
    def plant_services(cls):
        def serve(server, banner):
            while True:
                try:
                    client, _ = server.accept()
                    client.sendall(banner.encode())
                    client.close()
                except (ConnectionError, BrokenPipeError):
                    pass
                except OSError:
                    return

        def start(server, kind):
            server.listen(64)
            threading.Thread(target=serve, args=(server, cls.secret(kind)), daemon=True).start()
            cls.addClassCleanup(server.close)
            cls.addClassCleanup(server.shutdown, socket.SHUT_RDWR)

        tcp = socket.socket()
        tcp.bind(("127.0.0.1", 0))
        start(tcp, "loopback")
        cls.port, cls.port6 = tcp.getsockname()[1], 1
        try:
            tcp6 = socket.socket(socket.AF_INET6)
            tcp6.bind(("::1", 0))
            start(tcp6, "loopback 6")
            cls.port6 = tcp6.getsockname()[1]
        except OSError:
            pass  # the control says so
        abstract = socket.socket(socket.AF_UNIX)
        abstract.bind("\0" + cls.mark)
        start(abstract, "abstract socket")
        before = os.open(".", os.O_RDONLY)
        for directory, name in (("home", "agent"), ("shown", "socket")):
            os.chdir(cls.place[directory])  # the path may be longer than an address can be
            server = socket.socket(socket.AF_UNIX)
            server.bind(name)
            start(server, "path socket" if directory == "home" else "granted")
        os.fchdir(before)
        os.close(before)
        cls.tokens.pop("granted")  # showing a socket grants it
        fifo = os.path.join(cls.place["shown"], "fifo")
        os.mkfifo(fifo)
        cls.addClassCleanup(os.close, os.open(fifo, os.O_RDONLY | os.O_NONBLOCK))
        cls.descriptors.append(cls.keep(os.dup(tcp.fileno())))

    @classmethod
    def plant_memory(cls):
        cls.key = 0x56000000 | secrets.randbits(23)
        kinds = (("shmget", lambda: LIBC.shmget(cls.key, 4096, 0o1600), lambda i: LIBC.shmctl(i, 0, None)),
                 ("semget", lambda: LIBC.semget(cls.key, 1, 0o1600), lambda i: LIBC.semctl(i, 0, 0)),
                 ("msgget", lambda: LIBC.msgget(cls.key, 0o1600), lambda i: LIBC.msgctl(i, 0, None)))
        for name, make, remove in kinds:
            number = make()
            if number < 0:
                raise AssertionError(f"{name}: {os.strerror(ctypes.get_errno())}")
            cls.addClassCleanup(remove, number)
        name = ("/" + cls.mark).encode()
        LIBC.mq_open(name, os.O_CREAT | os.O_RDWR, 0o600, None)
        cls.addClassCleanup(LIBC.mq_unlink, name)

    @classmethod
    def plant_processes(cls):
        cls.victim = subprocess.Popen(["sleep", "1000"], env={"SECRET": cls.secret("environment of a process"), "PATH": "/usr/bin:/bin"},
                                      stdin=subprocess.DEVNULL)
        cls.addClassCleanup(cls.end, cls.victim)

    @classmethod
    def parameters(cls, inside):
        environment = cls.environment if inside else cls.other
        values = {"victim": 1 if inside else cls.victim.pid, "outer": cls.victim.pid, "home": cls.place["home"],
                  "project": cls.place["project"], "shown": cls.place["shown"], "beside": os.path.join(cls.shared, "beside"),
                  "environment": environment, "site_packages": site_packages(environment), "port": cls.port, "port6": cls.port6,
                  "abstract": cls.mark, "mark": cls.mark, "key": cls.key, "descriptors": cls.descriptors,
                  "tokens": {kind: value[::-1] for kind, value in cls.tokens.items()}}
        return write(os.path.join(cls.place["project"], "inside.json" if inside else "outside.json"), json.dumps(values))

    @classmethod
    def script(cls, name):
        return shutil.copy(os.path.join(HERE, name), cls.place["project"])

    @classmethod
    def surroundings(cls):
        return {"PATH": "/usr/local/bin:/usr/bin:/bin", "HOME": cls.place["home"], "TMPDIR": cls.place["temporary"],
                "XDG_CACHE_HOME": cls.shared + "/cache", "LANG": "C.UTF-8", "PYTHONDONTWRITEBYTECODE": "1",
                "VRUN_ATTACK_SECRET": cls.secret("variable")}

    @classmethod
    def attack(cls, words, **more):
        return run(words, cwd=cls.place["project"], env=cls.surroundings(), pass_fds=cls.descriptors, timeout=120, **more)

    @classmethod
    def attack_inside(cls, words, options=(), **more):
        return cls.attack([VRUN, "--ro", cls.place["shown"], *options, cls.environment, "--", *words], **more)


@unittest.skipUnless(X86_64, "only as x86-64: that is where the attacks were tried")
class Attacks(Scene):
    """One test an attack of the battery; they are tried together, in one run each of the probe and of Python."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        if not os.path.exists(PROBE):
            raise AssertionError(f"the probe program is not built: {PROBE}")
        probe = shutil.copy(PROBE, cls.place["project"])
        script = cls.script("inside.py")
        python = {True: ["python"], False: [os.path.join(cls.other, "bin/python")]}

        def answers(rows, inside, before=()):
            found = {}
            for code in (True, False):
                names = [row.name for row in rows if row.python == code]
                if not names:
                    continue
                words = [*python[inside], script, cls.parameters(inside)] if code else [
                    probe, "attack", "1" if inside or before else str(cls.victim.pid)]
                # In new namespaces one attack would stand in the ruins of another.
                groups = [[name] for name in names] if before else [names]
                for group in groups:
                    ask = cls.attack_inside if inside else cls.attack
                    result = ask([*before, *words, *group])
                    if result.returncode != 0 or result.stderr:
                        raise AssertionError(f"{words}: {result.returncode} {result.stderr}")
                    found.update(line.split() for line in result.stdout.splitlines())
            return found

        cls.inside = answers(BATTERY, True)
        cls.outside = answers([row for row in BATTERY if row.control == PLAIN], False)
        cls.outside.update(answers([row for row in BATTERY if row.control == NAMESPACE], False, NEW_NAMESPACES))
        if IS_ROOT:
            cls.outside.update(answers([row for row in BATTERY if row.control == ROOT], False))

    def check(self, row):
        wanted = row.inside.split("|")
        if row.inside.endswith(ABSENT):
            wanted = [row.inside[:-len(ABSENT)] if os.path.exists(inside.PLACES[row.name]) else "ENOENT"]
        self.assertIn(self.inside[row.name], wanted, f"{row.code} inside")
        if row.control == ROOT and not IS_ROOT:
            print(f"({row.test()}: the control is in root's pass)")
        elif row.control not in (PLAIN, NAMESPACE, ROOT):
            print(f"({row.test()}: no control: {row.control})")
        elif self.outside[row.name] in UNAVAILABLE and self.outside[row.name] not in row.outside:
            print(f"({row.test()}: no control: outside, too, the answer is {self.outside[row.name]})")
        else:
            self.assertIn(self.outside[row.name], row.outside, f"{row.code} outside, as the control")

    def test_most_have_a_control(self):
        """A probe that fails everywhere shows nothing: few may."""
        wanted = [row for row in BATTERY if row.control in (PLAIN, NAMESPACE) or row.control == ROOT and IS_ROOT]
        shown = [row for row in wanted if self.outside[row.name] in row.outside]
        self.assertGreater(len(shown), 0.8 * len(wanted), sorted({row.name for row in wanted} - {row.name for row in shown}))


for attack in BATTERY:
    setattr(Attacks, attack.test(), lambda self, row=attack: self.check(row))


class Secrets(Scene):
    """Random tokens, planted wherever a user keeps things: no walk over everything that a run can read finds one."""

    def walk(self, inside, *roots, **more):
        words = [self.script("walk.py"), self.parameters(inside), *roots]
        words = [VRUN, self.environment, "--", "python", *words] if inside else [sys.executable, *words]
        # Errors go to a file that has a secret already, as a log of CI would. (What is standard input is given.)
        log = os.open(os.path.join(self.shared, "log"), os.O_RDWR | os.O_APPEND)
        self.addCleanup(os.close, log)
        result = subprocess.run(words, cwd=self.place["project"], env=self.surroundings(), pass_fds=self.descriptors, timeout=120,
                                stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=log, encoding="utf-8")
        self.assertEqual(result.returncode, 0, read(os.path.join(self.shared, "log")))
        *found, last = result.stdout.splitlines()
        self.assertEqual(last, "walked")
        return found

    def test_o2_no_secret_is_readable(self):
        self.assertEqual(self.walk(True), [])

    def test_o2_control_outside_all_are_found(self):
        found = self.walk(False, self.shared, f"/proc/{self.victim.pid}", "/dev/shm")
        elsewhere = {"tmp", "loopback 6", "path socket"}  # what is not walked here; each has an attack in the battery
        for kind in set(self.tokens) - elsewhere:
            self.assertTrue([line for line in found if line.startswith(kind + " ")], f"{kind}: {found}")


def snapshot(path, leave_out):
    """Everything that says what is there: of every file its kind, owner, size, times, links, attributes and content."""
    found = {}
    for directory, names, files in os.walk(path):
        names[:] = [name for name in names if os.path.join(directory, name) not in leave_out]
        for name in [*names, *files, "."]:
            place = os.path.join(directory, name)
            if place in leave_out:
                continue
            status = os.lstat(place)
            content = None
            if os.path.isfile(place) and not os.path.islink(place):
                with open(place, "rb") as file:
                    content = hashlib.sha256(file.read()).hexdigest()
            found[place] = (status.st_mode, status.st_uid, status.st_gid, status.st_size, status.st_mtime_ns, status.st_ctime_ns,
                            status.st_ino, status.st_nlink, tuple(os.listxattr(place, follow_symlinks=False)), content)
    return found


COUNTERS = ("/proc/sys/fs/dentry-state", "/proc/sys/fs/inode-", "/proc/sys/fs/file-nr", "/proc/sys/fs/aio-nr",
            "/proc/sys/kernel/random/", "/proc/sys/kernel/pty/nr", "/proc/sys/kernel/ns_last_pid",
            "/proc/sys/net/netfilter/nf_conntrack_count")


def switches():
    """The values of the kernel's switches that can be read, without what it counts there."""
    values = {}
    for directory, _, names in os.walk("/proc/sys"):
        for name in names:
            place = os.path.join(directory, name)
            if place.startswith(COUNTERS):
                continue
            try:
                values[place] = read(place)
            except OSError:
                pass
    return values


class Host(Scene):
    """What the whole battery leaves on the host: nothing."""

    alone = True

    def test_o1_host_is_as_it_was(self):
        probe = shutil.copy(PROBE, self.place["project"])
        script = self.script("inside.py")
        parameters = self.parameters(True)
        # The project is the run's to change, and the cache belongs to vrun.
        leave_out = {self.place["project"], self.shared + "/cache"}
        self.attack_inside(["true"])  # makes that cache, whichever test comes first
        before = snapshot(self.shared, leave_out), host_mounts(), os.getpriority(os.PRIO_PROCESS, 0), switches()
        entries = {place: set(os.listdir(place)) for place in (self.place["home"], self.place["temporary"])}
        for words in ([probe, "attack", "1", *(row.name for row in BATTERY if not row.python)],
                      ["python", script, parameters, *(row.name for row in BATTERY if row.python)]):
            result = self.attack_inside(words)
            self.assertEqual((result.returncode, result.stderr), (0, ""))
        after = snapshot(self.shared, leave_out), host_mounts(), os.getpriority(os.PRIO_PROCESS, 0), switches()
        for what, old, new in zip(("files", "mounts", "priority", "switches"), before, after):
            self.assertEqual(new, old, what)
        self.assertEqual({place: set(os.listdir(place)) for place in entries}, entries)
        self.assertEqual(read(f"/tmp/{self.mark}"), self.tokens["tmp"])
        self.assertIsNone(self.victim.poll())

    def test_e46_signals_and_priorities_stay_inside(self):
        """To "my process group" and to "everybody"; the control is a shell that hears the first without vrun."""
        code = ("import os, signal\n"
                "signal.signal(signal.SIGUSR1, signal.SIG_IGN)\n"
                "os.kill(0, signal.SIGUSR1); os.killpg(0, signal.SIGUSR1)\n"
                "try: os.kill(-1, signal.SIGUSR1)\n"
                "except ProcessLookupError: pass\n"
                "os.setpriority(os.PRIO_PGRP, 0, 15)")
        outside = code.replace("try: os.kill(-1", "try: os.kill(os.getpid()")  # not to everybody on this machine
        shell = "trap 'echo heard' USR1; \"$@\"; echo $?; nice"
        inside = self.attack(["sh", "-c", shell, "sh", VRUN, self.environment, "--", "python", "-c", code], start_new_session=True)
        own = os.nice(0)
        self.assertEqual(inside.stdout.split(), ["0", str(own)], inside.stderr)
        control = self.attack(["sh", "-c", shell, "sh", sys.executable, "-c", outside], start_new_session=True)
        self.assertEqual(control.stdout.split(), ["heard", "0", "15"], control.stderr)


class Document(unittest.TestCase):
    """docs/threat-model.md tells of the tests that there are."""

    def setUp(self):
        with open(os.path.join(HERE, "../../docs/threat-model.md"), encoding="utf-8") as file:
            self.text = file.read()

    def test_every_test_it_names_exists(self):
        names = set(re.findall(r"`(test_\w+)\.(\w+)(?:\.(test_\w+))?`", self.text))
        self.assertGreater(len(names), 30)
        for module, group, test in sorted(names):
            with self.subTest(module=module, group=group, test=test):
                cases = getattr(importlib.import_module(module), group)
                self.assertTrue(test == "" or hasattr(cases, test))

    def test_it_has_every_row_of_the_catalogue(self):
        """What was thought of is tried, or decided: packages, views, what is inherited, processes, terminals, rights, /proc,
        endings, directories that are handed over, and policy files."""
        told = set()
        for codes in re.findall(r"^\| ((?:[A-Z]-\d+[a-z]?(?: to |, )?)+) \|", self.text, re.M):
            for first, last in re.findall(r"([A-Z]-\d+)[a-z]?(?: to ([A-Z]-\d+))?", codes):
                kind, begin = first.split("-")
                told |= {f"{kind}-{number:02}" for number in range(int(begin), int((last or first).split("-")[1]) + 1)}
        wanted = {"P": [*range(1, 35), *range(40, 57)], "E": [*range(1, 58), *range(90, 110)], "B": [*range(1, 13), *range(22, 29)]}
        missing_rows = [f"{kind}-{number:02}" for kind, numbers in wanted.items() for number in numbers
                        if f"{kind}-{number:02}" not in told]
        self.assertEqual(missing_rows, [])

    def test_it_has_every_attack(self):
        rows = re.findall(r"^\| ([A-Z]-\d+\w*) \| (`[a-z].*?) \| (.*?) \|", self.text, re.M)
        told = {(code, name, answer) for code, names, answer in rows for name in re.findall(r"`(\w+)`", names)}
        self.assertEqual(told, {(attack.code, attack.name, attack.inside.replace("|", " or ")) for attack in BATTERY})


if __name__ == "__main__":
    unittest.main()
