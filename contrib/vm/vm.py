#!/usr/bin/python3
"""Runs the tests that want a real kernel on Debian's own kernels, in a virtual machine made of this machine's files.

contrib/vm/vm.py [--full] [--kernel PACKAGE]... [--user root|ordinary]... [--suite NAME]... [--build DIR] [--logs DIR]
                 [TEST...]

Needs Debian on x86-64, qemu-system-x86_64, mke2fs and a C compiler; kernels come from apt into a cache and are not
installed. Nothing else is fetched, and no privilege is needed. The machine is emulated in software, so that it runs
wherever a program runs, ten to thirty times slower than the host.

Printed is a line for each kernel, user and suite. The exit status is 0 when everything passed, 1 when something failed
or a machine ended early, and 77 when no machine can run here.
"""

import argparse
import json
import os
import platform
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time

import image

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
KERNELS = ["linux-image-cloud-amd64", "linux-image-6.12-cloud-amd64"]
PROGRAMS = ["qemu-system-x86_64", "mke2fs", "apt-get", "apt-cache", "dpkg", "dpkg-query", "strip"]
USERS = {"root": 0, "ordinary": 1000}
PROCESSORS = 2  # of a machine
NOT_HERE = 77
SILENCE = 900  # seconds without a byte from the machine after which it is given up
SLOWER = 15  # how many times longer than on the host a test may take

# What depends on the kernel more than on anything else: test files, of which an empty list means all.
SUITES = {
    "self-test": ["test_self_test.py"],
    "limits": ["test_limits.py", "test_verdict.py"],
    "kernel": ["test_kernel.py", "test_landlock.py", "test_layers.py"],
    "attacks": ["test_attacks.py", "test_allow.py"],
    "systemd": ["test_limits.WithSystemd"],
}
SYSTEMD = "/lib/systemd/systemd"
UNDER_SYSTEMD = ["systemd"]  # after the others, with systemd as the first process and a manager of the user's
FULL = {"integration": []}


class NotHere(Exception):
    """This machine cannot do it, and why."""


def output(*command):
    return subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True).stdout


def real_package(name):
    """The kernel that a package without files of its own stands for; `name` itself when it is one."""
    found = re.findall(r"^\s+Depends: (linux-image-\S+)", output("apt-cache", "depends", "--no-recommends", name), re.M)
    return found[0] if found else name


def fetch_kernel(name, cache):
    """The directory with boot/ and lib/modules/ of a package, unpacked once."""
    policy = re.search(r"Candidate: (\S+)", output("apt-cache", "policy", name))
    if not policy or policy[1] == "(none)":
        raise NotHere(f"apt has no package {name}; apt-get update may help")
    place = os.path.join(cache, f"{name}_{policy[1].replace(':', '_')}")
    if not os.path.exists(place):
        with tempfile.TemporaryDirectory(dir=cache, prefix="new-") as scratch:
            result = subprocess.run(["apt-get", "download", "-q", "-o", "APT::Sandbox::User=root", name], cwd=scratch, text=True, timeout=900,
                                    stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
            archives = [entry for entry in os.listdir(scratch) if entry.endswith(".deb")]
            if result.returncode != 0 or not archives:
                raise NotHere(f"apt-get download {name} failed: {result.stdout.strip().splitlines()[-1:]}")
            subprocess.run(["dpkg", "-x", archives[0], "unpacked"], cwd=scratch, check=True)
            os.rename(scratch + "/unpacked", place)
    return place


def kernel_files(place):
    """(release, kernel, directory of modules)"""
    release = os.listdir(place + "/lib/modules")[0]
    return release, f"{place}/boot/vmlinuz-{release}", f"{place}/lib/modules/{release}"


def suites(arguments):
    """What the machine is to run, in order."""
    chosen = dict(SUITES, **(FULL if arguments.full else {}))
    if arguments.tests:
        chosen = {"named": arguments.tests}
    elif arguments.suite:
        chosen = {name: files for name, files in dict(SUITES, **FULL).items() if name in arguments.suite}
    if not os.path.exists(SYSTEMD):
        for name in UNDER_SYSTEMD:
            if chosen.pop(name, None):
                print(f"skipped: {name}: {SYSTEMD} is not installed", flush=True)
    run = ["/usr/bin/python3", "-B", "tests/integration/run.py"]
    listed = []
    for user in arguments.user or USERS:
        for name, files in chosen.items():
            command = run + files
            listed.append({"suite": name, "uid": USERS[user], "command": command, "timeout": arguments.timeout, "slow": str(SLOWER),
                           "systemd": name in UNDER_SYSTEMD})
    return listed


class Machine:
    """One kernel's run. `log` has everything that was printed inside."""

    def __init__(self, release, kernel, memory_disk, logs):
        self.release, self.kernel, self.memory_disk = release, kernel, memory_disk
        self.log = os.path.join(logs, f"{release}.log")
        self.console = os.path.join(logs, f"{release}.console")
        self.process = self.error = None

    def start(self, root, project, scratch):
        for path in (self.log, self.console):
            open(path, "w").close()
        command = [
            "qemu-system-x86_64", "-accel", "tcg,thread=multi", "-cpu", "max", "-smp", str(PROCESSORS), "-m", "2048",
            "-nodefaults", "-no-user-config", "-display", "none", "-no-reboot",
            "-chardev", f"file,id=console,path={self.console}", "-serial", "chardev:console",
            "-chardev", f"file,id=log,path={self.log}", "-serial", "chardev:log",
            "-drive", f"file={root},format=raw,if=none,id=root,snapshot=on", "-device", "virtio-blk-pci,drive=root",
            "-drive", f"file={project},format=raw,if=none,id=project,snapshot=on", "-device", "virtio-blk-pci,drive=project",
            "-kernel", self.kernel, "-initrd", self.memory_disk,
            "-append", "console=ttyS0 quiet panic=-1 random.trust_cpu=on mitigations=off nokaslr"]
        # Its copies of what the machine writes are in TMPDIR, and have no name there.
        self.process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE,
                                        text=True, env=dict(os.environ, TMPDIR=scratch), preexec_fn=die_with_parent)
        self.size, self.last = 0, time.monotonic()

    def has_ended(self):
        """Looks at it; one that has said nothing for SILENCE seconds is ended."""
        if self.process.poll() is None:
            size = os.path.getsize(self.log) + os.path.getsize(self.console)
            if size != self.size:
                self.size, self.last = size, time.monotonic()
            if time.monotonic() - self.last < SILENCE:
                return False
            self.error = f"the machine said nothing for {SILENCE} s"
        self.end()
        return True

    def end(self):
        self.process.kill()
        _, errors = self.process.communicate()
        if not self.error and "end" not in self.lines()[-1:]:
            self.error = f"the machine ended early (qemu {self.process.returncode}): {errors.strip()[-500:]}"

    def lines(self):
        with open(self.log, encoding="utf-8", errors="replace") as file:
            return file.read().splitlines()

    def results(self):
        """A dictionary for each suite that began: suite, uid, passed, failed, skipped, seconds, problems, reasons."""
        found = []
        for line in self.lines():
            record = json.loads(line) if line.startswith('{"') else {}
            if "begin" in record:
                found.append({"suite": record["begin"], "uid": record["uid"], "passed": 0, "failed": 0, "skipped": 0, "lines": [],
                              "reasons": {}, "problems": ["it did not end"]})
            elif "end" in record:
                current = found[-1]
                current["seconds"] = record["seconds"]
                current["problems"] = [f"left behind: {left}" for left in record["leftovers"]]
                if record["status"] != (1 if current["failed"] else 0):
                    current["problems"].append(f"its exit status is {record['status']}")
            elif found:
                self.count(found[-1], line)
        return found

    @staticmethod
    def count(current, line):
        current["lines"].append(line)
        totals = re.fullmatch(r"integration: (\d+) passed, (\d+) failed, (\d+) skipped", line)
        if totals:
            current.update(passed=int(totals[1]), failed=int(totals[2]), skipped=int(totals[3]))
        skipped = re.fullmatch(r"(.+?): skipped: (.*?)(?: \([\d.]+ s\))?", line)
        if skipped:
            current["reasons"].setdefault(skipped[2], []).append(skipped[1])


def die_with_parent():
    import ctypes
    PR_SET_PDEATHSIG = 1
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)


def run_machines(machines, root, project, scratch):
    """Runs all of them, as many at once as there are processors for."""
    waiting, running = list(machines), []
    try:
        while waiting or running:
            while waiting and len(running) < max(1, (os.cpu_count() or 1) // PROCESSORS):
                running.append(waiting.pop(0))
                running[-1].start(root, project, scratch)
            time.sleep(0.5)
            running = [machine for machine in running if not machine.has_ended()]
    finally:
        for machine in running:
            machine.end()


def show(machines):
    """The matrix, what failed and why something was skipped. Returns whether all is well."""
    well = True
    rows = []
    users = {uid: name for name, uid in USERS.items()}
    for machine in machines:
        results = machine.results()
        for result in results:
            bad = result["failed"] or result["problems"] or not result["passed"]
            well = well and not bad
            rows.append([machine.release, users[result["uid"]], result["suite"], result["passed"], result["failed"], result["skipped"],
                         f"{result.get('seconds', '-')} s", "; ".join(result["problems"])])
            if bad:
                print(f"\n{machine.release}, {users[result['uid']]}, {result['suite']}:")
                print("\n".join(line for line in result["lines"] if not re.search(r": (ok|skipped: .*|failed, as expected)( \([\d.]+ s\))?$", line)))
        if machine.error or not results:
            well = False
            print(f"\n{machine.release}: {machine.error or 'nothing was run'}")
            with open(machine.console, encoding="utf-8", errors="replace") as file:
                print("".join(file.readlines()[-30:]))
    for machine in machines:
        for result in machine.results():
            for reason, tests in result["reasons"].items():
                print(f"skipped: {machine.release}, {users[result['uid']]}: {len(tests)} of {result['suite']}: {reason}")
    print(f"\n{'kernel':32} {'user':9} {'suite':12} {'passed':>6} {'failed':>6} {'skipped':>7}")
    for release, user, suite, passed, failed, skipped, seconds, problems in rows:
        print(f"{release:32} {user:9} {suite:12} {passed:6} {failed:6} {skipped:7}   {seconds:>7}  {problems}".rstrip())
    return well


def arguments_given():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--full", action="store_true", help="all integration tests, too: some hours")
    parser.add_argument("--kernel", action="append", metavar="PACKAGE", help=f"default: {' and '.join(KERNELS)}")
    parser.add_argument("--user", action="append", choices=USERS, help="default: both")
    parser.add_argument("--suite", action="append", choices={**SUITES, **FULL}, help="default: all of them, save with --full")
    parser.add_argument("--build", default=os.path.join(ROOT, "build/ci"), help="where the programs are built (build/ci)")
    parser.add_argument("--logs", default=os.path.join(ROOT, "build/vm"), help="where what the machines print is kept (build/vm)")
    parser.add_argument("--timeout", type=int, default=3600, help="seconds for one suite (3600)")
    parser.add_argument("tests", nargs="*", metavar="TEST", help="these only, as tests/integration/run.py takes them")
    return parser.parse_args()


def check_here(arguments):
    if platform.machine() != "x86_64":
        raise NotHere(f"the machine is emulated for x86-64, the programs here are for {platform.machine()}")
    for program in PROGRAMS:
        if not shutil.which(program, path=os.environ.get("PATH", "") + ":/usr/sbin:/sbin"):
            raise NotHere(f"{program} is not installed")
    for name in ("runner/vrun", "builder/vbuild", "tests/probes/probe"):
        if not os.path.exists(os.path.join(arguments.build, name)):
            raise NotHere(f"{os.path.join(arguments.build, name)} is not built")


def main():
    arguments = arguments_given()
    os.environ["PATH"] = os.environ.get("PATH", "/usr/bin:/bin") + ":/usr/sbin:/sbin"
    cache = os.path.join(os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache"), "vrun-tests/vm")
    scratch = None
    try:
        check_here(arguments)
        if os.geteuid() != 0:  # files of the image are to be root's
            os.execvp("unshare", ["unshare", "--user", "--map-root-user", sys.executable, *sys.argv])
        os.makedirs(cache, exist_ok=True)
        os.makedirs(arguments.logs, exist_ok=True)
        kernels = [kernel_files(fetch_kernel(real_package(name), cache)) for name in arguments.kernel or KERNELS]
        scratch = tempfile.mkdtemp(prefix="vrun-vm-", dir=os.environ.get("TMPDIR", "/var/tmp"))
        init = os.path.join(scratch, "init")
        subprocess.run([os.environ.get("CC", "gcc"), "-static", "-O2", "-o", init, os.path.join(ROOT, "contrib/vm/init.c")], check=True)
        root = image.root_image(cache, scratch)
        project = image.project_image(ROOT, arguments.build, suites(arguments), scratch)
        machines = []
        for release, kernel, modules in kernels:
            memory_disk = os.path.join(scratch, release + ".cpio")
            with open(memory_disk, "wb") as file:
                file.write(image.memory_disk(init, modules))
            machines.append(Machine(release, kernel, memory_disk, arguments.logs))
        run_machines(machines, root, project, scratch)
    except NotHere as reason:
        print(f"vm: {reason}", file=sys.stderr)
        return NOT_HERE
    finally:
        if scratch:
            shutil.rmtree(scratch)
    return 0 if show(machines) else 1


def stop(number, _):
    """Ends it, with everything put away; a second signal does not disturb that."""
    for other in (signal.SIGTERM, signal.SIGHUP, signal.SIGINT):
        signal.signal(other, signal.SIG_IGN)
    sys.exit(128 + number)


if __name__ == "__main__":
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, stop)
    sys.exit(main())
