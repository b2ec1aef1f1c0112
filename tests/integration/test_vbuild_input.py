"""What vbuild refuses, what it does to what is there already, and what --clear must not touch."""

import glob
import os
import shutil
import stat
import unittest

from support import SYSTEM_PYTHON, VBUILD, run
from vbuild_case import Case, pythons, snapshot, version_of


class Existing(Case):
    def test_foreign_files_stay(self):
        self.build(self.env)
        for name in ("mine.txt", "bin/mine", "lib/mine", "lib/python%d.%d/site-packages/mine.py" % version_of(SYSTEM_PYTHON)):
            with open(os.path.join(self.env, name), "w", encoding="utf-8") as file:
                file.write(name)
        os.chmod(self.env, 0o750)
        before = snapshot(self.env)
        self.build(self.env)
        self.assertEqual(snapshot(self.env), before)
        self.assertEqual(stat.S_IMODE(os.stat(self.env).st_mode), 0o750)

    def test_an_empty_directory_keeps_its_mode(self):
        os.mkdir(self.env, 0o700)
        inode = os.stat(self.env).st_ino
        self.build("--without-pip", self.env)
        self.assertEqual((os.stat(self.env).st_ino, stat.S_IMODE(os.stat(self.env).st_mode)), (inode, 0o700))

    def test_the_current_directory(self):
        os.mkdir(self.env)
        for path in (".", "", "../env"):
            self.build("--without-pip", "--", path, cwd=self.env)
            self.assertTrue(os.path.exists(self.env + "/bin/python"))

    def test_dangling_links_are_repaired_with_a_notice(self):
        self.build("--without-pip", self.env)
        os.unlink(self.env + "/bin/python3")
        os.symlink("/nonexistent/python3", self.env + "/bin/python3")
        result = self.check([VBUILD, "--python", SYSTEM_PYTHON, "--without-pip", self.env])
        self.assertEqual(len(result.stderr.splitlines()), 1)
        self.assertIn("repaired", result.stderr)
        self.check([self.env + "/bin/python", "-c", ""])

    def test_upgrade_repairs_dangling_links_with_a_notice(self):
        """What CPython's own --upgrade leaves broken (gh-143768)."""
        for options in (["--upgrade"], ["--upgrade", "--copies"], []):
            with self.subTest(options=options):
                self.build("--clear", "--without-pip", self.env)
                os.unlink(self.env + "/bin/python3")
                os.symlink("/nonexistent/python3", self.env + "/bin/python3")
                result = self.check([VBUILD, "--python", SYSTEM_PYTHON, "--without-pip", *options, self.env])
                self.assertRegex(result.stderr, r"\Avbuild: repaired in '[^\n]*/bin': python3, python[^\n]* now lead to "
                                                rf"'{SYSTEM_PYTHON}'\n\Z")
                for name in ("python", "python3", "python3.%d" % version_of(SYSTEM_PYTHON)[1]):
                    self.check([f"{self.env}/bin/{name}", "-c", ""])

    def test_another_minor_version(self):
        others = [path for path in pythons() if version_of(path) != version_of(SYSTEM_PYTHON)]
        if not others:
            self.skipTest("there is only one version of Python here")
        self.build(self.env, python=others[0])
        result = self.check([VBUILD, "--python", SYSTEM_PYTHON, self.env])
        self.assertEqual(len(result.stderr.splitlines()), 1, result.stderr)
        self.assertIn("was an environment of Python 3.%d" % version_of(others[0])[1], result.stderr)
        for name in os.listdir(self.env + "/bin"):
            if name.startswith("python"):
                got = self.check([self.env + "/bin/" + name, "-c", "import sys; print(*sys.version_info[:2])"]).stdout
                self.assertEqual(tuple(map(int, got.split())), version_of(SYSTEM_PYTHON), name)
        self.check([self.env + "/bin/pip", "--version"])

    def test_upgrade_keeps_what_the_user_chose(self):
        self.build("--without-pip", "--system-site-packages", "--prompt", "mine", self.env)
        with open(self.env + "/bin/activate", "a", encoding="utf-8") as file:
            file.write("# mine\n")
        self.build("--upgrade", "--without-pip", self.env)
        with open(self.env + "/pyvenv.cfg", encoding="utf-8") as file:
            config = file.read()
        self.assertIn("include-system-site-packages = true\n", config)
        self.assertIn("prompt = 'mine'\n", config)
        with open(self.env + "/bin/activate", encoding="utf-8") as file:
            self.assertTrue(file.read().endswith("# mine\n"))

    def test_an_older_pip_is_replaced_and_a_newer_one_kept(self):
        self.build(self.env)
        packages = glob.glob(self.env + "/lib/python3*/site-packages")[0]
        info = glob.glob(packages + "/pip-*.dist-info")[0]
        right = snapshot(self.env)
        os.rename(info, packages + "/pip-1.0.dist-info")
        with open(packages + "/pip/left_over.py", "w", encoding="utf-8"):
            pass
        self.build(self.env)
        self.assertEqual(snapshot(self.env), right)
        os.rename(info, packages + "/pip-99.0.dist-info")
        changed = snapshot(self.env)
        self.build(self.env)
        self.assertEqual(snapshot(self.env), changed)

    def test_planted_links_are_not_followed(self):
        victim = os.path.join(self.directory, "victim")
        os.mkdir(victim)
        for name in ("lib", "bin", "include"):
            with self.subTest(name=name):
                shutil.rmtree(self.env, ignore_errors=True)
                os.mkdir(self.env)
                os.symlink(victim, os.path.join(self.env, name))
                self.assertIn("symbolic link", self.refused("--python", SYSTEM_PYTHON, self.env))
                self.assertEqual(os.listdir(victim), [])
        shutil.rmtree(self.env)
        self.build("--without-pip", self.env)
        packages = glob.glob(self.env + "/lib/python3*/site-packages")[0]
        os.symlink(victim, packages + "/pip")
        for name in ("activate", "pip"):
            target = os.path.join(self.directory, "victim-" + name)
            with open(target, "w", encoding="utf-8"):
                pass
            if os.path.lexists(self.env + "/bin/" + name):
                os.unlink(self.env + "/bin/" + name)
            os.symlink(target, self.env + "/bin/" + name)
        self.build(self.env)
        self.assertEqual(os.listdir(victim), [])
        for name in ("activate", "pip"):
            self.assertEqual(os.stat(os.path.join(self.directory, "victim-" + name)).st_size, 0)
        self.assertFalse(os.path.islink(packages + "/pip"))


class Clear(Case):
    def test_replaces_an_environment(self):
        self.build(self.env)
        os.makedirs(self.env + "/deep/" + "d/" * 300)
        os.symlink(self.directory, self.env + "/deep/link")
        keep = os.path.join(self.directory, "keep")
        with open(keep, "w", encoding="utf-8"):
            pass
        os.chmod(self.env, 0o751)
        self.build("--clear", "--without-pip", self.env)
        self.assertFalse(os.path.exists(self.env + "/deep"))
        self.assertTrue(os.path.exists(keep))
        self.assertEqual(stat.S_IMODE(os.stat(self.env).st_mode), 0o751)
        self.assertEqual(sorted(os.listdir(self.directory)), ["env", "keep"])

    def test_refuses_what_is_no_environment(self):
        os.mkdir(self.env)
        with open(self.env + "/precious", "w", encoding="utf-8"):
            pass
        self.assertIn("--force", self.refused("--clear", self.env))
        self.assertEqual(os.listdir(self.env), ["precious"])
        self.build("--clear", "--force", "--without-pip", self.env)
        self.assertFalse(os.path.exists(self.env + "/precious"))

    def test_refuses_a_link_and_leaves_what_it_leads_to(self):
        self.build("--without-pip", self.env)
        before = snapshot(self.env)
        link = os.path.join(self.directory, "link")
        os.symlink(self.env, link)
        for path in (link, link + "/"):
            self.assertIn("symbolic link", self.refused("--clear", "--force", path))
        self.assertEqual(snapshot(self.env), before)

    def test_refuses_places_that_hold_more_than_an_environment(self):
        self.build("--without-pip", self.env)
        inside = os.path.join(self.env, "inside")
        os.mkdir(inside)
        for arguments, options in (
                ((".",), {"cwd": self.env}), (("..",), {"cwd": inside}), ((self.env,), {"cwd": inside}),
                ((self.env,), {"env": dict(os.environ, HOME=self.env)}),
                ((self.env,), {"env": dict(os.environ, HOME=inside)}), (("/",), {})):
            with self.subTest(arguments=arguments, options=options.get("cwd")):
                self.refused("--python", SYSTEM_PYTHON, "--clear", "--force", *arguments, **options)
        self.assertTrue(os.path.exists(self.env + "/pyvenv.cfg"))

    def test_refuses_mount_points(self):
        self.build("--without-pip", self.env)
        os.mkdir(self.env + "/mnt")
        script = f"""mount -t tmpfs none {self.env}/mnt && touch {self.env}/mnt/precious || exit 99
        {VBUILD} --clear --force {self.env}; status=$?
        [ -e {self.env}/mnt/precious ] || exit 98
        exit $status"""
        result = run(["unshare", "-rm", "sh", "-c", script])
        if result.returncode not in (1,):
            if result.returncode in (98, 0):
                self.fail(result.stderr)
            self.skipTest("no mount namespace to be had here: " + result.stderr.strip())
        self.assertIn("a file system is mounted at", result.stderr)

    def test_a_failed_build_keeps_the_old_environment(self):
        self.build("--without-pip", self.env)
        before = snapshot(self.env)
        wheels = os.path.join(self.directory, "wheels")
        os.mkdir(wheels)
        with open(wheels + "/pip-99.0-py3-none-any.whl", "w", encoding="utf-8") as file:
            file.write("no wheel")
        self.refused("--clear", "--wheel-dir", wheels, self.env)
        self.assertEqual(snapshot(self.env), before)


class Input(Case):
    def test_usage_errors(self):
        for arguments in ([], ["--nonsense", "x"], ["--symlinks", "--copies", "x"], ["--without", "x"], ["x", "--prompt"],
                          ["--upgrade", "--clear", "x"], ["-x"], ["--clear=1", "x"], ["--force", "x"]):
            with self.subTest(arguments=arguments):
                self.refused(*arguments, status=2, cwd=self.directory)

    def test_help_and_version(self):
        for option in ("-h", "--help", "--hel"):
            result = self.check([VBUILD, option])
            self.assertTrue(result.stdout.startswith("usage: vbuild"))
            self.assertEqual(result.stderr, "")
        self.assertTrue(self.check([VBUILD, "--version"]).stdout.startswith("vbuild "))

    def test_what_stands_in_the_way(self):
        file, link, dangling, fifo = (os.path.join(self.directory, name) for name in ("file", "link", "dangling", "fifo"))
        with open(file, "w", encoding="utf-8"):
            pass
        os.symlink(self.directory, link)
        os.symlink("nowhere", dangling)
        os.mkfifo(fifo)
        for path in (file, link, link + "/", dangling, fifo, "/dev/null", "/", file + "/below"):
            with self.subTest(path=path):
                self.refused("--python", SYSTEM_PYTHON, "--without-pip", path)
        self.assertFalse(os.path.exists(os.path.join(self.directory, "nowhere")))

    def test_paths_and_prompts_that_are_refused(self):
        for path in ("a:b", "a\nb", "a\tb", "a\x1b[31mb", "a\x7fb", b"a\xffb", "a\x85b".encode("utf-8"), "x" * 256):
            with self.subTest(path=path):
                line = self.refused("--python", SYSTEM_PYTHON, "--without-pip", path, cwd=self.directory)
                self.assertNotIn("\x1b", line)
        for prompt in ("a\nb", "a\rb", b"\xff", "\x1b[1m", "x\ninclude-system-site-packages = true"):
            with self.subTest(prompt=prompt):
                self.refused("--python", SYSTEM_PYTHON, "--without-pip", "--prompt", prompt, self.env)

    def test_one_bad_directory_of_several(self):
        file = os.path.join(self.directory, "file")
        with open(file, "w", encoding="utf-8"):
            pass
        result = self.vbuild("--python", SYSTEM_PYTHON, "--without-pip", self.env, file, self.env + "2")
        self.assertEqual(result.returncode, 1)
        self.assertTrue(os.path.exists(self.env))
        self.assertFalse(os.path.exists(self.env + "2"))
        # What can be seen from the words alone is refused before anything is built.
        self.refused("--python", SYSTEM_PYTHON, "--without-pip", self.env + "3", "a:b")

    def test_interpreters_that_are_refused(self):
        script = os.path.join(self.directory, "python3")
        with open(script, "w", encoding="utf-8") as file:
            file.write(f"#!/bin/sh\ntouch {self.directory}/canary\n")
        os.chmod(script, 0o755)
        loop = os.path.join(self.directory, "loop")
        os.symlink("loop", loop)
        for spec in (script, "/bin/ls", "/nonexistent", "/etc/passwd", "/etc", loop, "3.99", "nonsense", "/dev/zero", ""):
            with self.subTest(spec=spec):
                self.refused("--python", spec, "--without-pip", self.env, status=2 if spec == "" else 1)

    def test_the_python_of_path(self):
        self.build("--without-pip", "env", cwd=self.directory, env={"PATH": "/usr/bin"})
        self.assertEqual(os.readlink(self.env + "/bin/python3"), "/usr/bin/python3")
        self.assertIn("python3", self.refused("x", cwd=self.directory, env={"PATH": "/nonexistent"}))

    def build(self, *arguments, python=None, **options):
        if python is None and "env" in options:
            result = self.check([VBUILD, *arguments], **options)
            self.assertEqual(result.stdout + result.stderr, "")
            return result
        return super().build(*arguments, python=python or SYSTEM_PYTHON, **options)

    def test_a_hijacking_module_in_the_current_directory_is_not_run(self):
        for name in ("venv", "ensurepip", "pip", "site", "encodings"):
            with open(os.path.join(self.directory, name + ".py"), "w", encoding="utf-8") as file:
                file.write("raise SystemExit(77)\n")
        self.build(self.env, cwd=self.directory)

    def test_small_limits(self):
        for limit in ("-n 4", "-v 40000", "-f 0"):
            with self.subTest(limit=limit):
                before = sorted(os.listdir(self.directory))
                result = run(["sh", "-c", f'ulimit {limit} && exec "$0" --python {SYSTEM_PYTHON} "$1"', VBUILD, self.env])
                if result.returncode == 0:
                    shutil.rmtree(self.env)
                self.assertIn(result.returncode, (0, 1, 127), result.stderr)
                self.assertEqual(sorted(os.listdir(self.directory)), before, result.stderr)

    def test_closed_descriptors(self):
        result = run(["sh", "-c", f'exec "$0" --python {SYSTEM_PYTHON} --without-pip "$1" <&- >&- 2>&-', VBUILD, self.env])
        self.assertEqual(result.returncode, 0)
        self.check([self.env + "/bin/python", "-c", ""])


if __name__ == "__main__":
    unittest.main()
