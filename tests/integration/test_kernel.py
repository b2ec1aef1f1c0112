"""The kernel's interfaces as a run sees them: privileges, namespaces, system calls, network, /proc and /dev.

Every answer is exact, and where a refusal could have another cause, the same probe succeeds outside.
"""

import ctypes
import os
import socket
import struct
import subprocess
import sys
import unittest

from harness import (HOST_NETWORK_NOTE, IS_ROOT, X86_64, Case, landlock_version, make_environment, missing, read, run,
                     write)

HIGH = 1 << 32  # garbage in the upper half of a register that the kernel reads as an int

# Numbers of x86-64 (arch/x86/entry/syscalls/syscall_64.tbl); what threats.md §6.2 wants of each.
ENOSYS = {
    "clone3": 435, "io_uring_setup": 425, "io_uring_enter": 426, "io_uring_register": 427, "open_tree": 428,
    "move_mount": 429, "fsopen": 430, "fsconfig": 431, "fsmount": 432, "fspick": 433, "mount_setattr": 442,
    "statmount": 457, "listmount": 458, "open_tree_attr": 467, "pidfd_getfd": 438, "memfd_secret": 447,
    "quotactl_fd": 443, "lsm_get_self_attr": 459, "lsm_set_self_attr": 460, "lsm_list_modules": 461,
    "map_shadow_stack": 453, "process_mrelease": 448, "openat2": 437,
}
EPERM = {
    "mount": 165, "umount2": 166, "pivot_root": 155, "chroot": 161, "setns": 308, "unshare": 272, "ptrace": 101,
    "process_vm_readv": 310, "process_vm_writev": 311, "kcmp": 312, "process_madvise": 440, "bpf": 321,
    "perf_event_open": 298, "userfaultfd": 323, "fanotify_init": 300, "fanotify_mark": 301, "lookup_dcookie": 212,
    "keyctl": 250, "add_key": 248, "request_key": 249, "open_by_handle_at": 304, "name_to_handle_at": 303, "mbind": 237,
    "set_mempolicy": 238, "get_mempolicy": 239, "set_mempolicy_home_node": 450, "migrate_pages": 256, "move_pages": 279,
    "init_module": 175, "finit_module": 313, "delete_module": 176, "kexec_load": 246, "kexec_file_load": 320,
    "reboot": 169, "swapon": 167, "swapoff": 168, "acct": 163, "quotactl": 179, "syslog": 103, "iopl": 172,
    "ioperm": 173, "modify_ldt": 154, "vhangup": 153, "nfsservctl": 180, "uselib": 134, "_sysctl": 156, "sysfs": 139,
    "ustat": 136, "settimeofday": 164, "clock_settime": 227, "adjtimex": 159, "clock_adjtime": 305,
    "sethostname": 170, "setdomainname": 171,
}
CLONE_FLAGS = {"NEWNS": 0x20000, "NEWCGROUP": 0x2000000, "NEWUTS": 0x4000000, "NEWIPC": 0x8000000,
               "NEWUSER": 0x10000000, "NEWPID": 0x20000000, "NEWNET": 0x40000000}
SIGCHLD = 17
FAMILIES = {"UNIX": 1, "INET": 2, "INET6": 10}
STREAM, DGRAM, RAW, SEQPACKET = 1, 2, 3, 5

# (what, "NR ARGUMENTS", answer): the rules that look at arguments.
ARGUMENT_RULES = [
    *[(f"clone {name}{' and garbage' if garbage else ''}", f"56 {flag | SIGCHLD | garbage} 0", "EPERM")
      for name, flag in CLONE_FLAGS.items() for garbage in (0, HIGH)],
    ("clone without flags", f"56 {SIGCHLD} 0", "OK"),
    *[(f"socket {name}", f"41 {family} {STREAM} 0", "OK") for name, family in FAMILIES.items()],
    *[(f"socket {name} and garbage", f"41 {family | HIGH} {STREAM | HIGH} {HIGH}", "OK") for name, family in FAMILIES.items()],
    ("socket NETLINK ROUTE", f"41 16 {RAW} 0", "OK"),
    *[(f"socket NETLINK {protocol}", f"41 16 {RAW} {protocol}", "EAFNOSUPPORT") for protocol in range(1, 23)],
    ("socket NETLINK 12 and garbage", f"41 {16 | HIGH} {RAW | HIGH} {12 | HIGH}", "EAFNOSUPPORT"),
    *[(f"socket family {family}{' and garbage' if garbage else ''}", f"41 {family | garbage} {kind} 0", "EAFNOSUPPORT")
      for family in range(0, 64) if family not in (1, 2, 10, 16) for kind in (STREAM, DGRAM, RAW)
      for garbage in (0, HIGH)],
    *[(f"socket RAW of family {family}", f"41 {family | garbage} {kind} 1", "EPROTONOSUPPORT")
      for family in (2, 10) for kind in (RAW, RAW | 0o2000000, RAW | 0o4000) for garbage in (0, HIGH)],
    *[(f"socket protocol {protocol}", f"41 {family} {kind} {protocol | garbage}", "EPROTONOSUPPORT")
      for family in (2, 10) for kind, protocol in ((STREAM, 262), (STREAM, 132), (SEQPACKET, 132), (6, 33), (DGRAM, 136))
      for garbage in (0, HIGH)],
    ("socketpair UNIX", f"53 1 {STREAM} 0 buffer", "OK"),
    *[(f"socketpair {family}", f"53 {family} {STREAM} 0 buffer", "EAFNOSUPPORT")
      for family in (0, 2, 10, 16, 30, 38, 40, 2 | HIGH)],
    ("personality, asked", "135 0xffffffff", "OK"),
    ("personality, asked with all bits", "135 0xffffffffffffffff", "OK"),
    ("personality 0", "135 0", "OK"),
    *[(f"personality {value:#x}", f"135 {value:#x}", "EPERM")
      for value in (0x40000, 0x400000, 0x8, 0x40000 | HIGH, 0x40000 | 0xffffffff << 32)],
    *[(f"ioctl {command:#x}", f"16 0 {command} @x", "EPERM")
      for base in (0x5412, 0x541c, 0x5423, 0x541d) for command in (base, base | HIGH, base | 0xffffffff << 32)],
    ("ioctl FIONREAD", "16 0 0x541b buffer", "OK"),
    ("setrlimit CORE", "160 4 buffer", "EPERM"),
    ("setrlimit CORE and garbage", f"160 {4 | HIGH} buffer", "EPERM"),
    ("setrlimit MSGQUEUE", "160 12 buffer", "OK"),
    ("getrlimit CORE", "97 4 buffer", "OK"),
    ("prlimit64 CORE, to set", "302 0 4 buffer 0", "EPERM"),
    ("prlimit64 CORE and garbage, to set", f"302 0 {4 | HIGH} buffer 0", "EPERM"),
    ("prlimit64 CORE, to read", "302 0 4 0 buffer", "OK"),
    ("prlimit64 NOFILE, to set", "302 0 7 buffer 0", "OK"),
    *[(f"arch_prctl {code:#x}", f"158 {code}", "EPERM") for code in (0x2001, 0x2002, 0x2003, 0x2003 | HIGH)],
    ("no system call", "-1", "ENOSYS"),
    ("the largest number", "0x3fffffff", "ENOSYS"),
]
# Denying these, with either errno, breaks Python or the libraries around it (threats.md §6.2).
ALLOWED = {
    "getrandom": "318 buffer 16 0", "sched_getaffinity": "204 0 128 buffer", "sigaltstack": "131 0 0",
    "utimensat": "280 -100 @/tmp 0 0", "setsid": "112", "pidfd_open": "434 1 0", "memfd_create": "319 @x 0",
    "eventfd2": "290 0 0", "epoll_create1": "291 0", "inotify_init1": "294 0", "timerfd_create": "283 1 0",
    "membarrier": "324 0 0", "close_range": "436 100 200 0",
    "faccessat2": "439 -100 @/ 0 0", "statx": "332 -100 @/ 0 0 buffer", "mq_open": "240 @probe 66 0600 0",
    "shmget": "29 0 4096 0600", "semget": "64 0 1 0600", "msgget": "68 0 0600", "setpriority": "141 0 0 5",
    "landlock_create_ruleset": "444 0 0 1", "io_setup": "206 1 buffer", "flock": "73 0 8",
}
KINDS = ["user", "mnt", "pid", "net", "ipc", "uts", "cgroup"]


class SystemCalls(Case):
    def setUp(self):
        super().setUp()
        if not X86_64:
            self.skipTest("only as x86-64: these are its numbers")

    def ask(self, calls, inside=True):
        """What each of `calls` answers: one run for all."""
        text = "".join(call + "\n" for call in calls)
        ask = self.probe if inside else self.probe_outside
        # Standard input is the list; the ioctls are asked of it, too.
        answers = self.ok(ask("syscalls", input=text, stdin=None)).split()
        self.assertEqual(len(answers), len(calls))
        return answers

    def check(self, rows):
        """Rows (what, call, answer)."""
        wrong = [f"{what}: {answer}, not {wanted}" for (what, call, wanted), answer
                 in zip(rows, self.ask([call for _, call, _ in rows])) if answer != wanted]
        self.assertEqual(wrong, [])

    def test_enosys(self):
        self.check([(name, f"{number} 0 0 0 0 0 0", "ENOSYS") for name, number in ENOSYS.items()])

    def test_eperm(self):
        self.check([(name, f"{number} 0 0 0 0 0 0", "EPERM") for name, number in EPERM.items()])

    def test_refused_before_arguments_are_looked_at(self):
        self.check([("setns of a bad descriptor", "308 -1 0", "EPERM"), ("io_uring_enter", "426 -1 0 0 0 0", "ENOSYS"),
                    ("unshare of nothing", "272 0", "EPERM"), ("keyctl JOIN_SESSION", "250 1 0", "EPERM")])

    def test_rules_on_arguments(self):
        self.check(ARGUMENT_RULES)

    def test_unknown_numbers(self):
        numbers = [*range(470, 601), 1000, 5000, 0x3fffffff]
        self.check([(f"number {number}", f"{number} 0 0 0 0 0 0", "ENOSYS") for number in numbers])

    def test_what_must_stay_allowed(self):
        for name, answer in zip(ALLOWED, self.ask(ALLOWED.values())):
            with self.subTest(call=name):
                self.assertNotIn(answer, ("EPERM", "ENOSYS", "SIGSYS"))

    def test_control_outside_they_are_reached(self):
        """Without vrun each of these answers otherwise: what is refused inside is refused by vrun."""
        calls = {"unshare of a user namespace": "272 0x10000000", "clone NEWUSER": f"56 {0x10000000 | SIGCHLD} 0",
                 "clone3": "435 0 0", "setns": "308 -1 0", "fsopen": "430 0 0", "io_uring_setup": "425 1 buffer",
                 "keyctl": "250 0 -3 0", "kcmp": "312 0 0 0 0 0", "ptrace TRACEME": "101 0 0 0 0",
                 "process_vm_readv": "310 0 0 0 0 0 0", "name_to_handle_at": "303 -100 @/ buffer buffer 0",
                 "get_mempolicy": "239 0 0 0 0 0", "modify_ldt": "154 0 0 0", "personality": "135 0x40000",
                 "sysfs": "139 3", "socket VSOCK": "41 40 1 0", "socket NETLINK 12": "41 16 3 12",
                 "prlimit64 CORE": "302 0 4 buffer 0", "memfd_secret": "447 0", "adjtimex": "159 buffer",
                 "statmount": "457 0 0 0 0", "userfaultfd": "323 1", "bpf": "321 0 0 0", "perf_event_open": "298 0 0 -1 -1 0"}
        refusals = {"EPERM", "ENOSYS", "EAFNOSUPPORT"}
        reached = [name for name, answer in zip(calls, self.ask(calls.values(), inside=False)) if answer not in refusals]
        inside = self.ask(calls.values())
        self.assertEqual([name for name, answer in zip(calls, inside) if answer not in refusals], [])
        # Not every kernel has all of them.
        self.assertGreater(len(reached), len(calls) * 2 // 3, reached)

    def test_foreign_abis_are_killed(self):
        self.assertEqual(self.ok(self.probe("x32")), "SIGSYS\n")
        if self.ok(self.probe_outside("int80")) != "OK\n":
            missing(self, "this kernel has no 32-bit system calls")
        self.assertEqual(self.ok(self.probe("int80")), "SIGSYS\n")
        killed = self.vrun("sh", "-c", '"$0" x32 >/dev/null; kill -SYS $$', self.probe_path())
        self.assertEqual(killed.returncode, 128 + 31)

    def test_in_threads_grandchildren_and_after_exec(self):
        code = ("import ctypes, os, subprocess, sys, threading\n"
                "def ask():\n"
                "  libc = ctypes.CDLL(None, use_errno=True); ctypes.set_errno(0)\n"
                "  print(libc.unshare(0x10000000), ctypes.get_errno(), flush=True)\n"
                "thread = threading.Thread(target=ask); thread.start(); thread.join()\n"
                "if os.fork() == 0:\n"
                "  if os.fork() == 0: ask(); os._exit(0)\n"
                "  os.wait(); os._exit(0)\n"
                "os.wait()\n"
                "subprocess.run([sys.argv[1], 'syscall', '272', '0x10000000'])")
        self.assertEqual(self.ok(self.python(code, self.probe_path())), "-1 1\n-1 1\nEPERM\n")

    def test_new_mounts_by_name(self):
        """The calls as a program would make them, on paths of the view."""
        self.check([("mount of a tmpfs", "165 @none @/tmp @tmpfs 0 0", "EPERM"),
                    ("umount of /proc", "166 @/proc 2", "EPERM"),
                    ("writable /usr", "165 0 @/usr 0 0x1020 0", "EPERM"),
                    ("chroot", "161 @/tmp", "EPERM"),
                    ("mknod", "133 @/tmp/n 020666 0x103", "EACCES" if landlock_version() > 1 else "EPERM"),
                    ("mknod of a FIFO", "133 @/tmp/f 010666 0", "OK")])

    def test_commands_own_filters_only_tighten(self):
        """The command may add filters; it can take neither them nor no_new_privs away."""
        code = ("import ctypes\n"
                "libc = ctypes.CDLL(None, use_errno=True)\n"
                "def prctl(*a):\n"
                "  ctypes.set_errno(0); return libc.prctl(*a), ctypes.get_errno()\n"
                "program = (ctypes.c_uint64 * 1)(0x7fff000000000006)\n"
                "class P(ctypes.Structure): _fields_ = [('n', ctypes.c_ushort), ('p', ctypes.c_void_p)]\n"
                "print(prctl(22, 2, ctypes.byref(P(1, ctypes.addressof(program))), 0, 0))\n"
                "print(prctl(22, 0, 0, 0, 0), prctl(38, 0, 0, 0, 0))\n"
                "print([l.split()[1] for l in open('/proc/self/status') if l.startswith('Seccomp')])\n"
                "ctypes.set_errno(0); print(libc.unshare(0x10000000), ctypes.get_errno())")
        self.assertEqual(self.ok(self.python(code)), "(0, 0)\n(-1, 22) (-1, 22)\n['2', '2']\n-1 1\n")


class Privileges(Case):
    def test_status(self):
        status = dict(line.split(":\t", 1) for line in self.ok(self.vrun("cat", "/proc/self/status")).splitlines())
        for name in ("CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb"):
            self.assertEqual(status[name], "0" * 16, name)
        self.assertEqual((status["NoNewPrivs"], status["Seccomp"], status["Seccomp_filters"]), ("1", "2", "1"))
        self.assertEqual(len(set(status["Uid"].split())), 1)
        self.assertNotIn("0", status["Uid"].split())

    def test_set_user_id_programs_give_nothing(self):
        """nosuid everywhere, and no new privileges."""
        code = ("import os\n"
                "bad = [l for l in open('/proc/self/mountinfo') if 'nosuid' not in l.split()[5].split(',')]\n"
                "print(bad)")
        self.assertEqual(self.ok(self.python(code)), "[]\n")
        su = next((path for path in ("/usr/bin/su", "/bin/su", "/usr/bin/passwd") if os.path.exists(path) and
                   os.stat(path).st_mode & 0o4000), None)
        if su is None:
            missing(self, "no set-user-ID program is here")
        self.assertNotEqual(self.vrun(su, "-c", "true", "root").returncode, 0)
        code = "import ctypes; libc = ctypes.CDLL(None, use_errno=True); print(libc.setuid(0), ctypes.get_errno())"
        self.assertIn(self.ok(self.python(code)), ("-1 22\n", "-1 1\n"))

    def test_ids_cannot_change(self):
        code = ("import os\n"
                "def write(name, text): os.write(os.open('/proc/self/' + name, os.O_WRONLY), text)\n"
                "for what in (lambda: os.setgroups([0]), lambda: os.setresuid(0, 0, 0), lambda: os.setgid(0),\n"
                "             lambda: os.chown('/tmp', 0, 0), lambda: write('uid_map', b'0 0 1'),\n"
                "             lambda: write('setgroups', b'allow')):\n"
                "  try: what(); print('done')\n"
                "  except OSError as error: print(error.errno in (1, 13, 22))")
        self.assertEqual(self.ok(self.python(code)), "True\n" * 6)

    def test_map_is_one_id(self):
        uid = os.geteuid()
        inside = self.ok(self.vrun("cat", "/proc/self/uid_map", "/proc/self/gid_map")).splitlines()
        self.assertEqual(len(inside), 2)
        for line in inside:
            first, second, count = map(int, line.split())
            self.assertEqual((first, count), (second, 1))
            self.assertEqual(first == uid, not IS_ROOT)

    def test_supplementary_groups_are_gone(self):
        if not IS_ROOT:
            self.skipTest("only as root: groups cannot be given otherwise")
        code = "import os; print(os.getgroups(), os.getresgid()[0] == os.getgid())"
        result = self.python(code, preexec_fn=lambda: os.setgroups([0, 4, 27]))
        # Others than the run's own would show as the number of nobody, whose number has no name inside.
        self.assertEqual(self.ok(result), "[] True\n")

    def test_core_limit(self):
        code = ("import resource\n"
                "print(resource.getrlimit(resource.RLIMIT_CORE))\n"
                "for limits in ((0, 1), (0, 0), (1, 1)):\n"
                "  try: resource.setrlimit(resource.RLIMIT_CORE, limits); print('set')\n"
                "  except (OSError, ValueError) as error: print(error)")
        lines = self.ok(self.python(code)).splitlines()
        self.assertEqual(lines[0], "(1, 1)")
        self.assertNotIn("set", lines)
        result = self.vrun("sh", "-c", "ulimit -c; kill -ABRT $$")
        self.assertEqual(result.returncode, 128 + 6)
        self.assertEqual(os.listdir(self.project), [])

    def test_own_processes_are_closed(self):
        """Pid 1: not listed, not readable, not traceable; signals to it do nothing."""
        code = ("import os, signal\n"
                "print(sorted(p for p in os.listdir('/proc') if p.isdigit()) == [str(os.getpid())])\n"
                "for name in ('', 'environ', 'cmdline', 'mem', 'root', 'cwd', 'fd', 'maps', 'ns/mnt', 'exe', 'status'):\n"
                "  try: os.stat('/proc/1/' + name); print('found', name)\n"
                "  except (FileNotFoundError, PermissionError): pass\n"
                "os.kill(1, signal.SIGKILL); os.kill(1, signal.SIGTERM); os.kill(1, signal.SIGSTOP)\n"
                "print(os.getppid())")
        self.assertEqual(self.ok(self.python(code)), "True\n1\n")

    def test_limits_of_pid_1(self):
        """prlimit(1) works on a process of the same user, so nothing of vrun's may depend on such a limit."""
        code = ("import resource as r\n"
                "for what in (r.RLIMIT_NOFILE, r.RLIMIT_FSIZE, r.RLIMIT_STACK, r.RLIMIT_MEMLOCK, r.RLIMIT_NPROC):\n"
                "  try: r.prlimit(1, what, (0, 0))\n"
                "  except PermissionError: pass\n"
                "raise SystemExit(5)")
        result = self.python(code)
        self.assertEqual((result.returncode, result.stdout, result.stderr), (5, "", ""))

    def test_variables_and_command_line_of_vrun(self):
        secret = "s3cret-" + os.urandom(8).hex()
        scan = ("import os, sys\n"
                "for directory, names, files in os.walk('/proc'):\n"
                "  names[:] = [n for n in names if n not in ('task', 'sys', 'map_files', 'fd')]\n"
                "  for name in files:\n"
                "    try: data = open(os.path.join(directory, name), 'rb').read(1 << 20)\n"
                "    except OSError: continue\n"
                "    if sys.argv[1].encode()[::-1] in data: print(directory, name)")
        argument = secret[::-1]  # the searching process itself must not match
        options = ["--ro", write(os.path.join(self.directory, secret), "")]
        self.assertEqual(self.ok(self.python(scan, argument, variables={"SECRET": secret}))
                         , "", "in /proc")
        found = self.ok(self.python(scan, argument, options=options, variables={"SECRET": secret}))
        self.assertEqual({line.split()[-1] for line in found.splitlines()} - {"mountinfo", "mounts", "mountstats"}, set())


class Namespaces(Case):
    def links(self, text):
        return dict(line.split() for line in text.splitlines())

    def ask(self, note="", **more):
        code = f"import os\nfor k in {KINDS}: print(k, os.readlink('/proc/self/ns/' + k))"
        return self.links(self.ok(self.python(code, **more), note))

    def test_all_differ(self):
        first, second = self.ask(), self.ask()
        for kind in KINDS:
            outside = os.readlink(f"/proc/self/ns/{kind}")
            self.assertNotEqual(first[kind], outside, kind)
        self.assertEqual(len(second), len(KINDS))

    def test_network_of_the_host(self):
        inside = self.ask(HOST_NETWORK_NOTE, options=["--net=host"])
        for kind in KINDS:
            same = inside[kind] == os.readlink(f"/proc/self/ns/{kind}")
            self.assertEqual(same, kind == "net", kind)

    def test_host_name(self):
        self.assertEqual(self.ok(self.python("import socket; print(socket.gethostname())")), "vrun\n")

    def test_user_namespaces_are_impossible_twice(self):
        """The filter refuses them, and so would the kernel: the limit of the run's own user namespace is 0."""
        self.assertEqual(self.ok(self.vrun("cat", "/proc/sys/user/max_user_namespaces")), "0\n")
        result = self.vrun("sh", "-c", "echo 100 > /proc/sys/user/max_user_namespaces")
        self.assertIn("Read-only file system", result.stderr)
        if os.path.exists("/usr/bin/unshare"):
            self.assertIn("Operation not permitted", self.vrun("unshare", "-r", "true").stderr)

    def test_vrun_inside_vrun(self):
        from harness import VRUN
        inner = self.vrun(VRUN, self.environment, "--", "true", options=["--ro", VRUN])
        self.assertEqual(inner.returncode, 125)
        self.assertRegex(inner.stderr, r"\Avrun: [^\n]+\n\Z")

    def test_system_v_ipc(self):
        libc = ctypes.CDLL(None, use_errno=True)
        key = 0x76000000 | os.getpid() & 0xffffff
        segment = libc.shmget(key, 4096, 0o1600 | 0o2000)
        if segment < 0:
            missing(self, "no System V shared memory here")
        self.addCleanup(libc.shmctl, segment, 0, None)
        code = f"import ctypes; l = ctypes.CDLL(None, use_errno=True); print(l.shmget({key}, 0, 0), ctypes.get_errno())"
        self.assertRegex(self.outside(sys.executable, "-c", code).stdout, r"\A\d+ 0\n\Z")
        self.assertEqual(self.ok(self.python(code)), "-1 2\n")

    def test_keyring_of_the_caller(self):
        if not X86_64:
            self.skipTest("only as x86-64: the numbers are its")
        libc = ctypes.CDLL(None, use_errno=True)
        name = f"vrun-test-{os.getpid()}".encode()
        session = -3
        if libc.syscall(250, 1, None) < 0 or libc.syscall(248, b"user", name, b"token", 5, session) < 0:
            missing(self, f"no kernel keyrings here: {os.strerror(ctypes.get_errno())}")
        search = f"250 10 {session} @user @{name.decode()} 0"
        self.assertEqual(self.ok(self.probe_outside("syscall", *search.split())), "OK\n")
        self.assertEqual(self.ok(self.probe("syscall", *search.split())), "EPERM\n")
        self.assertIn(name.decode(), read("/proc/keys"))
        self.assertEqual(self.ok(self.vrun("cat", "/proc/keys", "/proc/key-users")), "")
        code = "import os; print(open('/proc/self/sessionid').read() != '' )"
        self.ok(self.python(code))


class Network(Case):
    def test_loopback_works_and_nothing_else(self):
        code = ("import errno, socket\n"
                "for family, address in ((socket.AF_INET, '127.0.0.1'), (socket.AF_INET6, '::1')):\n"
                "  try: server = socket.create_server((address, 0), family=family)\n"
                "  except OSError as error: print(errno.errorcode[error.errno]); continue\n"
                "  client = socket.create_connection(server.getsockname()[:2]); client.sendall(b'x')\n"
                "  print(server.accept()[0].recv(1))\n"
                "for kind in (socket.SOCK_STREAM, socket.SOCK_DGRAM):\n"
                "  for family, address in ((socket.AF_INET, '192.0.2.1'), (socket.AF_INET, '169.254.169.254'),\n"
                "                          (socket.AF_INET6, '2001:db8::1')):\n"
                "    with socket.socket(family, kind) as s:\n"
                "      try: s.connect((address, 9)); print('connected', address)\n"
                "      except OSError as error: print(errno.errorcode[error.errno])\n"
                "print([name for _, name in socket.if_nameindex()])")
        lines = self.ok(self.python(code)).splitlines()
        self.assertEqual(lines[0], "b'x'")
        if os.path.exists("/proc/net/if_inet6"):
            self.assertEqual(lines[1], "b'x'")
        self.assertEqual(lines[2:8], ["ENETUNREACH"] * 6)
        self.assertEqual(lines[8].replace("'sit0', ", "").replace(", 'sit0'", ""), "['lo']")

    def test_services_of_the_host(self):
        """On its loopback address, on an abstract and on a path socket: connected outside, refused inside."""
        tcp = socket.create_server(("127.0.0.1", 0))
        abstract, path = socket.socket(socket.AF_UNIX), socket.socket(socket.AF_UNIX)
        name = f"vrun-test-{os.getpid()}"
        abstract.bind("\0" + name)
        address = os.path.join(self.home, "s")
        path.bind(address)
        for server in (tcp, abstract, path):
            server.listen()
            self.addCleanup(server.close)
        code = ("import errno, socket, sys\n"
                "for family, address in ((socket.AF_INET, ('127.0.0.1', int(sys.argv[1]))),\n"
                "                        (socket.AF_UNIX, chr(0) + sys.argv[2]), (socket.AF_UNIX, sys.argv[3])):\n"
                "  with socket.socket(family) as s:\n"
                "    try: s.connect(address); print('connected')\n"
                "    except OSError as error: print(errno.errorcode[error.errno])")
        words = [code, str(tcp.getsockname()[1]), name, address]
        self.assertEqual(self.ok(self.outside(sys.executable, "-c", *words)), "connected\n" * 3)
        self.assertEqual(self.ok(self.python(*words)), "ECONNREFUSED\nECONNREFUSED\nENOENT\n")
        shared = self.ok(self.python(*words, options=["--net=host"]), HOST_NETWORK_NOTE).split()
        self.assertEqual(shared[0], "connected")
        self.assertEqual(shared[2], "ENOENT")
        if landlock_version() < 6:
            missing(self, "before Linux 6.12 nothing keeps abstract sockets of a shared network out of reach")
        self.assertEqual(shared[1], "EPERM")

    def test_names_do_not_resolve_but_fail_at_once(self):
        code = ("import socket, time\n"
                "began = time.monotonic()\n"
                "try: print(socket.getaddrinfo('example.com', 80))\n"
                "except socket.gaierror as error: print('gaierror', time.monotonic() - began < 1)\n"
                "print(sorted({a[4][0] for a in socket.getaddrinfo('localhost', 80)})[0] in ('127.0.0.1', '::1'))")
        self.assertEqual(self.ok(self.python(code)), "gaierror True\nTrue\n")

    def test_low_ports(self):
        """No capability for them, as outside."""
        code = ("import socket\n"
                "try: socket.create_server(('127.0.0.1', 80)); print('bound')\n"
                "except OSError as error: print(error.errno)")
        low = int(read("/proc/sys/net/ipv4/ip_unprivileged_port_start"))
        self.assertEqual(self.ok(self.python(code)), "bound\n" if low <= 80 else "13\n")


class Proc(Case):
    def test_nothing_of_proc_sys_can_be_written(self):
        code = ("import os\n"
                "opened, answers = [], set()\n"
                "for directory, _, files in os.walk('/proc/sys'):\n"
                "  for name in files:\n"
                "    path = os.path.join(directory, name)\n"
                "    try: os.close(os.open(path, os.O_WRONLY)); opened.append(path)\n"
                "    except OSError as error: answers.add(error.errno)\n"
                "print(opened, 30 in answers, answers <= {30, 13, 1})")
        self.assertEqual(self.ok(self.python(code)), "[] True True\n")
        paths = ["/proc/sysrq-trigger", "/proc/irq/default_smp_affinity", "/proc/bus/pci/devices", "/proc/mtrr",
                 "/proc/acpi/wakeup", "/proc/sys/kernel/core_pattern", "/proc/kmsg", "/proc/kcore"]
        code = ("import os, sys\n"
                "for path in sys.argv[1:]:\n"
                "  try: os.close(os.open(path, os.O_WRONLY)); print('opened', path)\n"
                "  except OSError as error: print(error.errno in (30, 2, 13) or error)")
        self.assertEqual(self.ok(self.python(code, *paths)), "True\n" * len(paths))

    def test_masked_entries_are_empty(self):
        names = ["kcore", "keys", "key-users", "kmsg", "kallsyms", "timer_list", "sched_debug", "modules", "config.gz",
                 "interrupts", "iomem", "ioports", "cmdline", "slabinfo", "vmallocinfo", "kpagecount", "sysrq-trigger",
                 "latency_stats", "acpi", "scsi"]
        code = ("import os, sys\n"
                "for name in sys.argv[1:]:\n"
                "  path = '/proc/' + name\n"
                "  if os.path.isdir(path): print(os.listdir(path))\n"
                "  else:\n"
                "    try: print(open(path, 'rb').read(1) or [])\n"
                "    except (FileNotFoundError, PermissionError): print([])")
        self.assertEqual(self.ok(self.python(code, *names)), "[]\n" * len(names))
        self.assertNotEqual(self.outside(sys.executable, "-c", code, "kallsyms", "cmdline", "interrupts").stdout,
                            "[]\n" * 3)

    def test_what_libraries_read_is_there(self):
        for path in ("/proc/meminfo", "/proc/cpuinfo", "/proc/stat", "/proc/uptime", "/proc/loadavg", "/proc/self/maps",
                     "/proc/sys/kernel/pid_max", "/proc/self/mountinfo", "/proc/filesystems", "/proc/version",
                     "/proc/sys/vm/overcommit_memory", "/proc/self/net/dev"):
            with self.subTest(path=path):
                self.assertGreater(len(self.ok(self.vrun("cat", path))), 0)

    def test_cgroup_and_sys(self):
        for line in self.ok(self.vrun("cat", "/proc/self/cgroup")).splitlines():
            self.assertEqual(line.split(":", 2)[2], "/")
        self.assertIn("No such file", self.vrun("ls", "/sys").stderr)

    def test_outer_processes_do_not_exist(self):
        code = ("import os, sys\n"
                "try: os.kill(int(sys.argv[1]), 0); print('there')\n"
                "except ProcessLookupError: print('gone')")
        for pid in (os.getpid(), os.getppid()):
            self.assertEqual(self.ok(self.outside(sys.executable, "-c", code, str(os.getpid()))), "there\n")
            self.assertEqual(self.ok(self.python(code, str(pid if pid > 9 else 4194303))), "gone\n")

    def test_devices(self):
        names = ["fd", "full", "null", "ptmx", "pts", "random", "shm", "stderr", "stdin", "stdout", "tty", "urandom", "zero"]
        self.assertEqual(self.ok(self.vrun("ls", "/dev")).split(), names)
        self.assertEqual(self.ok(self.vrun("ls", "/dev/pts")).split(), ["ptmx"])
        self.assertEqual(self.ok(self.vrun("ls", "/dev/shm")), "")
        code = ("import os, stat\n"
                "for name in ('null', 'zero', 'full', 'random', 'urandom', 'tty'):\n"
                "  status = os.stat('/dev/' + name)\n"
                "  print(name, stat.S_ISCHR(status.st_mode), os.major(status.st_rdev), os.minor(status.st_rdev))\n"
                "open('/dev/null', 'w').write('x')\n"
                "print(open('/dev/zero', 'rb').read(1))\n"
                "for path in ('/dev/x', '/dev/null/x'):\n"
                "  try: open(path, 'w')\n"
                "  except OSError as error: print(error.errno)\n"
                "try: os.unlink('/dev/null')\n"
                "except OSError as error: print(error.errno)\n"
                "open('/dev/shm/x', 'w').write('x'); print(os.listdir('/dev/shm'))")
        self.assertEqual(self.ok(self.python(code)),
                         "null True 1 3\nzero True 1 5\nfull True 1 7\nrandom True 1 8\nurandom True 1 9\ntty True 5 0\n"
                         "b'\\x00'\n30\n20\n30\n['x']\n")

    def test_pseudo_terminals(self):
        code = ("import os, pty\n"
                "master, slave = pty.openpty(); print(os.ttyname(slave))\n"
                "os.write(slave, b'x'); print(os.read(master, 1))")
        self.assertEqual(self.ok(self.python(code)), "/dev/pts/0\nb'x'\n")

    def test_typing_into_the_callers_terminal(self):
        """TIOCSTI and TIOCLINUX on a terminal that is standard input."""
        import pty
        master, slave = pty.openpty()
        self.addCleanup(os.close, master)
        self.addCleanup(os.close, slave)
        code = ("import errno, fcntl\n"
                "for command in (0x5412, 0x541c):\n"
                "  try: fcntl.ioctl(0, command, b'x'); print('typed')\n"
                "  except OSError as error: print(errno.errorcode[error.errno])")
        self.assertEqual(self.ok(self.python(code, stdin=slave)), "EPERM\nEPERM\n")
        control = "import fcntl, os, termios; os.setsid(); fcntl.ioctl(0, termios.TIOCSCTTY, 0)\n" + code
        if "typed" not in run([sys.executable, "-c", control], stdin=slave).stdout:
            print("(this kernel refuses TIOCSTI by itself)", file=sys.stderr)


class SetUserId(Case):
    def test_a_set_user_id_copy_of_vrun_refuses(self):
        from harness import VRUN, as_user
        import shutil
        if not IS_ROOT:
            self.skipTest("only as root: a set-user-ID program of another user is needed")
        os.chmod(self.directory, 0o755)
        copy = os.path.join(self.directory, "vrun")
        shutil.copy(VRUN, copy)
        os.chmod(copy, 0o4755)
        result = self.outside(*as_user([copy, self.environment, "--", "true"]))
        if "nosuid" in run(["findmnt", "-no", "OPTIONS", "-T", self.directory]).stdout:
            missing(self, f"{self.directory} is on a file system without set-user-ID programs")
        self.refused(result, "set-user-ID")
        os.chmod(copy, 0o755)
        self.assertNotIn("set-user-ID", self.outside(*as_user([copy, "--version"])).stderr)


if __name__ == "__main__":
    unittest.main()
