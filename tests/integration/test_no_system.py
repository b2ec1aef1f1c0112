"""--no-system, which the profile grade has: of the operating system only what the environment's Python needs."""

import glob
import json
import os
import unittest

from harness import Case, cpythons, make_environment

# What graders' programs use of the standard library, and its data, which lies all over /usr.
USE = """
import bz2, ctypes, curses, decimal, hashlib, json, locale, lzma, multiprocessing, os, sqlite3, ssl, subprocess, sys, zlib, zoneinfo
sqlite3.connect(":memory:").execute("select sqlite_version()")
decimal.Decimal("0.1") + 1
lzma.decompress(lzma.compress(b"x"))
hashlib.sha256(b"x").hexdigest()
ctypes.CDLL(None).getpid()
assert len(ssl.create_default_context().get_ca_certs()) > 0 or not os.path.exists("/etc/ssl/certs/ca-certificates.crt")
zoneinfo.ZoneInfo("Europe/Berlin")
locale.setlocale(locale.LC_ALL, "C.UTF-8")
curses.setupterm("xterm", 1)
def work(number): return number * number
if __name__ == "__main__":
    for method in ("fork", "spawn"):
        with multiprocessing.get_context(method).Pool(2) as pool:
            assert pool.map(work, [1, 2, 3]) == [1, 4, 9]
    assert subprocess.run([sys.executable, "-c", "print(1)"], stdout=subprocess.PIPE).stdout == b"1\\n"
    print("used")
"""
# Of /usr and its like: programs, what compilers and other languages need, data of no use to a program of Python's.
ABSENT = ["/bin/sh", "/usr/bin/env", "/usr/bin/gcc", "/usr/bin/perl", "/usr/bin/git", "/usr/sbin", "/usr/games",
          "/usr/include", "/usr/lib/git-core", "/usr/lib/gcc", "/usr/share/perl", "/usr/share/dict", "/usr/share/doc",
          "/usr/share/python-wheels", "/usr/lib/python3", "/usr/local/bin", "/usr/local/lib/python3.11", "/etc/alternatives"]
LOOK = "import json, os, sys; print(json.dumps([path for path in sys.argv[1:] if os.path.lexists(path)]))"
WALK = """
import json, os
found = []
for top in ("/usr", "/bin", "/sbin", "/lib", "/lib64"):
    for directory, names, files in os.walk(top):
        if directory.startswith(("/usr/share/zoneinfo", "/usr/share/ca-certificates")) or "/terminfo" in directory:
            continue
        found += [os.path.join(directory, name) for name in files]
print(json.dumps(found))
"""


class NoSystem(Case):
    def environments(self):
        """One of Debian's Python or its like, one of a Python of the user's own, where there is one."""
        own = [path for version, path in cpythons() if not path.startswith("/usr/bin/") and version >= (3, 9)]
        yield self.environment
        if own:
            path = os.path.join(self.directory, "own")
            yield make_environment(path, own[-1])

    def listed(self, code, *words, **more):
        return json.loads(self.ok(self.python(code, *words, **more)))

    def test_python_works(self):
        script = os.path.join(self.project, "use.py")
        with open(script, "w", encoding="utf-8") as file:
            file.write(USE)
        count = 0
        for environment in self.environments():
            with self.subTest(environment=environment):
                outside = self.outside(os.path.join(environment, "bin/python"), script)
                self.assertEqual((outside.returncode, outside.stdout), (0, "used\n"), "the control: " + outside.stderr)
                for options in (["--no-system"], ["--profile", "grade"]):
                    self.assertEqual(self.ok(self.vrun("python", script, options=options, environment=environment)), "used\n")
                    count += 1
        self.assertGreaterEqual(count, 2)

    def test_nothing_else_is_there(self):
        here = [path for path in ABSENT if os.path.lexists(path)]
        self.assertGreater(len(here), 5)
        for environment in self.environments():
            with self.subTest(environment=environment):
                shown = self.listed(LOOK, *here, environment=environment)
                self.assertEqual(shown, here, "the control")
                self.assertEqual(self.listed(LOOK, *here, environment=environment, options=["--profile", "grade"]), [])
                self.assertEqual(self.listed(LOOK, *here, environment=environment, options=["--no-system"]), [])

    def test_of_programs_the_interpreter_alone(self):
        """Whatever else is in view below /usr is a library or belongs to Python."""
        found = self.listed(WALK, options=["--no-system"])
        self.assertGreater(len(found), 500, "the standard library is there")
        programs = sorted(path for path in found if os.access(path, os.X_OK) and ".so" not in path
                          and not path.startswith(("/lib", "/usr/lib")))
        self.assertEqual([path for path in programs if "python" not in path], [])
        self.assertNotEqual(programs, [])
        self.assertEqual([path for path in found if path.endswith(".whl") and "/test/" not in path], [])

    def test_no_packages(self):
        """Neither the system's, which are in view for nobody, nor those that pip is installed from."""
        code = "import importlib.util, json, sys; print(json.dumps([name for name in sys.argv[1:] if importlib.util.find_spec(name)]))"
        for environment in self.environments():
            self.assertEqual(self.listed(code, "apt_pkg", "pip", "setuptools", environment=environment, options=["--no-system"]), [])
            bundled = "import ensurepip, glob, json, os; print(json.dumps(glob.glob(os.path.dirname(ensurepip.__file__) + '/_bundled/*.whl')))"
            self.assertEqual(self.listed(bundled, environment=environment, options=["--no-system"]), [])

    def test_system_packages_when_the_environment_includes_them(self):
        environment = make_environment(os.path.join(self.directory, "open"), system_site_packages=True)
        places = [path for path in self.listed("import json, site; print(json.dumps(site.getsitepackages()))", environment=environment)
                  if path.startswith("/usr")]
        code = "import json, os, sys; print(json.dumps([sorted(os.listdir(path)) if os.path.isdir(path) else None for path in sys.argv[1:]]))"
        usual = self.listed(code, *places, environment=environment)
        self.assertTrue(any(usual), "the control: there are some")
        self.assertEqual(self.listed(code, *places, environment=environment, options=["--no-system"]), usual)

    def test_what_is_named_is_there(self):
        result = self.vrun("/bin/sh", "-c", "echo $0", options=["--no-system"])
        self.assertEqual((result.returncode, result.stdout), (127, ""))
        self.assertEqual(self.ok(self.vrun("/bin/sh", "-c", "echo $0", options=["--no-system", "--ro", "/bin/sh"])), "/bin/sh\n")
        self.assertEqual(self.ok(self.vrun("basename", "/x/y", options=["--no-system", "--ro", "/usr/bin"])), "y\n")
        packages = [path for path in glob.glob("/usr/lib/python3/dist-packages") if os.listdir(path)]
        for path in packages:
            code = f"import os; print(os.path.exists('/usr/bin/env'), os.path.isdir({path!r}) and os.listdir({path!r}))"
            self.assertEqual(self.ok(self.python(code, options=["--no-system", "--ro", "/usr"])), "True []\n", "still covered")

    def test_a_project_may_ask_for_it_and_not_against_it(self):
        path = os.path.join(self.project, "vrun.toml")
        with open(path, "w", encoding="utf-8") as file:
            file.write("no-system = true\n")
        self.assertEqual(self.listed(LOOK, "/usr/bin/env"), [])
        with open(path, "w", encoding="utf-8") as file:
            file.write("no-system = false\n")
        self.assertEqual(self.listed(LOOK, "/usr/bin/env"), ["/usr/bin/env"])
        result = self.python(LOOK, "/usr/bin/env", options=["--no-system"])
        self.assertEqual((result.returncode, json.loads(result.stdout)), (0, []))
        self.assertIn("asks for no-system = 'false', which a file of the project cannot grant", result.stderr)

    def test_it_is_explained(self):
        told = json.loads(self.ok(self.raw("--explain", "--json", "--profile", "grade", self.environment)))
        self.assertIn({"option": "no-system", "value": "true", "origin": "profile grade", "default": False}, told["policy"])
        shown = told["shown"]["read_only"]
        self.assertNotIn("/usr", shown)
        self.assertTrue(any(path.startswith("/usr/lib/python3.") for path in shown), shown)
        self.assertLess(len(shown), 150)
        answer = self.raw("--why", "/usr/bin/env", "--no-system", self.environment)
        self.assertEqual(answer.returncode, 1)
        self.assertIn("of the operating system only what the environment's Python needs", answer.stdout)
        self.assertIn("--ro /usr/bin/env shows it", answer.stdout)
        self.assertEqual(self.raw("--why", "/usr/bin/env", self.environment).returncode, 0, "the control")

    def test_the_layers_hold(self):
        result = self.raw("--self-test", "--no-system", self.environment, timeout=120)
        self.assertEqual(result.returncode, 0, result.stdout + result.stderr)


if __name__ == "__main__":
    unittest.main()
