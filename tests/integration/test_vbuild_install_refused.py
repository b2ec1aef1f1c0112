"""vbuild --install of what is no wheel for here, or would reach outside of the environment."""

import os
import unittest
import zipfile

from support import SYSTEM_PYTHON
from vbuild_case import snapshot, version_of
from vbuild_install_case import InstallCase, record, walk


class Refused(InstallCase):
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


if __name__ == "__main__":
    unittest.main()
