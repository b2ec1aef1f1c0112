"""How the cost of a start grows: with runs at once, and with the size of what it is given."""

import ctypes
import glob
import os
import statistics
import subprocess
import time

from measure import Contender, Table, progress
from tools import VBUILD, VRUN, PYTHON, bubblewrap

CLONE_NEWNS, CLONE_NEWUSER = 0x20000, 0x10000000
AT_ONCE = (1, 2, 8, 64)


def many(place, settings):
    """[Table]: runs at once, runs a second and how long the slowest of a hundred takes."""
    rows = []
    for contender in (Contender("vrun", [VRUN, place.environment, "--", place.nothing]), bubblewrap(place, [place.nothing]),
                      Contender("no sandbox", [place.nothing])):
        contender.try_out()
        for at_once in AT_ONCE:
            row = {"name": f"{contender.name}, {at_once} at once"}
            rows.append(row)
            if contender.missing:
                row["missing"] = contender.missing
            else:
                row.update(at_once_runs(contender, at_once, max(settings.many, at_once)))
            progress("runs at once", len(rows), 3 * len(AT_ONCE))
    key = "root" if os.geteuid() == 0 else "user"
    user = "root" if os.geteuid() == 0 else "an ordinary user"
    return [Table(f"many-{key}", f"runs at once, as {user}",
                  {"rate": ("runs/s", "{:.0f}"), "median": ("median ms", "{:.2f}"), "slow": ("99th % ms", "{:.2f}"),
                   "worst": ("slowest ms", "{:.2f}")}, rows)]


def at_once_runs(contender, at_once, number):
    began, times, started = {}, [], 0
    start = time.perf_counter()
    while len(times) < number:
        while started < number and len(began) < at_once:
            before = time.perf_counter()
            began[contender.start()] = before
            started += 1
        pid, status = os.waitpid(-1, 0)
        times.append((time.perf_counter() - began.pop(pid)) * 1000)
        if status != 0:
            raise RuntimeError(f"{contender.name}, {at_once} at once: exit status {os.waitstatus_to_exitcode(status)}")
    whole = time.perf_counter() - start
    times.sort()
    return {"rate": number / whole, "median": statistics.median(times), "slow": times[int(len(times) * 0.99)], "worst": times[-1]}


def growth(place, settings):
    """[Table]: the median of a start against the number of things."""
    rounds = max(2, settings.start // 10)
    subjects = [("paths shown by --ro", shown_paths), ("packages in the environment", packages), ("files in the project", files),
                ("environments in the project", environments), ("mounts on the host", mounts)]
    rows = []
    for name, prepare in subjects:
        row = {"name": name}
        for number in settings.growth:
            row[str(number)] = prepare(place, number, rounds)
            progress("growth", 1, 1)
        rows.append(row)
    return [Table("growth", f"median ms of a start with so many of them ({rounds} rounds)",
                  {str(number): (f"{number:,}", "{:.2f}") for number in settings.growth}, rows)]


def median_start(rounds, options, environment, command):
    contender = Contender("vrun", [VRUN, *options, environment, "--", *command])
    contender.measure()
    contender.times.clear()
    for _ in range(rounds):
        contender.measure()
    return statistics.median(contender.times) * 1000


def shown_paths(place, number, rounds):
    options = []
    for one in range(number):
        path = os.path.join(place.scratch, "shown", f"{one}")
        os.makedirs(path, exist_ok=True)
        options += ["--ro", path]
    return median_start(rounds, options, place.environment, [place.nothing])


def packages(place, number, rounds):
    environment = os.path.join(place.scratch, "grown-env")
    if not os.path.exists(environment):
        subprocess.run([VBUILD, "--python", PYTHON, "--without-pip", environment], check=True)
    directory = glob.glob(environment + "/lib/python3.*/site-packages")[0]
    for one in range(number):
        package = os.path.join(directory, f"package{one}")
        if not os.path.exists(package):
            os.mkdir(package)
            for name in ("__init__", "a", "b", "c"):
                open(os.path.join(package, name + ".py"), "w").close()
    return median_start(rounds, [], environment, [place.nothing])


def project_start(place, project, rounds):
    """A start in another project; the program has to be in its view."""
    return median_start(rounds, ["--project", project, "--ro", place.nothing, "-C", project], place.environment, [place.nothing])


def files(place, number, rounds):
    """Ten files in each directory."""
    project = os.path.join(place.scratch, "grown-project")
    for one in range(number):
        directory = os.path.join(project, f"directory{one // 10}")
        os.makedirs(directory, exist_ok=True)
        open(os.path.join(directory, f"file{one}.py"), "w").close()
    return project_start(place, project, rounds)


def environments(place, number, rounds):
    """Directories with a pyvenv.cfg, which a run covers."""
    project = os.path.join(place.scratch, "crowded-project")
    for one in range(number):
        environment = os.path.join(project, f"env{one}")
        os.makedirs(environment + "/bin", exist_ok=True)
        with open(environment + "/pyvenv.cfg", "w") as file:
            file.write("home = /usr/bin\n")
    return project_start(place, project, rounds)


def mounts(place, number, rounds):
    """On a host that has so many more: a process of ours in a mount namespace of its own."""
    reading, writing = os.pipe()
    pid = os.fork()
    if pid == 0:
        status = 1
        try:
            own_mount_namespace()
            directory = place.directory(f"mounts{number}")
            libc = ctypes.CDLL(None, use_errno=True)
            for one in range(number):
                os.mkdir(f"{directory}/{one}")
                check(libc.mount(b"none", f"{directory}/{one}".encode(), b"tmpfs", 0, None), "mount")
            os.write(writing, str(median_start(rounds, [], place.environment, [place.nothing])).encode())
            status = 0
        except Exception as error:
            os.write(2, f"bench: {number} mounts: {error}\n".encode())
        finally:
            os._exit(status)
    os.close(writing)
    with open(reading) as file:
        text = file.read()
    os.waitpid(pid, 0)
    return float(text) if text else None


def check(result, what):
    if result != 0:
        raise OSError(ctypes.get_errno(), f"{what}: {os.strerror(ctypes.get_errno())}")


def own_mount_namespace():
    """Root has one for the asking; another user gets it with a user namespace, as the same user."""
    libc = ctypes.CDLL(None, use_errno=True)
    uid, gid = os.getuid(), os.getgid()
    check(libc.unshare(CLONE_NEWNS | (CLONE_NEWUSER if os.geteuid() else 0)), "unshare")
    if uid:
        for name, text in (("setgroups", "deny"), ("uid_map", f"{uid} {uid} 1"), ("gid_map", f"{gid} {gid} 1")):
            with open(f"/proc/self/{name}", "w") as file:
                file.write(text)
    REC, PRIVATE = 0x4000, 0x40000
    check(libc.mount(None, b"/", None, REC | PRIVATE, None), "mount")
