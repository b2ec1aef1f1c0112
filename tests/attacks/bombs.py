"""Attempts to use up a machine, made inside a run: python bombs.py NAME [BOUND].

Each stops by itself at its bound, and says "went through" then: nothing it does harms a machine that holds nothing.
What it meets before is printed instead, as the errno and a count.
"""

import ctypes
import errno
import mmap
import os
import resource
import signal
import socket
import sys
import threading
import time

MIB = 1 << 20
PROCESSES, MEMORY, FILES = 200, 300 * MIB, 100_000
THROUGH = "went through"


def say(*words):
    print(*words, flush=True)


def repeat(attempt, times):
    """Calls attempt(i) until it fails."""
    for i in range(times):
        try:
            attempt(i)
        except (OSError, RuntimeError, MemoryError) as error:
            number = getattr(error, "errno", None)
            return say(errno.errorcode[number] if number else type(error).__name__, i)
    say(THROUGH)


def fork(bound=PROCESSES):
    def attempt(_):
        if os.fork() == 0:
            time.sleep(60)
    repeat(attempt, int(bound))


def fork_forever():
    while True:
        try:
            os.fork()
        except OSError:
            pass


def threads(bound=PROCESSES):
    repeat(lambda _: threading.Thread(target=time.sleep, args=[60], daemon=True).start(), int(bound))
    os._exit(0)


kept = []


def in_steps(take, bound, step=5 * MIB):
    repeat(lambda _: take(step), int(bound) // step)


def heap(bound=MEMORY):
    in_steps(lambda size: kept.append(bytearray(os.urandom(16)) * (size // 16)), bound)


def heap_in_children(bound=MEMORY):
    read_end, write_end = os.pipe()

    def attempt(_):
        if os.fork() == 0:
            kept.append(bytearray(b"x" * (10 * MIB)))
            os.write(write_end, b"x")
            time.sleep(60)
        os.read(read_end, 1)
    repeat(attempt, int(bound) // (10 * MIB))


def memfd(bound=MEMORY):
    in_steps(lambda size: os.write(os.memfd_create("x"), bytes(size)), bound)


def shared_mapping(bound=MEMORY):
    def take(size):
        kept.append(mmap.mmap(-1, size))
        kept[-1].write(bytes(size))
    in_steps(take, bound)


def system_v(bound=MEMORY):
    libc = ctypes.CDLL(None, use_errno=True)
    libc.shmat.restype = ctypes.c_void_p

    def take(size):
        number = libc.shmget(0, ctypes.c_size_t(size), 0o1600)
        address = libc.shmat(number, None, 0) if number >= 0 else -1
        if number < 0 or address in (None, ctypes.c_void_p(-1).value):
            raise OSError(ctypes.get_errno(), "shm")
        ctypes.memset(address, 1, size)
    in_steps(take, bound)


def file_in(directory, bound=MEMORY):
    with open(os.path.join(directory, "fill"), "wb", buffering=0) as file:
        def take(size):
            if file.write(bytes(size)) != size:
                raise OSError(errno.ENOSPC, "short")
        in_steps(take, bound, MIB)


def pipes(bound=MEMORY):
    def attempt(_):
        ends = os.pipe()
        kept.append(ends)
        os.set_blocking(ends[1], False)
        try:
            while True:
                os.write(ends[1], bytes(65536))
        except BlockingIOError:
            pass
    repeat(attempt, int(bound) // 65536)


def sockets(bound=MEMORY):
    def attempt(_):
        kept.append(socket.socketpair(socket.AF_UNIX))
        kept[-1][0].setblocking(False)
        try:
            while True:
                kept[-1][0].send(bytes(65536))
        except BlockingIOError:
            pass
    repeat(attempt, int(bound) // (200 * 1024))


def hold(attempt, bound):
    """Takes what it gets, and keeps it until standard input ends."""
    repeat(attempt, bound)
    sys.stdin.read()


def watches(bound=5000):
    libc = ctypes.CDLL(None, use_errno=True)

    def attempt(_):
        if libc.inotify_init1(0) < 0:
            raise OSError(ctypes.get_errno(), "")
    hold(attempt, int(bound))


def terminals(bound=5000):
    hold(lambda _: kept.append(os.open("/dev/ptmx", os.O_RDWR | os.O_NOCTTY)), int(bound))


def semaphores(bound=40_000):
    libc = ctypes.CDLL(None, use_errno=True)

    def attempt(_):
        if libc.semget(0, 1, 0o1600) < 0:
            raise OSError(ctypes.get_errno(), "")
    hold(attempt, int(bound))


def locked_heap(bound=MEMORY):
    """Locked where that is allowed: what is locked cannot be swapped out."""
    libc = ctypes.CDLL(None, use_errno=True)
    say("locked" if libc.mlockall(2 | 4) == 0 else errno.errorcode[ctypes.get_errno()])  # MCL_FUTURE, MCL_ONFAULT
    heap(bound)


def spin_everywhere():
    """On each processor that there is, whatever it was started on."""
    os.sched_setaffinity(0, range(os.cpu_count()))
    say(len(os.sched_getaffinity(0)))
    os.fork()
    spin()


def sync_forever():
    while True:
        os.sync()


def inodes(directory, bound=FILES):
    os.mkdir(os.path.join(directory, "many"))
    repeat(lambda i: os.close(os.open(os.path.join(directory, "many", str(i)), os.O_CREAT | os.O_WRONLY)), int(bound))


def big_file(directory, bound=MEMORY):
    with open(os.path.join(directory, "big"), "wb", buffering=0) as file:
        def take(size):
            if file.write(bytes(size)) != size:
                raise OSError(errno.EFBIG, "short")
        in_steps(take, bound, MIB)


def fill_everywhere(bound=MEMORY):
    """Every file system with a directory that can be written to, found by looking."""
    found = {}
    for directory, below, _ in os.walk("/"):
        if directory in ("/proc", "/sys"):
            below.clear()
        elif os.access(directory, os.W_OK):
            found.setdefault(os.stat(directory).st_dev, directory)
    for directory in sorted(found.values()):
        print(directory, end=" ", flush=True)
        file_in(directory, bound)


def sparse_file(directory, size):
    repeat(lambda _: os.truncate(os.open(os.path.join(directory, "sparse"), os.O_CREAT | os.O_WRONLY), int(size)), 1)


def descriptors(bound=5000):
    repeat(lambda _: kept.append(os.open("/dev/null", os.O_RDONLY)), int(bound))


def flood(bound=64 * MIB):
    block = b"x" * 65535 + b"\r"
    for _ in range(int(bound) // len(block)):
        os.write(1, block)
    os.write(2, b"went through\n")


def zombies(bound=2000):
    """Orphans that end at once, for pid 1 to take, which may need a moment for it."""
    def fork_in_time(seconds=10):
        end = time.monotonic() + seconds
        while True:
            try:
                return os.fork()
            except BlockingIOError:
                if time.monotonic() > end:
                    raise
                time.sleep(0.001)

    def attempt(_):
        child = fork_in_time()
        if child == 0:
            try:
                fork_in_time()
            finally:
                os._exit(0)
        os.waitpid(child, 0)
    repeat(attempt, int(bound))


def sleeper():
    for number in range(1, 65):
        try:
            signal.signal(number, signal.SIG_IGN)
        except (OSError, ValueError):
            pass
    say("asleep")
    while True:
        time.sleep(1)


def stopped():
    os.kill(os.getpid(), signal.SIGSTOP)
    say(THROUGH)


def vfork_stuck():
    """The parent of vfork does not run, whatever it is sent, until its child has left its memory."""
    libc = ctypes.CDLL(None)
    call = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_void_p)(lambda _: time.sleep(3600) or 0)
    stack = ctypes.create_string_buffer(MIB)
    CLONE_VM, CLONE_VFORK = 0x100, 0x4000
    libc.clone(call, ctypes.c_void_p(ctypes.addressof(stack) + MIB - 4096), CLONE_VM | CLONE_VFORK | signal.SIGCHLD, None)
    say(THROUGH)


def daemon():
    if os.fork() == 0:
        os.setsid()
        if os.fork() == 0:
            os.closerange(0, 100)
            while True:
                time.sleep(1)
        os._exit(0)
    say("left it behind")


def spin():
    while True:
        pass


def spin_in_child(seconds):
    child = os.fork()
    if child == 0:
        end = time.process_time() + seconds
        while time.process_time() < end:
            pass
        os._exit(0)
    try:
        os.waitpid(child, 0)
    except ChildProcessError:
        pass


def spin_in_children(seconds=0.05, times=1 << 30):
    """Each child ends before its own processor time says anything. Tells what all of them used."""
    for _ in range(int(times)):
        spin_in_child(float(seconds))
    say(sum(os.times()[:4]))


def spin_unaccounted(seconds=0.005):
    """The same, and nobody is told of their ends."""
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    while True:
        spin_in_child(float(seconds))


def in_one_call():
    import re
    re.match("(a+)+b", "a" * 60)  # no bytecode runs in there
    say(THROUGH)


def big_integer():
    sys.set_int_max_str_digits(0)
    int("9" * 10**8)
    say(THROUGH)


def unzip():
    """Ten kilobytes that are ten megabytes, which are ten gigabytes."""
    import zlib
    inner = zlib.compress(zlib.compress(bytes(10 * MIB)) * 1000)
    kept.append(b"".join(zlib.decompress(inner) for _ in range(1 << 30)))
    say(THROUGH)


def recursion():
    sys.setrecursionlimit(1 << 30)

    def deeper(count):
        return deeper(count + 1)
    deeper(0)


def crashes(times):
    for _ in range(int(times)):
        if os.fork() == 0:
            os.kill(os.getpid(), signal.SIGSEGV)
        os.wait()
    say(THROUGH)


def scheduling():
    """What would take a processor from everybody else."""
    for name, attempt in (("fifo", lambda: os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(1))),
                          ("nice", lambda: os.setpriority(os.PRIO_PROCESS, 0, -5))):
        try:
            attempt()
            say(name, THROUGH)
        except OSError as error:
            say(name, errno.errorcode[error.errno])


def arguments():
    """Larger and larger, of the command and of its environment together."""
    repeat(lambda i: os.waitpid(os.posix_spawn("/bin/true", ["true"] + ["x" * 1000] * 2**i, {"X": "x" * 10_000}), 0), 20)


def raise_limits():
    for name in ("NPROC", "FSIZE", "NOFILE", "STACK", "CPU"):
        which = getattr(resource, "RLIMIT_" + name)
        try:
            resource.setrlimit(which, (resource.RLIM_INFINITY,) * 2)
            say(name, THROUGH)
        except ValueError:
            say(name, "EPERM")  # what Python makes of it


if __name__ == "__main__":
    globals()[sys.argv[1]](*sys.argv[2:])
