"""Landlock's rules for files: they hold where no mount does, and nothing that Python does is in their way."""

import ctypes
import errno
import os
import pty
import socket
import subprocess
import sys
import threading
import unittest

from harness import Case, missing, read, write

LIBC = ctypes.CDLL(None, use_errno=True)
CREATE_RULESET = 444  # the same on every architecture


def landlock_version():
    return LIBC.syscall(CREATE_RULESET, None, 0, 1)


# Receives a descriptor from the service at argv[1] and tries what a directory of the host is good for.
THROUGH_DESCRIPTOR = """
import errno, os, socket, sys
with socket.socket(socket.AF_UNIX) as service:
    service.connect(sys.argv[1])
    _, [handed], _, _ = socket.recv_fds(service, 1, 1)
def attempt(name, call):
    try: print(name, call(), flush=True)
    except OSError as error: print(name, errno.errorcode[error.errno], flush=True)
attempt('read', lambda: os.read(os.open('secret', os.O_RDONLY, dir_fd=handed), 9).decode())
attempt('list', lambda: len(os.listdir(os.open('.', os.O_RDONLY, dir_fd=handed))))
attempt('write', lambda: os.open('secret', os.O_WRONLY, dir_fd=handed) > 0)
attempt('make', lambda: os.close(os.open('new', os.O_CREAT | os.O_WRONLY, 0o600, dir_fd=handed)))
attempt('remove', lambda: os.unlink('secret', dir_fd=handed))
attempt('execute', lambda: os.execve('program', ['program'], {}) if os.fchdir(handed) is None else 0)
"""
# Everything that the rules could be in the way of: what they name has to work as without them.
USUAL = """
import ctypes, fcntl, mmap, multiprocessing, os, socket, sys, tempfile, termios
for place in sys.argv[1:]:
    os.makedirs(place); os.chdir(place)
    os.makedirs('a/b'); os.makedirs('c')
    with open('a/f', 'w') as file: file.write('content')
    os.rename('a/f', 'c/f'); os.link('c/f', 'a/b/f'); os.unlink('c/f'); os.replace('a/b/f', 'c/f'); os.rename('c', 'a/b/c')
    os.truncate('a/b/c/f', 3); open('a/b/c/f', 'r+').truncate(1); open('a/b/c/f', 'w').close()
    os.symlink('a', 's'); os.mkfifo('p'); socket.socket(socket.AF_UNIX).bind('u')
    fd = os.open('.', os.O_TMPFILE | os.O_RDWR)
    os.write(fd, b'kept')
    assert ctypes.CDLL(None).linkat(-100, b'/proc/self/fd/%d' % fd, -100, b't', 0x400) == 0  # AT_SYMLINK_FOLLOW
    os.unlink('t'); os.close(fd)
    with open('gone', 'w+') as file:
        os.unlink('gone')
        open(f'/proc/self/fd/{file.fileno()}').close()
    for name in ('s', 'p', 'u', 'a/b/c/f'): os.unlink(name)
    os.removedirs('a/b/c')
with open('/proc/self/oom_score_adj', 'w') as file: file.write('1000')
with open('/proc/self/comm', 'w') as file: file.write('name')
for name in ('/dev/stdin', '/dev/stdout', '/dev/stderr', '/dev/null'): open(name, 'rb' if name == '/dev/stdin' else 'wb', buffering=0).close()
fd = os.memfd_create('m'); os.write(fd, b'x'); open(f'/proc/self/fd/{fd}', 'r+b').close()
with multiprocessing.Pool(2) as pool: assert pool.map(abs, [-1, -2]) == [1, 2]
assert ctypes.CDLL(None).mq_open(b'/q', os.O_CREAT | os.O_RDWR, 0o600, None) >= 0
assert ctypes.CDLL(None).mq_open(b'/q', os.O_RDWR, 0, None) >= 0
for name in os.listdir('/proc/self/ns'): open(f'/proc/self/ns/{name}').close()
master, slave = os.openpty()
termios.tcgetattr(os.open(os.ttyname(slave), os.O_RDWR | os.O_NOCTTY)); fcntl.ioctl(slave, termios.TIOCGWINSZ, b'x' * 8)
print('all of it')
"""
# The command's own Landlock rules: reading only, below /usr and the interpreter.
OWN_RULES = """
import ctypes, errno, os, struct, sys
libc = ctypes.CDLL(None, use_errno=True)
libc.prctl(38, 1, 0, 0, 0)
read = 1 << 2 | 1 << 3
ruleset = libc.syscall(444, struct.pack('Q', read), ctypes.c_size_t(8), 0)
place = os.open('/usr', os.O_PATH)
assert libc.syscall(445, ruleset, 1, struct.pack('=Qi', read, place), 0) == 0
assert libc.syscall(446, ruleset, 0) == 0
os.listdir('/usr')
try: os.listdir('/tmp')
except OSError as error: print(errno.errorcode[error.errno])
"""


class Landlock(Case):
    def setUp(self):
        super().setUp()
        if landlock_version() < 2:
            missing(self, "this kernel has no Landlock, or its first version, which forbids every rename between directories")

    def hand_in(self, directory, outside=False, options=()):
        """A service of the host's in the project hands `directory` to whoever connects: what can be done with it."""
        path = os.path.join(self.project, "service")
        handed = os.open(directory, os.O_PATH | os.O_DIRECTORY)
        with socket.socket(socket.AF_UNIX) as service:
            service.bind(path)
            os.chmod(path, 0o777)
            service.listen()

            def serve():
                with service.accept()[0] as connection:
                    socket.send_fds(connection, [b"x"], [handed])

            thread = threading.Thread(target=serve)
            thread.start()
            code = ["-c", THROUGH_DESCRIPTOR, path]
            result = self.outside(sys.executable, *code) if outside else self.vrun("python", *code, options=options)
            thread.join()
        os.close(handed)
        os.unlink(path)
        return result

    def host_directory(self):
        directory = os.path.join(self.directory, "host")
        os.mkdir(directory)
        os.chmod(directory, 0o777)
        write(os.path.join(directory, "secret"), "planted", mode=0o666)
        write(os.path.join(directory, "program"), "#!/bin/sh\necho started\n", mode=0o755)
        return directory

    def test_a_directory_that_somebody_hands_in_leads_nowhere(self):
        """As a service does that sends descriptors: the mounts have no say in what it leads to."""
        directory = self.host_directory()
        result = self.hand_in(directory)
        names = ("read", "list", "write", "make", "remove", "execute")
        self.assertEqual(self.ok(result), "".join(f"{name} EACCES\n" for name in names))
        self.assertEqual(sorted(os.listdir(directory)), ["program", "secret"])
        control = self.hand_in(directory, outside=True)
        self.assertEqual(self.ok(control), "read planted\nlist 2\nwrite True\nmake None\nremove None\nstarted\n")

    def test_with_nested_namespaces_there_are_no_rules(self):
        """A process under rules can make no mounts, and --allow=userns is for those."""
        result = self.hand_in(self.host_directory(), options=["--allow=userns"])
        self.assertIn("read planted\n", result.stdout)
        self.assertIn("no rules for files", self.vrun("true", options=["--explain", "--verbose", "--allow=userns"]).stdout)

    def test_no_devices_of_any_kind(self):
        """Without the rules a capability is missing, which is another answer."""
        code = ("import errno, os\n"
                "for place in ('.', '/tmp', os.path.expanduser('~')):\n"
                "  try: os.mknod(place + '/whiteout', 0o20600, os.makedev(1, 3)); print('made')\n"
                "  except OSError as error: print(errno.errorcode[error.errno])")
        self.assertEqual(self.ok(self.python(code)), "EACCES\n" * 3)
        self.assertEqual(self.ok(self.python(code, options=["--allow=userns"])), "EPERM\n" * 3)

    def test_what_is_written_is_written_as_before(self):
        shared = os.path.join(self.directory, "shared")
        os.mkdir(shared)
        os.chmod(shared, 0o777)
        places = [os.path.join(place, "x") for place in (self.project, self.home, shared, "/tmp", "/var/tmp", "/dev/shm")]
        self.assertEqual(self.ok(self.python(USUAL, *places, options=["--rw", shared])), "all of it\n")

    def test_a_writable_file(self):
        path = write(os.path.join(self.directory, "file"), "before")
        self.ok(self.python("import sys\nopen(sys.argv[1], 'w').write('after')", path, options=["--rw", path]))
        self.assertEqual(read(path), "after")

    def test_standard_streams_can_be_opened_by_name(self):
        """/dev/null of the caller's is a file of the host."""
        script = "cat </dev/stdin && echo x >/dev/stdout && echo x >/dev/stderr && echo x >/proc/self/fd/1"
        with open(os.devnull, "r+", encoding="ascii") as null:
            words = self.command(["sh", "-c", script])
            done = subprocess.run(words, cwd=self.project, env=self.variables(), stdin=null, stdout=null, stderr=null, timeout=20)
        self.assertEqual(done.returncode, 0)

    def test_in_a_terminal(self):
        code = ("import fcntl, os, struct, termios, tty\n"
                "with open('/dev/tty', 'r+b', buffering=0) as terminal:\n"
                "  tty.setcbreak(terminal); termios.tcflush(terminal, termios.TCIFLUSH)\n"
                "  fcntl.ioctl(terminal, termios.TIOCGWINSZ, bytes(8))\n"
                "print('done', os.ttyname(0))")
        pid, terminal = pty.fork()
        if pid == 0:
            os.chdir(self.project)
            words = self.command(["python", "-c", code])
            os.execve(words[0], words, self.variables())
        text = b""
        try:
            while chunk := os.read(terminal, 4096):
                text += chunk
        except OSError as error:
            self.assertEqual(error.errno, errno.EIO)  # the end
        os.close(terminal)
        self.assertEqual(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]), 0, text)
        self.assertIn(b"done /dev/pts/", text)

    def test_the_command_can_have_rules_of_its_own(self):
        self.assertEqual(self.ok(self.python(OWN_RULES)), "EACCES\n")
        self.assertEqual(self.ok(self.outside(sys.executable, "-c", OWN_RULES)), "EACCES\n")


if __name__ == "__main__":
    unittest.main()
