"""vrun --doctor: what this machine can have, and, with each kind of failure forced, the cause and what mends it. A run
that cannot start then says the same."""

import errno
import json
import os
import re
import unittest

from harness import ROOT, VRUN, X86_64, Case, host_mounts, missing, read
from test_kernel import landlock_version

# Numbers of x86-64.
CLONE3, KEYCTL, SECCOMP, FSOPEN, OPEN_TREE, MOUNT_SETATTR, LANDLOCK_CREATE_RULESET, SETSID, SETHOSTNAME = (
    435, 250, 317, 430, 428, 442, 444, 112, 170)

# (errno, calls that answer it, the first part that fails, its cause)
DENIED = [
    (errno.EPERM, [CLONE3], "user namespace", "outer-filter"),
    (errno.ENOSYS, [CLONE3], "user namespace", "outer-filter"),
    (errno.ENOSYS, [MOUNT_SETATTR], "kernel", "outer-filter"),
    (errno.EPERM, [FSOPEN], "view", "outer-filter"),
    (errno.EPERM, [OPEN_TREE], "view", "outer-filter"),
    (errno.EPERM, [KEYCTL], "keys", "outer-filter"),
    (errno.EDQUOT, [KEYCTL], "keys", "key-quota"),
    (errno.EINVAL, [SECCOMP], "system calls", "outer-filter"),
    (errno.EPERM, [SETHOSTNAME], "host name", "outer-filter"),
]


class DoctorCase(Case):
    def doctor(self, *before, status=None):
        """The parts by name, and whether runs start; `before` begins the command line."""
        result = self.outside(*before, VRUN, "--doctor", "--json")
        self.assertEqual(result.stderr, "")
        told = json.loads(result.stdout)
        self.assertEqual(told["schema"], "vrun.doctor/1")
        states = {part["state"] for part in told["parts"]}
        worst = next(state for state in ("impossible", "reduced", "protected") if state in states)
        self.assertEqual((told["state"], told["runs"]), (worst, worst != "impossible"))
        self.assertEqual(result.returncode, 0 if worst == "protected" else 1)
        return {part["part"]: part for part in told["parts"]}

    def bad(self, parts):
        """What is not protected, but for what this kernel is too old for, and limits where no group is delegated."""
        return [name for name, part in parts.items() if part["state"] != "protected"
                and (name, part["cause"]) not in (("Landlock", "landlock-missing"), ("limits", "no-group"))]

    def run_says(self, part, *before, options=()):
        """A run fails with the part's failure and remedy."""
        result = self.outside(*before, *self.command(["true"], options))
        self.refused(result, part["explanation"] + ": " + (part["command"] or part["advice"]))


class Machine(DoctorCase):
    def test_everything_can_be_had(self):
        mounts, names = host_mounts(), os.listdir(self.project)
        parts = self.doctor()
        self.assertEqual(self.bad(parts), [])
        self.assertEqual(parts["Landlock"]["state"], "protected" if landlock_version() >= 6 else "reduced")
        self.assertGreater(len(parts), 14)
        self.assertEqual((host_mounts(), os.listdir(self.project)), (mounts, names))

    def test_layers_have_their_names(self):
        known = set(re.findall(r'"([a-z-]+)"', re.search(r"kLayers = .*?;", read(os.path.join(ROOT, "policy/layers.h")), re.S).group()))
        named = [layer for part in self.doctor().values() for layer in part["layers"]]
        self.assertEqual(len(named), len(set(named)))
        self.assertLessEqual(set(named), known)
        self.assertGreater(len(named), 20)

    def test_limits_are_as_the_report_says(self):
        """Reduced exactly where a run with these limits is not held by a control group in all of them."""
        limits = self.doctor()["limits"]
        options = ["--memory=1G", "--swap=1G", "--pids=1000", "--cpus=1", "--cpu-time=1000s", "--require-limits"]
        held = self.vrun("true", options=options)
        self.assertEqual(limits["layers"], [])
        self.assertEqual(limits["state"], "protected" if held.returncode == 0 else "reduced", (limits, held.stderr))
        self.assertEqual(limits["cause"], None if held.returncode == 0 else "no-group")

    def test_for_people(self):
        result = self.raw("--doctor", cwd="/")
        self.assertEqual(result.stderr, "")
        lines = result.stdout.splitlines()
        self.assertRegex(lines[-1], r"\ALinux \S+: (every layer can be had|runs start, with [12] of \d+ parts reduced)\Z")
        for line in lines[:-1]:
            self.assertRegex(line, r"\A(protected {3}|reduced {5}| {12})\S")

    def test_refused(self):
        for words in (["--doctor", "--explain"], ["--doctor", self.environment], ["--doctor", "--", "true"],
                      ["--net=host", "--doctor"]):
            self.refused(self.raw(*words), "--doctor")


class Forced(DoctorCase):
    def test_calls_that_are_denied(self):
        if not X86_64:
            self.skipTest("only as x86-64: these are its numbers")
        for error, calls, first, cause in DENIED:
            deny = [self.probe_path(), "deny", str(error), ",".join(map(str, calls))]
            with self.subTest(calls=calls, error=errno.errorcode[error]):
                parts = self.doctor(*deny)
                bad = self.bad(parts)
                self.assertEqual((bad[0], parts[bad[0]]["state"], parts[bad[0]]["cause"]), (first, "impossible", cause), parts)
                self.assertIn(errno.errorcode[error], parts[first]["failure"])
                self.run_says(parts[first], *deny)

    def test_without_landlock_runs_are_reduced(self):
        if not X86_64:
            self.skipTest("only as x86-64: these are its numbers")
        for error, cause in ((errno.EOPNOTSUPP, "landlock-off"), (errno.ENOSYS, "outer-filter")):
            deny = [self.probe_path(), "deny", str(error), str(LANDLOCK_CREATE_RULESET)]
            parts = self.doctor(*deny)
            self.assertEqual(self.bad(parts), ["Landlock"])
            self.assertEqual((parts["Landlock"]["state"], parts["Landlock"]["cause"]), ("reduced", cause))
            self.ok(self.outside(*deny, *self.command(["true"])))

    def nested(self, script):
        """Words that run what follows in a user namespace of an ordinary user's, after `script` as its root."""
        words = [*self.ordinary(), "unshare", "--user", "--map-root-user", "--mount", "sh", "-euc", script + '\nexec "$@"', "-"]
        if self.outside(*words[:-4], "true").returncode != 0:
            missing(self, "no user namespace for the test")
        return words

    def test_limits_on_namespaces(self):
        words = self.nested("echo 0 > /proc/sys/user/max_user_namespaces")
        parts = self.doctor(*words)
        self.assertEqual(self.bad(parts)[0], "user namespace")
        self.assertEqual(parts["user namespace"]["cause"], "outer-sandbox")
        self.assertIn("ENOSPC", parts["user namespace"]["failure"])
        self.assertEqual(parts["view"]["failure"], "it needs a user namespace")
        self.assertEqual(parts["system calls"]["state"], "protected")
        self.run_says(parts["user namespace"], *words)

        words = self.nested("echo 0 > /proc/sys/user/max_net_namespaces")
        parts = self.doctor(*words)
        self.assertEqual(self.bad(parts), ["network"])
        self.assertEqual((parts["network"]["cause"], parts["network"]["command"]),
                         ("namespaces-off", "sysctl -w user.max_net_namespaces=15000"))
        self.run_says(parts["network"], *words)

    def test_covered_proc(self):
        words = self.nested("mount --bind /dev/null /proc/keys")
        parts = self.doctor(*words)
        self.assertEqual(self.bad(parts), ["/proc"])
        self.assertEqual(parts["/proc"]["cause"], "covered-proc")
        self.run_says(parts["/proc"], *words)

    def test_sysctls_that_cannot_be_written(self):
        words = self.nested("mount --bind /proc/sys /proc/sys; mount -o remount,bind,ro /proc/sys")
        parts = self.doctor(*words)
        self.assertEqual(self.bad(parts), ["namespace limit", "/proc"])
        self.assertEqual(parts["namespace limit"]["cause"], "read-only-sysctl")
        self.run_says(parts["namespace limit"], *words)

    def test_the_command_mends_it(self):
        """What is told to be run, run: the limit of the namespace is raised again."""
        words = self.nested("echo 0 > /proc/sys/user/max_net_namespaces")
        command = self.doctor(*words)["network"]["command"]
        name, value = command.removeprefix("sysctl -w ").split("=")
        path = "/proc/sys/" + name.replace(".", "/")
        mended = self.nested(f"echo 0 > {path}; echo {value} > {path}")
        self.assertEqual(self.bad(self.doctor(*mended)), self.bad(self.doctor()))


class Document(unittest.TestCase):
    def test_every_cause_has_its_section(self):
        table = re.search(r"kCauses = .*?;", read(os.path.join(ROOT, "policy/remedies.h")), re.S).group()
        page = read(os.path.join(ROOT, "docs/troubleshooting.md"))
        self.assertEqual(sorted(re.findall(r"^### .*\(`([a-z-]+)`\)$", page, re.M)), sorted(re.findall(r'"([a-z-]+)"', table)))


if __name__ == "__main__":
    unittest.main()
