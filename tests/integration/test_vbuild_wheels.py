"""Wheels that are refused with file and reason before anything is there."""

import base64
import glob
import hashlib
import os
import re
import shutil
import stat
import unittest
import warnings
import zipfile

from support import SYSTEM_PYTHON, VBUILD, run
from vbuild_case import Case, snapshot, version_of


class Wheels(Case):
    """Wheels that are refused, with file and reason, and nothing written. --without-pip is no part of it."""

    INFO = "pip-99.0.dist-info/"

    def setUp(self):
        super().setUp()
        self.wheels = os.path.join(self.directory, "wheels")
        os.mkdir(self.wheels)
        self.path = self.wheels + "/pip-99.0-py3-none-any.whl"

    def files(self, entry_points="[console_scripts]\npip = pip:main\n"):
        return {"pip/__init__.py": b"def main(): print('fake pip')\n",
                "pip/__main__.py": b"import pip; pip.main()\n",
                self.INFO + "METADATA": b"Metadata-Version: 2.1\nName: pip\nVersion: 99.0\n\n",
                self.INFO + "WHEEL": b"Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
                self.INFO + "entry_points.txt": entry_points.encode()}

    @staticmethod
    def record(files):
        rows = []
        for name, content in files.items():
            digest = base64.urlsafe_b64encode(hashlib.sha256(content).digest()).rstrip(b"=").decode()
            rows.append(f"{name},sha256={digest},{len(content)}\n")
        return ("".join(rows) + f"{Wheels.INFO}RECORD,,\n").encode()

    def write(self, files, record=None, infos=(), compression=zipfile.ZIP_DEFLATED):
        with zipfile.ZipFile(self.path, "w", compression) as wheel:
            for name, content in files.items():
                wheel.writestr(name, content)
            for info, content in infos:
                wheel.writestr(info, content)
            wheel.writestr(self.INFO + "RECORD", self.record(files) if record is None else record)

    def refuse(self, *parts):
        line = self.refused("--python", SYSTEM_PYTHON, "--wheel-dir", self.wheels, self.env)
        self.assertIn("pip-99.0-py3-none-any.whl", line)
        for part in parts:
            self.assertIn(part, line)
        self.assertFalse(os.path.exists("/tmp/vbuild-evil"))

    def test_a_right_one_is_installed(self):
        for compression in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
            self.write(self.files(), compression=compression)
            self.build("--clear", "--wheel-dir", self.wheels, self.env)
            self.assertEqual(self.check([self.env + "/bin/pip"]).stdout, "fake pip\n")
            environment = dict(os.environ, VBUILD_WHEEL_DIR=self.wheels)
            self.build("--clear", self.env, env=environment)
            self.assertEqual(self.check([self.env + "/bin/pip3"]).stdout, "fake pip\n")

    def test_streamed_and_zip64_archives_are_read(self):
        files = self.files()
        with open(self.path, "wb") as raw:
            class Unseekable:
                def write(self, data):
                    return raw.write(data)

                def flush(self):
                    raw.flush()
            with zipfile.ZipFile(Unseekable(), "w", zipfile.ZIP_DEFLATED) as wheel:
                for name, content in [*files.items(), (self.INFO + "RECORD", self.record(files))]:
                    with wheel.open(name, "w", force_zip64=name.startswith("pip/")) as entry:
                        entry.write(content)
        self.build("--wheel-dir", self.wheels, self.env)
        with zipfile.ZipFile(self.path, "w") as wheel:
            for name, content in [*files.items(), (self.INFO + "RECORD", self.record(files))]:
                with wheel.open(name, "w", force_zip64=True) as entry:
                    entry.write(content)
        self.build("--clear", "--wheel-dir", self.wheels, self.env)

    def test_names_that_lead_elsewhere(self):
        for name in ("../vbuild-evil", "/tmp/vbuild-evil", "a/../../vbuild-evil", "./x", "a//b", "..\\x", "C:\\x", "pip/..",
                     "a\nb", "x" * 300):
            with self.subTest(name=name):
                self.write(dict(self.files(), **{name: b"evil"}))
                self.refuse("its entry")

    def test_links_and_special_files(self):
        for mode in (0o120777, 0o060666, 0o020666, 0o010666, 0o140777, 0o104755):
            with self.subTest(mode=oct(mode)):
                info = zipfile.ZipInfo("pip/link")
                info.create_system = 3
                info.external_attr = mode << 16
                files = self.files()
                self.write(files, self.record(dict(files, **{"pip/link": b"/etc/passwd"})), [(info, b"/etc/passwd")])
                self.refuse("pip/link")

    def test_modes_are_not_believed(self):
        files = self.files()
        info = zipfile.ZipInfo("pip/open.py")
        info.create_system = 3
        info.external_attr = 0o100777 << 16
        self.write(files, self.record(dict(files, **{"pip/open.py": b""})), [(info, b"")])
        self.build("--wheel-dir", self.wheels, self.env)
        found = glob.glob(self.env + "/lib/python3*/site-packages/pip/*.py")
        modes = {os.path.basename(path): oct(stat.S_IMODE(os.stat(path).st_mode)) for path in found}
        self.assertEqual(modes, {"__init__.py": "0o644", "__main__.py": "0o644", "open.py": "0o755"})

    def test_bombs(self):
        self.write(dict(self.files(), **{"pip/zeros": bytes(64 << 20)}))
        self.refuse("larger than any")
        with zipfile.ZipFile(self.path, "w") as wheel:
            for number in range(20001):
                wheel.writestr(f"pip/{number}", b"")
        self.refuse("more entries")
        with open(self.path, "wb") as file:
            file.truncate(1 << 40)
        self.refuse("larger than")

    def test_two_readers(self):
        self.write(self.files())
        with open(self.path, "rb") as file:
            right = file.read()
        for name, content in {"data before": b"#!/bin/sh\n" + right, "data after": right + b"x", "nothing": b"",
                              "two archives": right + right, "cut": right[:-30],
                              "comment": right[:-2] + b"\x05\x00hello"}.items():
            with self.subTest(name=name):
                with open(self.path, "wb") as file:
                    file.write(content)
                self.refuse()
        changed = bytearray(right)
        changed[right.index(b"pip/__init__.py")] = ord("q")  # the first is in the local header
        with open(self.path, "wb") as file:
            file.write(changed)
        self.refuse("local header")
        for first, second in (("pip/x.py", "pip/x.py"), ("pip/x.py", "PIP/X.PY"), ("pip/x", "pip/x/y")):
            with self.subTest(first=first, second=second):
                files = dict(self.files(), **{first: b"1"})
                info = zipfile.ZipInfo(second)
                info.create_system, info.external_attr = 3, 0o100644 << 16
                with warnings.catch_warnings():
                    warnings.simplefilter("ignore")
                    self.write(files, infos=[(info, b"2")])
                self.refuse("its entry")

    def test_overlapping_entries(self):
        files = self.files()
        self.write(files, compression=zipfile.ZIP_STORED)
        with open(self.path, "rb") as file:
            content = bytearray(file.read())
        # The second entry of the central directory points at the first local header.
        entries = [match.start() for match in re.finditer(b"PK\x01\x02", content)]
        content[entries[1] + 42:entries[1] + 46] = bytes(4)
        with open(self.path, "wb") as file:
            file.write(content)
        self.refuse()

    def test_record(self):
        files = self.files()
        right = self.record(files).decode()
        rows = right.splitlines(keepends=True)
        for name, record in {"a missing row": "".join(rows[1:]), "an extra row": right + "pip/none.py,sha256=x,1\n",
                             "a wrong hash": right.replace("sha256=", "sha256=A", 1), "md5": right.replace("sha256=", "md5=", 1),
                             "no hash": re.sub("sha256=[^,]*", "", right, count=1), "two rows": rows[0] + right,
                             "a wrong size": re.sub(r",\d+\n", ",1\n", right, count=1), "outside": right + "../../x,,\n",
                             "absolute": right + "/etc/passwd,,\n", "no csv": '"' + right}.items():
            with self.subTest(name=name):
                self.write(files, record.encode())
                self.refuse("RECORD")
        files["pip/__init__.py"] += b"# changed\n"
        self.write(files, right.encode())
        self.refuse("pip/__init__.py")

    def test_entry_points(self):
        for line in ("../x = pip:main", "/tmp/vbuild-evil = pip:main", "python = pip:main", "python3 = pip:main",
                     "activate = pip:main", "x = pip:main;import os", "x = pip", "a b = pip:main", ".. = pip:main",
                     "x = pip:main\nx = pip:other"):
            with self.subTest(line=line):
                self.write(self.files("[console_scripts]\n" + line + "\n"))
                self.refuse("entry_points.txt")

    def test_schemes(self):
        for name in ("pip-99.0.data/data/pyvenv.cfg", "pip-99.0.data/scripts/python", "pip-99.0.data/headers/x.h",
                     "pip-99.0.data/platlib/x.py"):
            with self.subTest(name=name):
                self.write(dict(self.files(), **{name: b"home = /tmp\n"}))
                self.refuse("outside its package directory")

    def test_metadata(self):
        for name, old, new in ((self.INFO + "METADATA", b"Name: pip", b"Name: pap"),
                               (self.INFO + "METADATA", b"Version: 99.0", b"Version: 98.0"),
                               (self.INFO + "METADATA", b"Version: 99.0", b"Version: 99.0\nRequires-Python: >=3.99"),
                               (self.INFO + "METADATA", b"Version: 99.0", b"Version: 99.0\nRequires-Python: new"),
                               (self.INFO + "WHEEL", b"Wheel-Version: 1.0", b"Wheel-Version: 2.0"),
                               (self.INFO + "WHEEL", b"Purelib: true", b"Purelib: false")):
            with self.subTest(new=new):
                files = self.files()
                self.assertIn(old, files[name])
                files[name] = files[name].replace(old, new)
                self.write(files)
                self.refuse()

    def test_no_wheel_at_all(self):
        """A Python without ensurepip's wheels, as Debian has it without python3-venv."""
        tree = os.path.join(self.directory, "tree")
        os.makedirs(tree + "/bin")
        version = "python%d.%d" % version_of(SYSTEM_PYTHON)
        stdlib = "/usr/lib/" + version
        os.makedirs(f"{tree}/lib/{version}")
        for name in os.listdir(stdlib):
            if name not in ("ensurepip",) and not name.startswith("_sysconfigdata"):
                os.symlink(os.path.join(stdlib, name), f"{tree}/lib/{version}/{name}")
        shutil.copy(SYSTEM_PYTHON, tree + "/bin/python3")
        if glob.glob("/usr/share/python*-wheels/pip-*.whl"):
            # The wheels of the system serve any Python that may use them.
            self.build(self.env, python=tree + "/bin/python3")
            shutil.rmtree(self.env)
            if not self.without_system_wheels(tree):
                self.skipTest("no mount namespace to be had here, to hide the system's wheels in")
            return
        self.no_wheels(self.vbuild("--python", tree + "/bin/python3", self.env, env={"HOME": self.directory}))

    def without_system_wheels(self, tree):
        script = f"mount -t tmpfs none /usr/share/python-wheels || exit 99; exec env HOME={self.directory} {VBUILD} --python {tree}/bin/python3 {self.env}"
        result = run(["unshare", "-rm", "sh", "-c", script])
        if result.returncode == 1:
            self.no_wheels(result)
        return result.returncode == 1

    def no_wheels(self, result):
        self.assertEqual(result.returncode, 1)
        self.assertIn("--without-pip", result.stderr)
        if os.path.exists("/etc/debian_version"):
            self.assertIn("python3-venv", result.stderr)
            self.assertIn("python3-pip-whl", result.stderr)
        self.assertEqual(len(result.stderr.splitlines()), 1)
        self.assertFalse(os.path.exists(self.env))


class Seeds(Case):
    """--seed: what an environment begins with, and from where."""

    def setUp(self):
        super().setUp()
        self.wheels = os.path.join(self.directory, "wheels")
        os.mkdir(self.wheels)

    def wheel(self, project, version, directory=None, requires=">=3.6", module=None):
        """A wheel with a module, and a program of the same name that prints the version."""
        info = f"{project}-{version}.dist-info/"
        files = {(module or project) + "/__init__.py": f"def main(): print({version!r})\n",
                 info + "METADATA": f"Metadata-Version: 2.1\nName: {project}\nVersion: {version}\nRequires-Python: {requires}\n\n",
                 info + "WHEEL": "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
                 info + "entry_points.txt": f"[console_scripts]\n{project} = {project}:main\n"}
        path = os.path.join(directory or self.wheels, f"{project}-{version}-py3-none-any.whl")
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with zipfile.ZipFile(path, "w") as archive:
            rows = info + "RECORD,,\n"
            for name, content in files.items():
                archive.writestr(name, content)
                digest = base64.urlsafe_b64encode(hashlib.sha256(content.encode()).digest()).rstrip(b"=").decode()
                rows += f"{name},sha256={digest},{len(content.encode())}\n"
            archive.writestr(info + "RECORD", rows)
        return path

    def installed(self):
        found = glob.glob(self.env + "/lib/python3*/site-packages/*.dist-info")
        return sorted(os.path.basename(path)[:-len(".dist-info")] for path in found)

    def projects(self):
        return [name.split("-")[0] for name in self.installed()]

    def defaults(self):
        return ["pip"] if version_of(SYSTEM_PYTHON) >= (3, 12) else ["pip", "setuptools"]

    def test_beside_the_defaults_and_in_their_place(self):
        self.wheel("tool", "1.0")
        self.wheel("tool", "2.0")
        self.wheel("pip", "99.0")
        self.wheel("pip", "98.0")
        where = ["--wheel-dir", self.wheels]
        self.build("--seed", "tool", *where, self.env)
        self.assertEqual(self.projects(), self.defaults() + ["tool"])
        self.assertEqual(self.check([self.env + "/bin/tool"]).stdout, "2.0\n")
        self.assertEqual(self.check([self.env + "/bin/pip"]).stdout, "99.0\n")
        self.build("--clear", "--seed=tool<2", "--seed=pip==98.*", *where, self.env)
        self.assertEqual(self.check([self.env + "/bin/tool"]).stdout, "1.0\n")
        self.assertEqual(self.check([self.env + "/bin/pip"]).stdout, "98.0\n")
        self.build("--clear", "--seed=none", "--seed=tool", *where, self.env)
        self.assertEqual(self.installed(), ["tool-2.0"])
        self.assertFalse(os.path.exists(self.env + "/bin/pip"))
        self.build("--clear", "--seed=none", self.env)
        self.assertEqual(self.installed(), [])

    def test_none_is_without_pip(self):
        other = os.path.join(self.directory, "other")
        self.build("--seed=none", self.env)
        self.build("--without-pip", other)
        with open(self.env + "/pyvenv.cfg", encoding="utf-8") as one, open(other + "/pyvenv.cfg", encoding="utf-8") as two:
            self.assertEqual(one.read().replace(self.env, "E"), two.read().replace(other, "E"))

    def test_pip_knows_and_removes_it(self):
        self.wheel("tool", "1.0")
        self.build("--seed=tool==1.0", "--wheel-dir", self.wheels, self.env)
        self.assertIn("tool", self.check([self.env + "/bin/python", "-m", "pip", "list"]).stdout)
        self.check([VBUILD, "--doctor", self.env])
        self.check([self.env + "/bin/python", "-m", "pip", "uninstall", "-q", "-y", "tool"])
        self.assertEqual(self.projects(), self.defaults())
        self.assertFalse(os.path.exists(self.env + "/bin/tool"))

    def test_an_existing_environment_gets_what_was_asked_for(self):
        self.wheel("tool", "1.0")
        where = ["--wheel-dir", self.wheels]
        self.build("--seed=none", "--seed=tool", *where, self.env)
        self.wheel("tool", "2.0")
        for spec, version in (("tool==1.0", "1.0"), ("tool", "2.0"), ("tool==1.0", "1.0"), ("tool<2", "1.0")):
            with self.subTest(spec=spec):
                self.build("--seed=none", "--seed", spec, *where, self.env)
                self.assertEqual(self.installed(), ["tool-" + version])
                self.assertEqual(self.check([self.env + "/bin/tool"]).stdout, version + "\n")

    def test_scripts_are_those_of_the_pip_that_is_there(self):
        """Without pip among the wheels: as the pip of the environment writes them, else as the newest does."""
        self.wheel("tool", "1.0")
        self.wheel("pip", "25.0")
        where = ["--wheel-dir", self.wheels]
        for first, told in ((["--seed=none"], "removesuffix"), (["--seed=none", "--seed=pip"], "re.sub")):
            with self.subTest(first=first):
                self.build("--clear", *first, *where, self.env)
                self.build("--seed=none", "--seed=tool", *where, self.env)
                with open(self.env + "/bin/tool", encoding="utf-8") as file:
                    self.assertIn(told, file.read())

    def test_two_with_the_same_file(self):
        first, second = self.wheel("tool", "1.0"), self.wheel("other", "1.0", module="tool")
        line = self.refused("--python", SYSTEM_PYTHON, "--seed=none", "--seed=tool", "--seed=other", "--wheel-dir", self.wheels,
                            self.env)
        packages = "lib/python%d.%d/site-packages" % version_of(SYSTEM_PYTHON)
        self.assertEqual(line, f"vbuild: cannot install the wheels '{first}' and '{second}' together: both have "
                               f"'{packages}/tool/__init__.py'")
        # In an environment that is there as well; each of them alone is right.
        self.build("--seed=none", "--seed=other", "--wheel-dir", self.wheels, self.env)
        before = snapshot(self.env)
        self.assertEqual(self.refused("--python", SYSTEM_PYTHON, "--clear", "--seed=none", "--seed=tool", "--seed=other",
                                      "--wheel-dir", self.wheels, self.env), line)
        self.assertEqual(snapshot(self.env), before)

    def test_what_is_not_there(self):
        self.wheel("tool", "1.0")
        line = self.refused("--python", SYSTEM_PYTHON, "--wheel-dir", self.wheels, "--seed=tool==2.0", self.env)
        for part in ("tool==2.0", self.wheels + "'", "tool-1.0-py3-none-any.whl' is of another version", "_bundled'",
                     "virtualenv/wheel/house'", "--wheel-dir DIR"):
            self.assertIn(part, line)
        self.assertIn("'/x'", self.refused("--seed=/x", self.env, status=2))

    def test_virtualenvs_cache(self):
        home = os.path.join(self.directory, "home")
        house = home + "/.cache/virtualenv/wheel/house"
        self.wheel("tool", "2.0", house, requires=">=3.99")
        self.wheel("tool", "1.0", house)
        environment = {"HOME": home, "PATH": os.environ["PATH"]}
        self.build("--seed=none", "--seed=tool", self.env, env=environment)
        self.assertEqual(self.installed(), ["tool-1.0"])

    def test_others_could_have_written_it(self):
        """No wheel that somebody else can have put there, neither from a cache nor from a directory that was named."""
        home = os.path.join(self.directory, "home")
        house = home + "/.cache/virtualenv/wheel/house"
        environment = {"HOME": home, "PATH": os.environ["PATH"]}
        for directory, options in ((house, []), (self.wheels, ["--wheel-dir", self.wheels])):
            path = self.wheel("tool", "1.0", directory)
            options = ["--python", SYSTEM_PYTHON, "--seed=none", "--seed=tool", *options, self.env]
            spoilt = [(path, lambda: os.chmod(path, 0o666), "everybody can change it"),
                      (directory, lambda: os.chmod(directory, 0o777), "of its directory, everybody can change it")]
            if os.geteuid() == 0:
                spoilt += [(path, lambda: os.chown(path, 1000, 1000), "it belongs to uid 1000")]
                if directory == house:
                    spoilt += [(directory, lambda: os.chown(directory, 1000, 1000), "it belongs to uid 1000")]
            else:
                print("only root can give files away: not tried with another owner")
            for changed, spoil, reason in spoilt:
                with self.subTest(changed=changed, reason=reason):
                    before = os.stat(changed)
                    spoil()
                    line = self.refused(*options, env=environment)
                    self.assertIn(path, line)
                    self.assertIn(reason, line)
                    os.chown(changed, before.st_uid, before.st_gid)
                    os.chmod(changed, before.st_mode & 0o7777)
            self.build(*options[2:], env=environment)
            shutil.rmtree(self.env)
        if os.geteuid() == 0:
            # As in a container that is shown its user's directory: who named it trusts its owner.
            for name in (self.wheels, path):
                os.chown(name, 1000, 1000)
            self.build(*options[2:], env=environment)


if __name__ == "__main__":
    unittest.main()
