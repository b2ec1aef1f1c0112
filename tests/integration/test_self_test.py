"""vrun --self-test: all attempts are stopped inside, and most of the same go through outside."""

import json
import os
import pty
import subprocess
import unittest
import xml.etree.ElementTree

from harness import HOST_NETWORK_NOTE, IS_ROOT, VRUN, Case


class SelfTest(Case):
    def self_test(self, *options, **more):
        return self.raw("--self-test", *options, self.environment, **more)

    def test_all_are_stopped(self):
        result = self.self_test()
        lines = result.stdout.splitlines()
        self.assertEqual([line for line in lines[:-1] if not line.startswith("stopped ")], [])
        self.assertRegex(lines[-1], r"\A(\d+) attempts, all were stopped\Z")
        self.assertEqual(int(lines[-1].split()[0]), len(lines) - 1)
        self.assertGreater(len(lines), 35)
        self.assertEqual((result.returncode, result.stderr), (0, ""))
        self.assertEqual((os.listdir(self.project), os.listdir(self.home)), ([], []))

    def test_control_outside_most_go_through(self):
        """The attempts without a run around them."""
        result = self.raw("--self-test-inside", "format=json", f"environment={self.environment}", f"pid={os.getpid()}", "hidden=/usr/lib",
                          "namespace=" + os.readlink("/proc/self/ns/user"))
        self.assertEqual(result.returncode, 1)
        rows = json.loads(result.stdout)["attempts"]
        through = {(row["layer"], row["tried"]) for row in rows if not row["stopped"]}
        self.assertGreater(len(through), len(rows) / 2)
        self.assertEqual(("user", "being root") in through, IS_ROOT)
        for row in (("no_new_privs", "programs that give privileges"), ("view", "1 directories of packages"),
                    ("namespaces", "a process of the host"), ("namespaces", "the host's user namespace"),
                    ("read-only mounts", "a file in the environment")):
            self.assertIn(row, through)

    def test_json(self):
        answer = json.loads(self.ok(self.self_test("--json")))
        self.assertEqual((answer["schema"], answer["holds"]), ("vrun.self_test/1", True))
        self.assertEqual({row["stopped"] for row in answer["attempts"]}, {True})
        self.assertEqual({row["answer"] == row["wanted"] for row in answer["attempts"]}, {True})
        outside = self.raw("--self-test-inside", "format=json")
        self.assertEqual((outside.returncode, json.loads(outside.stdout)["holds"]), (1, False))

    def test_with_options(self):
        """What an option opens is not tried, and all else still holds."""
        full = json.loads(self.ok(self.self_test("--json")))["attempts"]
        has_file_rules = any(row["layer"] == "Landlock" for row in full)
        for options, fewer in ((["--net=host"], 2), (["--allow=userns"], 2 + has_file_rules), (["--allow=ptrace"], 0), (["--env-rw"], 1), (["--no-project"], 0)):
            with self.subTest(options=options):
                note = HOST_NETWORK_NOTE if options == ["--net=host"] else ""
                rows = json.loads(self.ok(self.self_test("--json", *options), note))["attempts"]
                self.assertEqual(len(rows), len(full) - fewer)

    def test_in_a_terminal(self):
        master, slave = pty.openpty()
        self.addCleanup(os.close, master)
        self.addCleanup(os.close, slave)
        result = subprocess.run([VRUN, "--self-test", self.environment], stdin=slave, stdout=subprocess.PIPE, cwd=self.project,
                                env=self.variables(), timeout=20, encoding="ascii")
        self.assertIn("all were stopped", result.stdout)

    def test_junit(self):
        result = self.self_test("--junit")
        suite = xml.etree.ElementTree.fromstring(result.stdout)
        cases = suite.findall("testcase")
        self.assertEqual((suite.tag, suite.get("tests"), suite.get("failures")), ("testsuite", str(len(cases)), "0"))
        self.assertGreater(len(cases), 35)
        self.assertEqual(len({(case.get("classname"), case.get("name")) for case in cases}), len(cases))
        self.assertEqual((result.returncode, suite.findall(".//failure")), (0, []))
        told = json.loads(self.self_test("--json").stdout)["attempts"]
        self.assertEqual([case.get("name") for case in cases], [attempt["tried"] for attempt in told])

    def test_junit_names_what_goes_through(self):
        result = self.self_test("--junit", "--without", "seccomp")
        suite = xml.etree.ElementTree.fromstring(result.stdout)
        failed = [case.get("classname") for case in suite.findall("testcase") if case.find("failure") is not None]
        self.assertEqual((result.returncode, suite.get("failures")), (1, str(len(failed))))
        self.assertEqual(set(failed), {"vrun.system-call filter"})

    def test_refused(self):
        self.refused(self.raw("--junit", self.environment), "--junit", "--self-test")
        self.refused(self.self_test("--junit", "--json"), "--junit", "--json")
        self.refused(self.self_test("--explain"), "--explain", "--self-test")
        self.refused(self.raw("--json", self.environment), "--json", "--self-test")
        self.refused(self.raw("--self-test", self.environment, "--", "true"), "--self-test")
        self.refused(self.raw("--self-test", self.directory + "/missing"), "missing")


if __name__ == "__main__":
    unittest.main()
