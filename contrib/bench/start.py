"""What a start costs: a sandbox around nothing and around a Python that does nothing, step by step, and counted."""

import os
import re
import shutil
import statistics
import subprocess
import tempfile

from measure import Contender, Table, progress, take_turns
from tools import VBUILD, VRUN, PYTHON, bubblewrap, compile_tool, container, floor, installed

LIMITS = ["--wall=60s", "--cpu-time=60s", "--memory=512M", "--pids=64", "--fsize=64M", "--nofile=256", "--stack=8M",
          "--tmp-size=64M", "--shm-size=16M", "--output-max=64M"]


def contenders(place, command):
    environment = place.environment
    systemd = ["--quiet", "--wait", "--collect", "--pipe", *([] if os.getuid() == 0 else ["--user"]), "-p", "PrivateNetwork=yes",
               "-p", "PrivateTmp=yes", "-p", "ProtectSystem=strict", "-p", "ProtectHome=tmpfs", "-p", "NoNewPrivileges=yes"]
    return [
        Contender("vrun", [VRUN, environment, "--", *command]),
        Contender("vrun with limits", [VRUN, *LIMITS, environment, "--", *command]),
        Contender("no sandbox", command),
        floor(place, command),
        bubblewrap(place, command),
        container(place, "crun", command),
        container(place, "runc", command),
        installed("firejail --noprofile", "firejail", ["--quiet", "--noprofile", "--net=none", *command]),
        installed("systemd-run, some of the same", "systemd-run", [*systemd, *command]),
        installed("unshare, namespaces only", "unshare", ["-Urmpinuf", *command]),
    ]


def starts(place, settings):
    """[Table] for the user that this process is."""
    user = "root" if os.geteuid() == 0 else "an ordinary user"
    key = "root" if os.geteuid() == 0 else "user"
    return [take_turns(f"start-{key}", f"a program that does nothing, as {user}", contenders(place, [place.nothing]), settings.start),
            take_turns(f"python-{key}", f"a Python that does nothing, as {user}", contenders(place, [place.python, "-I", "-c", "pass"]),
                       max(2, settings.start // 4)),
            steps(place, f"steps-{key}", f"the steps of a run, as {user} (vrun --timing)", max(2, settings.start // 2))]


def steps(place, key, title, rounds):
    """The median of each step."""
    times = {}
    for done in range(rounds):
        result = subprocess.run([VRUN, "--timing", place.environment, "--", place.nothing], stderr=subprocess.PIPE, text=True, check=True)
        for microseconds, name in re.findall(r"^vrun: +(\d+) us  (.+)$", result.stderr, re.M):
            times.setdefault(name, []).append(int(microseconds))
        progress(title, done + 1, rounds)
    whole = statistics.median(times["in all"])
    rows = [{"name": name, "median": statistics.median(values), "share": 100 * statistics.median(values) / whole}
            for name, values in times.items()]
    return Table(key, title, {"median": ("median us", "{:.0f}"), "share": ("% of all", "{:.0f}")}, rows)


def counts(place, _settings):
    """[Table]: system calls, instructions and memory, which do not depend on how busy the machine is."""
    commands = [contender for contender in contenders(place, [place.nothing]) if contender.name.split(",")[0] in
                ("vrun", "vrun with limits", "the kernel's share (floor.c)", "bubblewrap", "no sandbox")]
    tables = [Table("calls", "system calls of a start", {"calls": ("calls", "{}"), "failed": ("failed", "{}")},
                    [count_calls(contender) for contender in commands])]
    rows = [most_frequent(place)] if shutil.which("strace") else []
    tables += rows
    tables.append(Table("instructions", "instructions in user space", {"instructions": ("instructions", "{:,}")},
                        [count_instructions(place, name, command) for name, command in
                         (("vrun --explain: all that is read and decided", [VRUN, "--explain", place.environment, "--", place.nothing]),
                          ("vbuild --without-pip", [VBUILD, "--python", PYTHON, "--without-pip", place.scratch + "/counted"]))]))
    tables.append(Table("memory", "memory while a command waits", {"kib": ("resident KiB", "{}"), "processes": ("processes", "{}")},
                        [memory(place)]))
    return tables


def strace(command):
    """{call: (calls, failed)} of a command and all that it starts, or the reason why not."""
    if not shutil.which("strace"):
        return "strace is not installed"
    with tempfile.NamedTemporaryFile("r") as file:
        result = subprocess.run(["strace", "-f", "-q", "-o", file.name, *command], stdout=subprocess.DEVNULL,
                                stderr=subprocess.PIPE, text=True)
        if result.returncode != 0:
            return f"under strace its exit status is {result.returncode}"
        found = {}
        for name, rest in re.findall(r"^\d+ +(\w+)\((.*)$", file.read(), re.M):
            calls, failed = found.get(name, (0, 0))
            found[name] = (calls + 1, failed + (" = -1 E" in rest))
        return found


def count_calls(contender):
    found = strace(contender.command) if contender.command else contender.missing
    if isinstance(found, str):
        return {"name": contender.name, "missing": found}
    return {"name": contender.name, "calls": sum(calls for calls, _ in found.values()), "failed": sum(failed for _, failed in found.values())}


def most_frequent(place):
    found = strace([VRUN, place.environment, "--", place.nothing])
    rows = [{"name": "vrun", "missing": found}] if isinstance(found, str) else [
        {"name": name, "calls": calls, "failed": failed} for name, (calls, failed) in
        sorted(found.items(), key=lambda item: -item[1][0])[:16]]
    return Table("frequent-calls", "the most frequent of vrun's", {"calls": ("calls", "{}"), "failed": ("failed", "{}")}, rows)


def count_instructions(place, name, command):
    """By single steps, which takes a minute or so for some million instructions."""
    result = subprocess.run([compile_tool(place.scratch, "instructions"), *command], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    if result.returncode != 0:
        return {"name": name, "missing": result.stderr.strip()}
    return {"name": name, "instructions": int(result.stdout)}


def memory(place):
    """What vrun and the first process of the run hold together, the command left out. They are one program: of the pages
    that come from its file, those of the one that has more of them count."""
    run = subprocess.Popen([VRUN, place.environment, "--", place.waiting])
    try:
        while True:
            with open(f"/proc/{run.pid}/task/{run.pid}/children") as file:
                family = [run.pid, *map(int, file.read().split())]
            with open(f"/proc/{family[-1]}/task/{family[-1]}/children") as file:
                command = file.read().split()
            if len(family) > 1 and command and comm(command[0]) == "pause":
                break
            if run.poll() is not None:
                return {"name": "vrun and its first process", "missing": f"its exit status is {run.returncode}"}
        own, of_file = zip(*map(resident, family))
        return {"name": "vrun and its first process", "kib": sum(own) + max(of_file), "processes": len(family)}
    finally:
        run.terminate()
        run.wait()


def comm(pid):
    with open(f"/proc/{pid}/comm") as file:
        return file.read().strip()


def resident(pid):
    """KiB in memory: (of its own, of files)"""
    with open(f"/proc/{pid}/status") as file:
        sizes = dict(re.findall(r"^(Rss\w+):\s+(\d+)", file.read(), re.M))
    return int(sizes["RssAnon"]) + int(sizes["RssShmem"]), int(sizes["RssFile"])
