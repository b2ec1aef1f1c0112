"""Attacks on a run that are easier to say in Python: python3 inside.py PARAMETERS NAME... prints "NAME ANSWER" a line.

Runs inside and, as the control, outside; PARAMETERS is a file with JSON, what differs between the two. Each attack has a
process of its own. Its answer is "OK" when it went through, the name of the errno when it did not. All are harmless:
they open and close, or write to what the test made for them.
"""

import ctypes
import errno
import fcntl
import json
import os
import signal
import socket
import struct
import sys

LIBC = ctypes.CDLL(None, use_errno=True)
ATTACKS = {}
PLACES = {}  # of those that are on a path, the path


def attack(function):
    ATTACKS[function.__name__] = function
    return function


def check(result):
    if result < 0:
        raise OSError(ctypes.get_errno(), "")
    return result


def family(prefix, places, function):
    """An attack for each of `places`, a mapping of name to place."""
    for name, place in places.items():
        PLACES[f"{prefix}_{name}"] = place
        ATTACKS[f"{prefix}_{name}"] = lambda p, place=place: function(p, place)


def append(path):
    os.close(os.open(path, os.O_WRONLY | os.O_APPEND))


def drop(path):
    """A new file, for an instant."""
    os.close(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600))
    os.unlink(path)


# Another process: pid 1 inside, one of the test's outside.
def read_of_process(p, name):
    path = f"/proc/{p['victim']}/{name}"
    if name in ("exe", "ns/mnt"):
        os.readlink(path)
    elif name in ("root", "cwd", "fd", "map_files", "task"):
        os.listdir(path)
    else:
        with open(path, "rb") as file:
            file.read(100)


family("proc", {name.replace("/", "_"): name for name in
                ("environ", "cmdline", "maps", "auxv", "status", "exe", "root", "cwd", "fd", "map_files", "ns/mnt")}, read_of_process)


@attack
def proc_mem(p):
    os.close(os.open(f"/proc/{p['victim']}/mem", os.O_RDWR))


@attack
def proc_exe_write(p):
    os.close(os.open(f"/proc/{p['victim']}/exe", os.O_WRONLY))


@attack
def proc_oom(p):
    append(f"/proc/{p['victim']}/oom_score_adj")


@attack
def own_interpreter(p):
    append("/proc/self/exe")


@attack
def pidfd_of_outer(p):
    """By number, a process of the host that is not in the run."""
    os.close(os.pidfd_open(p["outer"]))


@attack
def signal_outer(p):
    os.kill(p["outer"], 0)


# Files of the host. Looking is enough: what is not in the view has no name.
family("host", {"machine_id": "/etc/machine-id", "shadow": "/etc/shadow", "gshadow": "/etc/gshadow", "ssh": "/etc/ssh",
                "sudoers": "/etc/sudoers", "cron": "/etc/cron.d", "fstab": "/etc/fstab", "root_home": "/root", "boot": "/boot",
                "sys": "/sys/kernel", "cgroups": "/sys/fs/cgroup", "log": "/var/log", "package_lists": "/var/lib/dpkg",
                "opt": "/opt", "srv": "/srv", "kmsg_device": "/dev/kmsg", "mem": "/dev/mem", "kvm": "/dev/kvm", "fuse": "/dev/fuse",
                "tun": "/dev/net/tun", "loop": "/dev/loop-control", "console": "/dev/console", "disk": "/dev/vda",
                "terminals": "/dev/pts/0", "mqueue": "/dev/mqueue"}, lambda p, place: os.stat(place))
family("home", {name.split("/")[-1].lstrip(".").replace(".", "_").replace("-", "_"): name for name in
                (".ssh/id_ed25519", ".netrc", ".pypirc", ".git-credentials", ".bash_history", ".config/pip/pip.conf",
                 ".cache/pip/wheel", ".local/share/keyrings/login.keyring", ".aws/credentials", ".kube/config",
                 ".docker/config.json")}, lambda p, place: os.stat(os.path.join(p["home"], place)))


@attack
def neighbour(p):
    """A file beside the project."""
    os.stat(p["beside"])


# Switches of the kernel, opened for writing and never written.
family("switch", {name.split("/")[-1].replace("-", "_"): name for name in
                  ("/proc/sys/kernel/core_pattern", "/proc/sys/vm/drop_caches", "/proc/sys/kernel/hostname",
                   "/proc/sys/kernel/modprobe", "/proc/sys/vm/overcommit_memory", "/proc/sys/fs/binfmt_misc/register",
                   "/proc/sys/user/max_user_namespaces", "/proc/sys/net/ipv4/ip_forward", "/proc/sysrq-trigger",
                   "/proc/irq/default_smp_affinity", "/proc/mtrr")},
       lambda p, place: os.close(os.open(place, os.O_WRONLY)))
family("kernel", {name: "/proc/" + name for name in
                  ("kcore", "kmsg", "kallsyms", "keys", "timer_list", "modules", "interrupts", "iomem", "cmdline", "slabinfo",
                   "vmallocinfo", "kpagecount")},
       lambda p, place: first_byte(place))


def first_byte(path):
    fd = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
    if not os.read(fd, 1):
        raise OSError(errno.ENODATA, "")


# What a later run would execute or believe: the environment.
@attack
def configuration_append(p):
    append(os.path.join(p["environment"], "pyvenv.cfg"))


@attack
def interpreter_replace(p):
    python = os.path.join(p["environment"], "bin/python")
    os.symlink(os.readlink(python), python + "-new")
    os.rename(python + "-new", python)


@attack
def program_add(p):
    drop(os.path.join(p["environment"], "bin/git"))


@attack
def activate_edit(p):
    append(os.path.join(p["environment"], "bin/activate"))


family("drop", {"pth": "x.pth", "start": "x.start", "sitecustomize": "sitecustomize.py", "usercustomize": "usercustomize.py",
                "conftest": "conftest.py", "shared_object": "x.so"},
       lambda p, name: drop(os.path.join(p["site_packages"], name)))


@attack
def bytecode_poison(p):
    append(os.path.join(p["site_packages"], "__pycache__/planted.pyc"))


@attack
def compile_all(p):
    """Bytecode beside the source of the environment."""
    drop(os.path.join(p["site_packages"], "__pycache__/new.pyc"))


@attack
def library_bytecode(p):
    drop(os.path.join(os.path.dirname(os.__file__), "__pycache__/vrun-attack.pyc"))


@attack
def library_edit(p):
    append(os.__file__)


@attack
def record_uninstall(p):
    os.unlink(os.path.join(p["site_packages"], "removable.py"))


@attack
def environment_chmod(p):
    os.chmod(os.path.join(p["environment"], "bin"), 0o777)


@attack
def environment_times(p):
    os.utime(os.path.join(p["environment"], "pyvenv.cfg"), (1, 1))


@attack
def environment_attribute(p):
    os.setxattr(os.path.join(p["environment"], "pyvenv.cfg"), "user.vrun", b"1")


@attack
def environment_rename(p):
    os.rename(os.path.join(p["environment"], "bin"), os.path.join(p["environment"], "bin2"))
    os.rename(os.path.join(p["environment"], "bin2"), os.path.join(p["environment"], "bin"))


@attack
def environment_lock(p):
    """A lock that a build outside would wait for, if builds locked what runs can see."""
    with open(os.path.join(p["environment"], "pyvenv.cfg"), encoding="utf-8") as file:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)


# A directory that is shown read-only.
@attack
def shown_write(p):
    append(os.path.join(p["shown"], "file"))


@attack
def shown_by_descriptor(p):
    """A descriptor opened to read, opened again to write."""
    fd = os.open(os.path.join(p["shown"], "file"), os.O_RDONLY)
    append(f"/proc/self/fd/{fd}")


@attack
def shown_path_descriptor(p):
    fd = os.open(os.path.join(p["shown"], "file"), os.O_PATH)
    os.chmod(f"/proc/self/fd/{fd}", 0o666)


@attack
def shown_map(p):
    import mmap
    fd = os.open(os.path.join(p["shown"], "file"), os.O_RDONLY)
    mmap.mmap(fd, 1, mmap.MAP_SHARED, mmap.PROT_WRITE)


@attack
def shown_lock(p):
    with open(os.path.join(p["shown"], "file"), encoding="utf-8") as file:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)


@attack
def shown_record_lock(p):
    with open(os.path.join(p["shown"], "file"), encoding="utf-8") as file:
        fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB)


@attack
def shown_watch(p):
    fd = check(LIBC.inotify_init())
    check(LIBC.inotify_add_watch(fd, p["shown"].encode(), 1))


@attack
def shown_fifo(p):
    os.write(os.open(os.path.join(p["shown"], "fifo"), os.O_WRONLY | os.O_NONBLOCK), b"from the run")


@attack
def shown_socket(p):
    with socket.socket(socket.AF_UNIX) as client:
        os.chdir(p["shown"])
        client.connect("socket")


@attack
def shown_flags(p):
    fd = os.open(os.path.join(p["shown"], "file"), os.O_RDONLY)
    fcntl.ioctl(fd, 0x40086602, struct.pack("l", 0x40))  # FS_IOC_SETFLAGS, nodump


@attack
def shown_freeze(p):
    fd = os.open(p["shown"], os.O_RDONLY)
    fcntl.ioctl(fd, 0x5879, -1)  # FITRIM with no range: EFAULT where it is reached. A freeze would really freeze.


@attack
def shown_reflink(p):
    source = os.open(os.path.join(p["shown"], "file"), os.O_RDONLY)
    fcntl.ioctl(os.open("/tmp", os.O_TMPFILE | os.O_RDWR), 0x40049409, source)


@attack
def shown_hard_link(p):
    path = os.path.join(p["project"], "linked")
    os.link(os.path.join(p["shown"], "file"), path)
    os.unlink(path)


@attack
def shown_set_user_id(p):
    os.chmod(os.path.join(p["shown"], "file"), 0o4755)


@attack
def project_set_user_id(p):
    """In a writable place: a program that would lend its owner's rights to anybody."""
    path = os.path.join(p["project"], "lent")
    os.close(os.open(path, os.O_WRONLY | os.O_CREAT, 0o700))
    os.chmod(path, 0o4755)


# Services of the host and of other runs.
@attack
def host_tcp(p):
    socket.create_connection(("127.0.0.1", p["port"])).close()


@attack
def host_tcp6(p):
    socket.create_connection(("::1", p["port6"])).close()


@attack
def host_abstract(p):
    with socket.socket(socket.AF_UNIX) as client:
        client.connect("\0" + p["abstract"])


@attack
def host_path_socket(p):
    with socket.socket(socket.AF_UNIX) as client:
        os.chdir(p["home"])
        client.connect("agent")


@attack
def metadata_service(p):
    with socket.socket() as client:
        client.settimeout(0.2)
        try:
            client.connect(("169.254.169.254", 80))
        except TimeoutError:  # a packet left
            pass


@attack
def broadcast(p):
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
        client.setsockopt(socket.SOL_SOCKET, socket.SO_BROADCAST, 1)
        client.sendto(b"", ("255.255.255.255", 9))


@attack
def host_shared_memory(p):
    os.close(os.open("/dev/shm/" + p["mark"], os.O_RDONLY))


@attack
def host_sysv_memory(p):
    check(LIBC.shmget(p["key"], 0, 0))


@attack
def host_sysv_semaphore(p):
    check(LIBC.semget(p["key"], 0, 0))


@attack
def host_sysv_queue(p):
    check(LIBC.msgget(p["key"], 0))


@attack
def host_message_queue(p):
    check(LIBC.mq_open(("/" + p["mark"]).encode(), os.O_RDONLY))


@attack
def host_temporary(p):
    os.stat("/tmp/" + p["mark"])


# Descriptors: the test leaves a directory, a file and a socket open for whoever it starts.
@attack
def inherited_directory(p):
    os.listdir(p["descriptors"][0])


@attack
def inherited_file(p):
    os.read(p["descriptors"][1], 1)


@attack
def inherited_socket(p):
    os.fstat(p["descriptors"][2])


@attack
def inherited_variable(p):
    if "VRUN_ATTACK_SECRET" not in os.environ:
        raise OSError(errno.ENODATA, "")


# Files about itself.
@attack
def own_uid_map(p):
    with open("/proc/self/uid_map", "wb", buffering=0) as file:
        file.write(f"0 {os.getuid()} 1".encode())


@attack
def own_oom_score(p):
    with open("/proc/self/oom_score_adj", "wb", buffering=0) as file:
        file.write(b"-100")


@attack
def own_setgroups(p):
    with open("/proc/self/setgroups", "wb", buffering=0) as file:
        file.write(b"allow")


# Programs without a name in the view: no boundary, and inside the same one.
@attack
def memory_program(p):
    fd = os.memfd_create("program")
    with open("/bin/true", "rb") as file:
        os.write(fd, file.read())
    os.execve(fd, ["true"], {})


@attack
def device_add(p):
    drop("/dev/vrun-attack")


@attack
def root_add(p):
    drop("/vrun-attack")


@attack
def system_add(p):
    drop("/usr/bin/vrun-attack")


@attack
def name_service(p):
    drop("/etc/vrun-attack")


def answer(function, parameters):
    read, write = os.pipe()
    child = os.fork()
    if child == 0:
        os.set_inheritable(write, False)  # a program that is executed has not failed
        signal.alarm(10)
        text = b"OK"
        try:
            function(parameters)
        except OSError as error:
            text = errno.errorcode.get(error.errno, repr(error)).encode()
        except BaseException as error:  # noqa: B902 (an attack that is wrong must not pass for one that failed)
            text = repr(error).replace(" ", "_").encode()
        os.write(write, text)
        os._exit(0)
    os.close(write)
    text = os.read(read, 1000).decode()
    os.close(read)
    _, status = os.waitpid(child, 0)
    if text:
        return text
    return "OK" if status == 0 else signal.Signals(os.WTERMSIG(status)).name if os.WIFSIGNALED(status) else f"exit_{status >> 8}"


if __name__ == "__main__":
    with open(sys.argv[1], encoding="utf-8") as stream:
        values = json.load(stream)
    for word in sys.argv[2:]:
        print(word, answer(ATTACKS[word], values), flush=True)
