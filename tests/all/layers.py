"""Leaves out each layer of a run in turn, and wants the tests that layers.txt names for it to turn red.

python3 layers.py SOURCE BUILD [LAYER...]: builds a vrun without the layer in BUILD, from SOURCE, and tries its tests and
the battery of attacks; all layers of policy/layers.h when none is named. As root, because some layers protect only root's
runs; the rest is tried as an ordinary user, everything in namespaces in which an attack that goes through harms nobody.
A layer without a red test is a failure, and so is a named test that stays green.
"""

import fcntl
import glob
import hashlib
import os
import re
import shutil
import socket
import struct
import subprocess
import sys
import time

HERE = os.path.dirname(os.path.abspath(__file__))
RUN = os.path.join(os.path.dirname(HERE), "integration/run.py")
BATTERY = "test_attacks.Attacks"
# One that nobody has: without a process namespace, "everybody" is whoever has the same number.
UID = 54321
SIOCSIFFLAGS, IFF_UP = 0x8914, 1


def read_table(path):
    """{layer: [(who, test)]}; who is "user", "root" or "unit"."""
    table, rows = {}, None
    with open(path, encoding="utf-8") as file:
        for line in file:
            words = line.split("#")[0].split()
            if not words:
                continue
            if not line[0].isspace():
                rows = table.setdefault(words.pop(0).rstrip(":"), [])
            rows += [tuple(word.split(":")) if ":" in word else ("user", word) for word in words]
    return table


def layers_of(source):
    with open(os.path.join(source, "policy/layers.h"), encoding="utf-8") as file:
        text = re.search(r"to_array<std::string_view>\(\s*\{(.*?)\}\)", file.read(), re.S).group(1)
    return re.findall(r'"([a-z-]+)"', text)


def build(source, directory, layer, units):
    """vrun without `layer`, and the unit tests of a run where they are wanted."""
    configure = ["cmake", "-S", source, "-B", directory, "-G", "Ninja", "-DCMAKE_BUILD_TYPE=Debug", "-DVRUN_DEVELOPER=ON",
                 f"-DVRUN_LEAVE_OUT={layer}"]
    for command in (configure, ["ninja", "-C", directory, "vrun", *(["unit_run"] if units else [])]):
        done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, encoding="utf-8")
        if done.returncode != 0:
            sys.exit(f"{command}:\n{done.stdout}")


def objects_of(source, directory, layer):
    """{source file: hash of what was compiled from it}, of those that ask for the layer."""
    found = {}
    for room in ("policy", "runner"):
        for path in glob.glob(os.path.join(source, room, "**/*.cc"), recursive=True):
            with open(path, encoding="utf-8") as file:
                if f'kept("{layer}")' not in file.read():
                    continue
            name = os.path.relpath(path, os.path.join(source, room))
            for compiled in glob.glob(os.path.join(directory, room, "CMakeFiles/*.dir", name + ".o")):
                with open(compiled, "rb") as file:
                    found[f"{room}/{name}"] = hashlib.sha256(file.read()).hexdigest()
    return found


def try_tests(vrun, who, names):
    """{test: whether it is red}. Skipped tests are left out, for they say nothing."""
    if not names:
        return {}
    options = ["--uid", str(UID)] if who == "user" else []
    command = ["unshare", "--net", "--pid", "--fork", "--mount-proc", "--kill-child", sys.executable, "-B", __file__, "--prepare",
               sys.executable, "-B", RUN, *options, *names]
    done = subprocess.run(command, env={**os.environ, "VRUN": vrun, "HOME": "/nonexistent"}, stdin=subprocess.DEVNULL,
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT, encoding="utf-8", errors="replace", timeout=600)
    results = {}
    # Of a class that could not be set up there is no line of a test: none of it counts as red.
    for name, outcome in re.findall(r"^(\S+)(?: \(.*\))?: (ok|FAILED|ERROR|skipped)", done.stdout, re.M):
        if name != "setUpClass" and outcome != "skipped":
            results[name] = results.get(name, False) or outcome != "ok"
    if not results:
        sys.exit(f"{command}:\n{done.stdout}")
    return results


def try_units(directory, names):
    program = os.path.join(directory, "tests/unit/unit_run")
    return {name: subprocess.run([program, "--gtest_filter=" + name], stdout=subprocess.DEVNULL).returncode != 0 for name in names}


def try_rows(directory, vrun, rows, battery):
    """{(who, test): red} of `rows`, and of the whole battery as an ordinary user."""
    results = {}
    for who in ("user", "root", "unit"):
        names = [test for kind, test in rows if kind == who]
        if who == "user" and battery:
            names = [name for name in names if not name.startswith(BATTERY)] + [BATTERY]
        found = try_units(directory, names) if who == "unit" else try_tests(vrun, who, names)
        results.update({(who, test): red for test, red in found.items()})
    return results


def label(row):
    return row[1] if row[0] == "user" else ":".join(row)


def main():
    source, directory, *chosen = sys.argv[1:]
    table = read_table(os.path.join(HERE, "layers.txt"))
    known = layers_of(source)
    problems = [f"layers.txt has {name}, and policy/layers.h has not" for name in table if name not in known]
    place = os.path.join(os.path.dirname(HERE), "layer")
    os.makedirs(place, exist_ok=True)
    os.chmod(place, 0o755)
    vrun = os.path.join(place, "vrun")

    rows = sorted({row for layer in chosen or known for row in table.get(layer, [])})
    build(source, directory, "", True)
    whole = {layer: objects_of(source, directory, layer) for layer in chosen or known}
    shutil.copy(os.path.join(directory, "runner/vrun"), vrun)
    control = try_rows(directory, vrun, rows, False)
    for row in rows:
        if control.get(row) is not False:
            problems.append(f"{label(row)} is not green with every layer: {'red' if row in control else 'skipped'}")
    print(f"with every layer: {sum(not red for red in control.values())} of {len(rows)} tests are green", flush=True)

    for layer in chosen or known:
        began = time.monotonic()
        build(source, directory, layer, any(who == "unit" for who, _ in table.get(layer, [])))
        # A build that left a file as it was would show nothing.
        without = objects_of(source, directory, layer)
        problems += [f"{layer}: {name} was compiled as with every layer" for name in without if without[name] == whole[layer].get(name)]
        if not without:
            problems.append(f"{layer}: nothing that was compiled asks for it")
        shutil.copy(os.path.join(directory, "runner/vrun"), vrun)
        version = subprocess.run([vrun, "--version"], stdout=subprocess.PIPE, encoding="utf-8").stdout
        if repr(layer) not in version:
            problems.append(f"{layer}: the test build calls itself {version!r}")
        installed = subprocess.run(["cmake", "--install", directory, "--prefix", place], stderr=subprocess.PIPE,
                                   stdout=subprocess.PIPE, encoding="utf-8")
        if installed.returncode == 0 or "protects nobody" not in " ".join(installed.stderr.split()):
            problems.append(f"{layer}: the test build can be installed")
        wanted = table.get(layer, [])
        results = try_rows(directory, vrun, wanted, True)
        red = sorted((row for row in results if results[row]), key=label)
        print(f"without {layer} ({time.monotonic() - began:.0f} s), red: {' '.join(map(label, red)) or 'nothing'}", flush=True)
        problems += [f"{layer}: {label(row)} {'stays green' if row in results else 'did not run'}" for row in wanted if not results.get(row)]
        if not wanted:
            problems.append(f"{layer}: layers.txt names no test for it")
    for problem in problems:
        print("FAILED: " + problem)
    print(f"{len(chosen or known)} layers, {len(problems)} problems")
    return 1 if problems else 0


def prepare_namespaces(command):
    """Runs `command` in the new namespaces, of which this process is pid 1."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as any_socket:
        fcntl.ioctl(any_socket, SIOCSIFFLAGS, struct.pack("16sh14x", b"lo", IFF_UP))
    # Numbers of processes that a run does not have, too, as on a machine that has been up for a while.
    with open("/proc/sys/kernel/ns_last_pid", "w", encoding="ascii") as file:
        file.write("20000")
    return subprocess.call(command)


if __name__ == "__main__":
    if sys.argv[1] == "--prepare":
        sys.exit(prepare_namespaces(sys.argv[2:]))
    sys.exit(main())
