"""The first process of the virtual machine, as its root: readies the kernel, runs the suites, says what came of them.

What to run is in /project/vm-suites.json: [{"suite", "uid", "command", "timeout", "slow", "systemd"}]. A line of JSON goes
to the second serial port when a suite begins and one when it has ended; between them is what it printed. The last line
is "end". For the suites that want systemd, which come last, this program gives its place to it, and goes on as one of its
services.
"""

import ctypes
import fcntl
import json
import os
import socket
import struct
import subprocess
import sys
import time

REPORT = "/dev/ttyS1"
CGROUPS = "/sys/fs/cgroup"
PROGRAMS = {"VRUN": "/project/build/dev/runner/vrun", "VBUILD": "/project/build/dev/builder/vbuild",
            "VRUN_PROBE": "/project/build/dev/tests/probes/probe"}
RESTART = 0x01234567


def mount(source, place, kind, flags=0, data=""):
    os.makedirs(place, exist_ok=True)
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.mount(source.encode(), place.encode(), kind.encode(), flags, data.encode()) != 0:
        error = ctypes.get_errno()
        raise OSError(error, f"mount {kind} on {place}: {os.strerror(error)}")


def write(path, text):
    with open(path, "w") as file:
        file.write(text)


def ready_kernel():
    NOSUID, NODEV, NOEXEC, REMOUNT = 2, 4, 8, 32
    mount("proc", "/proc", "proc", NOSUID | NODEV | NOEXEC)
    mount("sysfs", "/sys", "sysfs", NOSUID | NODEV | NOEXEC)
    mount("devpts", "/dev/pts", "devpts", NOSUID | NOEXEC, "mode=620,gid=5,ptmxmode=666")
    mount("tmpfs", "/dev/shm", "tmpfs", NOSUID | NODEV, "mode=1777")
    mount("mqueue", "/dev/mqueue", "mqueue", NOSUID | NODEV | NOEXEC)
    mount("tmpfs", "/run", "tmpfs", NOSUID | NODEV, "mode=755")
    mount("cgroup2", CGROUPS, "cgroup2", NOSUID | NODEV | NOEXEC, "nsdelegate")
    for link, target in (("fd", "/proc/self/fd"), ("stdin", "fd/0"), ("stdout", "fd/1"), ("stderr", "fd/2"), ("ptmx", "pts/ptmx")):
        if os.path.lexists("/dev/" + link):
            os.unlink("/dev/" + link)
        os.symlink(target, "/dev/" + link)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as control:
        SIOCSIFFLAGS, UP = 0x8914, 1
        fcntl.ioctl(control, SIOCSIFFLAGS, struct.pack("16sh14x", b"lo", UP))
    socket.sethostname("vm")


def delegate(uid):
    """The group of a user's session, as a service manager gives it: every controller, and the files that are the user's.
    The suite runs in a group within, so that the one above stays free to hand its controllers on."""
    with open(CGROUPS + "/cgroup.controllers") as file:
        controllers = file.read().split()
    enable = " ".join("+" + name for name in controllers)
    write(CGROUPS + "/cgroup.subtree_control", enable)
    group = f"{CGROUPS}/user-{uid}"
    os.makedirs(group + "/session", exist_ok=True)
    write(group + "/cgroup.subtree_control", enable)
    for place in (group, group + "/session"):
        for name in (".", "cgroup.procs", "cgroup.subtree_control", "cgroup.threads"):
            os.chown(os.path.join(place, name), uid, uid)
    return group + "/session"


def make_home(uid):
    home = f"/home/{uid}"
    for path in (home, home + "/tmp", f"/run/user/{uid}"):
        os.makedirs(path, exist_ok=True)
        os.chown(path, uid, uid)
    return home


def variables_of(suite, home):
    return {"PATH": "/usr/local/bin:/usr/bin:/bin", "HOME": home, "TMPDIR": home + "/tmp", "LANG": "C.UTF-8",
            "XDG_RUNTIME_DIR": f"/run/user/{suite['uid']}", "VRUN_TEST_SLOW": suite["slow"], **PROGRAMS}


def run_suite(suite, report):
    uid, home = suite["uid"], make_home(suite["uid"])
    session = delegate(uid)

    def enter():
        write(session + "/cgroup.procs", str(os.getpid()))
        os.setsid()
        if uid != 0:
            os.setgroups([])
            os.setresgid(uid, uid, uid)
            os.setresuid(uid, uid, uid)
        KEYCTL, JOIN_SESSION_KEYRING = 250, 1
        ctypes.CDLL(None).syscall(KEYCTL, JOIN_SESSION_KEYRING, None)  # as a login does

    began = time.monotonic()
    print(json.dumps({"begin": suite["suite"], "uid": uid}), file=report, flush=True)
    process = subprocess.Popen(suite["command"], cwd="/project", env=variables_of(suite, home), stdin=subprocess.DEVNULL, stdout=report,
                               stderr=subprocess.STDOUT, preexec_fn=enter)
    try:
        status = process.wait(suite["timeout"])
    except subprocess.TimeoutExpired:
        status = "timeout"
    leftovers = end_group(os.path.dirname(session), process)
    print(json.dumps({"end": suite["suite"], "uid": uid, "status": status, "leftovers": leftovers,
                      "seconds": round(time.monotonic() - began)}), file=report, flush=True)


def end_group(group, process):
    """Ends what a suite left running, and removes its groups. What was left, as text."""
    left = []
    groups = [place for place, _, _ in os.walk(group, topdown=False)]
    for place in groups:
        with open(place + "/cgroup.procs") as file:
            left += [f"process {pid}" for pid in file.read().split()]
    write(group + "/cgroup.kill", "1")
    if process.poll() is None:
        process.wait(60)
    left += [f"group {place}" for place in groups if place not in (group, group + "/session")]
    try:
        while os.waitpid(-1, os.WNOHANG)[0] != 0:  # orphans are ours
            pass
    except ChildProcessError:
        pass
    for place in groups:
        for _ in range(600):
            try:
                os.rmdir(place)
                break
            except OSError:  # EBUSY until the kernel has taken its last process away
                time.sleep(0.05)
    return left


UNITS = "/run/systemd/system"
# As Debian's, less what a machine without logins has not: PAM, and the service that makes /run/user.
USER_MANAGER = """[Service]
User=%i
Type=notify
Environment=XDG_RUNTIME_DIR=/run/user/%i
ExecStart=/lib/systemd/systemd --user
Slice=user-%i.slice
KillMode=mixed
Delegate=pids memory cpu
StandardOutput=file:/dev/ttyS0
[Unit]
DefaultDependencies=no
"""
THIS = """[Service]
ExecStart=/usr/bin/python3 -B /project/contrib/vm/inside.py under-systemd
StandardOutput=file:/dev/ttyS0
StandardError=inherit
[Unit]
DefaultDependencies=no
"""


def give_place_to_systemd(users):
    """This process becomes systemd, with managers for `users`, and starts this program anew."""
    os.makedirs(UNITS)
    managers = [f"user@{uid}.service" for uid in users if uid != 0]
    write(UNITS + "/user@.service", USER_MANAGER)
    write(UNITS + "/tests.service", THIS + "".join(f"Requires={name}\nAfter={name}\n" for name in managers))
    for uid in users:
        make_home(uid)
    os.execv("/lib/systemd/systemd", ["systemd", "--system", "--unit=tests.service", "--log-target=console"])


def run_under_systemd(suite, report):
    """As a service of the user's own manager, which is where programs of a user's session are; root's is this one's child."""
    uid, home = suite["uid"], f"/home/{suite['uid']}"
    variables = variables_of(suite, home)
    command = suite["command"]
    before = groups_of_runs()
    began = time.monotonic()
    print(json.dumps({"begin": suite["suite"], "uid": uid}), file=report, flush=True)
    if uid != 0:
        os.chmod(REPORT, 0o666)
        status_file = home + "/status"
        script = f"cd /project; {' '.join(command)} >{REPORT} 2>&1; echo $? >{status_file}"
        unit = f"[Service]\nType=oneshot\nTimeoutStartSec=infinity\nExecStart=/bin/sh -c '{script}'\n"
        unit += "".join(f"Environment={name}={value}\n" for name, value in variables.items())
        os.makedirs(f"/run/user/{uid}/systemd/user", exist_ok=True)
        write(f"/run/user/{uid}/systemd/user/tests.service", unit)
        user = ["setpriv", f"--reuid={uid}", f"--regid={uid}", "--clear-groups", "systemctl", "--user"]
        subprocess.run([*user, "daemon-reload"], env=variables, check=True)
        subprocess.run([*user, "start", "tests.service"], env=variables, timeout=suite["timeout"])
        with open(status_file) as file:
            status = int(file.read())
    else:
        status = subprocess.run(command, cwd="/project", env=variables, stdin=subprocess.DEVNULL, stdout=report, stderr=subprocess.STDOUT,
                                timeout=suite["timeout"]).returncode
    leftovers = [f"group {place}" for place in sorted(groups_of_runs() - before)]
    print(json.dumps({"end": suite["suite"], "uid": uid, "status": status, "leftovers": leftovers,
                      "seconds": round(time.monotonic() - began)}), file=report, flush=True)


def groups_of_runs():
    return {place for place, _, _ in os.walk(CGROUPS) if os.path.basename(place).startswith(("vrun-", "run-"))}


def main():
    with open("/project/vm-suites.json") as file:
        suites = json.load(file)
    late = [suite for suite in suites if suite["systemd"]]
    if sys.argv[1:]:
        with open(REPORT, "a") as report:
            for suite in late:
                run_under_systemd(suite, report)
            return finish(report)
    ready_kernel()
    # Raw: what is printed arrives as it is.
    subprocess.run(["stty", "-F", REPORT, "raw", "-echo"], check=True)
    with open(REPORT, "w") as report:
        print(json.dumps({"kernel": os.uname().release}), file=report, flush=True)
        for suite in suites:
            if suite not in late:
                run_suite(suite, report)
        if not late:
            return finish(report)
    give_place_to_systemd(sorted({suite["uid"] for suite in late}))


def finish(report):
    print("end", file=report, flush=True)
    subprocess.run(["stty", "-F", REPORT, "-a"], stdout=subprocess.DEVNULL, check=True)
    fcntl.ioctl(report, 0x5409, 1)  # TCSBRK: until all of it has gone out


if __name__ == "__main__":
    try:
        main()
    except BaseException:
        import traceback
        traceback.print_exc()
    finally:
        os.sync()
        ctypes.CDLL(None).reboot(RESTART)
