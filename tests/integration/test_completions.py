"""What the shells complete, asked of the shells themselves."""

import os
import shutil
import subprocess
import unittest

from support import ROOT, TestCase

COMPLETIONS = os.path.join(ROOT, "contrib/completions")

# Words before the cursor, the last one is what is completed; and what has to be among what is offered, and what not.
LINES = [
    (["--ne"], ["--net"], ["--ro"]),
    (["--no"], ["--no-project"], ["--net"]),
    (["--pro"], ["--project", "--project-ro", "--profile", "--profiles"], ["--no-project"]),
    (["--net", ""], ["none", "host"], ["--ro"]),
    (["--profile", ""], ["default", "ci", "grade", "install", "dev"], ["some_file"]),
    (["--without", "land"], ["landlock", "landlock-files"], ["seccomp"]),
    (["--require", "se"], ["seal", "seccomp"], ["landlock"]),
    (["--allow", "pt"], ["ptrace"], ["perf"]),
    (["--ro", "some"], ["some_file", "some_directory/"], []),
    (["--project", "some"], ["some_directory/"], ["some_file"]),
    (["-C", "some"], ["some_directory/"], ["some_file"]),
    (["--stdin", "some"], ["some_file"], []),
    (["--report", "some"], ["some_file"], []),
    (["--wall", ""], [], ["some_file", "some_directory/", "--ro"]),
    (["--keep-env", "VRUN_TEST_"], ["VRUN_TEST_VARIABLE"], []),
    (["some"], ["some_directory/"], ["some_file"]),
    (["--json", "some_directory", "--", "hostn"], ["hostname"], ["--net"]),
]


class Completions(TestCase):
    def setUp(self):
        super().setUp()
        os.mkdir(os.path.join(self.directory, "some_directory"))
        open(os.path.join(self.directory, "some_file"), "w").close()

    def ask(self, program, script, *arguments):
        if not shutil.which(program):
            self.skipTest(f"{program} is not installed")
        variables = {"PATH": os.environ["PATH"], "HOME": self.directory, "VRUN_TEST_VARIABLE": "1", "LANG": "C.UTF-8"}
        result = subprocess.run([program, *script, *arguments], cwd=self.directory, env=variables, timeout=60,
                                stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        self.assertEqual((result.returncode, result.stderr), (0, ""), result.stdout)
        return result.stdout.splitlines()

    def check_lines(self, offered):
        for words, wanted, unwanted in LINES:
            with self.subTest(words=words):
                found = [word.rstrip("/") for word in offered(words)]
                for word in wanted:
                    self.assertIn(word.rstrip("/"), found)
                for word in unwanted:
                    self.assertNotIn(word, found)

    def test_bash(self):
        script = ('source "$1"; shift; compopt() { :; }; COMP_WORDS=(vrun "$@"); COMP_CWORD=$#; _vrun; '
                  'printf "%s\\n" "${COMPREPLY[@]}"')
        ask = lambda words: self.ask("bash", ["--norc", "-c", script, "bash", f"{COMPLETIONS}/vrun.bash"], *words)
        self.check_lines(ask)
        # "=" is a word of its own to bash.
        self.assertEqual(ask(["--net", "=", "h"]), ["host"])
        self.assertEqual(ask(["--net", "="]), ["none", "host"])

    def test_fish(self):
        line = lambda words: " ".join(["vrun", *words])
        script = 'source $argv[1]; complete -C $argv[2]'
        ask = lambda words: [
            found.split("\t")[0]
            for found in self.ask("fish", ["--no-config", "-c", script], f"{COMPLETIONS}/vrun.fish", line(words))]
        self.check_lines(ask)
        self.assertEqual(ask(["--net=h"]), ["--net=host"])

    def test_zsh(self):
        self.assertEqual(self.ask("zsh", ["-f", "-n"], f"{COMPLETIONS}/_vrun"), [])
        # One shell answers for all lines: it takes a second to start.
        asked = [words for words, _, _ in LINES] + [["--net=h"]]
        printed = self.ask("zsh", ["-f", os.path.join(ROOT, "tests/integration/offered.zsh"), COMPLETIONS],
                           *(" ".join(["vrun", *words]) for words in asked))
        offered = {}
        for words in asked:
            end = printed.index("--")
            offered[tuple(words)] = printed[:end]
            del printed[:end + 1]
        self.check_lines(lambda words: offered[tuple(words)])
        self.assertEqual(offered["--net=h",], ["host"])


if __name__ == "__main__":
    unittest.main()
