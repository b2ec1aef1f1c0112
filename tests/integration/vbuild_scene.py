"""vbuild with one system call of it that fails, or is the last one before SIGKILL: ENV_DIR has to be absent, whole, or as
it was, and the next build has to put everything right.

The environment is small, so that there are hundreds of calls and not thousands: its wheels are made here. Four cases:
ENV_DIR is new; exists and is brought up to date; exists and gets another version of a wheel (--install); exists and is
replaced (--clear). strace(1) makes the calls fail.
"""

import base64
import collections
import hashlib
import os
import re
import shutil
import stat
import subprocess
import sys
import tempfile
import zipfile

CASES = ("new", "updated", "given", "replaced")

# What each call can answer besides success, by its manual page.
SPACE = ("ENOSPC", "EDQUOT")
ERRORS = {
    "openat": ("EACCES", "EMFILE", "EIO"),
    "openat2": ("ENOSPC", "EDQUOT", "EACCES", "EMFILE", "EROFS", "EIO", "EINTR"),
    "open": ("EACCES", "EMFILE"),
    "read": ("EIO", "EINTR"),
    "pread64": ("EIO", "EINTR"),
    "write": (*SPACE, "EIO", "EINTR"),
    "copy_file_range": (*SPACE, "EIO", "EXDEV", "EINTR"),
    "mkdir": (*SPACE, "EACCES", "EROFS", "EIO"),
    "mkdirat": (*SPACE, "EACCES", "EROFS", "EIO"),
    "symlinkat": (*SPACE, "EACCES", "EROFS", "EIO", "EPERM"),
    "rename": (*SPACE, "EACCES", "EROFS", "EIO"),
    "renameat": (*SPACE, "EACCES", "EROFS", "EIO"),
    "renameat2": (*SPACE, "EACCES", "EROFS", "EIO", "EINVAL"),
    "fchmod": ("EPERM", "EROFS", "EIO"),
    "fchown": ("EPERM", "EROFS", "EIO"),
    "unlinkat": ("EACCES", "EROFS", "EIO"),
    "newfstatat": ("EACCES", "EIO"),
    "fstat": ("EIO",),
    "statx": ("EACCES", "EIO"),
    "readlinkat": ("EACCES", "EIO"),
    "getdents64": ("EIO",),
    "getcwd": ("ENOENT",),
    "flock": ("EINTR", "ENOLCK"),
    "mmap": ("ENOMEM",),
    "utimensat": ("EPERM", "EIO"),
    "fsync": ("EIO", "ENOSPC"),
    "getrandom": ("EINTR",),
}
# Interrupted, they are to be called again.
REPEATED = "EINTR"


def wheel(directory, project, version):
    """A wheel with one module and, for pip, one program."""
    info = f"{project}-{version}.dist-info"
    files = {
        f"{project}/__init__.py": f"__version__ = {version!r}\n",
        f"{info}/METADATA": f"Metadata-Version: 2.1\nName: {project}\nVersion: {version}\n",
        f"{info}/WHEEL": "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    }
    if project == "pip":
        files[f"{info}/entry_points.txt"] = "[console_scripts]\npip = pip:main\n"
    if project == "given":
        # What the other version has not.
        files[f"given/only_{version}.py"] = f"value = {version!r}\n"
        files[f"given-{version}.data/scripts/given-{version}"] = "#!python\n"
        files[f"given-{version}.data/data/share/given/{version}"] = version
        # A file that becomes a directory, and the reverse.
        for one, name in (("0.1", "kind"), ("0.2", "other")):
            files[f"given-{version}.data/data/share/{name}" + ("" if version == one else "/deep/x")] = version
    rows = []
    for name, text in files.items():
        digest = base64.urlsafe_b64encode(hashlib.sha256(text.encode()).digest()).rstrip(b"=").decode()
        rows.append(f"{name},sha256={digest},{len(text)}\n")
    files[f"{info}/RECORD"] = "".join(rows) + f"{info}/RECORD,,\n"
    with zipfile.ZipFile(os.path.join(directory, f"{project}-{version}-py3-none-any.whl"), "w") as archive:
        for name, text in files.items():
            archive.writestr(name, text)


def snapshot(directory):
    """{relative path: (kind, mode, content)}; nothing when there is no directory."""
    if not os.path.lexists(directory):
        return None
    tree = {}
    for parent, directories, files in os.walk(directory):
        for name in directories + files:
            path = os.path.join(parent, name)
            mode = os.lstat(path).st_mode
            if stat.S_ISLNK(mode):
                value = ("link", os.readlink(path))
            elif stat.S_ISDIR(mode):
                value = ("directory", stat.S_IMODE(mode))
            else:
                with open(path, "rb") as file:
                    value = ("file", stat.S_IMODE(mode), file.read())
            tree[os.path.relpath(path, directory)] = value
    return tree


class Scene:
    """A directory with wheels, and the environment as it was and as it is to become."""

    def __init__(self, vbuild, python, name):
        self.vbuild, self.python, self.name = vbuild, python, name
        self.base = tempfile.mkdtemp(prefix="vbuild-faults-")
        self.parent = os.path.join(self.base, "parent")
        self.env = os.path.join(self.parent, "env")
        for version in ("0.1", "0.2"):
            os.makedirs(self.wheels(version))
            for project in ("pip", "setuptools", "given"):
                wheel(self.wheels(version), project, version)
        self.fresh()
        self.old = snapshot(self.env)
        result = self.run()
        if result.returncode != 0:
            sys.exit(f"vbuild does not work without faults: {result.stderr}")
        self.new = snapshot(self.env)
        assert self.new is not None and self.old != self.new

    def wheels(self, version):
        return os.path.join(self.base, "wheels-" + version)

    def command(self, version="0.2", prompt="new"):
        options = ["--clear"] if self.name == "replaced" and version == "0.2" else []
        if self.name == "given":
            options = ["--without-pip", "--install", f"{self.wheels(version)}/given-{version}-py3-none-any.whl"]
        return [self.vbuild, *options, "--python", self.python, "--prompt", prompt, "--wheel-dir", self.wheels(version),
                self.env]

    def fresh(self):
        """The directory as it is before the build."""
        shutil.rmtree(self.parent, ignore_errors=True)
        os.mkdir(self.parent)
        if self.name != "new":
            subprocess.run(self.command("0.1", "old"), check=True, env=self.environment())
            with open(os.path.join(self.env, "note"), "w", encoding="ascii") as file:
                file.write("of the user\n")

    def environment(self):
        return {"PATH": "/usr/local/bin:/usr/bin:/bin", "HOME": self.base, "LC_ALL": "C.UTF-8"}

    def run(self, *tracer):
        return subprocess.run([*tracer, *self.command()], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                              stderr=subprocess.PIPE, text=True, timeout=120, env=self.environment(), cwd=self.base)

    def calls(self):
        """[(call, which one of its kind)] from the first line of main() on, in order."""
        self.fresh()
        log = os.path.join(self.base, "log")
        self.run("strace", "-f", "-qq", "-o", log)
        counts = collections.Counter()
        found = []
        started = False
        with open(log, encoding="utf-8", errors="replace") as file:
            for line in file:
                match = re.match(r"\d+ +([a-z0-9_]+)\(", line)
                if not match:
                    continue
                call = match.group(1)
                counts[call] += 1
                started = started or call == "getcwd"
                if started:
                    found.append((call, counts[call]))
        return found

    def is_whole_mixture(self, tree):
        """Of an environment that is brought up to date: whole files, old or new, and pyvenv.cfg at the very end."""
        for path, value in tree.items():
            if path.split(os.sep)[0].startswith(".vbuild-"):
                continue
            if value not in (self.old.get(path), self.new.get(path)):
                return f"{path} is neither old nor new"
        cfg = tree.get("pyvenv.cfg")
        if cfg is None:
            return "pyvenv.cfg is gone"
        if cfg == self.new["pyvenv.cfg"]:
            for path, value in self.new.items():
                if tree.get(path) != value:
                    return f"pyvenv.cfg is new and {path} is not"
        return None

    def complaint(self):
        """What is wrong with what is there after a build that did not succeed."""
        tree = snapshot(self.env)
        if self.name in ("updated", "given"):
            problem = "it is gone" if tree is None else self.is_whole_mixture(tree)
            if problem:
                return problem
        elif tree not in (self.old, self.new):
            return "it is neither as it was nor whole"
        return None

    def leftovers(self):
        inside = os.listdir(self.env) if os.path.isdir(self.env) else []
        return ([name for name in os.listdir(self.parent) if name != "env"] +
                [name for name in inside if name.startswith(".vbuild-")])

    def try_fault(self, call, number, fault):
        """What went wrong, or nothing."""
        self.fresh()
        killed = fault == "KILL"
        effect = "signal=KILL" if killed else f"error={fault}"
        result = self.run("strace", "-f", "-qq", "-o", "/dev/null", "-e", f"trace={call}", "-e",
                          f"inject={call}:{effect}:when={number}")
        if killed:
            if result.returncode == 0:
                return "it was not killed"
            problem = self.complaint()
        elif result.returncode == 0:
            # What it worked in may stay when it cannot be removed.
            tree = {path: value for path, value in (snapshot(self.env) or {}).items() if not path.startswith(".vbuild-")}
            problem = None if tree == self.new else "it says that it succeeded, and the result differs"
        elif result.returncode == 1:
            problem = self.complaint()
            if not re.fullmatch(r"vbuild: [^\n]+\n", result.stderr):
                problem = f"its message is {result.stderr!r}"
            elif fault == REPEATED:
                problem = f"it gave up: {result.stderr.strip()}"
            elif problem is None and snapshot(self.env) == self.old and call != "unlinkat" and self.leftovers():
                problem = f"it left {self.leftovers()}"
        else:
            problem = f"it ended with {result.returncode}: {result.stderr.strip()}"
        if problem:
            return problem
        again = self.run()
        if again.returncode != 0:
            return f"the next build failed: {again.stderr.strip()}"
        if snapshot(self.env) != self.new:
            return "the next build did not put it right"
        if self.leftovers():
            return f"the next build left {self.leftovers()}"
        return None
