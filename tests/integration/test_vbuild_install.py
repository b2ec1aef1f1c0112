"""vbuild --install WHEEL: what pip makes of the same file."""

import glob
import hashlib
import json
import os
import shutil
import unittest

from support import SYSTEM_PYTHON, VBUILD, cpythons, run
from vbuild_case import PYPY, WHOLE, exact_snapshot, pythons, snapshot
from vbuild_install_case import InstallCase, walk

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


class AsPip(InstallCase):
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


if __name__ == "__main__":
    unittest.main()
