"""Killed, refused by the kernel, or with twenty others at it: ENV_DIR is absent, whole, or as it was."""

import fcntl
import os
import shutil
import signal
import subprocess
import unittest

from support import SYSTEM_PYTHON, VBUILD, VRUN, run
from vbuild_case import WHOLE, Case
from vbuild_scene import Scene


class Robust(Case):
    """Whatever happens while it is built, ENV_DIR is absent, whole, or as it was."""

    def whole(self, env):
        """It is an environment that works."""
        return (os.path.exists(env + "/pyvenv.cfg") and
                run([env + "/bin/python", "-m", "pip", "--version"]).returncode == 0)

    def count_calls(self, *arguments):
        log = os.path.join(self.directory, "log")
        self.check(["strace", "-f", "-qq", "-e", "trace=%file,%desc", "-o", log, VBUILD, *arguments])
        with open(log, encoding="utf-8") as file:
            return sum(1 for _ in file)

    def test_killed_at_every_kind_of_call(self):
        """At the last call of every kind that changes something; where files are replaced one by one also at the first,
        for only there one can see what is half done. Every call, and every error of it: tests/all/vbuild_faults.py."""
        self.need_strace()
        changing = {"mkdirat", "symlinkat", "write", "fchmod", "renameat", "renameat2", "unlinkat"}
        for name in ("new", "given", "replaced"):
            scene = Scene(VBUILD, SYSTEM_PYTHON, name)
            self.addCleanup(shutil.rmtree, scene.base, ignore_errors=True)
            calls = [call for call in scene.calls() if call[0] in changing]
            self.assertLessEqual({"mkdirat", "write", "fchmod", "renameat2"}, {call for call, _ in calls})
            first = dict(reversed(calls)) if name == "given" else {}
            for call, number in sorted({*first.items(), *dict(calls).items()}):
                with self.subTest(case=name, call=call, number=number):
                    self.assertIsNone(scene.try_fault(call, number, "KILL"))

    def test_killed_anywhere(self):
        """With pip, which several threads write; of the ordinary check, in the midst of that."""
        self.need_strace()
        arguments = ["--python", SYSTEM_PYTHON, self.env]
        calls = self.count_calls(*arguments)
        for existing in (False, True) if WHOLE else (True,):
            points = sorted({int(calls * step / 8) for step in range(1, 8)} | {calls - 3, calls - 6, calls - 9})
            for point in points if WHOLE else points[3:4]:
                shutil.rmtree(self.env, ignore_errors=True)
                if existing:
                    self.build("--clear", self.env)
                options = ["--clear"] if existing else []
                run(["strace", "-f", "-qq", "-o", "/dev/null", "-e", "trace=%file,%desc", "-e",
                     f"inject=%file,%desc:signal=KILL:when={point}", VBUILD, *options, *arguments])
                with self.subTest(existing=existing, point=point):
                    if existing or os.path.exists(self.env):
                        self.assertTrue(self.whole(self.env))
        # The next one removes what the killed ones left.
        self.build("--clear", self.env)
        self.assertEqual(sorted(os.listdir(self.directory)), ["env", "log"])

    def test_every_error_leaves_nothing(self):
        self.need_strace()
        arguments = ["--python", SYSTEM_PYTHON, self.env]
        for call, error, numbers in (("openat2", "ENOSPC", (60, 200, 700)), ("write", "ENOSPC", (1, 5, 300)),
                                     ("mkdirat", "EDQUOT", (1, 2, 30)), ("symlinkat", "EPERM", (1, 3)),
                                     ("renameat2", "EIO", (1,)), ("fchmod", "EPERM", (1, 4)), ("openat2", "EMFILE", (3, 90)),
                                     ("read", "EIO", (3, 8)), ("clone3", "EAGAIN", (1,)), ("openat", "EACCES", (3,))):
            for number in numbers:
                with self.subTest(call=call, error=error, number=number):
                    shutil.rmtree(self.env, ignore_errors=True)
                    result = run(["strace", "-f", "-qq", "-o", "/dev/null", "-e", f"trace={call}", "-e",
                                  f"inject={call}:error={error}:when={number}", VBUILD, *arguments])
                    if "error while loading shared libraries" in result.stderr:
                        continue  # it hit the dynamic loader
                    if result.returncode == 0:  # not reached, or something that can be done without
                        self.assertTrue(self.whole(self.env))
                        continue
                    self.assertEqual(result.returncode, 1, result.stderr)
                    self.assertRegex(result.stderr, r"\Avbuild: [^\n]+\n\Z")
                    self.assertEqual(os.listdir(self.directory), [])

    def test_interrupted_calls_are_repeated(self):
        self.need_strace()
        for call in ("openat2", "write", "read"):
            # The first calls of read are the dynamic loader's, which repeats nothing.
            self.check(["strace", "-f", "-qq", "-o", "/dev/null", "-e", f"trace={call}", "-e",
                        f"inject={call}:error=EINTR:when=12+7", VBUILD, "--clear", "--python", SYSTEM_PYTHON, self.env])

    def test_a_full_disk(self):
        script = f"""mount -t tmpfs -o size=2m none {self.directory} || exit 99
        {VBUILD} --python {SYSTEM_PYTHON} {self.env}; status=$?
        ls -A {self.directory}; exit $status"""
        result = run(["unshare", "-rm", "sh", "-c", script])
        if result.returncode != 1:
            self.assertNotEqual(result.returncode, 0)
            self.skipTest("no mount namespace to be had here: " + result.stderr.strip())
        self.assertIn("ENOSPC", result.stderr)
        self.assertEqual(result.stdout, "")

    def test_a_hundred_builders_of_one_directory(self):
        """Of different kinds, started together: whoever is last, the environment is whole and nobody failed."""
        kinds = (["--without-pip"], ["--without-pip", "--clear"], ["--without-pip", "--upgrade"], ["--without-pip", "--copies"],
                 ["--system-site-packages"])
        builders = [subprocess.Popen([VBUILD, "--python", SYSTEM_PYTHON, *kinds[number % len(kinds)], self.env],
                                     stderr=subprocess.PIPE) for number in range(100)]
        for builder in builders:
            _, errors = builder.communicate(timeout=250)
            self.assertEqual((builder.returncode, errors), (0, b""), builder.args)
        self.assertEqual(os.listdir(self.directory), ["env"])
        self.assertEqual([name for name in os.listdir(self.env) if name.startswith(".")], [])
        self.check([self.env + "/bin/python", "-I", "-c", "import sys; assert sys.prefix != sys.base_prefix"])
        self.check([VBUILD, "--doctor", self.env])
        # What one more would make is there.
        self.check([VBUILD, "--python", SYSTEM_PYTHON, self.env])
        self.assertTrue(self.whole(self.env))

    def test_many_builders_of_one_directory(self):
        builders = [subprocess.Popen([VBUILD, "--python", SYSTEM_PYTHON, self.env], stderr=subprocess.PIPE) for _ in range(20)]
        for builder in builders:
            _, errors = builder.communicate(timeout=120)
            self.assertEqual((builder.returncode, errors), (0, b""))
        self.assertTrue(self.whole(self.env))
        self.assertEqual(os.listdir(self.directory), ["env"])
        self.assertEqual([name for name in os.listdir(self.env) if name.startswith(".vbuild")], [])
        builders = [subprocess.Popen([VBUILD, "--clear", "--python", SYSTEM_PYTHON, self.env], stderr=subprocess.PIPE)
                    for _ in range(8)]
        for builder in builders:
            _, errors = builder.communicate(timeout=120)
            self.assertEqual((builder.returncode, errors), (0, b""))
        self.assertTrue(self.whole(self.env))
        self.assertEqual(os.listdir(self.directory), ["env"])

    def test_stages_of_the_dead_are_removed_and_of_the_living_kept(self):
        dead, living, foreign = (os.path.join(self.directory, name)
                                 for name in (".env.vbuild-aaaaaa", ".env.vbuild-bbbbbb", ".env.vbuild-precious"))
        for path in (dead, living, foreign):
            os.makedirs(path + "/sub")
        os.symlink(self.directory, dead + "/link")
        os.symlink(foreign, os.path.join(self.directory, ".env.vbuild-cccccc"))
        descriptor = os.open(living, os.O_RDONLY)
        self.addCleanup(os.close, descriptor)
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        self.build("--without-pip", self.env)
        self.assertEqual(sorted(os.listdir(self.directory)),
                         [".env.vbuild-bbbbbb", ".env.vbuild-cccccc", ".env.vbuild-precious", "env"])
        self.assertTrue(os.path.exists(foreign + "/sub"))

    def test_a_signal_does_not_leave_a_stage_behind(self):
        for number in (signal.SIGINT, signal.SIGTERM):
            builder = subprocess.Popen([VBUILD, "--python", SYSTEM_PYTHON, self.env])
            builder.send_signal(number)
            builder.wait(timeout=60)
            self.assertEqual([name for name in os.listdir(self.directory) if name != "env"], [])
            if os.path.exists(self.env):
                self.assertTrue(self.whole(self.env))

    def test_what_a_power_loss_leaves_is_mended(self):
        """All names and no content (docs/decisions/0005): seen by vrun and --doctor, mended by building again."""
        for options in ([], ["--upgrade"]):
            with self.subTest(options=options):
                self.build(self.env)
                for parent, _, files in os.walk(self.env):
                    for name in files:
                        if not os.path.islink(os.path.join(parent, name)):
                            os.truncate(os.path.join(parent, name), 0)
                self.assertEqual(run([VRUN, self.env, "--", "true"]).returncode, 125)
                self.assertEqual(run([VBUILD, "--doctor", self.env]).returncode, 1)
                self.check([VBUILD, "--python", SYSTEM_PYTHON, *options, self.env])
                self.assertTrue(self.whole(self.env))
                with open(self.env + "/pyvenv.cfg", encoding="utf-8") as file:
                    self.assertIn("include-system-site-packages = false\n", file.read())
                self.check([VBUILD, "--doctor", self.env])
                self.check(["sh", "-euc", ". $0/bin/activate; pip --version", self.env])
                self.check([VRUN, self.env, "--", "pip", "--version"])

    def test_a_parent_that_may_not_be_written(self):
        if os.geteuid() == 0:
            self.skipTest("only as an ordinary user: nothing is forbidden to root")
        os.mkdir(self.env, 0o555)
        self.addCleanup(os.chmod, self.env, 0o755)
        line = self.refused("--python", SYSTEM_PYTHON, "--without-pip", self.env + "/a/b")
        self.assertIn(self.env, line)
        self.assertIn("EACCES", line)


if __name__ == "__main__":
    unittest.main()
