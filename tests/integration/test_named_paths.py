"""What --hide, --tmpfs, --home and --no-project do to real files, and environments of conda."""

import os
import shutil
import unittest

from harness import IS_ROOT, Case, missing, read, write
from support import cpythons

SECRET = "the planted secret"


class NamedPaths(Case):
    def setUp(self):
        super().setUp()
        write(os.path.join(self.project, "data/private/secret"), SECRET)
        write(os.path.join(self.project, "data/public"), "public")

    def path(self, *names):
        return os.path.join(self.project, *names)

    def test_control(self):
        """Without the options the files are there."""
        self.assertEqual(self.ok(self.vrun("cat", "data/private/secret", "data/public")), SECRET + "public")

    def test_hidden_directory(self):
        options = ["--hide", self.path("data/private")]
        self.assertEqual(self.ok(self.vrun("ls", "-A", "data/private", options=options)), "")
        for path in ("data/private/secret", "/proc/self/cwd/data/private/secret", "data/../data/private/secret"):
            with self.subTest(path=path):
                result = self.vrun("cat", path, options=options)
                self.assertEqual((result.returncode, result.stdout), (1, ""))
                self.assertIn("No such file", result.stderr)
        result = self.vrun("touch", "data/private/new", options=options)
        self.assertIn("Read-only file system", result.stderr)
        self.assertEqual(os.listdir(self.path("data/private")), ["secret"])

    def test_hidden_file(self):
        options = ["--hide", self.path("data/private/secret")]
        self.assertEqual(self.ok(self.vrun("cat", "data/private/secret", options=options)), "")
        self.assertEqual(read(self.path("data/private/secret")), SECRET)

    def test_what_is_above_a_hidden_path_cannot_be_moved(self):
        """A directory that is renamed away would take the cover along, for the next run to look below it."""
        options = ["--hide", self.path("data/private")]
        for name in ("data", "data/private"):
            with self.subTest(name=name):
                code = "import errno, os, sys\ntry: os.rename(sys.argv[1], sys.argv[1] + '-moved')\nexcept OSError as e: print(errno.errorcode[e.errno])"
                self.assertEqual(self.ok(self.python(code, name, options=options)), "EBUSY\n")
        self.assertEqual(self.ok(self.python("import os; os.rename('data', 'data-moved'); print('moved')")), "moved\n")

    def test_nearest_path_counts_in_any_order(self):
        options = [("--hide", self.path("data")), ("--ro", self.path("data/public"))]
        for order in (options, options[::-1]):
            words = [word for option in order for word in option]
            self.assertEqual(self.ok(self.vrun("ls", "-A", "data", options=words)), "public\n")
            self.assertEqual(self.ok(self.vrun("cat", "data/public", options=words)), "public")

    def test_contradiction(self):
        data = self.path("data")
        self.refused(self.vrun("true", options=["--hide", data, "--rw", data]), "--hide", "--rw", data)

    def test_hiding_what_does_not_exist(self):
        self.ok(self.vrun("true", options=["--hide", self.path("absent")]))
        self.assertFalse(os.path.lexists(self.path("absent")))

    def test_what_a_run_needs_cannot_be_hidden(self):
        for path in ("/", "/proc", "/dev"):
            with self.subTest(path=path):
                self.refused(self.vrun("true", options=["--hide", path]), path)

    def test_tmpfs(self):
        options = ["--tmpfs", self.path("data")]
        self.assertEqual(self.ok(self.vrun("sh", "-c", "ls -A data; echo new >data/new; cat data/new", options=options)), "new\n")
        self.assertEqual(sorted(os.listdir(self.path("data"))), ["private", "public"])

    def test_tmpfs_is_limited(self):
        code = ("import errno\n"
                "try:\n"
                "  with open('data/big', 'wb', buffering=0) as f:\n"
                "    f.truncate(0)\n"
                "    for _ in range(600): f.write(bytes(1 << 20)) if f.tell() % (1 << 20) == 0 else exit('short write')\n"
                "except OSError as e: print(errno.errorcode[e.errno])")
        result = self.python(code, options=["--tmpfs", self.path("data")])
        self.assertIn("ENOSPC" if result.returncode == 0 else "short write", result.stdout + result.stderr)

    def test_tmpfs_of_a_size(self):
        fill = "head -c 3000000 /dev/zero >data/big; wc -c <data/big"
        result = self.vrun("sh", "-c", fill, options=["--tmpfs", self.path("data") + ":size=2M"])
        self.assertIn("No space left", result.stderr)
        self.assertEqual(result.stdout, f"{2 << 20}\n")
        for size in ("4M", "4096K", "4194304", "1G"):
            self.assertEqual(self.ok(self.vrun("sh", "-c", fill, options=["--tmpfs", f"data:size={size}"])), "3000000\n")
        for size in ("", "0", "0M", "-1", "x", "5m", "5MB", "1.5G", " 5M", "99999999999G", "18446744073709551615K"):
            with self.subTest(size=size):
                self.refused(self.vrun("true", options=["--tmpfs", f"data:size={size}"]), "--tmpfs", "size such as 64M")
        self.refused(self.vrun("true", options=["--tmpfs", ":size=5M"]), "--tmpfs wants a path")
        os.mkdir(self.path("odd:size=x"))
        odd = ["--tmpfs", self.path("odd:size=x") + ":size=2M"]
        self.assertEqual(self.ok(self.vrun("sh", "-c", "df --output=size odd:size=x | tail -n1", options=odd)).strip(), "2048")

    def test_home(self):
        lent = os.path.join(self.directory, "lent")
        write(os.path.join(lent, "settings"), "mine")
        code = "import os; print(os.environ['HOME']); print(open(os.path.expanduser('~/settings')).read()); open(os.path.expanduser('~/new'), 'w').close()"
        self.assertEqual(self.ok(self.python(code, options=["--home", lent])), f"{lent}\nmine\n")
        self.assertTrue(os.path.exists(lent + "/new"))
        self.assertFalse(os.path.exists(self.home + "/new"))

    def test_no_project(self):
        result = self.vrun("sh", "-c", 'pwd; ls -A .; ls -d "$1" || true', "sh", self.project, options=["--no-project"])
        self.assertEqual(result.returncode, 0, result.stderr)
        self.assertEqual(result.stdout.split(), [self.home])


class Devices(Case):
    def test_read_only_is_no_promise_for_a_device(self):
        """What is written to it passes every read-only mount, so --ro would say what does not hold."""
        self.refused(self.vrun("true", options=["--ro", "/dev/full"]), "cannot show a device read-only: '/dev/full'", "--rw")
        result = self.vrun("sh", "-c", "echo x >/dev/full", options=["--rw", "/dev/full"])
        self.assertRegex(result.stderr, "No space left|I/O error")  # as the shell says it


class Conda(Case):
    """A prefix of conda is an interpreter and an environment in one: bin, lib and conda-meta, without pyvenv.cfg. These
    are made of another Python's files."""

    def setUp(self):
        super().setUp()
        found = [path for version, path in cpythons() if path.startswith("/") and "/usr/bin" not in path]
        if not found and not IS_ROOT:
            self.skipTest("only as root: this user may read no Python but the system's, which cannot be copied as a prefix")
        if not found:
            missing(self, "no Python here but the system's, which cannot be copied as a prefix")
        source = os.path.dirname(os.path.dirname(os.path.realpath(found[-1])))
        self.root = os.path.join(self.directory, "conda")
        version = "python" + ".".join(os.path.basename(os.path.realpath(found[-1])).removeprefix("python").split(".")[:2])
        os.makedirs(self.root + "/bin")
        os.mkdir(self.root + "/conda-meta")
        shutil.copy2(os.path.realpath(found[-1]), f"{self.root}/bin/{version}")
        os.symlink(version, self.root + "/bin/python")
        os.makedirs(f"{self.root}/lib")
        shutil.copytree(f"{source}/lib/{version}", f"{self.root}/lib/{version}", symlinks=True,
                        ignore=shutil.ignore_patterns("test", "site-packages", "__pycache__", "config-*"))
        for name in os.listdir(f"{source}/lib"):
            if name.startswith("libpython"):
                shutil.copy2(f"{source}/lib/{name}", f"{self.root}/lib/{name}", follow_symlinks=False)
        write(f"{self.root}/lib/{version}/site-packages/of_this_one.py", "value = 1\n")
        write(f"{self.root}/envs/other/lib/{version}/site-packages/of_another.py", "value = 2\n")
        os.mkdir(self.root + "/envs/other/conda-meta")
        write(f"{self.root}/pkgs/cached-1.0/of_the_cache.py", "value = 3\n")
        self.library = f"lib/{version}/site-packages"

    def test_own_packages_and_no_others(self):
        code = ("import os, sys, of_this_one\n"
                "print(of_this_one.value, sys.prefix, os.environ.get('CONDA_PREFIX'))\n"
                "for path in sys.argv[1:]: print(os.path.exists(path))")
        others = [f"{self.root}/envs/other/{self.library}/of_another.py", f"{self.root}/pkgs/cached-1.0/of_the_cache.py"]
        for path in others:
            self.assertTrue(os.path.exists(path))
        out = self.ok(self.python(code, *others, environment=self.root))
        self.assertEqual(out, f"1 {self.root} {self.root}\nFalse\nFalse\n")

    def test_read_only(self):
        result = self.vrun("touch", f"{self.root}/{self.library}/new", environment=self.root)
        self.assertIn("Read-only file system", result.stderr)


if __name__ == "__main__":
    unittest.main()
