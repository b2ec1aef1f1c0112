"""What the parts of the bench share: where the programs are, small programs to run, and the other tools in the same view."""

import json
import os
import platform
import shutil
import subprocess
import sys

from measure import Contender

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
VRUN = os.environ.get("VRUN", os.path.join(ROOT, "build/release/runner/vrun"))
VBUILD = os.environ.get("VBUILD", os.path.join(ROOT, "build/release/builder/vbuild"))
PYTHON = "/usr/bin/python3"
# No library, no start-up code: what is measured is the sandbox, not its guest.
PROGRAM = "void _start(void) { __asm__ volatile(CALL); }"
CALLS = {("x86_64", "exit"): "mov $60, %eax; xor %edi, %edi; syscall", ("aarch64", "exit"): "mov x8, #93; mov x0, #0; svc #0",
         ("x86_64", "pause"): "mov $34, %eax; syscall", ("aarch64", "pause"): "mov x8, #73; mov x1, #0; mov x2, #0; mov x3, #0; svc #0"}


def compiler():
    return os.environ.get("CC", "gcc")


def compile_program(directory, call):
    """A program that makes one system call, "exit" or "pause"."""
    path = os.path.join(directory, call)
    source = path + ".c"
    with open(source, "w") as file:
        file.write(PROGRAM.replace("CALL", json.dumps(CALLS[platform.machine(), call])))
    subprocess.run([compiler(), "-static", "-nostdlib", "-O2", "-o", path, source], check=True)
    return path


def compile_tool(directory, name):
    """One of the programs of the bench itself, "floor" or "instructions"."""
    path = os.path.join(directory, name)
    subprocess.run([compiler(), "-static", "-O2", "-o", path, os.path.join(ROOT, f"contrib/bench/{name}.c")], check=True)
    return path


class Place:
    """A directory with a project, an environment without packages and the small programs, of the user who measures."""

    def __init__(self, scratch):
        self.scratch = scratch
        self.project = os.path.join(scratch, "project")
        self.environment = os.path.join(scratch, "env")
        os.makedirs(self.project)
        self.nothing = compile_program(self.project, "exit")
        self.waiting = compile_program(self.project, "pause")
        self.floor = compile_tool(scratch, "floor")
        subprocess.run([VBUILD, "--python", PYTHON, "--without-pip", self.environment], check=True)
        self.python = os.path.join(self.environment, "bin/python")
        os.chdir(self.project)

    def directory(self, name):
        path = os.path.join(self.scratch, name)
        os.makedirs(path)
        return path


def installed(name, program, arguments, **more):
    path = shutil.which(program, path=os.environ["PATH"] + ":/usr/sbin:/sbin")
    return Contender(name, [path] + arguments, **more) if path else Contender(name, missing=f"{program} is not installed")


def links_of_root():
    """[(name, target or None)]: the names beside /usr, and where those lead that are links."""
    names = ("bin", "sbin", "lib", "lib32", "lib64", "libx32")
    return [(name, os.readlink("/" + name) if os.path.islink("/" + name) else None) for name in names if os.path.lexists("/" + name)]


def shown_of_etc():
    return [path for path in ("/etc/alternatives", "/etc/ld.so.cache", "/etc/localtime", "/etc/ssl") if os.path.exists(path)]


def masked():
    """Directories with packages of the system's Python."""
    return [path for path in ("/usr/lib/python3/dist-packages", f"/usr/local/lib/python3.{sys.version_info[1]}/dist-packages")
            if os.path.isdir(path)]


def private():
    return ["/tmp", "/var/tmp", "/run", os.path.expanduser("~")]


def bubblewrap(place, command, name="bubblewrap, same view"):
    """With the view of vrun: the system, the environment, the project, private places, its own /proc."""
    options = ["--unshare-all", "--die-with-parent", "--new-session", "--ro-bind", "/usr", "/usr"]
    for link, target in links_of_root():
        options += ["--symlink", target, "/" + link] if target else ["--ro-bind", "/" + link, "/" + link]
    for path in shown_of_etc():
        options += ["--ro-bind", path, path]
    for path in masked():
        options += ["--tmpfs", path]
    options += ["--proc", "/proc", "--dev", "/dev"]
    for path in private():
        options += ["--tmpfs", path]
    options += ["--bind", place.project, place.project, "--ro-bind", place.environment, place.environment]
    return installed(name, "bwrap", options + ["--chdir", place.project, "--clearenv", "--"] + command)


def container(place, program, command):
    """runc or crun with a bundle that has the same view. It wants a name for each container, so the same one is used again."""
    bundle = os.path.join(place.scratch, program)
    roots = os.path.join(place.scratch, program + "-state")
    if not os.path.exists(bundle):
        os.makedirs(os.path.join(bundle, "root"))
        os.makedirs(roots)
        for link, target in links_of_root():
            if target:
                os.symlink(target, os.path.join(bundle, "root", link))
    uid, gid = os.getuid(), os.getgid()

    def bind(path, *options):
        return {"destination": path, "type": "bind", "source": path, "options": ["rbind", "nosuid", *options]}

    def memory(path):
        return {"destination": path, "type": "tmpfs", "source": "tmpfs", "options": ["nosuid", "nodev"]}

    mounts = [bind("/usr", "ro")] + [bind("/" + link, "ro") for link, target in links_of_root() if not target]
    mounts += [bind(path, "ro") for path in shown_of_etc()] + [memory(path) for path in masked()]
    mounts += [{"destination": "/proc", "type": "proc", "source": "proc"},
               {"destination": "/dev", "type": "tmpfs", "source": "tmpfs", "options": ["nosuid", "mode=755"]},
               {"destination": "/dev/pts", "type": "devpts", "source": "devpts", "options": ["newinstance", "ptmxmode=0666"]}]
    mounts += [memory(path) for path in private()] + [bind(place.project), bind(place.environment, "ro")]
    namespaces = [{"type": kind} for kind in ("pid", "network", "ipc", "uts", "mount", "cgroup", *(["user"] if uid else []))]
    linux = {"namespaces": namespaces, "maskedPaths": ["/proc/kcore", "/proc/keys", "/proc/timer_list"],
             "readonlyPaths": ["/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys"]}
    if uid:  # without privilege it is root of its own user namespace
        linux.update(uidMappings=[{"containerID": 0, "hostID": uid, "size": 1}],
                     gidMappings=[{"containerID": 0, "hostID": gid, "size": 1}])
    config = {"ociVersion": "1.0.2", "root": {"path": "root", "readonly": True}, "mounts": mounts, "linux": linux, "hostname": "run",
              "process": {"user": {"uid": 0, "gid": 0}, "args": command, "cwd": place.project, "noNewPrivileges": True,
                          "env": ["PATH=/usr/bin:/bin"]}}
    with open(os.path.join(bundle, "config.json"), "w") as file:
        json.dump(config, file)
    return installed(f"{program}, same view", program, [*(["--cgroup-manager=disabled"] if program == "crun" else []),
                                                             "--root", roots, "run", "--bundle", bundle, "bench"])


def floor(place, command):
    """The kernel's share: the view that vrun would build, put up by a program that does nothing else."""
    path = os.path.join(place.scratch, "steps")
    plan = subprocess.run([VRUN, "--explain", "--verbose", place.environment, "--", command[0]], stdout=subprocess.PIPE, text=True, check=True)
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
    return Contender("the kernel's share (floor.c)", [place.floor, path, *command])
