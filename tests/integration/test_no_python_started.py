"""vbuild starts no program: every build here runs under a filter of the kernel that kills whoever tries."""

import os
import shutil
import signal
import sys
import unittest

from support import IN_CI, ROOT, SYSTEM_PYTHON, VBUILD, cpythons, run
from vbuild_case import Case, pythons

ONLY_EXEC = os.path.join(ROOT, "tests/integration/only_exec.py")
UNAVAILABLE = 77


def run_alone(command, **options):
    return run([sys.executable, "-I", ONLY_EXEC, *command], **options)


class NoPythonIsStarted(Case):
    def setUp(self):
        super().setUp()
        # Of what this does, nothing is forbidden.
        result = run_alone(["/bin/sh", "-c", "exit 3"])
        if result.returncode == UNAVAILABLE:
            if IN_CI:
                self.fail("needed in CI: " + result.stderr)
            self.skipTest(result.stderr.strip())
        self.assertEqual(result.returncode, 3, result.stderr)

    def build_alone(self, *arguments, directory=None, **options):
        """A build that ends well under the filter, silently, and whose result starts."""
        directory = directory or self.env
        result = run_alone([VBUILD, *arguments, directory], **options)
        self.assertEqual((result.returncode, result.stdout, result.stderr), (0, "", ""))
        self.check([directory + "/bin/python", "-I", "-c", "import sys; assert sys.prefix != sys.base_prefix"])

    def test_the_filter_kills(self):
        """Otherwise the other tests would prove nothing."""
        for code in ("os.execv('/bin/true', ['true'])", "os.fork()", "os.posix_spawn('/bin/true', ['true'], {})",
                     "os.execve(os.open('/bin/true', os.O_RDONLY), ['true'], {})"):
            with self.subTest(code=code):
                result = run_alone([SYSTEM_PYTHON, "-I", "-c", "import os; " + code])
                self.assertEqual(result.returncode, -signal.SIGSYS, result.stderr)
        threads = "import threading; t = threading.Thread(target=print, args=['ran']); t.start(); t.join()"
        result = run_alone([SYSTEM_PYTHON, "-I", "-c", threads])
        self.assertEqual((result.returncode, result.stdout), (0, "ran\n"), result.stderr)

    def test_the_filter_reaches_vbuild(self):
        """The one thing that needs a Python, and says so in the manual."""
        result = run_alone([VBUILD, "--python", SYSTEM_PYTHON, "--without-pip", "--upgrade-deps", self.env])
        self.assertEqual(result.returncode, -signal.SIGSYS, result.stderr)

    def test_every_python(self):
        for python in pythons():
            for options in ([], ["--without-pip"], ["--copies", "--without-pip"], ["--system-site-packages"]):
                with self.subTest(python=python, options=options):
                    self.build_alone("--python", python, "--clear", *options)

    def test_again_and_upgraded(self):
        for python in pythons():
            with self.subTest(python=python):
                self.build_alone("--python", python, "--clear", "--without-pip")
                self.build_alone("--python", python)
                self.build_alone("--python", python, "--upgrade")

    def test_from_inside_an_environment(self):
        for python in pythons():
            for options in ([], ["--copies"]):
                outer = os.path.join(self.directory, "outer")
                self.build("--without-pip", *options, outer, python=python)
                inside = dict(os.environ, VIRTUAL_ENV=outer, PATH=outer + "/bin:/usr/bin:/bin")
                with self.subTest(python=python, options=options):
                    if not options or python in [path for _, path in cpythons()]:
                        self.build_alone("--clear", "--without-pip", env=inside)
                        self.build_alone("--clear", "--without-pip", "--python", outer + "/bin/python")
                shutil.rmtree(outer)

    def test_through_symbolic_links(self):
        for python in pythons():
            prefix = os.path.dirname(os.path.dirname(python))
            links = {"program": python, "tree": prefix}
            for name, target in links.items():
                link = os.path.join(self.directory, name)
                os.symlink(target, link)
                asked = link if name == "program" else os.path.join(link, os.path.relpath(python, prefix))
                with self.subTest(python=python, link=name):
                    self.build_alone("--clear", "--without-pip", "--python", asked)
                os.unlink(link)

    def test_searched_for(self):
        for python in ("3", ">=3.8", "python3"):
            with self.subTest(python=python):
                self.build_alone("--clear", "--without-pip", "--python", python)
        self.build_alone("--clear")

    def test_every_form_of_the_option(self):
        """Names, versions, ranges and directories, in PATH and where version managers install: what is found is read."""
        home = os.path.join(self.directory, "home")
        canary = os.path.join(self.directory, "canary")
        expected = {}
        for place, version, flags in ((".pyenv/versions/3.12.0", "3.12", ""), (".local/share/uv/python/cpython-3.14.0-linux", "3.14", ""),
                                      (".local/share/mise/installs/python/3.13.0t", "3.13", "t"),
                                      (".asdf/installs/python/3.15.0", "3.15", ""), ("miniconda3/envs/data", "3.10", "")):
            self.stub_python(os.path.join("home", place), version=version, flags=flags)
            expected[version + flags] = os.path.join(home, place)
        # A program of PATH that would tell that it was started.
        os.makedirs(home + "/bin")
        for name in ("python3.12", "python3", "python", "pypy3.9"):
            with open(f"{home}/bin/{name}", "w", encoding="utf-8") as file:
                file.write(f"#!/bin/sh\ntouch {canary}\n")
            os.chmod(f"{home}/bin/{name}", 0o755)
        # Of 3.10 on, so that no Python of the machine comes first: PATH has none.
        variables = {"HOME": home, "PATH": home + "/bin"}
        forms = [(spec, version) for version in expected for spec in (version, version + ".0" if "t" not in version else version)]
        forms += [("cpython3.14", "3.14"), ("==3.15.*", "3.15"), (">=3.15,<3.16", "3.15"), ("~=3.10.0", "3.10"),
                  (expected["3.14"], "3.14"), (expected["3.14"] + "/bin", "3.14"), (expected["3.13t"] + "/bin/python3.13t", "3.13t"),
                  ("home/miniconda3/envs/data", "3.10")]
        machine = {"3.%d" % version[1] for version, path in cpythons() if path.startswith(("/usr", "/opt"))}
        for spec, version in forms:
            if version in machine and "/" not in spec:
                continue
            with self.subTest(spec=spec):
                result = run_alone([VBUILD, "--clear", "--without-pip", "--python", spec, self.env], env=variables, cwd=self.directory)
                self.assertEqual((result.returncode, result.stdout, result.stderr), (0, "", ""))
                self.assertTrue(os.path.realpath(self.env + "/bin/python3").startswith(expected[version] + "/"))
        for spec in ("python3.12", "pypy3.9", "3.99", "nonsense", "python3", None):
            with self.subTest(spec=spec):
                words = [] if spec is None else ["--python", spec]
                result = run_alone([VBUILD, "--clear", "--without-pip", *words, self.env], env=variables, cwd=self.directory)
                self.assertEqual((result.returncode, result.stdout), (1, ""), result.stderr)
                self.assertRegex(result.stderr, r"\Avbuild: [^\n]+\n\Z")
        self.assertFalse(os.path.exists(canary))

    def test_shims_of_every_manager(self):
        """The choice is read from where each manager has it: variables, files here and above, the user's own."""
        home = os.path.join(self.directory, "home")
        project = os.path.join(home, "project/deep")
        os.makedirs(project)
        roots = {"pyenv": ".pyenv", "mise": ".local/share/mise", "asdf": ".asdf"}
        canary = os.path.join(self.directory, "canary")
        for root in roots.values():
            versions = "versions" if root == ".pyenv" else "installs/python"
            for version in ("3.12", "3.14"):
                self.stub_python(f"home/{root}/{versions}/{version}.0", version=version)
            os.mkdir(f"{home}/{root}/shims")
            with open(f"{home}/{root}/shims/python3", "w", encoding="utf-8") as file:
                file.write(f"#!/bin/sh\ntouch {canary}\n")
            os.chmod(f"{home}/{root}/shims/python3", 0o755)

        def chosen(root, files=(), words=(), **variables):
            for path, text in files:
                os.makedirs(os.path.dirname(os.path.join(home, path)), exist_ok=True)
                with open(os.path.join(home, path), "w", encoding="utf-8") as file:
                    file.write(text)
            environment = {"HOME": home, "PATH": f"{home}/{root}/shims:/usr/bin:/bin", **variables}
            result = run_alone([VBUILD, "--clear", "--without-pip", *words, self.env], env=environment, cwd=project)
            for path, _ in files:
                os.unlink(os.path.join(home, path))
            self.assertEqual((result.returncode, result.stdout, result.stderr), (0, "", ""))
            return os.path.relpath(os.readlink(self.env + "/bin/python3"), os.path.join(home, root)).split("/")[-3]

        for name, files, variables in (
                ("pyenv", [], {"PYENV_VERSION": "3.14.0"}), ("pyenv", [], {"PYENV_VERSION": "3.14"}),
                ("pyenv", [(".pyenv/version", "3.14.0\n")], {}),
                ("pyenv", [(".pyenv/version", "3.12.0\n"), ("project/.python-version", "3.14.0\n")], {}),
                ("pyenv", [("project/.python-version", "3.12.0\n"), ("project/deep/.python-version", "3.14\n")], {}),
                ("mise", [], {"MISE_PYTHON_VERSION": "3.14"}), ("mise", [("project/mise.toml", '[tools]\npython = "3.14"\n')], {}),
                ("mise", [("project/.tool-versions", "python 3.14.0\n")], {}),
                ("mise", [(".config/mise/config.toml", '[tools]\npython = "3.14"\n')], {}),
                ("asdf", [], {"ASDF_PYTHON_VERSION": "3.14.0"}), ("asdf", [("project/deep/.tool-versions", "python 3.14.0\n")], {}),
                ("asdf", [(".tool-versions", "nodejs 1\npython 3.14.0 3.12.0\n")], {})):
            with self.subTest(manager=name, files=files, variables=variables):
                self.assertEqual(chosen(roots[name], files, **variables), "3.14.0")
                shim = f"{home}/{roots[name]}/shims/python3"
                self.assertEqual(chosen(roots[name], files, ["--python", shim], **variables), "3.14.0")
        self.assertFalse(os.path.exists(canary))

    def test_the_shim_of_a_version_manager_is_read_and_not_run(self):
        """pyenv's shims are shell scripts; where one leads is told by PYENV_VERSION and the files of its root."""
        root = os.path.join(self.directory, "pyenv")
        prefix = os.path.dirname(os.path.dirname(os.path.realpath(cpythons()[-1][1])))
        os.makedirs(root + "/shims")
        os.makedirs(root + "/versions")
        os.symlink(prefix, root + "/versions/3.99.0")
        canary = os.path.join(self.directory, "canary")
        for name in ("python", "python3"):
            with open(f"{root}/shims/{name}", "w", encoding="utf-8") as file:
                file.write(f"#!/usr/bin/env bash\ntouch {canary}\nexport PYENV_ROOT={root}\nexec pyenv exec {name}\n")
            os.chmod(f"{root}/shims/{name}", 0o755)
        variables = {"PATH": f"{root}/shims:/usr/bin:/bin", "HOME": self.directory, "PYENV_ROOT": root,
                     "PYENV_VERSION": "3.99.0"}
        self.build_alone("--without-pip", env=variables)
        self.assertFalse(os.path.exists(canary))
        with open(self.env + "/pyvenv.cfg", encoding="utf-8") as file:
            found = file.read()
        shutil.rmtree(self.env)
        self.build_alone("--without-pip", "--python", root + "/versions/3.99.0/bin/python3", env=variables)
        with open(self.env + "/pyvenv.cfg", encoding="utf-8") as file:
            self.assertEqual(found, file.read())


if __name__ == "__main__":
    unittest.main()
