"""Packages of the system, of the user and of other environments are absent, by every road of research/threats.md §2.

Each row is code that prints REACHED or ends with an exception. It has to reach the package outside, must not reach it
in an environment of its own, and reaches it again in one made with --system-site-packages.
"""

import glob
import os
import sys
import unittest

from harness import PROBE, SYSTEM_PYTHON, Case, make_environment, missing, read, run, site_packages, write

# What rows can use. DIST is the directory of the system's packages, NAME one of them, IMPORT code that imports it.
PRELUDE = """
import glob, importlib.util, os, runpy, shutil, site, subprocess, sys, tempfile
DIST, NAME, SOURCE, SHARED_OBJECT, PROBE = sys.argv[1:6]
IMPORT = f"import {NAME}; print('REACHED')"
HERE = "import sys; sys.path.append(%r); " % DIST + IMPORT
def start(*words, **variables):
    environment = {**os.environ, **variables}
    ended = subprocess.run(words, env=environment)
    sys.exit(ended.returncode)
"""

NOT_FOUND, NO_FILE = "ModuleNotFoundError: No module named", "FileNotFoundError: [Errno 2]"
# (row of threats.md, what it is, code, the beginning of the last line of stderr inside)
ROWS = [
    ("P-02", "PYTHONPATH for a child", "start(sys.executable, '-c', IMPORT, PYTHONPATH=DIST)", NOT_FOUND),
    ("P-03", "sys.path.append", "exec(HERE)", NOT_FOUND),
    ("P-03", "sys.path.insert", "sys.path.insert(0, DIST); exec(IMPORT)", NOT_FOUND),
    ("P-03", "site.addsitedir", "site.addsitedir(DIST); exec(IMPORT)", NOT_FOUND),
    ("P-03", "-S", "start(sys.executable, '-S', '-c', HERE)", NOT_FOUND),
    ("P-03", "-E", "start(sys.executable, '-E', '-c', HERE)", NOT_FOUND),
    ("P-03", "-I", "start(sys.executable, '-I', '-c', HERE)", NOT_FOUND),
    ("P-03", "-s", "start(sys.executable, '-s', '-c', HERE)", NOT_FOUND),
    ("P-05", "the system's Python", f"start({SYSTEM_PYTHON!r}, '-c', IMPORT)", NOT_FOUND),
    ("P-05", "the system's Python, by PATH", "start('/usr/bin/env', 'python3', '-c', IMPORT, PATH='/usr/bin:/bin')",
     NOT_FOUND),
    ("P-05", "a script of the system's Python",
     f"open('s', 'w').write('#!{SYSTEM_PYTHON}\\n' + IMPORT); os.chmod('s', 0o755); start('./s')", NOT_FOUND),
    ("P-06", "execv of the base executable",
     "os.execv(sys._base_executable, [sys._base_executable, '-c', IMPORT])", NOT_FOUND),
    ("P-06", "the executable's real path", "start(os.path.realpath(sys.executable), '-c', IMPORT)", NOT_FOUND),
    ("P-07", "another argv[0]",
     f"os.execv(sys.executable, [{SYSTEM_PYTHON!r}, '-c', IMPORT])", NOT_FOUND),
    ("P-08", "a link to the interpreter",
     "d = tempfile.mkdtemp(); os.symlink(os.path.realpath(sys.executable), d + '/python');"
     "start(d + '/python', '-c', IMPORT)", NOT_FOUND),
    ("P-08", "a copy of the interpreter",
     "d = tempfile.mkdtemp(); shutil.copy(os.path.realpath(sys.executable), d + '/python');"
     "start(d + '/python', '-c', IMPORT, PYTHONHOME=sys.base_prefix, PYTHONPATH=DIST)", NOT_FOUND),
    ("P-09", "an environment of its own, with the system's packages",
     "import venv; d = tempfile.mkdtemp(); venv.create(d, system_site_packages=True, symlinks=True);"
     "start(d + '/bin/python', '-c', IMPORT)", NOT_FOUND),
    ("P-09", "a pyvenv.cfg of its own",
     "d = tempfile.mkdtemp(); os.mkdir(d + '/bin'); os.symlink(os.path.realpath(sys.executable), d + '/bin/python');"
     "open(d + '/pyvenv.cfg', 'w').write('home = /usr/bin\\ninclude-system-site-packages = true\\n');"
     "start(d + '/bin/python', '-c', IMPORT)", NOT_FOUND),
    ("P-20", "spec_from_file_location",
     "s = importlib.util.spec_from_file_location('m', SOURCE); importlib.util.module_from_spec(s);"
     "s.loader.get_data(SOURCE); print('REACHED')", NO_FILE),
    ("P-20", "run_path", "sys.path.append(DIST); open(SOURCE).close(); print('REACHED')", NO_FILE),
    ("P-20", "exec of its text", "compile(open(SOURCE, 'rb').read(), 'm', 'exec'); print('REACHED')", NO_FILE),
    ("P-22", "ctypes.CDLL", "import ctypes; ctypes.CDLL(SHARED_OBJECT); print('REACHED')", "OSError: "),
    ("P-22", "another directory for libraries, for a child",
     "start(sys.executable, '-c', 'import ctypes; ctypes.CDLL(%r); print(\"REACHED\")' %"
     "      os.path.basename(SHARED_OBJECT), LD_LIBRARY_PATH=DIST)", "OSError: "),
    ("P-23", "/proc/self/root", "sys.path.append('/proc/self/root' + DIST); exec(IMPORT)", NOT_FOUND),
    ("P-23", "/proc/self/cwd", "os.chdir('/'); sys.path.append('/proc/self/cwd' + DIST); exec(IMPORT)", NOT_FOUND),
    ("P-23", "/proc/*/root of every process",
     "sys.path.extend(p + DIST for p in glob.glob('/proc/[0-9]*/root')); exec(IMPORT)", NOT_FOUND),
    ("P-23", "above the root", "sys.path.append('/../../..' + DIST); exec(IMPORT)", NOT_FOUND),
    ("P-25", "a walk up from the current directory",
     "sys.path.append('../' * 40 + DIST[1:]); exec(IMPORT)", NOT_FOUND),
    ("P-28", "a .pth file",
     "d = tempfile.mkdtemp(); open(d + '/x.pth', 'w').write(DIST + '\\n'); site.addsitedir(d); exec(IMPORT)",
     NOT_FOUND),
    ("P-33", "the directory's listing", "assert NAME in ' '.join(os.listdir(DIST)); print('REACHED')",
     "AssertionError"),
]


class SystemPackage:
    """A package of the system: one with C code where there is one."""

    def __init__(self, test):
        code = ("import os, sys\n"
                "for d in sys.path:\n"
                "  if d.endswith(('dist-packages', 'site-packages')) and os.path.isdir(d) and os.listdir(d): print(d)")
        result = run([SYSTEM_PYTHON, "-I", "-c", code])
        for directory in result.stdout.split():
            shared = sorted(glob.glob(directory + "/*.cpython-3*.so"))
            for path in [p for p in shared if "/apt_pkg." in p] + shared:
                name = os.path.basename(path).split(".")[0]
                sources = sorted(glob.glob(directory + "/*/__init__.py"))
                works = run([SYSTEM_PYTHON, "-I", "-c", f"import {name}"]).returncode == 0
                if sources and works:
                    self.directory, self.name, self.shared_object, self.source = directory, name, path, sources[0]
                    return
        missing(test, "the system's Python has no package with C code in its dist-packages")

    def words(self):
        return [self.directory, self.name, self.source, self.shared_object, PROBE]


class SystemPackages(Case):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.with_system = make_environment(os.path.join(cls.shared, "with-system"), system_site_packages=True)

    def setUp(self):
        super().setUp()
        self.package = SystemPackage(self)

    def code(self, text, environment, inside, **more):
        words = ["-c", PRELUDE + text, *self.package.words()]
        if inside:
            return self.vrun("python", *words, environment=environment, **more)
        return self.outside(os.path.join(environment, "bin/python"), *words, **more)

    def not_reached(self, result, last_line):
        self.assertNotIn("REACHED", result.stdout)
        self.assertNotEqual(result.returncode, 0)
        # What vrun adds of the words of the command is not the command's.
        own = [line for line in result.stderr.splitlines() if not line.startswith("vrun: note: the run did not see ")]
        self.assertTrue((own or [""])[-1].startswith(last_line), result.stderr)

    def test_rows(self):
        for row, what, text, last_line in ROWS:
            with self.subTest(row=row, what=what):
                outside = self.code(text, self.environment, inside=False)
                self.assertEqual(outside.stdout, "REACHED\n", outside.stderr)
                self.not_reached(self.code(text, self.environment, inside=True), last_line)
                again = self.code(text, self.with_system, inside=True)
                self.assertEqual(again.stdout, "REACHED\n", again.stderr)

    def test_p01_plain_import(self):
        code = f"import {self.package.name}; print('REACHED')"
        self.assertEqual(self.outside(SYSTEM_PYTHON, "-c", code).stdout, "REACHED\n")
        self.not_reached(self.python(code), NOT_FOUND)
        self.assertEqual(self.python(code, environment=self.with_system).stdout, "REACHED\n")

    def test_p02_pythonpath_of_the_caller(self):
        code = f"import {self.package.name}; print('REACHED')"
        variables = {"PYTHONPATH": self.package.directory}
        outside = self.outside(self.environment + "/bin/python", "-c", code, variables=variables)
        self.assertEqual(outside.stdout, "REACHED\n", outside.stderr)
        self.not_reached(self.python(code, variables=variables), NOT_FOUND)
        # Passed on by name, it still names nothing.
        kept = self.python("import os; print(os.environ['PYTHONPATH']); " + code, variables=variables,
                           options=["--keep-env", "PYTHONPATH"])
        self.assertEqual(kept.stdout, self.package.directory + "\n")
        self.not_reached(kept, NOT_FOUND)

    def test_p04_pythonhome(self):
        for name in ("PYTHONHOME", "PYTHONPLATLIBDIR"):
            with self.subTest(variable=name):
                result = self.python(f"import {self.package.name}; print('REACHED')",
                                     options=["--setenv", name + "=/usr"])
                self.assertNotIn("REACHED", result.stdout)
                self.assertNotIn("vrun: ", result.stderr)

    def test_p07_empty_argv(self):
        """argv[0] steers how Python finds its environment, and there may be none at all (CVE-2021-4034)."""
        code = write(os.path.join(self.project, "code.py"),
                     f"import sys; sys.path.append({self.package.directory!r})\n"
                     f"import {self.package.name}; print('REACHED')\n")
        python = self.environment + "/bin/python"
        words = ["argv0", os.path.realpath(python), "", code]
        self.assertEqual(self.probe_outside(*words).stdout, "REACHED\n")
        self.not_reached(self.probe(*words), NOT_FOUND)
        none = self.probe("argv0", os.path.realpath(python))  # Python with no arguments reads its standard input
        self.assertNotIn("vrun: ", none.stderr)
        self.assertIn(none.returncode, (0, 1))

    def test_p10_other_interpreters(self):
        """Whatever Python can be started inside finds no package of its own."""
        code = ("import os, sys\n"
                "for d in sys.path:\n"
                "  if d.endswith('-packages') and os.path.isdir(d):\n"
                "    for name in os.listdir(d): print(os.path.join(d, name))\n")
        patterns = ["/usr/bin/python3*[0-9]", "/usr/bin/python2*[0-9]", "/usr/bin/pypy3", "/usr/local/bin/python3*[0-9]",
                    "/usr/libexec/platform-python"]
        found = 0
        for python in sorted(path for pattern in patterns for path in glob.glob(pattern)):
            with self.subTest(python=python):
                outside = self.outside(python, "-c", code)
                if outside.returncode != 0:
                    continue  # broken outside as well
                found += len(outside.stdout.splitlines())
                inside = self.vrun(python, "-c", code)
                self.assertIn(inside.returncode, (0, 127), inside.stderr)
                self.assertEqual(inside.stdout, "")
        self.assertGreater(found, 0)

    def test_p11_gdb(self):
        if not os.path.exists("/usr/bin/gdb"):
            missing(self, "gdb, a program that embeds Python, is not installed")
        words = ["gdb", "-nx", "-batch", "-ex", f"python import {self.package.name}; print('REACHED')"]
        outside = self.outside(*words)
        self.assertEqual(outside.stdout, "REACHED\n", outside.stderr)
        inside = self.vrun(*words)
        self.assertNotIn("REACHED", inside.stdout)
        self.assertIn(f"No module named '{self.package.name}'", inside.stderr)
        self.assertEqual(self.vrun(*words, environment=self.with_system).stdout, "REACHED\n")

    def test_p13_bundled_wheels_stay(self):
        """The wheels that ensurepip installs from belong to the standard library (design.md §5)."""
        code = "import glob; print(len(glob.glob('/usr/share/python-wheels/*.whl')))"
        self.assertEqual(self.ok(self.python(code)), self.outside(SYSTEM_PYTHON, "-c", code).stdout)

    def test_p14_package_directories_are_empty(self):
        """Those that the base interpreter itself names."""
        ask = ("import site, sysconfig\n"
               "for scheme in sysconfig.get_scheme_names():\n"
               "  for key in ('purelib', 'platlib'): print(sysconfig.get_path(key, scheme))\n"
               "print('\\n'.join(site.getsitepackages()))")
        candidates = sorted(set(self.outside(SYSTEM_PYTHON, "-I", "-c", ask).stdout.split()))
        show = "import os, sys\nfor d in sys.argv[1:]: print(d, len(os.listdir(d)) if os.path.isdir(d) else 0)"
        outside = self.outside(SYSTEM_PYTHON, "-c", show, *candidates).stdout
        self.assertRegex(outside, r"(?m) [1-9]\d*$")
        self.assertEqual(self.ok(self.python(show, *candidates)), "".join(f"{path} 0\n" for path in candidates))

    def test_p14_whole_view(self):
        """Those that a search of the whole view finds."""
        search = ["find", "/", "(", "-path", "/proc", "-o", "-path", "/work", ")", "-prune", "-o", "-type", "d",
                  "(", "-name", "dist-packages", "-o", "-name", "site-packages", ")", "-not", "-empty", "-print", "-prune"]
        write(os.path.join(self.project, "vendor/site-packages/own.py"))
        inside = self.vrun(*search)
        self.assertEqual(inside.stdout.split(), [os.path.join(self.project, "vendor/site-packages")])
        search[1] = "/usr"
        self.assertIn(self.package.directory, self.outside(*search).stdout.split())

    def test_p17_customize_modules(self):
        """What Python executes at its start comes from the standard library and the environment."""
        code = "import sys; print('\\n'.join(sorted({getattr(m, '__file__', '') or '' for m in sys.modules.values()})))"
        places = (self.environment, os.path.dirname(os.__file__))
        for path in self.ok(self.python(code)).split():
            self.assertTrue(path.startswith(places), path)
        # Debian's is a link to the administrator's: an empty file stands there.
        library = os.path.dirname(self.outside(self.environment + "/bin/python", "-c", "import os; print(os.__file__)").stdout)
        if os.path.islink(library + "/sitecustomize.py"):
            path = os.path.realpath(library + "/sitecustomize.py")
            self.assertGreater(os.path.getsize(path), 0)
            self.assertEqual(self.ok(self.vrun("wc", "-c", path)), f"0 {path}\n")
            self.assertEqual(self.ok(self.vrun("ls", os.path.dirname(path))), "sitecustomize.py\n")

    def test_p24_inherited_directory(self):
        directory = os.open(os.path.dirname(self.package.directory), os.O_RDONLY | os.O_DIRECTORY)
        self.addCleanup(os.close, directory)
        base = os.path.basename(self.package.directory)
        words = ["-c", f"import os, sys; print(os.listdir({directory}))\n"
                       f"sys.path.append('/proc/self/fd/{directory}/{base}'); import {self.package.name}"]
        outside = self.outside(self.environment + "/bin/python", *words, pass_fds=[directory])
        self.assertEqual(outside.returncode, 0, outside.stderr)
        inside = self.vrun("python", *words, pass_fds=[directory])
        self.not_reached(inside, "OSError: [Errno 9] Bad file descriptor")

    def test_p25_current_directory_is_the_packages_directory(self):
        code = f"import {self.package.name}; print('REACHED')"
        outside = self.outside(self.environment + "/bin/python", "-c", code, cwd=self.package.directory)
        self.assertEqual(outside.stdout, "REACHED\n")
        result = self.python(code, cwd=self.package.directory)
        self.assertRegex(result.stderr, r"\Avrun: note: the current directory .* is not shown")
        self.not_reached(result, NOT_FOUND)

    def test_p26_links_out_of_the_environment(self):
        environment = make_environment(os.path.join(self.directory, "env"))
        base = os.path.basename(self.package.shared_object)
        os.symlink(self.package.shared_object, os.path.join(site_packages(environment), base))
        code = f"import {self.package.name}; print('REACHED')"
        self.assertEqual(self.outside(environment + "/bin/python", "-c", code).stdout, "REACHED\n")
        result = self.python(code, environment=environment)
        self.assertNotIn("REACHED", result.stdout)
        self.assertIn("Error: ", result.stderr.splitlines()[-1])

    def test_p28_pth_in_the_environment(self):
        environment = make_environment(os.path.join(self.directory, "env"))
        write(os.path.join(site_packages(environment), "x.pth"), self.package.directory + "\n")
        code = f"import {self.package.name}; print('REACHED')"
        self.assertEqual(self.outside(environment + "/bin/python", "-c", code).stdout, "REACHED\n")
        self.not_reached(self.python(code, environment=environment), NOT_FOUND)

    def test_p31_distributions(self):
        environment = make_environment(os.path.join(self.directory, "env"))
        write(os.path.join(site_packages(environment), "own-1.0.dist-info/METADATA"),
              "Metadata-Version: 2.1\nName: own\nVersion: 1.0\n")
        code = (f"import importlib.metadata as m, sys; sys.path.append({self.package.directory!r})\n"
                "print(sorted(d.metadata['Name'] for d in m.distributions()))")
        self.assertEqual(self.ok(self.python(code, environment=environment)), "['own']\n")
        outside = self.outside(environment + "/bin/python", "-c", code)
        self.assertGreater(len(outside.stdout), len("['own', 'x']"))

    def test_p33_package_databases(self):
        paths = [path for path in ("/var/lib/dpkg/status", "/var/lib/rpm", "/var/lib/pacman", "/lib/apk/db/installed")
                 if os.path.exists(path)]
        if not paths:
            missing(self, "no package database that this test knows is on this machine")
        for path in paths:
            with self.subTest(path=path):
                result = self.python("import os, sys; os.stat(sys.argv[1])", path)
                self.not_reached(result, NO_FILE)

    def test_scrubbed_variables(self):
        """P-18, P-19: what steers Python, or the loader, does not come from the caller."""
        names = ["PYTHONSTARTUP", "PYTHONINSPECT", "PYTHONBREAKPOINT", "PYTHONWARNINGS", "PYTHON_PRESITE",
                 "PYTHONEXECUTABLE", "PYTHONPATH", "PYTHONHOME", "PYTHONUSERBASE", "PYTHONPLATLIBDIR",
                 "PYTHONPYCACHEPREFIX", "PYTEST_ADDOPTS", "PYTEST_PLUGINS", "COVERAGE_PROCESS_START", "BROWSER", "EDITOR",
                 "__PYVENV_LAUNCHER__", "CONDA_PREFIX", "LD_LIBRARY_PATH", "LD_PROFILE_OUTPUT", "GCONV_PATH", "LOCPATH",
                 "GLIBC_TUNABLES", "BASH_ENV", "ENV", "GIT_DIR", "SSH_AUTH_SOCK", "AWS_SECRET_ACCESS_KEY", "GH_TOKEN",
                 "http_proxy", "DBUS_SESSION_BUS_ADDRESS", "DISPLAY", "XDG_RUNTIME_DIR", "NOTIFY_SOCKET", "SUDO_UID"]
        variables = {name: "/nowhere" for name in names}
        variables["VIRTUAL_ENV"] = "/nowhere"
        inside = dict(line.split("=", 1) for line in self.ok(self.vrun("env", variables=variables)).splitlines())
        self.assertEqual(sorted(set(names) & set(inside)), [])
        self.assertEqual(inside["VIRTUAL_ENV"], self.environment)
        self.assertNotIn("/nowhere", inside.values())


class UserPackages(Case):
    """P-16, P-17, P-30: ~/.local, with a package that is only there."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.with_system = make_environment(os.path.join(cls.shared, "with-system"), system_site_packages=True)
        cls.version = os.path.basename(os.path.dirname(site_packages(cls.environment)))

    def setUp(self):
        super().setUp()
        self.user_site = os.path.join(self.home, ".local/lib", self.version, "site-packages")
        write(os.path.join(self.user_site, "usrpkg/__init__.py"), "")
        write(os.path.join(self.user_site, "usercustomize.py"), "print('CUSTOMIZED')\n")
        self.rows = {
            "system's Python": [SYSTEM_PYTHON, "-c", "import usrpkg; print('REACHED')"],
            "addsitedir": ["python", "-c", "import site; site.ENABLE_USER_SITE = True\n"
                           "site.addsitedir(site.getusersitepackages()); import usrpkg; print('REACHED')"],
            "sys.path": ["python", "-c", f"import sys; sys.path.append({self.user_site!r}); import usrpkg\n"
                         "print('REACHED')"],
            "PYTHONUSERBASE": ["sh", "-c", f"PYTHONNOUSERSITE= PYTHONUSERBASE={self.home}/.local {SYSTEM_PYTHON} -c "
                               "'import usrpkg; print(\"REACHED\")'"],
            "open": ["cat", self.user_site + "/usercustomize.py"],
        }

    def test_absent(self):
        for what, words in self.rows.items():
            with self.subTest(what=what):
                outside = self.outside(*words, variables={"PATH": self.environment + "/bin:/usr/bin:/bin"})
                self.assertRegex(outside.stdout, "REACHED|CUSTOMIZED")
                inside = self.vrun(*words)
                self.assertEqual(inside.stdout, "")
                self.assertRegex(inside.stderr, "No module named 'usrpkg'|No such file or directory")

    def test_present_with_system_packages(self):
        for what, words in self.rows.items():
            with self.subTest(what=what):
                self.assertRegex(self.vrun(*words, environment=self.with_system).stdout, "REACHED|CUSTOMIZED")
        plain = self.python("import usrpkg; print('REACHED')", environment=self.with_system)
        self.assertEqual(plain.stdout, "CUSTOMIZED\nREACHED\n", plain.stderr)
        touched = self.vrun("touch", self.user_site + "/x.pth", environment=self.with_system)
        self.assertIn("Read-only file system", touched.stderr)

    def test_namespace_package_has_only_the_environments_part(self):
        environment = make_environment(os.path.join(self.directory, "env"))
        write(os.path.join(site_packages(environment), "ns/one.py"))
        write(os.path.join(self.user_site, "ns/two.py"))
        code = f"import sys; sys.path.append({self.user_site!r}); import ns.one\nprint(len(ns.__path__)); import ns.two"
        outside = self.outside(environment + "/bin/python", "-c", code)
        self.assertEqual((outside.stdout, outside.returncode), ("2\n", 0), outside.stderr)
        inside = self.python(code, environment=environment)
        self.assertEqual(inside.stdout, "1\n")
        self.assertIn("No module named 'ns.two'", inside.stderr)


class OtherEnvironments(Case):
    """Environments beside this one and in the project, the places of tox and nox included."""

    def setUp(self):
        super().setUp()
        self.with_system = make_environment(os.path.join(self.directory, "with-system"), system_site_packages=True)
        self.places = [os.path.join(self.project, name) for name in (".tox/py", ".nox/tests", "venv")]
        self.places.append(os.path.join(self.directory, "sibling"))
        for place in self.places:
            make_environment(place)
            write(os.path.join(site_packages(place), "otherpkg/__init__.py"))

    def test_absent(self):
        self.check_absent(self.places)

    def test_absent_deep(self):
        place = make_environment(os.path.join(self.project, "services/worker/env"))
        write(os.path.join(site_packages(place), "otherpkg/__init__.py"))
        self.check_absent([place])

    def check_absent(self, places):
        for place in places:
            packages = site_packages(place)
            rows = {
                "sys.path": ["python", "-c", f"import sys; sys.path.append({packages!r}); import otherpkg"],
                "its Python": [place + "/bin/python", "-c", "import otherpkg"],
                "open": ["cat", packages + "/otherpkg/__init__.py"],
            }
            for what, words in rows.items():
                with self.subTest(place=place, what=what):
                    outside = self.outside(*words, variables={"PATH": self.environment + "/bin:/usr/bin:/bin"})
                    self.assertEqual(outside.returncode, 0, outside.stderr)
                    for environment in (self.environment, self.with_system):
                        inside = self.vrun(*words, environment=environment)
                        self.assertNotEqual(inside.returncode, 0)
                        self.assertRegex(inside.stderr, "No module named 'otherpkg'|No such file|cannot find the command")

    def test_hidden_even_beside_the_environment_in_the_project(self):
        """The usual layout: the environment is in the project, and so are those of tox."""
        own = make_environment(os.path.join(self.project, ".venv"))
        write(os.path.join(site_packages(own), "ownpkg/__init__.py"))
        code = ("import ownpkg, glob, os\n"
                "print([d for p in ('.tox/py', '.nox/tests', 'venv') for d in [os.listdir(p)] if d])")
        self.assertEqual(self.ok(self.python(code, environment=own)), "[]\n")

    def test_pep_582_and_vendored_directories_stay(self):
        """What is not an environment is the project's own."""
        write(os.path.join(self.project, "vendor/vendored/__init__.py"))
        code = "import sys; sys.path.append('vendor'); import vendored; print('REACHED')"
        self.assertEqual(self.ok(self.python(code)), "REACHED\n")

    def test_archives(self):
        """P-21: an archive outside of the view is not there, one in the project works."""
        import zipfile
        for path in (os.path.join(self.home, "x.zip"), os.path.join(self.project, "x.zip")):
            with zipfile.ZipFile(path, "w") as archive:
                archive.writestr("zipped.py", "")
        code = "import sys; sys.path.insert(0, sys.argv[1]); import zipped; print('REACHED')"
        self.assertEqual(self.outside(sys.executable, "-c", code, os.path.join(self.home, "x.zip")).stdout, "REACHED\n")
        self.assertIn("No module named 'zipped'", self.python(code, os.path.join(self.home, "x.zip")).stderr)
        self.assertEqual(self.ok(self.python(code, os.path.join(self.project, "x.zip"))), "REACHED\n")


class Editable(Case):
    def test_p29_editable_install_outside_of_the_view(self):
        environment = make_environment(os.path.join(self.directory, "env"))
        source = os.path.join(self.directory, "other-project")
        write(os.path.join(source, "editablepkg/__init__.py"))
        write(os.path.join(site_packages(environment), "__editable__.editablepkg.pth"), source + "\n")
        code = "import editablepkg; print('REACHED')"
        self.assertEqual(self.outside(environment + "/bin/python", "-c", code).stdout, "REACHED\n")
        self.assertIn("No module named 'editablepkg'", self.python(code, environment=environment).stderr)
        shown = self.python(code, environment=environment, options=["--ro", source])
        self.assertEqual(self.ok(shown), "REACHED\n")

    def test_script_with_a_first_line_of_the_environment(self):
        environment = make_environment(os.path.join(self.directory, "env with space"))
        script = write(os.path.join(environment, "bin/tool"),
                       "#!/bin/sh\n'''exec' \"%s/bin/python\" \"$0\" \"$@\"\n' '''\nimport sys; print(sys.prefix)\n" %
                       environment, 0o755)
        self.assertEqual(self.ok(self.vrun("tool", environment=environment)), environment + "\n")
        self.assertEqual(read(script).count("exec"), 1)


if __name__ == "__main__":
    unittest.main()
