"""vbuild --install WHEEL: what pip makes of the same file, and nothing outside of the environment."""

import base64
import csv
import glob
import hashlib
import io
import json
import os
import shutil
import unittest
import zipfile

from support import SYSTEM_PYTHON, VBUILD, cpythons, run
from vbuild_case import PYPY, WHOLE, Case, exact_snapshot, pythons, snapshot, version_of

FACTS = """
import json, sys, sysconfig
from pip._internal.utils.compatibility_tags import get_supported
suffix = sysconfig.get_config_var("EXT_SUFFIX")
include = sysconfig.get_paths()["include"]
print(json.dumps({"tags": [str(tag) for tag in get_supported()], "suffix": suffix, "include": include}))
"""

EXTENSION = """
#include <Python.h>
static PyModuleDef module = {PyModuleDef_HEAD_INIT, "_native", NULL, -1, NULL};
PyMODINIT_FUNC PyInit__native(void) {
  PyObject* self = PyModule_Create(&module);
  if (self != NULL) PyModule_AddIntConstant(self, "answer", 42);
  return self;
}
"""


def digest(content):
    return "sha256=" + base64.urlsafe_b64encode(hashlib.sha256(content).digest()).rstrip(b"=").decode()


def record(files, name):
    out = io.StringIO()
    rows = csv.writer(out, lineterminator="\n")
    for path, content in files.items():
        rows.writerow([path, digest(content), len(content)])
    rows.writerow([name, "", ""])
    return out.getvalue().encode()


def walk(directory):
    """Relative paths of everything but directories."""
    return {os.path.relpath(os.path.join(parent, name), directory)
            for parent, directories, files in os.walk(directory)
            for name in files + [one for one in directories if os.path.islink(os.path.join(parent, one))]}


class Case(Case):
    def setUp(self):
        super().setUp()
        self.wheels = os.path.join(self.directory, "wheels")
        os.mkdir(self.wheels)

    def wheel(self, project, version, files, tag="py3-none-any", executable=(), entry_points="", metadata="", purelib=True,
              modes=None, rows=None, extra=()):
        """Writes a wheel and returns its path. `rows` replaces RECORD, `extra` are files that it does not list."""
        stem = f"{project}-{version}"
        info = stem + ".dist-info/"
        files = {name.replace("DATA/", stem + ".data/"): content for name, content in files.items()}
        executable = {name.replace("DATA/", stem + ".data/") for name in executable}
        files[info + "METADATA"] = f"Metadata-Version: 2.1\nName: {project}\nVersion: {version}\n{metadata}\n".encode()
        files[info + "WHEEL"] = (f"Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: {str(purelib).lower()}\n"
                                 f"Tag: {tag}\n").encode()
        if entry_points:
            files[info + "entry_points.txt"] = entry_points.encode()
        path = os.path.join(self.wheels, f"{stem}-{tag}.whl")
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
            listed = rows or record(files, info + "RECORD")
            for name, content in [*files.items(), *extra, (info + "RECORD", listed)]:
                entry = zipfile.ZipInfo(name)
                entry.create_system = 3
                entry.external_attr = (modes or {}).get(name, 0o100755 if name in executable else 0o100644) << 16
                entry.compress_type = zipfile.ZIP_DEFLATED
                archive.writestr(entry, content)
        return path

    def python_in(self, env):
        """The program that vbuild's scripts name."""
        return os.path.join(env, "bin", os.path.basename(self.python))

    def pip(self, env, *arguments):
        # Without bytecode: which of it is written is not what is compared.
        environment = {"PATH": "/usr/bin:/bin", "HOME": self.directory, "PIP_CONFIG_FILE": "/dev/null",
                       "PIP_DISABLE_PIP_VERSION_CHECK": "1", "PYTHONDONTWRITEBYTECODE": "1"}
        return self.check([self.python_in(env), "-m", "pip", "-q", *arguments], env=environment)

    def pip_install(self, env, *wheels):
        self.pip(env, "install", "--no-index", "--no-deps", "--no-compile", *wheels)

    def installed(self, *wheels):
        return [word for wheel in wheels for word in ("--install", wheel)]

    def site_packages(self, env=None):
        return glob.glob((env or self.env) + "/lib/py*3*/site-packages")[0]


class AsPip(Case):
    """The same tree as pip, byte for byte."""

    def full_wheel(self):
        files = {"foo/__init__.py": b"def main():\n    print('foo main')\n", "foo/data.bin": bytes(range(256)) * 300,
                 "foo_module.py": b"value = 1\n", "foo/empty": b"",
                 "DATA/scripts/hello": b"#!python -E\nimport foo_module\nprint('hello', foo_module.value)\n",
                 "DATA/scripts/window.pyw": b"#!pythonw\r\nprint('window')\r\n", "DATA/scripts/tool": b"#!/bin/sh\necho tool\n",
                 "DATA/scripts/binary": b"\x7fELF" + bytes(100), "DATA/scripts/plain": b"#!python\n",
                 "DATA/scripts/bare": b"#!python",
                 "DATA/scripts/foo-main": b"#!python\nmade by setuptools\n",
                 "DATA/scripts/foo-main-script.py": b"#!python\nmade by setuptools\n",
                 "DATA/scripts/foo-main.exe": b"MZ", "DATA/scripts/sub/deep": b"#!python\nprint('deep')\n",
                 "DATA/headers/foo.h": b"#define FOO 1\n", "DATA/headers/sub/bar.h": b"#define BAR 1\n",
                 "DATA/data/share/man/man1/foo.1": b".TH FOO 1\n", "DATA/data/etc/foo, \"quoted\".conf": b"a = 1\n",
                 "DATA/data/top": b"top\n", "DATA/data/lib/foo/plugin": b"plugin\n", "DATA/data/lib64/foo/other": b"other\n",
                 "DATA/purelib/foo_pure.py": b"value = 2\n", "DATA/platlib/foo_plat/__init__.py": b"value = 3\n"}
        return self.wheel("Foo.Bar_Baz", "1.0.post1+local.1", files, tag="py2.py3-none-any",
                          executable=("DATA/scripts/hello", "DATA/scripts/tool", "DATA/scripts/sub/deep", "foo/data.bin",
                                      "DATA/data/lib/foo/plugin"),
                          entry_points="[console_scripts]\nfoo-main = foo:main\npip3.1 = foo:main\n[gui_scripts]\n"
                                       "foo-gui = foo:main [extra]\n[other]\nx = y:z\n",
                          metadata="Requires-Python: >=3.6\nRequires-Dist: extra-one; extra == 'x'\n")

    def native_wheel(self):
        facts = json.loads(self.check([self.python, "-c", FACTS]).stdout)
        tag = next(tag for tag in facts["tags"] if "manylinux2014" in tag or "-linux_" in tag)
        content = b"no extension module, but a file\n"
        compiler = shutil.which("cc")
        self.compiled = bool(compiler) and os.path.exists(os.path.join(facts["include"], "Python.h"))
        if self.compiled:
            source, library = (os.path.join(self.directory, name) for name in ("native.c", "native.so"))
            with open(source, "w", encoding="ascii") as file:
                file.write(EXTENSION)
            self.check([compiler, "-shared", "-fPIC", "-O0", "-I", facts["include"], "-o", library, source])
            with open(library, "rb") as file:
                content = file.read()
        name = "native/_native" + facts["suffix"]
        return self.wheel("native", "2.0", {"native/__init__.py": b"", name: content}, tag=tag, purelib=False,
                          executable=(name,))

    def test_the_whole_tree(self):
        """With Debian's Python, the newest CPython and PyPy; tests/all/vbuild_tests.sh has all that there are."""
        several = {SYSTEM_PYTHON: None, cpythons()[-1][1]: None, PYPY: None}
        for self.python in pythons() if WHOLE else filter(os.path.exists, several):
            with self.subTest(python=self.python):
                wheels = [self.full_wheel(), self.native_wheel()]
                shutil.rmtree(self.env, ignore_errors=True)
                self.build(*self.installed(*wheels), self.env, python=self.python)
                ours = snapshot(self.env)
                self.check_runs()
                self.pip(self.env, "uninstall", "-y", "Foo.Bar-Baz", "native")
                left = walk(self.env)
                shutil.rmtree(self.env)

                self.build(self.env, python=self.python)
                self.assertEqual({path for path in left - walk(self.env) if "__pycache__" not in path}, set())
                self.pip_install(self.env, *wheels)
                theirs = snapshot(self.env)
                self.assertEqual(sorted(ours), sorted(theirs))
                for path, value in theirs.items():
                    self.assertEqual(ours[path], value, path)

    def check_runs(self):
        programs = self.env + "/bin/"
        for program, expected in (("hello", "hello 1"), ("tool", "tool"), ("foo-main", "foo main"), ("foo-gui", "foo main"),
                                  ("sub/deep", "deep")):
            self.assertEqual(self.check([programs + program]).stdout, expected + "\n")
        code = "import foo_pure, foo_plat, native; print(foo_pure.value, foo_plat.value)"
        if self.compiled:
            code += "; import native._native; print(native._native.answer)"
        output = self.check([self.python_in(self.env), "-B", "-c", code]).stdout
        self.assertEqual(output, "2 3\n42\n" if self.compiled else "2 3\n")

    def test_modes_follow_the_umask(self):
        self.python = SYSTEM_PYTHON
        wheel = self.full_wheel()
        for umask in (0o077, 0o011):
            with self.subTest(umask=oct(umask)):
                trees = []
                for how in ("vbuild", "pip"):
                    shutil.rmtree(self.env, ignore_errors=True)
                    command = [VBUILD, "--python", self.python, self.env]
                    if how == "vbuild":
                        command += self.installed(wheel)
                    self.check(command, preexec_fn=lambda mask=umask: os.umask(mask))
                    if how == "pip":
                        self.check([self.python_in(self.env), "-B", "-m", "pip", "-q", "--disable-pip-version-check",
                                    "install", "--no-index", "--no-deps", "--no-compile", wheel],
                                   preexec_fn=lambda mask=umask: os.umask(mask))
                    trees.append(snapshot(self.env))
                self.assertEqual(trees[0], trees[1])

    def test_another_version_takes_the_place(self):
        """Over an environment in which the old modules were compiled, and that shares a directory with others."""
        self.python = SYSTEM_PYTHON
        other = self.wheel("other", "1.0", {"shared/other.py": b"value = 1\n"})
        first = self.wheel("foo", "1.0", {"foo/__init__.py": b"value = 1\n", "foo/gone/old.py": b"x = 1\n",
                                          "shared/foo.py": b"value = 1\n", "foo_gone.py": b"x = 1\n",
                                          "DATA/data/share/foo/old": b"old\n", "DATA/scripts/foo-old": b"#!python\n"},
                           entry_points="[console_scripts]\nfoo-gone = foo:x\nfoo-stays = foo:x\n")
        second = self.wheel("foo", "2.0", {"foo/__init__.py": b"value = 22\n", "foo/new.py": b"x = 1\n",
                                           "shared/foo2.py": b"value = 2\n", "DATA/data/share/foo2/new": b"new\n"},
                            entry_points="[console_scripts]\nfoo-stays = foo:x\n")
        self.build(*self.installed(other, first), self.env)
        python = self.python_in(self.env)
        self.check([python, "-c", "import foo.gone.old, shared.foo, shared.other, foo_gone"])
        packages = self.site_packages()
        # What is not in RECORD is nobody's to remove.
        with open(packages + "/foo/mine", "w", encoding="ascii"):
            pass
        self.build(*self.installed(second), self.env)
        self.assertEqual({path for path in walk(packages) if "__pycache__" in path and "pip" not in path
                          and "setuptools" not in path and "pkg_resources" not in path and "_distutils" not in path},
                         {path for path in walk(packages) if path.startswith("shared/__pycache__/other.")})
        self.assertEqual(self.check([python, "-c", "import foo, shared.other; print(foo.value)"]).stdout, "22\n")
        self.assertEqual(run([python, "-c", "import foo_gone"]).returncode, 1)
        ours = snapshot(self.env)
        self.assertIn(os.path.relpath(packages, self.env) + "/foo/mine", ours)

        # Once more, with the same version: nothing changes.
        self.build(*self.installed(second), self.env)
        self.assertEqual(snapshot(self.env), ours)

        shutil.rmtree(self.env)
        self.build(self.env)
        self.pip_install(self.env, other, first)
        with open(packages + "/foo/mine", "w", encoding="ascii"):
            pass
        self.pip_install(self.env, second)
        self.assertEqual(ours, snapshot(self.env))

    def test_a_file_becomes_a_directory_and_the_reverse(self):
        self.python = SYSTEM_PYTHON
        first = self.wheel("foo", "1.0", {"foo_a": b"1", "foo_b/__init__.py": b"", "foo_b/sub/x": b"1", "DATA/data/share/a": b"1",
                                          "DATA/data/share/b/deep/x": b"1", "DATA/data/share/b/y": b"1"})
        second = self.wheel("foo", "2.0", {"foo_a/sub/x": b"2", "foo_b": b"2", "DATA/data/share/a/deep/x": b"2",
                                           "DATA/data/share/b": b"2"})
        for there, given in ((first, second), (second, first)):
            with self.subTest(given=given):
                self.build("--without-pip", *self.installed(there), self.env)
                if there == first:
                    self.check([self.python_in(self.env), "-c", "import foo_b"])  # leaves bytecode
                self.build("--without-pip", *self.installed(given), self.env)
                changed = snapshot(self.env)
                shutil.rmtree(self.env)
                self.build("--without-pip", *self.installed(given), self.env)
                self.assertEqual(changed, snapshot(self.env))
                self.check([VBUILD, "--doctor", self.env])
                shutil.rmtree(self.env)

        # What belongs to nobody is in the way, and is kept.
        self.build("--without-pip", *self.installed(first), self.env)
        mine = self.env + "/share/b/deep/mine"
        with open(mine, "w", encoding="ascii"):
            pass
        before = snapshot(self.env)
        line = self.refused("--python", SYSTEM_PYTHON, "--without-pip", *self.installed(second), self.env)
        self.assertIn(f"cannot write '{self.env}/share/b': a directory stands there, with '{mine}' of somebody else in it", line)
        self.assertEqual(snapshot(self.env), before)
        os.unlink(mine)
        self.build("--without-pip", *self.installed(second), self.env)

    def test_reproducible(self):
        """With SOURCE_DATE_EPOCH the same wheels give the same bytes and times, in a new environment and in one that is there."""
        self.python = SYSTEM_PYTHON
        wheels = self.installed(self.full_wheel(), self.native_wheel())
        date = 1_234_567_890
        for options in (["--without-pip"], ["--without-pip", "--copies"]):
            trees = []
            for there in (None, ["--without-pip"], ["--without-pip", *wheels]):
                with self.subTest(options=options, there=there):
                    dated = {"env": dict(os.environ, SOURCE_DATE_EPOCH=str(date))}
                    if there is not None:
                        self.build(*there, *options[1:], self.env, **dated)
                    self.build(*options, *wheels, self.env, **dated)
                    trees.append(exact_snapshot(self.env))
                    self.assertEqual([path for path, entry in trees[-1].items() if entry[1] != date * 10**9], [])
                    self.assertEqual([path for path in trees[0] if trees[0][path] != trees[-1].get(path)], [])
                    self.assertEqual(trees[0].keys(), trees[-1].keys())
                    shutil.rmtree(self.env)

    def test_pip_itself(self):
        """The pip that is given takes the place of the seed, in a new environment and in an old one."""
        wheel = self.wheel("pip", "99.0", {"pip/__init__.py": b"def main():\n    print('given')\n"},
                           entry_points="[console_scripts]\npip = pip:main\n")
        for options in ((), ("--clear",)):
            self.build(*options, *self.installed(wheel), self.env)
            self.assertEqual(self.check([self.env + "/bin/pip3"]).stdout, "given\n")
            self.assertEqual(sorted(map(os.path.basename, glob.glob(self.site_packages() + "/pip*"))),
                             ["pip", "pip-99.0.dist-info"])
            shutil.rmtree(self.env)
            self.build(self.env)

    def test_without_pip(self):
        wheel = self.wheel("foo", "1.0", {"foo.py": b"def main():\n    print('here')\n"},
                           entry_points="[console_scripts]\nfoo = foo:main\n")
        self.build("--without-pip", *self.installed(wheel), self.env)
        self.assertEqual(self.check([self.env + "/bin/foo"]).stdout, "here\n")
        self.assertEqual(sorted(os.listdir(self.site_packages())), ["foo-1.0.dist-info", "foo.py"])
        with open(self.site_packages() + "/foo-1.0.dist-info/direct_url.json", encoding="ascii") as file:
            url = json.load(file)
        with open(wheel, "rb") as file:
            self.assertEqual(url["archive_info"]["hashes"]["sha256"], hashlib.sha256(file.read()).hexdigest())

    def test_paths_with_blanks_and_quotes(self):
        """Where the kernel would cut the first line, sh finds the interpreter, and runs nothing of the path."""
        wheel = self.wheel("foo", "1.0", {"DATA/scripts/hello": b"#!python\nprint('hello')\n"},
                           executable=("DATA/scripts/hello",))
        strange = os.path.join(self.directory, "a b'$(touch evil)`touch evil`")
        os.mkdir(strange)
        shutil.copy(wheel, strange)
        for env in (strange + "/env", os.path.join(self.directory, "x" * 150)):
            self.build(*self.installed(os.path.join(strange, os.path.basename(wheel))), env)
            self.assertEqual(self.check([env + "/bin/hello"], cwd=self.directory).stdout, "hello\n")
            self.assertFalse(os.path.exists(self.directory + "/evil"))
            with open(self.site_packages(env) + "/foo-1.0.dist-info/direct_url.json", encoding="ascii") as file:
                self.assertTrue(json.load(file)["url"].endswith(
                    "/a%20b%27%24%28touch%20evil%29%60touch%20evil%60/foo-1.0-py3-none-any.whl"))

    def test_what_is_said(self):
        needs = self.wheel("foo", "1.0", {"foo.py": b""},
                           metadata="Requires-Dist: absent-one (>=1.0)\nRequires-Dist: bar [x] >= 2, < 3\n"
                                    "Requires-Dist: baz==1.0\nRequires-Dist: marked; python_version < '3'\n"
                                    "Requires-Dist: remote @ https://example.org/x.whl\n")
        others = [self.wheel("bar", "1.5", {"bar.py": b""}), self.wheel("Baz", "1.0+x", {"baz.py": b""})]
        command = [VBUILD, "--python", SYSTEM_PYTHON, "--without-pip", *self.installed(needs, *others)]
        self.assertEqual(self.check([*command, self.env]).stderr,
                         f"vbuild: foo needs what is not in '{self.env}': absent-one>=1.0, bar>=2,<3\n")
        self.assertEqual(self.check([*command, "--clear", "--system-site-packages", self.env]).stderr, "")
        result = self.check([*command, "-v", "--json", self.env])
        self.assertIn("installed foo 1.0\n", result.stderr)
        environment, = json.loads(result.stdout)["environments"]
        self.assertEqual(environment["state"], "reused")
        self.assertEqual(environment["installed"], [{"project": name, "version": version} for name, version in (
            ("foo", "1.0"), ("bar", "1.5"), ("baz", "1.0+x"))])
        self.assertEqual(len(environment["notices"]), 1)


class Refused(Case):
    """With one line, and nothing changed."""

    python = SYSTEM_PYTHON

    def refuse(self, wheel, *parts):
        """In a new environment and in one that is there."""
        wheels = [wheel] if isinstance(wheel, str) else wheel
        command = ["--python", SYSTEM_PYTHON, "--without-pip", *self.installed(*wheels)]
        line = self.refused(*command, self.env)
        for part in parts:
            self.assertIn(part, line)
        existing = os.path.join(self.directory, "existing")
        if not os.path.exists(existing):
            self.build("--without-pip", existing)
        before = snapshot(existing)
        self.assertEqual(self.refused(*command, existing).replace("/existing", "/env"), line)
        self.assertEqual(snapshot(existing), before)
        return line

    def test_wheels_for_others(self):
        major, minor = version_of(SYSTEM_PYTHON)
        here = f"cp{major}{minor}"
        machine = os.uname().machine
        for tag, nearest in ((f"cp3{minor + 1}-cp3{minor + 1}-linux_{machine}", f"{here}-{here}-linux_{machine}"),
                             (f"{here}-{here}-win_amd64", here), (f"{here}-{here}-manylinux_2_99_{machine}", here),
                             ("py2-none-any", f"py3{minor}-none-any"), (f"{here}-{here}t-linux_{machine}", here),
                             (f"cp3{minor + 1}-abi3-linux_{machine}", "abi3")):
            with self.subTest(tag=tag):
                self.refuse(self.wheel("foo", "1.0", {"foo.py": b""}, tag=tag), "it is for " + tag, nearest)
        self.refuse(self.wheel("foo", "1.0", {"foo.py": b""}, metadata="Requires-Python: <3.4\n"), "asks for Python <3.4")

    def test_no_wheels(self):
        self.refuse(os.path.join(self.directory, "foo-1.0-py3-none-any.whl"), "cannot find the wheel", "ENOENT")
        path = os.path.join(self.wheels, "foo.zip")
        with open(path, "wb"):
            pass
        self.refuse(path, "its name is not that of a wheel")
        os.mkdir(self.wheels + "/foo-1.0-py3-none-any.whl")
        self.refuse(self.wheels + "/foo-1.0-py3-none-any.whl", "not a regular file")
        os.rmdir(self.wheels + "/foo-1.0-py3-none-any.whl")
        os.mkfifo(self.wheels + "/foo-1.0-py3-none-any.whl")
        self.refuse(self.wheels + "/foo-1.0-py3-none-any.whl", "not a regular file")

    def test_names_and_places(self):
        library = f"lib/python{'.'.join(map(str, version_of(SYSTEM_PYTHON)))}/site-packages"
        own = "the place of one of the environment"
        for name, reason in (("DATA/scripts/python3", own), ("DATA/scripts/activate", own), ("DATA/data/pyvenv.cfg", own),
                             ("DATA/data/bin/python", own), ("DATA/data/lib64", own), ("DATA/data/.gitignore", own),
                             (f"DATA/data/{library}/pip-1.0.dist-info/RECORD", "another distribution"),
                             ("DATA/purelib/bar-1.0.dist-info/METADATA", "another distribution"),
                             ("DATA/data/lib", ""), ("DATA/data/bin", ""), (f"DATA/data/{library}", ""),
                             ("DATA/stray", "does not say where"), ("DATA/unknown/x", "does not say where"),
                             ("bar-1.0.data/data/x", "disagree"), ("foo-2.0.data/data/x", "disagree"),
                             ("DATA/purelib/foo.py", "two files for"), ("DATA/purelib/foo.py/x", "in the way of"),
                             ("DATA/data/bin/foo-main", "two files for"), ("DATA/data/../x", "leads elsewhere"),
                             ("DATA/data//tmp/x", "leads elsewhere"), ("DATA/purelib/foo-1.0.dist-info/RECORD", "two files for"),
                             ("DATA/purelib/foo-1.0.dist-info/INSTALLER", "two files for")):
            with self.subTest(name=name):
                self.refuse(self.wheel("foo", "1.0", {"foo.py": b"", name: b"x"},
                                       entry_points="[console_scripts]\nfoo-main = foo:main\n"), reason)

    def test_content(self):
        files = {"foo.py": b"", "DATA/scripts/x": b"#!python\n"}
        listed = record(dict(files, **{"foo-1.0.data/scripts/x": b"#!python\n"}), "foo-1.0.dist-info/RECORD")
        self.refuse(self.wheel("foo", "1.0", files, rows=listed), "RECORD")
        self.refuse(self.wheel("foo", "1.0", files, extra=[("foo-1.0.data/data/x", b"")]), "RECORD does not list")
        wheel = self.wheel("foo", "1.0", files)
        with zipfile.ZipFile(wheel) as archive:
            entries = {name: archive.read(name) for name in archive.namelist()}
        for name in ("foo.py", "foo-1.0.data/scripts/x"):
            with zipfile.ZipFile(wheel, "w") as archive:
                for other, content in entries.items():
                    archive.writestr(other, content + b" " if other == name else content)
            self.refuse(wheel, "is not the one in RECORD")
        self.refuse(self.wheel("foo", "1.0", dict(files, **{"foo-1.0.data/data/link": b"/etc/passwd"}),
                               modes={"foo-1.0.data/data/link": 0o120777}), "a link or a special file")

    def test_wheels_that_do_not_go_together(self):
        first = self.wheel("foo", "1.0", {"same.py": b"1"})
        second = self.wheel("bar", "1.0", {"same.py": b"2"})
        self.refuse([first, second], "both have", "site-packages/same.py", "foo-1.0", "bar-1.0")
        self.refuse([first, self.wheel("Foo", "2.0", {"x.py": b""})], "another one of foo is given")
        self.refuse([first, first], "another one of foo is given")
        script = self.wheel("script", "1.0", {"DATA/scripts/pip": b"#!/bin/sh\n"})
        self.assertIn("both have 'bin/pip'", self.refused("--python", SYSTEM_PYTHON, "--install", script, self.env))
        self.refuse([first, self.wheel("nested", "1.0", {"same.py/x": b""})], "in the way of")

    def test_links_that_were_planted(self):
        """A link of the environment that leads out of it is no way for a wheel, nor for what is removed."""
        victim = os.path.join(self.directory, "victim")
        os.makedirs(victim + "/sub")
        for name in ("x", "sub/x", "foo.py"):
            with open(os.path.join(victim, name), "w", encoding="ascii") as file:
                file.write("untouched\n")
        old = self.wheel("foo", "1.0", {"foo/__init__.py": b"", "foo/sub/x": b"", "DATA/data/share/x": b""})
        new = self.wheel("foo", "2.0", {"foo/__init__.py": b"", "DATA/data/share/x": b"", "DATA/data/lib64/x": b""})
        for number, name in enumerate(("share", "lib/PACKAGES/foo", "lib/PACKAGES/foo/sub", "lib64", "bin", "lib")):
            with self.subTest(name=name):
                env = os.path.join(self.directory, f"env{number}")
                self.build("--without-pip", *self.installed(old), env)
                path = os.path.join(env, name.replace("lib/PACKAGES", os.path.relpath(self.site_packages(env), env)))
                if os.path.islink(path):
                    os.unlink(path)
                else:
                    os.rename(path, os.path.join(self.directory, f"old{number}"))
                os.symlink(victim, path)
                before = snapshot(env)
                line = self.refused("--python", SYSTEM_PYTHON, "--without-pip", *self.installed(new), env)
                self.assertRegex(line, "ELOOP|a symbolic link|directory")
                self.assertEqual(snapshot(env), before)
                for name in ("x", "sub/x", "foo.py"):
                    with open(os.path.join(victim, name), encoding="ascii") as file:
                        self.assertEqual(file.read(), "untouched\n")
                self.assertEqual(walk(victim), {"x", "sub/x", "foo.py"})

    def test_a_record_that_names_what_is_not_its_own(self):
        """Rows of what is installed that lead out of the environment, or to what makes it one, remove nothing."""
        victim = os.path.join(self.directory, "victim")
        with open(victim, "w", encoding="ascii") as file:
            file.write("untouched\n")
        self.build("--without-pip", *self.installed(self.wheel("foo", "1.0", {"foo.py": b""})), self.env)
        with open(self.site_packages() + "/kept.py", "w", encoding="ascii"):
            pass
        rows = self.site_packages() + "/foo-1.0.dist-info/RECORD"
        with open(rows, "a", encoding="ascii") as file:
            for row in (victim, "/kept.py", "../../../../victim", "../../../pyvenv.cfg", "../../../bin/python3", "../../../bin/activate",
                        "../../../bin", "..", "../../../lib64", "../../../../../../../../../../../../../../etc/passwd"):
                file.write(f"{row},,\n")
        before = snapshot(self.env)
        self.build("--without-pip", *self.installed(self.wheel("foo", "2.0", {"bar.py": b""})), self.env)
        self.assertEqual({path for path in before if path not in snapshot(self.env) and "dist-info" not in path},
                         {os.path.relpath(self.site_packages(), self.env) + "/foo.py"})
        with open(victim, encoding="ascii") as file:
            self.assertEqual(file.read(), "untouched\n")

    def test_what_cannot_be_replaced(self):
        wheel = self.wheel("foo", "2.0", {"foo.py": b""})
        self.build("--without-pip", self.env)
        for name in ("foo-1.0.egg-info", "Foo.egg-link", "foo-1.0.dist-info"):
            path = os.path.join(self.site_packages(), name)
            os.mkdir(path)
            line = self.refused("--python", SYSTEM_PYTHON, *self.installed(wheel), self.env)
            self.assertIn("pip uninstall", line)
            os.rmdir(path)
        os.mkdir(self.site_packages() + "/foo.py")
        line = self.refused("--python", SYSTEM_PYTHON, *self.installed(wheel), self.env)
        self.assertIn("a directory stands there", line)
        os.rmdir(self.site_packages() + "/foo.py")
        self.build("--without-pip", *self.installed(wheel), self.env)

    def test_options(self):
        for options in (("--inspect",), ("--doctor",)):
            self.assertIn("says how to build", self.refused(*options, "--install", "x.whl", self.env, status=2))
        self.assertIn("needs a value", self.refused("--install", "", self.env, status=2))


del Case  # is no test

if __name__ == "__main__":
    unittest.main()
