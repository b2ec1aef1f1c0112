"""What vrun and vbuild keep for their next start is not a run's to write: a run could decide about later ones."""

import os
import unittest

from harness import IS_ROOT, Case, missing, read, write

FORGE = "import sys\nopen(sys.argv[1], 'a').write('x')"


class Caches(Case):
    def setUp(self):
        super().setUp()
        self.cache = os.path.join(self.home, "cache")
        self.index = os.path.join(self.cache, "vrun/packages-below-usr")
        write(os.path.join(self.cache, "vbuild/bytecode/x.pycs"), "x")

    def variables(self, more=None):
        return super().variables({"XDG_CACHE_HOME": self.cache, **(more or {})})

    def test_they_are_covered_where_the_run_can_write(self):
        self.ok(self.vrun("true"))
        before = read(self.index)
        for options, told in ((["--rw", self.cache], ""), (["--rw", os.path.dirname(self.index)], "named"),
                              (["--home", self.home], "note"), (["--project", self.home], "")):
            with self.subTest(options=options):
                result = self.python(FORGE, self.index, options=options)
                if told == "named":  # the very path: whoever says so means it
                    self.assertEqual((result.returncode, read(self.index)), (0, before + "x"), result.stderr)
                    write(self.index, before)
                    continue
                self.assertIn("Read-only file system", result.stderr)
                self.assertEqual(read(self.index), before)
                listed = self.vrun("ls", os.path.join(self.cache, "vbuild"), options=options)
                self.assertEqual((listed.returncode, listed.stdout), (0, ""))
                moved = self.vrun("mv", os.path.join(self.cache, "vrun"), os.path.join(self.cache, "x"), options=options)
                self.assertIn("busy", moved.stderr)

    def test_in_the_current_directory(self):
        """As where XDG_CACHE_HOME is a directory of the checkout, which is no path that anybody names."""
        cache = os.path.join(self.project, "cache")
        index = os.path.join(cache, "vrun/packages-below-usr")
        variables = {"XDG_CACHE_HOME": cache}
        self.ok(self.vrun("true", cwd="/", options=["--no-project"], variables=variables))
        before = read(index)
        self.assertIn("Read-only file system", self.python(FORGE, index, variables=variables).stderr)
        self.assertEqual(read(index), before)

    def test_reached_by_another_name(self):
        link = os.path.join(self.directory, "link")
        os.symlink(self.cache, link)
        variables = {"XDG_CACHE_HOME": link}
        self.ok(self.vrun("true", variables=variables))
        result = self.python(FORGE, self.index, options=["--rw", self.cache], variables=variables)
        self.assertIn("Read-only file system", result.stderr)

    def test_an_index_that_the_run_makes_is_moved_aside(self):
        code = "import os, sys\nos.makedirs(sys.argv[1])"
        directory = os.path.dirname(self.index)
        result = self.python(code, directory, options=["--rw", self.cache])
        self.assertEqual((result.returncode, result.stderr), (
            0, f"vrun: note: the run made '{directory}', which tools on this machine may trust or execute; it is now "
            f"'vrun.from-run' (to allow it: --rw {directory})\n"))
        self.assertFalse(os.path.exists(directory))

    def test_settings_are_covered_and_new_ones_moved_aside(self):
        """vrun/config.toml of the caller's decides about every later run; one that exists refuses such a run."""
        config = os.path.join(self.home, "config")
        variables = {"XDG_CONFIG_HOME": config}
        directory = os.path.join(config, "vrun")
        os.mkdir(config)
        code = "import os, sys\nos.makedirs(sys.argv[1], exist_ok=True)\nopen(sys.argv[1] + '/config.toml', 'w').close()"
        options = ["--rw", config]
        result = self.vrun("mkdir", directory, options=options, variables=variables)
        self.assertEqual((result.returncode, result.stderr), (
            0, f"vrun: note: the run made '{directory}', which tools on this machine may trust or execute; it is now "
            f"'vrun.from-run' (to allow it: --rw {directory})\n"))
        self.assertFalse(os.path.exists(directory))
        os.mkdir(directory)
        result = self.python(code, directory, options=options, variables=variables)
        self.assertIn("Read-only file system", result.stderr)
        self.assertEqual(os.listdir(directory), [])
        write(os.path.join(directory, "config.toml"), "net = 'none'\n")
        refused = self.python(code, directory, options=options, variables=variables)
        self.assertEqual(refused.returncode, 125)
        self.assertIn("decides about your runs", refused.stderr)

    def test_a_false_index_in_the_project_is_not_believed(self):
        """An index without a line that the true one has would show what that line hides."""
        self.ok(self.vrun("true"))
        lines = read(self.index).splitlines(keepends=True)
        if len(lines) < 3:
            missing(self, "no application below /usr brings packages along")
        cache = os.path.join(self.project, "cache")
        write(os.path.join(cache, "vrun/packages-below-usr"), "".join(lines[:2]), mode=0o600)
        # Deep in an application's tree, where no table of places has it.
        hidden = max(lines[2:], key=lambda line: line.count("/")).strip()
        for directory, wanted in ((self.project, True), ("/", False)):
            plan = self.vrun("true", options=["--explain", "--verbose"], cwd=directory, variables={"XDG_CACHE_HOME": cache}).stdout
            # The control: where no run can write to it, the same index counts.
            self.assertEqual(f"cover     {hidden}\n" in plan, wanted, directory)


@unittest.skipUnless(IS_ROOT, "only as root: with the home directory of somebody else")
class SomebodyElses(Case):
    def test_root_makes_nothing_there(self):
        os.chown(self.home, 12345, 12345)
        variables = {"HOME": self.home, "XDG_CACHE_HOME": ""}
        self.ok(self.vrun("true", variables=variables))
        self.assertEqual(os.listdir(self.home), [])
        elsewhere = os.path.join(self.directory, "elsewhere")
        os.mkdir(elsewhere)
        os.symlink(elsewhere, os.path.join(self.home, ".cache"))
        os.chown(elsewhere, 12345, 12345)
        self.ok(self.vrun("true", variables=variables))
        self.assertEqual(os.listdir(elsewhere), [])
        os.chown(self.home, 0, 0)
        os.chown(elsewhere, 0, 0)
        self.ok(self.vrun("true", variables=variables))
        self.assertEqual(os.listdir(elsewhere), ["vrun"])


if __name__ == "__main__":
    unittest.main()
