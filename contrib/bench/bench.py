#!/usr/bin/python3
"""Measures vrun and vbuild against other tools, in one run, alternating between them.

./dev bench [--rounds N] [--json FILE] [--only run|build] [--directory DIR]

Every contender runs once a round, so that a slow moment of the machine meets all of them. Shown are the median, the
middle half of the times (from the first to the third quartile), and the median as a multiple of the first line's.
A peer that is not here is named as missing. Peers from the Python index come by pip's own configuration into a
directory that is gone afterwards.
"""

import argparse
import json
import os
import platform
import shutil
import statistics
import subprocess
import sys
import tempfile
import time

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
VRUN = os.environ.get("VRUN", os.path.join(ROOT, "build/release/runner/vrun"))
VBUILD = os.environ.get("VBUILD", os.path.join(ROOT, "build/release/builder/vbuild"))
PYTHON = "/usr/bin/python3"
# No library, no start-up code: what is measured is the sandbox, not its guest.
NOTHING = "void _start(void) { __asm__ volatile(EXIT); }"
EXIT = {"x86_64": "mov $60, %eax; xor %edi, %edi; syscall", "aarch64": "mov x8, #93; mov x0, #0; svc #0"}


class Contender:
    """A command to time; `prepare` runs before each time and is not timed. `missing` says why it is not here."""

    def __init__(self, name, command=None, prepare=None, missing=None):
        self.name, self.command, self.prepare, self.missing = name, command, prepare, missing
        self.times = []

    def measure(self):
        if self.prepare:
            self.prepare()
        began = time.perf_counter()
        # posix_spawn of a resolved path: the cost of Python's own subprocess machinery stays small and the same.
        pid = os.posix_spawn(self.command[0], self.command, os.environ,
                             file_actions=[(os.POSIX_SPAWN_OPEN, 1, "/dev/null", os.O_WRONLY, 0)])
        _, status = os.waitpid(pid, 0)
        self.times.append((time.perf_counter() - began) * 1000)
        if status != 0:
            raise RuntimeError(f"'{' '.join(self.command)}' failed with status {os.waitstatus_to_exitcode(status)}")


def installed(name, program, arguments):
    path = shutil.which(program)
    return Contender(name, [path] + arguments) if path else Contender(name, missing=f"{program} is not installed")


def compile_nothing(directory):
    path = os.path.join(directory, "nothing")
    source = os.path.join(directory, "nothing.c")
    with open(source, "w") as file:
        file.write(NOTHING.replace("EXIT", json.dumps(EXIT[platform.machine()])))
    subprocess.run([os.environ.get("CC", "gcc"), "-static", "-nostdlib", "-O2", "-o", path, source], check=True)
    return path


def same_view(environment, project):
    """bubblewrap's options for what vrun shows: the system, the environment, the project, private places, its own /proc."""
    options = ["--unshare-all", "--die-with-parent", "--new-session", "--ro-bind", "/usr", "/usr"]
    for name in ("bin", "sbin", "lib", "lib32", "lib64", "libx32"):
        if os.path.islink("/" + name):
            options += ["--symlink", os.readlink("/" + name), "/" + name]
        elif os.path.isdir("/" + name):
            options += ["--ro-bind", "/" + name, "/" + name]
    for name in ("alternatives", "ld.so.cache", "localtime", "ssl"):
        if os.path.exists("/etc/" + name):
            options += ["--ro-bind", "/etc/" + name, "/etc/" + name]
    for hidden in ("/usr/lib/python3/dist-packages", f"/usr/local/lib/python3.{sys.version_info[1]}/dist-packages"):
        if os.path.isdir(hidden):
            options += ["--tmpfs", hidden]
    options += ["--proc", "/proc", "--dev", "/dev"]
    for private in ("/tmp", "/var/tmp", "/run", os.path.expanduser("~")):
        options += ["--tmpfs", private]
    return options + ["--bind", project, project, "--ro-bind", environment, environment, "--chdir", project, "--clearenv"]


def compile_floor(directory):
    path = os.path.join(directory, "floor")
    source = os.path.join(ROOT, "contrib/bench/floor.c")
    subprocess.run([os.environ.get("CC", "gcc"), "-static", "-O2", "-o", path, source], check=True)
    return path


def write_steps(path, environment, command):
    """The view that vrun would build, for floor.c."""
    plan = subprocess.run([VRUN, "--explain", environment, "--", command], stdout=subprocess.PIPE, text=True, check=True)
    with open(path, "w") as file:
        for line in plan.stdout.partition("\nview:\n")[2].partition("\n\n")[0].splitlines():
            kind, _, rest = line.strip().partition(" ")
            words = rest.strip().replace(",", "").split()
            if kind in ("show", "hold"):
                words = words[:1] + ["rw" if "writable" in words else "ro"]
            elif kind == "link":
                words = [words[0], words[2]]
            else:
                words = words[:1]
            if kind != "seal":
                print(kind, *words, file=file)
    return path


def run_contenders(scratch):
    """Start-up: a sandbox around a program that does nothing."""
    project = os.path.join(scratch, "project")
    environment = os.path.join(scratch, "env")
    os.makedirs(project)
    nothing = compile_nothing(project)
    subprocess.run([VBUILD, "--without-pip", environment], check=True)
    os.chdir(project)
    steps = write_steps(os.path.join(scratch, "steps"), environment, nothing)
    return [
        Contender("vrun", [VRUN, environment, "--", nothing]),
        Contender("no sandbox", [nothing]),
        Contender("the kernel's share (floor.c)", [compile_floor(scratch), steps, nothing]),
        installed("bubblewrap, same view", "bwrap", same_view(environment, project) + [nothing]),
        installed("firejail --noprofile", "firejail", ["--quiet", "--noprofile", "--net=none", nothing]),
        installed("unshare, namespaces only", "unshare", ["-Urmpinuf", nothing]),
    ]


def index_peers(scratch):
    """virtualenv and uv from the Python index, in an environment of their own. {name: path}, without those that failed."""
    private = os.path.join(scratch, "peers")
    subprocess.run([PYTHON, "-m", "venv", private], check=True)
    pip = [private + "/bin/python", "-m", "pip", "install", "-q", "--disable-pip-version-check"]
    found = {}
    for name in ("virtualenv", "uv"):
        result = subprocess.run(pip + [name], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        if result.returncode == 0:
            found[name] = os.path.join(private, "bin", name)
    return found


def build_contenders(scratch, peers, with_pip):
    target = os.path.join(scratch, "made")
    cache = os.path.join(scratch, "cache")

    def clean():
        shutil.rmtree(target, ignore_errors=True)

    def clean_all():
        clean()
        shutil.rmtree(cache, ignore_errors=True)

    os.environ["XDG_CACHE_HOME"] = cache
    os.environ["VIRTUALENV_OVERRIDE_APP_DATA"] = os.path.join(cache, "virtualenv")
    os.environ["UV_CACHE_DIR"] = os.path.join(scratch, "uv-cache")

    def peer(name, program, *options):
        if program not in peers:
            return Contender(name, missing=f"{program} could not be had from the Python index")
        return Contender(name, [peers[program], *options, target], clean)

    python = ["--python", PYTHON]
    if not with_pip:
        return [
            Contender("vbuild --without-pip", [VBUILD, *python, "--without-pip", target], clean),
            Contender("python3 -m venv --without-pip", [PYTHON, "-m", "venv", "--without-pip", target], clean),
            peer("virtualenv --no-seed", "virtualenv", "-q", *python, "--no-seed"),
            peer("uv venv", "uv", "venv", "-q", "--offline", *python),
        ]
    return [
        Contender("vbuild, again", [VBUILD, *python, target], clean),
        Contender("vbuild, first time", [VBUILD, *python, target], clean_all),
        Contender("python3 -m venv", [PYTHON, "-m", "venv", target], clean),
        peer("virtualenv, again", "virtualenv", "-q", *python),
        peer("uv venv --seed", "uv", "venv", "-q", "--seed", *python),
    ]


def warm_up(contenders):
    """One run of each that is not counted. One that cannot run here is missing, with the reason."""
    for contender in contenders:
        if contender.missing:
            continue
        try:
            contender.measure()
        except (OSError, RuntimeError) as error:
            contender.missing = str(error)
        contender.times.clear()


def measure(title, contenders, rounds):
    warm_up(contenders)
    present = [contender for contender in contenders if not contender.missing]
    for done in range(rounds):
        for contender in present:
            contender.measure()
        if sys.stderr.isatty():
            print(f"\r{title}: {done + 1} of {rounds}", end="" if done + 1 < rounds else "\r\033[K", file=sys.stderr)

    base = statistics.median(contenders[0].times) if contenders[0].times else None
    rows = []
    for contender in contenders:
        row = {"name": contender.name}
        if contender.missing:
            row["missing"] = contender.missing
        else:
            first, median, third = statistics.quantiles(contender.times, n=4)
            row.update(median_ms=median, quartiles_ms=[first, third], times_ms=contender.times)
            row["ratio"] = median / base if base else None
        rows.append(row)
    show(title, rows, rounds)
    return {"title": title, "rounds": rounds, "rows": rows}


def show(title, rows, rounds):
    print(f"\n{title}, {rounds} rounds")
    print(f"  {'':32} {'median':>10}   {'middle half':>19}   {'ratio':>7}")
    for row in rows:
        if "missing" in row:
            print(f"  {row['name']:32} missing: {row['missing']}")
            continue
        first, third = row["quartiles_ms"]
        ratio = f"{row['ratio']:7.2f}" if row["ratio"] else "      -"
        print(f"  {row['name']:32} {row['median_ms']:7.2f} ms   {first:7.2f} to {third:7.2f} ms  {ratio}")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=200, help="rounds for start-up; building takes fewer (default 200)")
    parser.add_argument("--json", metavar="FILE", help="write everything, with each time, there")
    parser.add_argument("--only", choices=["run", "build"], help="one of the two parts")
    parser.add_argument("--directory", metavar="DIR", help="where environments are made; a disk and memory differ much")
    arguments = parser.parse_args()
    json_path = os.path.abspath(arguments.json) if arguments.json else None

    scratch = tempfile.mkdtemp(prefix="vrun-bench-", dir=arguments.directory)
    results = []
    try:
        if arguments.only != "build":
            results.append(measure("a program that does nothing", run_contenders(scratch), arguments.rounds))
        if arguments.only != "run":
            peers = index_peers(scratch)
            results.append(measure("an environment without pip", build_contenders(scratch, peers, False), max(2, arguments.rounds // 5)))
            results.append(measure("an environment with pip", build_contenders(scratch, peers, True), max(2, arguments.rounds // 20)))
    finally:
        os.chdir("/")
        shutil.rmtree(scratch, ignore_errors=True)
    if json_path:
        machine = {"kernel": platform.release(), "machine": platform.machine(), "processors": os.cpu_count(),
                   "uid": os.getuid()}
        with open(json_path, "w") as file:
            json.dump({"machine": machine, "results": results}, file, indent=2)


if __name__ == "__main__":
    main()
