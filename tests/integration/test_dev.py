"""./dev: what it installs where, with package managers that only write down what they are asked for."""

import glob
import json
import os
import re
import shutil
import stat
import unittest

from support import ROOT, SYSTEM_PYTHON, TestCase, run

DEV = os.path.join(ROOT, "dev")
# By the ID of os-release: the package manager that is called, and its name for ninja, which the tests take away.
DISTRIBUTIONS = {
    "debian": ("env DEBIAN_FRONTEND=noninteractive apt-get install -q -y --no-install-recommends", "ninja-build"),
    "fedora": ("dnf install -y", "ninja-build"),
    "arch": ("pacman -S --needed --noconfirm", "ninja"),
    "alpine": ("apk add", "samurai"),
    "opensuse-tumbleweed": ("zypper --non-interactive install --no-recommends", "ninja"),
}


class Dev(TestCase):
    def setUp(self):
        super().setUp()
        self.programs = os.path.join(self.directory, "bin")
        self.log = os.path.join(self.directory, "log")
        os.mkdir(self.programs)
        managers = {command.split()[-1] for command in ("apt-get", "apt-cache", "dnf", "pacman", "apk", "zypper", "sudo")}
        for path in glob.glob("/usr/bin/*") + glob.glob("/bin/*"):
            link = os.path.join(self.programs, os.path.basename(path))
            if os.path.basename(path) not in managers | {"ninja"} and not os.path.lexists(link):
                os.symlink(path, link)
        # A manager that installs whatever it is asked for: all that is missing here is ninja.
        for name in ("apt-get", "dnf", "pacman", "apk", "zypper"):
            self.program(name, f'echo "{name} $*" >> {self.log}; ln -sf /bin/true {self.programs}/ninja')
        self.program("apt-cache", "exit 0")
        self.program("sudo", f'echo sudo >> {self.log}; exec "$@"')

    def program(self, name, script):
        path = os.path.join(self.programs, name)
        if os.path.lexists(path):  # a link to the system's own program, which is not to be written to
            os.remove(path)
        with open(path, "w") as file:
            file.write("#!/bin/sh\n" + script + "\n")
        os.chmod(path, stat.S_IRWXU)

    def dev(self, *arguments, distribution="debian", program=DEV):
        release = os.path.join(self.directory, "os-release")
        with open(release, "w") as file:
            file.write(f"ID={distribution}\n")
        environment = {"PATH": self.programs, "HOME": self.directory, "VRUN_DEV_OS_RELEASE": release}
        return run([program, *arguments], env=environment)

    def logged(self):
        if not os.path.exists(self.log):
            return []
        with open(self.log) as file:
            return file.read().splitlines()

    def test_installs_what_is_missing_once(self):
        for distribution, (command, package) in DISTRIBUTIONS.items():
            with self.subTest(distribution=distribution):
                result = self.dev("format", "--nonsense", distribution=distribution)
                self.assertIn("==> installing what is missing:", result.stdout)
                installation = self.logged()[-1]
                self.assertTrue(installation.startswith(re.sub("^env [^ ]* ", "", command)), installation)
                self.assertIn(package, installation.split())
                self.assertEqual("sudo" in self.logged(), os.getuid() != 0)
                os.remove(self.log)
                # Other distributions' packages stay missing on this one, so that only its own can be complete.
                self.dev("format", "--nonsense", distribution=distribution)
                if not self.dev("needs", distribution=distribution).stdout:
                    self.assertEqual(self.logged(), [], "the second time the package manager was asked again")
                os.remove(os.path.join(self.programs, "ninja"))
                if os.path.exists(self.log):
                    os.remove(self.log)

    def test_refreshes_old_lists(self):
        self.program("apt-cache", "exit 100")
        result = self.dev("format", "--nonsense")
        self.assertIn("==> refreshing apt's lists: 'ninja-build' is not in them", result.stdout)
        self.assertEqual([line.split()[:2] for line in self.logged() if line != "sudo"],
                         [["apt-get", "update"], ["apt-get", "install"]])

    def test_failed_installation_is_named(self):
        self.program("apt-get", f'echo "apt-get $*" >> {self.log}; echo "E: no luck" >&2; exit 100')
        result = self.dev("format", "--nonsense")
        self.assertEqual(result.returncode, 1)
        self.assertIn("E: no luck", result.stderr)
        self.assertIn("==> refreshing apt's lists: the installation failed; it is tried once more", result.stdout)
        self.assertIn("dev: the package manager failed: its message above says why", result.stderr)

    def test_unknown_distribution(self):
        result = self.dev("format", "--nonsense", distribution="plan9")
        self.assertEqual(result.returncode, 1)
        self.assertRegex(result.stderr, "dev: this distribution is not one that ./dev knows; install by hand what gives: .*cmd=ninja")

    @unittest.skipIf(os.getuid() == 0, "only as an ordinary user")
    def test_no_sudo(self):
        os.remove(os.path.join(self.programs, "sudo"))
        result = self.dev("format", "--nonsense")
        self.assertEqual(result.returncode, 1)
        self.assertIn("dev: packages are missing and there is no sudo here; run as root: ", result.stderr)

    def test_try_notices_when_nothing_is_hidden(self):
        """With a vrun that only runs the command, ./dev try must not say that isolation holds."""
        without_isolation = f'shift 2; [ "$1" != python ] || {{ shift; set -- {SYSTEM_PYTHON} "$@"; }}; exec "$@"'
        for room, name, script in (("runner", "vrun", without_isolation), ("builder", "vbuild", "true")):
            os.makedirs(os.path.join(self.directory, "build/release", room))
            self.program(os.path.join(self.directory, "build/release", room, name), script)
        script = f"""set -eu
            root={self.directory}
            say() {{ echo "$*"; }}
            die() {{ echo "$*" >&2; exit 1; }}
            . {ROOT}/contrib/dev/try.sh"""
        result = run(["/bin/sh", "-c", script])
        if "has no package beside its standard library" in result.stderr:
            self.skipTest(result.stderr)
        self.assertEqual(result.returncode, 1)
        self.assertIn("ISOLATION DOES NOT HOLD", result.stderr)
        self.assertNotIn("isolation holds", result.stdout)

    def test_a_build_installs_what_its_preset_needs(self):
        """All presets but the one for users build the tests, which need more."""
        os.makedirs(os.path.join(self.directory, "contrib"))
        shutil.copy(DEV, self.directory)
        shutil.copytree(os.path.join(ROOT, "contrib/dev"), os.path.join(self.directory, "contrib/dev"))
        with open(os.path.join(ROOT, "CMakePresets.json")) as file:
            presets = [preset["name"] for preset in json.load(file)["configurePresets"] if not preset.get("hidden")]
        self.assertIn("dev", presets)
        self.program("cmake", f'echo "cmake $*" >> {self.log}; echo cmake version 3.99.0')
        for preset in presets:
            with self.subTest(preset=preset):
                # clang-tidy is only in the set "check".
                for name in ("ninja", "clang-tidy"):
                    if os.path.lexists(os.path.join(self.programs, name)):
                        os.remove(os.path.join(self.programs, name))
                result = self.dev("build", preset, program=os.path.join(self.directory, "dev"))
                self.assertEqual(result.returncode, 0, result.stdout + result.stderr)
                logged = self.logged()
                installation, = [line.split() for line in logged if line.startswith("apt-get install")]
                self.assertIn("ninja-build", installation)
                self.assertEqual("clang-tidy" in installation, preset != "release")
                # And then it builds.
                self.assertGreater(logged.index(f"cmake --preset {preset}"), logged.index(" ".join(installation)))
                os.remove(self.log)
        # Without a preset it is the one for development.
        os.remove(os.path.join(self.programs, "ninja"))
        self.assertIn("preset dev, ", self.dev("build", program=os.path.join(self.directory, "dev")).stdout)

    def test_wrong_command(self):
        result = run([DEV, "nonsense"])
        self.assertEqual(result.returncode, 1)
        self.assertIn("dev: no such command: nonsense", result.stderr)

    def test_every_line_of_the_table_is_complete(self):
        with open(os.path.join(ROOT, "contrib/dev/packages.sh")) as file:
            table = file.read().split("<<'TABLE'\n")[1].split("TABLE\n")[0]
        for line in table.splitlines():
            self.assertEqual(len(line.split()), 7, line)


if __name__ == "__main__":
    unittest.main()
