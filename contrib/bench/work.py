"""What a run costs while its command works: real programs inside against outside, and data through its output."""

import glob
import os
import pty
import subprocess
import tarfile
import termios
import time
import statistics

from measure import Contender, Table, progress, take_turns
from tools import ROOT, VBUILD, VRUN, PYTHON, bubblewrap

SYSTEM_CALLS = """
import os
descriptor = os.open("/dev/null", os.O_RDWR)
for _ in range(COUNT):
    os.stat("/usr"); os.getppid(); os.write(descriptor, b"x"); os.lseek(descriptor, 0, 0); os.close(os.dup(descriptor))
"""
PROCESSES = """
import subprocess
for _ in range(COUNT):
    subprocess.run(["/bin/true"], check=True)
"""
IMPORTS = """
import importlib
for number in range(COUNT):
    importlib.import_module(f"tree.part{number % 50}.module{number}")
"""


def write_script(place, name, text, count):
    path = os.path.join(place.project, name + ".py")
    with open(path, "w") as file:
        file.write(text.replace("COUNT", str(count)))
    return path


def write_tree(place, count):
    """A package of `count` modules in the environment, compiled."""
    packages = glob.glob(os.path.join(place.environment, "lib/python3.*/site-packages"))[0]
    for number in range(count):
        part = os.path.join(packages, "tree", f"part{number % 50}")
        os.makedirs(part, exist_ok=True)
        with open(os.path.join(part, f"module{number}.py"), "w") as file:
            file.write(f"import os\n\nVALUE = {number}\n\n\ndef function():\n    return os.getpid() + VALUE\n")
    subprocess.run([place.python, "-m", "compileall", "-q", os.path.join(packages, "tree")], check=True)


def inside_and_outside(key, title, place, words, rounds, environment=None):
    environment = environment or place.environment
    python = os.path.join(environment, "bin/python")
    listed = [Contender("outside", [python, *words]), Contender("vrun", [VRUN, environment, "--", "python", *words])]
    if environment == place.environment:
        listed.append(bubblewrap(place, [python, *words]))
    return take_turns(key, title, listed, rounds)


def work(place, settings):
    """[Table]"""
    scale = 1 if settings.work > 2 else 100
    count = 2000 // scale
    write_tree(place, count)
    scripts = [("calls", "a million system calls", SYSTEM_CALLS, 166_000 // scale),
               ("processes", "300 processes, one after the other", PROCESSES, 300 // scale),
               ("imports", f"import of {count} modules", IMPORTS, count)]
    tables = [inside_and_outside(f"work-{key}", title, place, [write_script(place, key, text, number)], settings.work)
              for key, title, text, number in scripts]
    tables.append(real_suite(place, settings))
    tables.append(transfer(place, settings))
    return tables


def real_suite(place, settings):
    """The test suite of click, as tests/integration/test_real_suite.py has it."""
    title = "the test suite of click 8.1"
    packages = os.environ.get("VRUN_TEST_PACKAGES", "")
    if not os.access(os.path.join(packages, "complete"), os.R_OK):
        return Table("work-suite", title, {}, [{"name": "suite", "missing": "its files are not here; ./dev check fetches them"}])
    environment = os.path.join(place.scratch, "suite-env")
    subprocess.run([VBUILD, "--python", PYTHON, environment], check=True)
    subprocess.run([environment + "/bin/pip", "install", "-q", "--no-index", "--disable-pip-version-check", "--only-binary", ":all:",
                    "--find-links", packages, "click", "pytest"], check=True)
    with tarfile.open(glob.glob(os.path.join(packages, "click-*.tar.gz"))[0]) as archive:
        archive.extractall(place.project)
    os.chdir(glob.glob(os.path.join(place.project, "click-*"))[0])
    try:
        return inside_and_outside("work-suite", title, place, ["-m", "pytest", "-q", "-p", "no:cacheprovider", "tests"],
                                  settings.work, environment)
    finally:
        os.chdir(place.project)


def transfer(place, settings):
    """How fast output arrives, by what standard output is."""
    size = settings.megabytes << 20
    writer = ["head", "-c", str(size), "/dev/zero"]
    commands = {"outside": writer, "vrun": [VRUN, place.environment, "--", *writer], "bubblewrap": bubblewrap(place, writer).command}
    rows = []
    for name, command in commands.items():
        if not command:
            rows.append({"name": name, "missing": "bwrap is not installed"})
            continue
        row = {"name": name}
        for kind, receive in (("pipe", through_pipe), ("terminal", through_terminal), ("file", into_file)):
            times = [receive(command, place) for _ in range(max(1, settings.work // 2))]
            row[kind] = settings.megabytes / statistics.median(times)
            progress(f"{settings.megabytes} MiB of output, {name}", 1, 1)
        rows.append(row)
    return Table("transfer", f"{settings.megabytes} MiB of output to a pipe, a terminal, a file",
                 {kind: (f"{kind} MiB/s", "{:.0f}") for kind in ("pipe", "terminal", "file")}, rows)


def drain(descriptor):
    received = 0
    while True:
        try:
            data = os.read(descriptor, 1 << 20)
        except OSError:  # EIO: the other end of a terminal is closed
            return received
        if not data:
            return received
        received += len(data)


def timed(command, output, received=None):
    """Seconds from the start to the end of `command`; `received` takes what it prints meanwhile."""
    began = time.perf_counter()
    process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=output)
    os.close(output)
    if received is not None:
        drain(received)
        os.close(received)
    if process.wait() != 0:
        raise RuntimeError(f"{command[0]}: exit status {process.returncode}")
    return time.perf_counter() - began


def through_pipe(command, _place):
    reading, writing = os.pipe()
    return timed(command, writing, reading)


def through_terminal(command, _place):
    master, slave = pty.openpty()
    attributes = termios.tcgetattr(slave)
    attributes[1] &= ~termios.OPOST
    termios.tcsetattr(slave, termios.TCSANOW, attributes)
    return timed(command, slave, master)


def into_file(command, place):
    path = os.path.join(place.scratch, "output")
    try:
        return timed(command, os.open(path, os.O_CREAT | os.O_TRUNC | os.O_WRONLY, 0o600))
    finally:
        os.unlink(path)
