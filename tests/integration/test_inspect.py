"""vbuild --inspect, --doctor and --json, on environments as builders make them and as accidents leave them."""

import glob
import json
import os
import shutil
import unittest

from support import SYSTEM_PYTHON, VBUILD, run
from vbuild_case import PYPY, Case, few_pythons, pythons


class InspectCase(Case):
    def setUp(self):
        super().setUp()
        os.chmod(self.directory, 0o755)

    def packages(self):
        return glob.glob(self.env + "/lib/p*3.*/site-packages")[0]

    def write(self, name, text, mode=None):
        path = os.path.join(self.env, name)
        if os.path.lexists(path):
            os.unlink(path)
        with open(path, "w", encoding="utf-8", newline="") as file:
            file.write(text)
        if mode is not None:
            os.chmod(path, mode)
        return path

    def read(self, name):
        with open(os.path.join(self.env, name), encoding="utf-8", newline="") as file:
            return file.read()

    def inspect(self, status=0, env=None):
        result = self.vbuild("--inspect", "--json", env or self.env)
        self.assertEqual((result.returncode, result.stderr), (status, ""), result.stdout)
        value = json.loads(result.stdout)
        self.assertEqual(value["schema"], "vbuild.inspect/1")
        return value

    def doctor(self, *options, status=0, env=None):
        result = self.vbuild("--doctor", "--json", *options, env or self.env)
        self.assertEqual((result.returncode, result.stderr), (status, ""), result.stdout)
        value = json.loads(result.stdout)
        self.assertEqual(value["schema"], "vbuild.doctor/1")
        for severity in ("error", "warning", "note"):
            self.assertEqual(value[severity + "s"],
                             sum(finding["severity"] == severity for finding in value["findings"]))
        return value

    def findings(self, *options, status=1):
        """[(severity, check, path below the environment)], without notes."""
        return [(finding["severity"], finding["check"], os.path.relpath(finding["path"], self.env))
                for finding in self.doctor(*options, status=status)["findings"] if finding["severity"] != "note"]


class Inspect(InspectCase):
    def test_agrees_with_every_python(self):
        code = ("import json, os, platform, sys, sysconfig; print(json.dumps(dict("
                "version='.'.join(map(str, sys.version_info[:3])), prefix=sys.base_prefix,"
                "implementation=sys.implementation.name, stdlib=os.path.dirname(os.__file__),"
                "cache_tag=sys.implementation.cache_tag, real=os.path.realpath(sys.executable))))")
        for python in pythons():
            with self.subTest(python=python):
                self.build("--clear", "--without-pip", self.env, python=python)
                truth = json.loads(self.check([self.env + "/bin/python", "-I", "-c", code]).stdout)
                found = self.inspect()
                self.assertIsNone(found["problem"])
                base = found["base"]
                if python != PYPY:
                    self.assertEqual(base["version"], truth["version"])
                for key in ("prefix", "implementation"):
                    self.assertEqual(base[key], truth[key])
                self.assertEqual(os.path.realpath(base["stdlib"]), os.path.realpath(truth["stdlib"]))
                self.assertEqual(base["real_executable"], truth["real"])
                if python != PYPY:
                    self.assertEqual(base["cache_tag"], truth["cache_tag"])
                self.assertEqual(found["distributions"], [])

    def test_environments_of_venv(self):
        self.check([SYSTEM_PYTHON, "-m", "venv", "--without-pip", "--system-site-packages", "--prompt", "my env",
                    self.env])
        found = self.inspect()
        self.assertIsNone(found["problem"])
        self.assertTrue(found["config"]["include_system_site_packages"])
        self.assertEqual(found["config"]["prompt"], "my env")
        self.assertEqual(self.doctor()["findings"], [])

    def test_environments_of_virtualenv(self):
        self.build("--without-pip", self.env)
        version = self.inspect()["base"]["version"]
        self.write("pyvenv.cfg", f"home = /usr/bin\nimplementation = CPython\nversion_info = {version}.final.0\n"
                   "virtualenv = 20.17.1\ninclude-system-site-packages = false\nbase-prefix = /usr\n"
                   f"base-executable = {os.path.realpath(SYSTEM_PYTHON)}\nprompt = \"p\"\n")
        found = self.inspect()
        self.assertIsNone(found["problem"])
        self.assertEqual(found["config"]["version"], version + ".final.0")
        self.assertEqual(found["config"]["prompt"], "p")
        self.assertEqual(self.doctor()["findings"], [])

    def test_wheels_are_those_that_a_build_would_take(self):
        """Those that --wheel-dir's variable gives among them."""
        self.build("--without-pip", self.env)
        found = self.inspect()["base"]
        self.assertTrue(found["wheels"], found)
        wheels = os.path.join(self.directory, "wheels")
        os.mkdir(wheels)
        newer = os.path.join(wheels, "pip-99.0-py3-none-any.whl")
        shutil.copy(found["wheels"][0], newer)
        result = self.vbuild("--inspect", "--json", self.env, env=dict(os.environ, VBUILD_WHEEL_DIR=wheels))
        self.assertEqual(json.loads(result.stdout)["base"]["wheels"], [newer, *found["wheels"][1:]])

    def test_text_is_aligned(self):
        self.build(self.env)
        text = self.check([VBUILD, "--inspect", self.env]).stdout
        for line in text.splitlines():
            self.assertRegex(line, r"\A(?:[a-z ]{20}|[a-z]+ *[a-z]* *[a-z]* *)\S")
            self.assertNotEqual(line[20], " ")
        self.assertRegex(text, r"(?m)^(installed| ) +pip \d")

    def test_damaged_environments_are_shown_with_their_problem(self):
        self.build("--without-pip", self.env)
        os.unlink(self.env + "/bin/python3")
        os.symlink("/gone/python3", self.env + "/bin/python3")
        found = self.inspect(status=1)
        self.assertIn("leads nowhere", found["problem"])
        self.assertIsNone(found["base"])
        self.assertEqual(found["python_links"][-1]["target"], "/gone/python3")

    def test_what_is_no_environment(self):
        for path in (self.directory, self.env, "/etc/passwd", "/"):
            result = self.vbuild("--inspect", path)
            self.assertEqual((result.returncode, result.stdout), (1, ""))
            self.assertRegex(result.stderr, r"\Avbuild: [^\n]+\n\Z")

    def test_names_that_are_not_text(self):
        env = os.fsencode(self.directory) + b"/e\xff"
        self.build("--without-pip", self.env)
        os.rename(os.fsencode(self.env), env)
        os.mkdir(glob.glob(env + b"/lib/python3*/site-packages")[0] + b"/a\x1b[31m-1.dist-info")
        for options in (["--inspect"], ["--doctor"], ["--inspect", "--json"], ["--doctor", "--json"]):
            result = self.vbuild(*options, env)
            self.assertRegex(result.stdout, r"\A[\n -~]+\Z")
            self.assertIn("xff", result.stdout)

    def test_nothing_is_run(self):
        self.need_strace()
        self.build(self.env)
        log = os.path.join(self.directory, "log")
        for options in (["--inspect"], ["--doctor"], ["--doctor", "--fix"]):
            # A sanitizer build looks for leaks by ptrace(2), which is taken.
            self.check(["strace", "-f", "-e", "trace=execve,execveat", "-o", log, VBUILD, *options, self.env],
                       env=dict(os.environ, ASAN_OPTIONS="detect_leaks=0"))
            with open(log, encoding="utf-8") as file:
                self.assertEqual(file.read().count("execve"), 1)


class Doctor(InspectCase):
    def test_new_environments_are_healthy(self):
        few = few_pythons()
        for python in pythons():
            for options in ([], ["--copies", "--without-pip"]):
                if (python == PYPY and options) or (python not in few and not options):
                    continue
                with self.subTest(python=python, options=options):
                    self.build("--clear", *options, self.env, python=python)
                    before = snapshot_times(self.env)
                    self.assertEqual(self.findings("--fix", status=0), [])
                    self.assertEqual(snapshot_times(self.env), before)

    def test_environments_that_pip_worked_in(self):
        self.check([SYSTEM_PYTHON, "-m", "venv", self.env])
        self.assertEqual(self.findings(status=0), [])
        shutil.rmtree(glob.glob(self.packages() + "/pip/__pycache__")[0])
        self.assertEqual(self.findings(status=0), [])

    def test_configuration(self):
        self.build("--without-pip", self.env)
        path = self.env + "/pyvenv.cfg"
        good = self.read("pyvenv.cfg")
        for text in ("home = /usr/bin\nhome = /usr/bin\n", "\ufeff" + good, "version = 3\n"):
            self.write("pyvenv.cfg", text)
            self.assertEqual(self.findings(), [("error", "configuration", "pyvenv.cfg")])
        os.unlink(path)
        self.assertEqual(self.findings("--fix"), [("error", "configuration", "pyvenv.cfg")])
        os.mkfifo(path)
        self.assertEqual(self.findings(), [("error", "configuration", "pyvenv.cfg")])
        os.unlink(path)
        os.symlink("/etc/hostname", path)
        self.assertEqual(self.findings(), [("error", "configuration", "pyvenv.cfg")])

    def test_links_are_mended(self):
        self.build(self.env)
        good = {name: os.readlink(self.env + "/bin/" + name) for name in ("python", "python3")}
        os.unlink(self.env + "/bin/python3")
        os.symlink("/gone/python3", self.env + "/bin/python3")
        os.symlink("gone", self.env + "/bin/tool")
        self.assertIn(("error", "programs", "bin/python3"), self.findings())
        value = self.doctor("--fix", status=1)
        self.assertEqual([finding["path"] for finding in value["findings"] if finding["severity"] != "note"],
                         [self.env + "/bin/tool"])
        self.assertEqual(len(value["mended"]), 1)
        os.unlink(self.env + "/bin/tool")
        self.assertEqual(self.findings(status=0), [])
        self.assertEqual(os.readlink(self.env + "/bin/python"), good["python"])
        self.check([self.env + "/bin/pip", "--version"])
        self.assertEqual(glob.glob(self.env + "/.*vbuild*"), [])

    def test_a_moved_base_is_mended(self):
        base = os.path.join(self.directory, "base")
        os.symlink("/usr", base)
        self.build(self.env, python=base + "/bin/python3")
        moved = os.path.join(self.directory, "moved")
        os.rename(base, moved)
        checks = {(severity, check) for severity, check, _ in self.findings()}
        self.assertTrue({("error", "programs"), ("error", "base")} <= checks, checks)
        path = {"PATH": moved + "/bin:/usr/bin:/bin", "HOME": self.directory}
        result = self.vbuild("--doctor", "--fix", self.env, env=path)
        self.assertEqual(result.returncode, 0, result.stdout)
        self.assertIn(f"home = {moved}/bin\n", self.read("pyvenv.cfg"))
        self.check([self.env + "/bin/pip", "--version"])

    def test_what_cannot_be_written(self):
        if os.geteuid() == 0:
            self.skipTest("only as an ordinary user: root writes everywhere")
        self.build("--without-pip", self.env)
        os.unlink(self.env + "/bin/python3")
        os.chmod(self.env, 0o555)
        self.addCleanup(os.chmod, self.env, 0o755)
        result = self.vbuild("--doctor", "--fix", "--json", self.env)
        self.assertEqual(result.returncode, 1)
        self.assertEqual(json.loads(result.stdout)["mended"], [])
        self.assertRegex(result.stderr, r"\Avbuild: [^\n]*EACCES[^\n]*\n\Z")

    def test_copies_that_stayed_behind(self):
        """The Python was upgraded in place, and the copies of its program and of its library were not."""
        python = self.stub_python("base")
        self.build("--without-pip", "--copies", self.env, python=python)
        self.assertEqual(self.findings(status=0), [])
        self.stub_python("newer", micro=5)
        os.rename(self.directory + "/base", self.directory + "/older")
        os.rename(self.directory + "/newer", self.directory + "/base")
        self.assertEqual(self.findings(), [("warning", "base", "lib/libpython3.12.so.1.0"), ("warning", "version", "pyvenv.cfg")])
        # What --fix changes does not make it well.
        self.assertEqual(self.findings("--fix"), [("warning", "base", "lib/libpython3.12.so.1.0")])
        with open(self.directory + "/base/bin/python3.12", "ab") as file:
            file.write(b"more")
        self.assertEqual([path for _, _, path in self.findings()],
                         ["bin/python", "bin/python3", "bin/python3.12", "lib/libpython3.12.so.1.0"])
        # The remedy that is told does, and leaves them copies.
        self.build("--without-pip", "--upgrade", self.env, python=python)
        self.assertEqual(self.findings(status=0), [])
        self.assertFalse(os.path.islink(self.env + "/bin/python"))
        self.build("--without-pip", "--upgrade", "--symlinks", self.env, python=python)
        self.assertTrue(os.path.islink(self.env + "/bin/python"))
        self.assertEqual(self.findings(status=0), [])

    def test_version_drift(self):
        self.build(self.env)
        good = self.read("pyvenv.cfg")
        version = self.inspect()["base"]["version"]
        minor = version.rpartition(".")[0]
        self.write("pyvenv.cfg", good.replace("version = " + version, f"version = {minor}.99").replace(
            "executable =", "added = 1\nexecutable ="), 0o600)
        self.assertEqual(self.findings(), [("warning", "version", "pyvenv.cfg")])
        before = snapshot_times(self.packages())
        self.assertEqual(self.findings("--fix", status=0), [])
        self.assertEqual(self.read("pyvenv.cfg"), good.replace("executable =", "added = 1\nexecutable ="))
        self.assertEqual(os.stat(self.env + "/pyvenv.cfg").st_mode & 0o777, 0o600)
        self.assertEqual(snapshot_times(self.packages()), before)
        # Another minor version needs other packages.
        self.write("pyvenv.cfg", good.replace("version = " + version, "version = 3.2.1"), 0o644)
        self.assertEqual(self.findings("--fix"), [("error", "version", "pyvenv.cfg")])

    def test_damaged_packages_are_found_and_left(self):
        self.build(self.env)
        path = self.packages() + "/pip/__init__.py"
        relative = os.path.relpath(path, self.env)
        with open(path, "rb") as file:
            content = file.read()
        for damaged in (content.replace(b"p", b"q", 1), content + b"\n", None):
            os.unlink(path)
            if damaged is not None:
                with open(path, "wb") as file:
                    file.write(damaged)
            self.assertEqual(self.findings("--fix"), [("error", "record", relative)])
        for make in (os.mkfifo, os.mkdir, lambda path: os.symlink("/etc/passwd", path)):
            make(path)
            self.assertEqual(self.findings(), [("warning", "record", relative)])
            (os.rmdir if os.path.isdir(path) else os.unlink)(path)

    def test_hostile_records(self):
        self.build("--without-pip", self.env)
        info = self.packages() + "/demo-1.dist-info"
        os.mkdir(info)
        os.symlink("/etc", self.packages() + "/linked")
        for text in ("../../../../../../../../etc/passwd,,\n", "/etc/passwd,sha256=x,1\n", "linked/passwd,,1\n",
                     "a,b\n", '"x\n', "\x00,,\n", "," * 100 + "\n", "x" * 300 + ",,\n"):
            with open(info + "/RECORD", "w", encoding="utf-8") as file:
                file.write(text)
            with self.subTest(text=text):
                checks = self.findings()
                self.assertTrue(checks)
                self.assertEqual({check for _, check, _ in checks}, {"record"})
        os.unlink(info + "/RECORD")
        os.mkfifo(info + "/RECORD")
        self.assertEqual(self.findings()[0][1], "record")

    def test_scripts(self):
        self.build(self.env)
        moved = os.path.join(self.directory, "moved")
        os.rename(self.env, moved)
        self.env = moved
        found = self.findings()
        self.assertIn(("error", "script", "bin/pip"), found)

    def test_scripts_of_odd_places(self):
        for name in ("with space", "it's", "$(touch canary)", "x" * 150):
            with self.subTest(name=name):
                self.env = os.path.join(self.directory, name)
                self.build(self.env)
                self.assertEqual(self.findings(status=0), [])

    def test_modes_and_owners(self):
        self.build("--without-pip", self.env)
        os.chmod(self.packages(), 0o777)
        self.assertEqual(self.findings(), [("error", "ownership", os.path.relpath(self.packages(), self.env))])
        os.chmod(self.packages(), 0o755)
        os.chmod(self.directory, 0o1777)
        self.assertEqual(self.findings(status=0), [])
        os.chmod(self.directory, 0o777)
        self.assertEqual(self.findings(), [("error", "ownership", "..")])
        os.chmod(self.directory, 0o755)
        if os.geteuid() == 0:
            os.lchown(self.env + "/bin/python", 4242, 4242)
            self.assertEqual(self.findings(), [("warning", "ownership", "bin/python")])

    def test_path_files(self):
        self.build("--without-pip", self.env)
        with open(self.packages() + "/evil.pth", "w", encoding="utf-8") as file:
            file.write("/somewhere\nimport os; os.system('touch canary')\n")
        os.mkfifo(self.packages() + "/fifo.pth")
        value = self.doctor(status=1)
        self.assertEqual({(finding["severity"], finding["check"], os.path.basename(finding["path"]))
                          for finding in value["findings"]},
                         {("warning", "pth", "fifo.pth"), ("note", "pth", "evil.pth")})
        os.unlink(self.packages() + "/fifo.pth")
        text = self.vbuild("--doctor", self.env)
        self.assertEqual(text.returncode, 0)
        self.assertRegex(text.stdout, r"\Anote     .*evil\.pth: line 2 is run .*\nchecked  .*: 0 errors, 0 warnings, "
                                      r"1 note\n\Z")

    def test_large_directories_are_bounded(self):
        self.build("--without-pip", self.env)
        many = self.packages() + "/many"
        os.mkdir(many)
        for number in range(50_100):
            os.close(os.open(f"{many}/{number}", os.O_CREAT | os.O_WRONLY))
        value = self.doctor()
        self.assertEqual([finding["text"] for finding in value["findings"]],
                         ["there are more files than are looked at"])

    def test_usage(self):
        for arguments in (["--doctor"], ["--fix", "x"], ["--inspect", "--doctor", "x"], ["--inspect", "--clear", "x"],
                          ["--doctor", "x", "y"]):
            result = self.vbuild(*arguments)
            self.assertEqual((result.returncode, result.stdout), (2, ""))


class Json(InspectCase):
    def build_json(self, *arguments, status=0):
        result = self.vbuild("--python", SYSTEM_PYTHON, "--json", *arguments)
        self.assertEqual(result.returncode, status, result.stderr)
        value = json.loads(result.stdout)
        self.assertEqual(value["schema"], "vbuild.build/1")
        return value

    def test_states(self):
        first = self.build_json(self.env)["environments"][0]
        self.assertEqual((first["path"], first["state"], first["python"]), (self.env, "created", SYSTEM_PYTHON))
        self.assertEqual(first["version"], self.inspect()["base"]["version"])
        self.assertTrue(all(seed["installed"] for seed in first["seeds"]))
        self.assertTrue(all(step["microseconds"] >= 0 for step in first["steps"]))
        installed = {(item["name"], item["version"]) for item in self.inspect()["distributions"]}
        self.assertEqual({(seed["project"], seed["version"]) for seed in first["seeds"]}, installed)
        again = self.build_json(self.env)["environments"][0]
        self.assertEqual(again["state"], "reused")
        self.assertEqual([seed["installed"] for seed in again["seeds"]], [False] * len(again["seeds"]))
        os.unlink(self.env + "/bin/python3")
        os.symlink("/gone", self.env + "/bin/python3")
        repaired = self.build_json(self.env)["environments"][0]
        self.assertEqual(repaired["state"], "repaired")
        self.assertEqual(len(repaired["notices"]), 1)

    def test_a_failure_between(self):
        with open(self.directory + "/file", "w", encoding="utf-8"):
            pass
        value = self.build_json("--without-pip", self.env, self.directory + "/file", self.directory + "/third",
                                status=1)
        self.assertEqual([environment["path"] for environment in value["environments"]], [self.env])
        self.assertIn("is not a directory", value["error"])
        self.assertEqual(value["environments"][0]["seeds"], [])

    def test_nothing_but_a_failure(self):
        script = 'mkdir gone && cd gone && rmdir ../gone && exec "$@"'
        result = run(["sh", "-c", script, "sh", VBUILD, "--json", "--without-pip", "env"], cwd=self.directory)
        self.assertEqual(result.returncode, 1)
        value = json.loads(result.stdout)
        self.assertEqual((value["schema"], value["environments"]), ("vbuild.build/1", []))
        self.assertRegex(value["error"], "current directory.*ENOENT")
        self.assertEqual(result.stderr, f"vbuild: {value['error']}\n")

    def test_verbose(self):
        """The steps that --json gives are what --verbose says, each with its time."""
        result = self.vbuild("-v", "--json", "--compile=no", "--python", SYSTEM_PYTHON, self.env)
        self.assertEqual(result.returncode, 0, result.stderr)
        value = json.loads(result.stdout)
        steps = value["steps"] + value["environments"][0]["steps"]
        self.assertEqual(result.stderr, "".join(f"vbuild: {step['microseconds']:8} us  {step['text']}\n" for step in steps))
        text = "\n".join(step["text"] for step in steps)
        self.assertRegex(text, r"\Afound .*\nread the activation scripts\n(read '.*\.whl'\n)+planned '.*\nwrote it\Z")


def snapshot_times(directory):
    """What changes when a file is written or replaced."""
    return {path: (status.st_ino, status.st_mtime_ns, status.st_ctime_ns)
            for parent, directories, files in os.walk(directory)
            for path in [os.path.join(parent, name) for name in directories + files]
            for status in [os.lstat(path)]}


if __name__ == "__main__":
    unittest.main()
