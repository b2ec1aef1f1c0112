"""--without leaves out one layer by name and says so; --require refuses a run that would not have one in full."""

import json
import os
import re
import socket
import unittest

from harness import ROOT, X86_64, Case, make_environment, read, site_packages
from test_kernel import landlock_version

CONNECT = "import socket, sys; s = socket.socket(socket.AF_UNIX); print(s.connect_ex('\\0' + sys.argv[1]))"
DEVICE = ("import os\n"
          "try: os.mknod('/tmp/x', 0o20600, 0); print('made')\n"
          "except OSError as error: print(type(error).__name__)")


def names(constant):
    table = re.search(constant + r" = .*?;", read(os.path.join(ROOT, "policy/layers.h")), re.S).group()
    return re.findall(r'"([a-z-]+)"', table)


class Without(Case):
    def told(self, layer):
        return f"vrun: note: this run goes without {layer}, as --without asks\n"

    def both(self, layer, *words, options=()):
        """What a command prints with the layer and without it."""
        whole = self.vrun(*words, options=options)
        less = self.vrun(*words, options=["--without", layer, *options])
        self.assertEqual((whole.returncode, less.returncode, less.stderr), (0, 0, whole.stderr + self.told(layer)))
        return whole.stdout.strip(), less.stdout.strip()

    def test_seccomp(self):
        if not X86_64:
            self.skipTest("only as x86-64: these are its numbers")
        self.assertEqual(self.both("seccomp", self.probe_path(), "syscall", "272", "0"), ("EPERM", "OK"))
        self.assertEqual(self.both("seccomp", "sed", "-n", "s/^Seccomp:.//p", "/proc/self/status"), ("2", "0"))

    def test_hidepid(self):
        self.assertEqual(self.both("hidepid", "sh", "-c", "[ -e /proc/1 ] && echo seen || echo hidden"), ("hidden", "seen"))

    def test_namespace_limit(self):
        whole, less = self.both("namespace-limit", "cat", "/proc/sys/user/max_user_namespaces")
        self.assertEqual(whole, "0")
        self.assertGreater(int(less), 0)

    def test_landlock(self):
        if landlock_version() < 6:
            self.skipTest("only as Linux 6.12 or later: there is no scope to leave out")
        with socket.socket(socket.AF_UNIX) as listener:
            name = f"vrun-test-{os.getpid()}"
            listener.bind("\0" + name)
            listener.listen()
            self.assertEqual(self.both("landlock", "python", "-c", CONNECT, name, options=["--net=host"]), ("1", "0"))

    def test_landlock_files(self):
        if landlock_version() < 2:
            self.skipTest("only as Linux 5.19 or later: there are no file rules to leave out")
        self.assertEqual(self.both("landlock-files", "python", "-c", DEVICE), ("PermissionError", "made"))

    def test_session_keyring(self):
        """Where a filter around vrun refuses keys, as Docker's does, the run starts without the layer only."""
        deny = [self.probe_path(), "deny", "1", "250" if X86_64 else "219"]
        self.refused(self.outside(*deny, *self.command(["true"])), "session keyring", "--without session-keyring")
        result = self.outside(*deny, *self.command(["true"], ["--without", "session-keyring"]))
        self.assertEqual((result.returncode, result.stderr), (0, self.told("session-keyring")))

    def test_every_optional_layer_is_tested_here(self):
        methods = {name.removeprefix("test_").replace("_", "-") for name in dir(self)}
        self.assertLessEqual(set(names("kOptionalLayers")), methods)

    def test_several(self):
        for options in (["--without", "hidepid,seccomp"], ["--without=seccomp", "--without=hidepid"]):
            result = self.vrun("true", options=options)
            self.assertEqual((result.returncode, result.stderr), (0, self.told("hidepid, seccomp")))
        explained = self.raw("--explain", "--verbose", "--without", "seccomp", self.environment).stdout
        self.assertIn("\n  left out by --without: seccomp\n", explained)
        self.assertNotIn("\n  system calls:", explained)

    def test_refused(self):
        for layer in set(names("kLayers")) - set(names("kOptionalLayers")):
            self.refused(self.vrun("true", options=["--without", layer]), layer, "--without")
        self.refused(self.vrun("true", options=["--without", "secomp"]), "'secomp'", "'seccomp'")
        self.refused(self.vrun("true", options=["--without", ""]), "''")
        self.refused(self.vrun("true", options=["--without", ",seccomp"]), "''")


class Require(Case):
    def test_all_are_had(self):
        layers = names("kLayers")
        if landlock_version() < 6:
            layers = [layer for layer in layers if not layer.startswith("landlock")]
        self.ok(self.vrun("true", options=["--require", ",".join(layers)]))

    def test_each_is_told_with_what_takes_from_it(self):
        """And not with the kernel, when it is an option that leaves rules out."""
        report = os.path.join(self.directory, "report.json")
        self.vrun("true", options=["--report", report, "--without", "landlock,landlock-files", "--allow=userns"])
        told = [(entry["layer"], entry["by"]) for entry in json.loads(read(report))["reduced_layers"]]
        self.assertEqual(told, [("landlock", "--without landlock"), ("landlock-files", "--without landlock-files"),
                                ("seccomp", "--allow userns"), ("namespace-limit", "--allow userns"),
                                ("landlock-files", "--allow userns")])

    def test_refused(self):
        for layer, *options in (("network-namespace", "--net=host"), ("seccomp", "--allow=ptrace"), ("seccomp", "--without=seccomp"),
                                ("read-only", "--env-rw"), ("namespace-limit", "--allow=userns")):
            result = self.vrun("touch", "ran", options=["--require", layer, *options])
            self.refused(result, layer, "--require", options[0].partition("=")[0])
        self.assertEqual(os.listdir(self.project), [])
        other = make_environment(os.path.join(self.project, ".tox/other"))
        packages = os.path.join(self.project, "python/lib/python3.9/site-packages")
        os.makedirs(packages + "/one")
        os.mkdir(self.project + "/.git")
        for layer, option, path in (("hidden-environments", "--ro", other), ("protected-files", "--rw", self.project + "/.git"),
                                    ("hidden-environments", "--rw", site_packages(other)), ("hidden-packages", "--ro", packages + "/one")):
            self.refused(self.vrun("true", options=["--require", layer, option, path]), layer, f"{option} {path}")
            self.ok(self.vrun("true", options=["--require", layer, "--hide", path]))
        self.refused(self.vrun("true", options=["--require", "landlok"]), "'landlok'", "'landlock'")

    def test_a_kernel_without_it(self):
        """Landlock is what a kernel may lack without a run being refused."""
        deny = [self.probe_path(), "deny", "38", "444"]
        self.ok(self.outside(*deny, *self.command(["true"])))
        self.refused(self.outside(*deny, *self.command(["true"], ["--require", "landlock"])), "'landlock'", "Linux 6.12")


if __name__ == "__main__":
    unittest.main()
