"""What `cmake --install` puts where: what a package of a distribution is made from, and what README says to do."""

import os
import shutil
import stat
import unittest

from harness import Case, missing
from support import ROOT, VBUILD, VRUN, run

# Of the programs under test, which are built already.
BUILD = os.path.dirname(os.path.dirname(os.path.realpath(VRUN)))
# Below the prefix, with the source of each.
FILES = {
    "bin/vbuild": VBUILD,
    "bin/vrun": VRUN,
    "share/doc/vrun/LICENSE": "LICENSE",
    "share/man/man1/vbuild.1": "docs/vbuild.1",
    "share/man/man1/vrun.1": "docs/vrun.1",
    "share/man/man5/vrun.toml.5": "docs/vrun.toml.5",
    "share/vrun/explain.schema.json": "docs/explain.schema.json",
    "share/vrun/verdict.schema.json": "docs/verdict.schema.json",
    "share/vrun/vrun.schema.json": "docs/vrun.schema.json",
    "share/bash-completion/completions/vrun": "contrib/completions/vrun.bash",
    "share/zsh/site-functions/_vrun": "contrib/completions/_vrun",
    "share/fish/vendor_completions.d/vrun.fish": "contrib/completions/vrun.fish",
}


def tree(directory):
    """The files below a directory, by their paths in it."""
    return {os.path.relpath(os.path.join(place, name), directory)
            for place, _, names in os.walk(directory) for name in names}


class Install(Case):
    def setUp(self):
        super().setUp()
        if shutil.which("cmake") is None:
            missing(self, "there is no cmake")
        # Root's check hands an ordinary user copies of the programs.
        if os.geteuid() != 0 and not os.access(os.path.join(BUILD, "cmake_install.cmake"), os.W_OK):
            self.skipTest("only as the owner of the build directory: cmake writes a list of what it installed there")
        if not os.path.exists(os.path.join(BUILD, "cmake_install.cmake")):
            missing(self, "the programs under test do not lie in their build directory")

    def install(self, *options, umask=0o022, **variables):
        result = run(["cmake", "--install", BUILD, *options], env=self.variables(variables), umask=umask)
        self.assertEqual(result.returncode, 0, result.stdout + result.stderr)

    def check_tree(self, prefix):
        self.assertEqual(tree(prefix), set(FILES))
        for name, source in FILES.items():
            path = os.path.join(prefix, name)
            with self.subTest(name=name):
                status = os.lstat(path)
                self.assertTrue(stat.S_ISREG(status.st_mode))
                self.assertEqual(oct(status.st_mode & 0o7777), oct(0o755 if name.startswith("bin/") else 0o644))
                if not name.startswith("bin/"):  # installing may change a program: its run path, its symbols
                    with open(path, "rb") as file, open(os.path.join(ROOT, source), "rb") as wanted:
                        self.assertEqual(file.read(), wanted.read())
        for place, names, _ in os.walk(prefix):
            for name in names:
                self.assertEqual(oct(os.stat(os.path.join(place, name)).st_mode & 0o7777), oct(0o755), name)

    def test_to_a_staging_directory(self):
        """As packages are made: DESTDIR in front of a prefix that nothing is written to."""
        stage = os.path.join(self.directory, "stage")
        self.install("--prefix", "/usr", DESTDIR=stage)
        self.assertEqual(os.listdir(stage), ["usr"])
        self.check_tree(os.path.join(stage, "usr"))

    def test_to_a_prefix_and_runs_from_there(self):
        prefix = os.path.join(self.directory, "prefix")
        self.install("--prefix", prefix)
        self.check_tree(prefix)
        programs = os.path.join(prefix, "bin")
        environment = os.path.join(self.project, "env")
        self.ok(self.outside(os.path.join(programs, "vbuild"), "--without-pip", environment))
        result = self.outside(os.path.join(programs, "vrun"), environment, "--", "python", "-c", "import sys; print(sys.prefix)")
        self.assertEqual(self.ok(result), environment + "\n")
        for name in ("vbuild", "vrun"):
            built = VRUN if name == "vrun" else VBUILD
            self.assertEqual(self.ok(self.outside(os.path.join(programs, name), "--version")), self.ok(self.outside(built, "--version")))

    def test_manual_pages_are_found_and_render(self):
        if shutil.which("groff") is None:
            missing(self, "groff is not installed")
        prefix = os.path.join(self.directory, "prefix")
        self.install("--prefix", prefix)
        for page in ("man1/vbuild.1", "man1/vrun.1", "man5/vrun.toml.5"):
            path = os.path.join(prefix, "share/man", page)
            with self.subTest(page=page):
                rendered = self.outside("groff", "-mandoc", "-ww", "-Tutf8", path)
                self.assertEqual((rendered.returncode, rendered.stderr), (0, ""))
                self.assertGreater(len(rendered.stdout.splitlines()), 100)
                if shutil.which("mandoc"):
                    self.assertEqual(self.ok(self.outside("mandoc", "-T", "lint", "-W", "warning", path)), "")
                if shutil.which("man"):
                    name, section = os.path.basename(page).rsplit(".", 1)
                    found = self.outside("man", "-M", os.path.join(prefix, "share/man"), "--where", section, name)
                    self.assertEqual(self.ok(found), path + "\n")


if __name__ == "__main__":
    unittest.main()
