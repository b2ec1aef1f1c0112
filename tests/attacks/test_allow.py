"""What --allow opens, and that it opens nothing else: the attacks of the battery that are one system call."""

import shutil
import unittest

from test_attacks import Scene  # first: it makes the harness known
from battery import BATTERY, UNAVAILABLE
from harness import PROBE, X86_64, missing

# Where nothing is said of a row, it has to go through.
OPENED = {
    "io_uring": {"io_uring": "OK"},
    "keyring": {"keyctl": "OK", "add_key": "OK", "request_key": "ENOKEY"},
    "numa": {"set_mempolicy": "OK", "move_pages": "OK"},
    "perf": {"perf_event": "OK|EACCES"},  # perf_event_paranoid
    "personality": {"personality": "OK"},
    # Pid 1 is another user's in all that matters: it is not dumpable. Linux 6.1 wants a capability for process_madvise.
    "ptrace": {"ptrace_child": "OK", "read_childs_memory": "OK", "write_childs_memory": "OK", "kcmp": "OK",
               "process_madvise": "OK|EPERM", "pidfd_getfd_child": "OK", "pidfd_getfd_supervisor": "EPERM"},
    # Without a namespace around it, what needs a capability is refused by the kernel.
    "userns": {"unshare_user": "OK", "clone_user": "OK", "clone3_user": "OK", "clone3_plain": "OK", "open_tree_plain": "OK",
               "open_tree_copy": "EPERM", "open_tree_attr": "OK", "fsopen": "EPERM", "fspick": "EPERM", "fsconfig": "EINVAL",
               "fsmount": "EPERM", "move_mount": "EPERM", "setattr_writable": "EPERM"},
}


@unittest.skipUnless(X86_64, "only as x86-64: that is where the attacks were tried")
class Allow(Scene):
    def answers(self, names, *options):
        probe = shutil.copy(PROBE, self.place["project"])
        result = self.attack_inside([probe, "attack", "1", *names], options=options)
        self.assertEqual((result.returncode, result.stderr), (0, ""))
        return dict(line.split() for line in result.stdout.splitlines())

    def test_each_opens_what_it_names_and_nothing_else(self):
        rows = [row for row in BATTERY if not row.python]
        closed = self.answers([row.name for row in rows])
        for name, opened in OPENED.items():
            answers = self.answers([row.name for row in rows], "--allow", name)
            for row in rows:
                with self.subTest(allow=name, attack=row.name):
                    if name == "userns" and row.code == "E-19":
                        # Landlock's rules, which answer first, are not there then.
                        self.assertEqual(answers[row.name], "EPERM")
                    elif row.name not in opened:
                        self.assertEqual(answers[row.name], closed[row.name])
                    elif answers[row.name] in UNAVAILABLE:
                        missing(self, f"this kernel has not {row.name}")
                    else:
                        self.assertIn(answers[row.name], opened[row.name].split("|"))
                        self.assertNotEqual(opened[row.name], closed[row.name])

    def test_several(self):
        answers = self.answers(["keyctl", "personality", "ptrace_child"], "--allow=keyring", "--allow", "personality", "--allow=keyring")
        self.assertEqual(answers, {"keyctl": "OK", "personality": "OK", "ptrace_child": "EPERM"})

    def test_what_is_covered_stays_covered_in_a_user_namespace(self):
        """The run's mounts are locked together for whoever is root in a namespace below it (mount_namespaces(7))."""
        script = ("umount /proc/keys 2>/dev/null || umount /proc/cmdline 2>/dev/null || echo covered\n"
                  "mount -o remount,bind,rw /usr 2>/dev/null || echo read-only\n"
                  "mount --bind /usr /tmp 2>/dev/null || echo nothing without its covers\n"
                  "mount -t proc proc /tmp 2>/dev/null || echo no other proc\n"
                  "mount -t tmpfs none /tmp && echo own mounts")
        words = ["unshare", "--user", "--map-root-user", "--mount", "--pid", "--fork", "sh", "-c", script]
        result = self.attack_inside(words, options=["--allow=userns"])
        self.assertEqual((result.stdout, result.stderr), ("covered\nread-only\nnothing without its covers\nno other proc\nown mounts\n", ""))
        self.assertIn("Operation not permitted", self.attack_inside(words).stderr)

    def test_explain_shows_it(self):
        plain = self.attack_inside([], options=["--explain", "--verbose"]).stdout
        self.assertNotIn("--allow", plain)
        self.assertIn("no further user namespaces", plain)
        for name in OPENED:
            shown = self.attack_inside([], options=["--explain", "--verbose", "--allow", name]).stdout
            self.assertIn(f"  opened by --allow: {name}: ", shown)
            self.assertEqual("no further user namespaces" in shown, name != "userns")


if __name__ == "__main__":
    unittest.main()
