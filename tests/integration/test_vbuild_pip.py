"""pip as vbuild runs it: in a sandbox that can write to the environment and to nothing else."""

import contextlib
import glob
import hashlib
import http.server
import io
import os
import shutil
import signal
import socket
import stat
import subprocess
import tarfile
import threading
import unittest
import zipfile

from harness import DEADLINE, wait_until
from support import SYSTEM_PYTHON, VBUILD, VRUN, run
from vbuild_case import Case

# Tells, in the environment, what a program that pip runs can do: change the host, read the home directory.
SETUP = """
import os, sys
from setuptools import setup
def attempt(what, path, mode):
    try:
        with open(path, mode) as file:
            if mode == "w": file.write("x")
        return what + " worked"
    except OSError as error:
        return what + " " + type(error).__name__
told = [attempt("outside", {outside!r}, "w"), attempt("beside", {beside!r}, "w"), attempt("secret", {secret!r}, "r"),
        attempt("inside", os.path.join({env!r}, "written-inside"), "w")]
with open(os.path.join({env!r}, "told"), "w") as file:
    file.write("\\n".join(told))
setup(name="hostile", version="1", py_modules=[])
"""


def write(path, text):
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, "w", encoding="utf-8") as file:
        file.write(text)
    return path


def make_wheel(directory, name, version="1.0"):
    """A wheel with one module that knows its version."""
    os.makedirs(directory, exist_ok=True)
    info = f"{name}-{version}.dist-info"
    files = {f"{name}.py": f"version = {version!r}\n",
             info + "/METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n",
             info + "/WHEEL": "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n"}
    path = os.path.join(directory, f"{name}-{version}-py3-none-any.whl")
    with zipfile.ZipFile(path, "w") as archive:
        for file, content in files.items():
            archive.writestr(file, content)
        archive.writestr(info + "/RECORD", "".join(f"{file},,\n" for file in [*files, info + "/RECORD"]))
    return path


def make_sdist(directory, name, setup):
    os.makedirs(directory, exist_ok=True)
    path = os.path.join(directory, f"{name}-1.tar.gz")
    with tarfile.open(path, "w:gz") as archive:
        for file, content in {"setup.py": setup, "PKG-INFO": f"Metadata-Version: 2.1\nName: {name}\nVersion: 1\n"}.items():
            member = tarfile.TarInfo(f"{name}-1/{file}")
            member.size = len(content.encode())
            archive.addfile(member, io.BytesIO(content.encode()))
    return path


@contextlib.contextmanager
def index(directory, log):
    """An index of `directory` (PEP 503) on loopback; gives its address. `log` gets the headers of each request."""
    class Handler(http.server.SimpleHTTPRequestHandler):
        def __init__(self, *arguments):
            super().__init__(*arguments, directory=directory)

        def do_GET(self):
            log.append((self.path, dict(self.headers)))
            super().do_GET()

        def log_message(self, *_):
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_address[1]}/simple/"
        finally:
            server.shutdown()
            thread.join()


class Pip(Case):
    def setUp(self):
        super().setUp()
        self.home = os.path.join(self.directory, "home")
        self.project = os.path.join(self.directory, "project")
        self.wheels = os.path.join(self.project, "wheels")
        os.makedirs(self.home)
        os.makedirs(self.project)
        self.variables = {"HOME": self.home, "PATH": os.environ["PATH"]}

    def requirements(self, text, name="requirements.txt"):
        return write(os.path.join(self.project, name), text)

    def version(self, name):
        result = run([self.env + "/bin/python", "-I", "-c", f"import {name}; print({name}.version)"])
        return result.stdout.strip()

    def install(self, *arguments, **variables):
        return self.vbuild("--python", SYSTEM_PYTHON, *arguments, self.env, env={**self.variables, **variables},
                           cwd=self.project)

    def installed(self, *arguments, **variables):
        result = self.install(*arguments, **variables)
        self.assertEqual((result.returncode, result.stdout), (0, ""), result.stderr)
        return result

    def make_index(self, *wheels):
        root = os.path.join(self.directory, "index")
        for path in wheels:
            name = os.path.basename(path).split("-")[0]
            place = os.path.join(root, "simple", name)
            os.makedirs(place, exist_ok=True)
            shutil.copy(path, place)
            links = "".join(f'<a href="{file}">{file}</a>\n' for file in sorted(os.listdir(place)) if file != "index.html")
            write(os.path.join(place, "index.html"), f"<!DOCTYPE html><html><body>{links}</body></html>")
        return root

    def test_from_a_directory(self):
        make_wheel(self.wheels, "one")
        make_wheel(self.wheels, "two")
        make_wheel(self.wheels, "three", "1.0")
        make_wheel(self.wheels, "three", "2.0")
        self.requirements("three<2\n", "constraints.txt")
        self.requirements("two\n", "more.txt")
        first = self.requirements("--no-index\n--find-links wheels\n-r more.txt\n-c constraints.txt\none\n")
        second = write(os.path.join(self.directory, "elsewhere/second.txt"), "three\n")
        self.installed("-r", first, "--requirement", second)
        self.assertEqual([self.version(name) for name in ("one", "two", "three")], ["1.0", "1.0", "1.0"])
        self.check([VBUILD, "--doctor", self.env])

    def test_names_relative_to_the_caller(self):
        make_wheel(self.wheels, "one")
        self.requirements("--no-index\n./wheels/one-1.0-py3-none-any.whl\n")
        self.installed("-r", "requirements.txt")
        self.assertEqual(self.version("one"), "1.0")

    def test_an_environment_inside_the_project(self):
        make_wheel(self.wheels, "one")
        self.env = os.path.join(self.project, ".venv")
        self.requirements("--no-index\n--find-links wheels\none\n")
        self.installed("-r", "requirements.txt")
        self.assertEqual(self.version("one"), "1.0")
        owner = os.stat(self.env).st_uid
        for parent, directories, files in os.walk(self.env):
            for name in directories + files:
                self.assertEqual(os.lstat(os.path.join(parent, name)).st_uid, owner, name)

    def test_requirements_inside_the_environment(self):
        make_wheel(self.wheels, "one")
        self.installed()
        inside = shutil.copy(self.requirements(f"--no-index\n{self.wheels}/one-1.0-py3-none-any.whl\n"), self.env)
        self.installed("-r", inside, PIP_FIND_LINKS=self.wheels)
        self.assertEqual(self.version("one"), "1.0")

    def test_from_an_index(self):
        root = self.make_index(make_wheel(self.wheels, "one"))
        self.requirements("one\n")
        requests = []
        with index(root, requests) as url:
            self.installed("-r", "requirements.txt", PIP_INDEX_URL=url.replace("//", "//name:word@"))
            self.assertEqual(self.version("one"), "1.0")
            self.assertTrue(any("Authorization" in headers for _, headers in requests), requests)
            # The same from pip.conf, and PIP_CONFIG_FILE before it.
            for variables in ({}, {"PIP_CONFIG_FILE": os.path.join(self.directory, "named.conf")}):
                for path in glob.glob(self.home + "/.config/pip/pip.conf"):
                    os.unlink(path)
                write(variables.get("PIP_CONFIG_FILE", self.home + "/.config/pip/pip.conf"),
                      f"[global]\nindex-url = {url}\n")
                shutil.rmtree(self.env)
                self.installed("-r", "requirements.txt", **variables)
                self.assertEqual(self.version("one"), "1.0")

    def test_settings_that_lead_elsewhere_are_not_passed_on(self):
        make_wheel(self.wheels, "one")
        self.requirements("--no-index\n--find-links wheels\none\n")
        elsewhere = os.path.join(self.directory, "target")
        self.installed("-r", "requirements.txt", PIP_TARGET=elsewhere, PIP_LOG=elsewhere + ".log", PYTHONPATH=self.project)
        self.assertEqual(self.version("one"), "1.0")
        self.assertEqual(glob.glob(elsewhere + "*"), [])

    def test_source_distributions_have_to_be_asked_for(self):
        make_sdist(self.wheels, "hostile", "raise SystemExit('setup.py was run')")
        self.requirements("--no-index\n--find-links wheels\nhostile\n")
        result = self.install("-r", "requirements.txt")
        self.assertEqual(result.returncode, 1)
        self.assertIn("cannot install the requirements in", result.stderr.splitlines()[-1])
        self.assertIn("No matching distribution", result.stderr)
        self.assertNotIn("setup.py was run", result.stderr)

    def hostile(self, variables):
        """Installs a source distribution whose setup.py does what it can; gives what it told."""
        outside = os.path.join(self.directory, "written-outside")
        beside = os.path.join(self.project, "written-beside")
        secret = write(os.path.join(self.home, ".ssh/id"), "secret")
        with open(secret, encoding="utf-8") as file:  # it is there, and we may read it
            self.assertEqual(file.read(), "secret")
        make_sdist(self.wheels, "hostile", SETUP.format(outside=outside, beside=beside, secret=secret, env=self.env))
        self.requirements("--no-index\n--find-links wheels\nhostile\n")
        # Its build needs setuptools, which the environment has, and no index.
        result = self.install("-r", "requirements.txt", PIP_NO_BINARY="hostile", PIP_NO_BUILD_ISOLATION="0", **variables)
        told = os.path.join(self.env, "told")
        self.assertTrue(os.path.exists(told), result.stderr)
        with open(told, encoding="utf-8") as file:
            return file.read().splitlines(), [outside, beside]

    def test_a_hostile_package_cannot_write_outside_the_environment(self):
        told, written = self.hostile({})
        self.assertEqual(told[-1], "inside worked")  # it did run, and could write somewhere
        # What it wrote "outside" went to the memory that the run has as /tmp.
        self.assertEqual(told[1:-1], ["beside OSError", "secret FileNotFoundError"])
        self.assertEqual([path for path in written if os.path.exists(path)], [])
        # Outside of the sandbox, the same program can.
        namespace = SETUP.format(outside=written[0], beside=written[1], secret=os.path.join(self.home, ".ssh/id"),
                                 env=self.env).replace("from setuptools import setup", "setup = dict")
        self.check([SYSTEM_PYTHON, "-I", "-c", namespace])
        self.assertEqual([path for path in written if not os.path.exists(path)], [])

    def run_of(self, builder):
        """The command lines that name the environment, but for that of `builder`."""
        found = []
        for path in glob.glob("/proc/[0-9]*/cmdline"):
            with contextlib.suppress(FileNotFoundError, ProcessLookupError), open(path, "rb") as file:
                line = file.read()
                if self.env.encode() in line and path.split("/")[2] != str(builder.pid):
                    found.append(line.replace(b"\0", b" "))
        return found

    def test_pip_ends_with_whoever_started_it(self):
        """However vbuild ends while pip waits for an index that does not answer."""
        file = self.requirements("one\n")
        for number in (signal.SIGKILL, signal.SIGTERM):
            with self.subTest(signal=number.name), socket.create_server(("127.0.0.1", 0)) as index:
                address = f"http://127.0.0.1:{index.getsockname()[1]}/simple/"
                index.settimeout(DEADLINE)
                builder = subprocess.Popen(
                    [VBUILD, "--clear", "--python", SYSTEM_PYTHON, "-r", file, self.env], cwd=self.project,
                    env={**self.variables, "PIP_INDEX_URL": address, "PIP_RETRIES": "0", "PIP_TIMEOUT": "1000"})
                try:
                    connection, _ = index.accept()
                    with connection:
                        lines = self.run_of(builder)
                        self.assertTrue(any(b"-m pip install" in line for line in lines), lines)
                        builder.send_signal(number)
                        self.assertEqual(builder.wait(DEADLINE), -number)
                        wait_until(lambda: not self.run_of(builder), "pip ends")
                finally:
                    builder.kill()
                    builder.wait()

    def test_a_home_directory_is_not_shown_for_a_file_in_it(self):
        make_wheel(self.wheels, "one")
        path = write(os.path.join(self.home, "requirements.txt"), "--no-index\none\n-r other.txt\n")
        write(os.path.join(self.home, "other.txt"), "")
        result = self.install("-r", path, PIP_FIND_LINKS=self.wheels)
        self.assertIn("other.txt", result.stderr)
        self.assertEqual(result.returncode, 1)
        write(path, "--no-index\none\n")
        self.installed("-r", path, PIP_FIND_LINKS=self.wheels)
        self.assertEqual(self.version("one"), "1.0")

    def test_upgrade_deps(self):
        self.installed()
        old = os.path.basename(glob.glob(self.env + "/lib/python3*/site-packages/pip-*.dist-info")[0])
        shutil.rmtree(self.env)
        wheel = glob.glob("/usr/share/python-wheels/pip-*.whl") or glob.glob(
            os.path.dirname(os.__file__) + "/ensurepip/_bundled/pip-*.whl")
        self.assertTrue(wheel, "no wheel of pip was found")
        newer = self.make_newer(wheel[0])
        result = self.install("--upgrade-deps", PIP_NO_INDEX="1", PIP_FIND_LINKS=newer)
        self.assertEqual((result.returncode, result.stdout), (0, ""), result.stderr)
        new = os.path.basename(glob.glob(self.env + "/lib/python3*/site-packages/pip-*.dist-info")[0])
        self.assertNotEqual(old, new)
        self.check([self.env + "/bin/pip", "--version"])

    def make_newer(self, wheel):
        """A directory with the same pip as version 99, and what else may be upgraded."""
        place = os.path.join(self.directory, "newer")
        os.makedirs(place)
        old = os.path.basename(wheel).split("-")[1]
        with zipfile.ZipFile(wheel) as source, zipfile.ZipFile(f"{place}/pip-99-py3-none-any.whl", "w") as target:
            for member in source.namelist():
                content = source.read(member)
                if member.endswith("/METADATA"):
                    content = content.replace(f"Version: {old}\n".encode(), b"Version: 99\n", 1)
                if member.endswith("/RECORD"):
                    content = content.replace(f"pip-{old}.".encode(), b"pip-99.")
                target.writestr(member.replace(f"pip-{old}.", "pip-99."), content)
        for other in glob.glob(os.path.dirname(wheel) + "/setuptools-*.whl"):
            shutil.copy(other, place)
        return place

    def test_nothing_is_made_when_pip_could_not_run(self):
        alone = os.path.join(self.directory, "alone")
        os.makedirs(alone)
        shutil.copy(VBUILD, alone)
        self.requirements("one\n")
        # A vrun that others can change, and one that a relative directory of PATH gives, are not taken.
        bad = write(os.path.join(self.directory, "bad/vrun"), "#!/bin/sh\ntouch canary\n")
        os.chmod(bad, 0o777)
        write(os.path.join(self.project, "vrun"), "#!/bin/sh\ntouch canary\n")
        os.chmod(os.path.join(self.project, "vrun"), 0o755)
        command = [alone + "/vbuild", "--python", SYSTEM_PYTHON, self.env]
        path = os.path.dirname(bad) + ":.::/usr/bin:/bin"
        modes = [(0o777, -1)]
        if os.geteuid() == 0:
            modes.append((0o775, 50))  # a group that is not root's
        else:
            print("only root can give files to another group: not tried with one that may write")
        for mode, group in modes:
            os.chmod(bad, mode)
            os.chown(bad, -1, group)
            for options in (["-r", "requirements.txt"], ["--upgrade-deps"], ["--compile=now"]):
                result = run([*command, *options], env={**self.variables, "PATH": path}, cwd=self.project)
                self.assertEqual((result.returncode, result.stdout), (1, ""), result.stderr)
                doing = "compile modules" if options == ["--compile=now"] else "run pip"
                self.assertRegex(result.stderr,
                                 rf"\Avbuild: cannot {doing} in isolation: there is no vrun .*; install vrun.*\n\Z")
                self.assertFalse(os.path.lexists(self.env))
        self.assertEqual(glob.glob(self.project + "/canary"), [])
        # In PATH, one that is ours is taken.
        make_wheel(self.wheels, "one")
        self.requirements("--no-index\n--find-links wheels\none\n")
        good = os.path.join(self.directory, "good")
        os.makedirs(good, mode=stat.S_IRWXU)
        shutil.copy(VRUN, good)
        self.check([*command, "-r", "requirements.txt"], env={**self.variables, "PATH": good + ":/usr/bin:/bin"},
                   cwd=self.project)
        self.assertEqual(self.version("one"), "1.0")

    def test_missing_requirements(self):
        self.assertIn("cannot read the requirements", self.refused("-r", self.project + "/none.txt", self.env))
        self.assertIn("no regular file", self.refused("-r", self.project, self.env))
        self.refused("-r", "x", "--without-pip", self.env, status=2)
        self.assertFalse(os.path.lexists(self.env))

    def test_hashes_are_checked(self):
        wheel = make_wheel(self.wheels, "one")
        with open(wheel, "rb") as file:
            digest = hashlib.sha256(file.read()).hexdigest()
        for word, status in (("0" * 64, 1), (digest, 0)):
            self.requirements(f"--no-index\n--find-links wheels\none==1.0 --hash=sha256:{word}\n")
            self.assertEqual(self.install("-r", "requirements.txt").returncode, status)


if __name__ == "__main__":
    unittest.main()
