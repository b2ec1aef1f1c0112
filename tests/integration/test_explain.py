"""vrun --explain: a page, the whole, and JSON say the same of the run that would be. Golden files are in tests/unit."""

import json
import os
import re
import unittest

from harness import ROOT, Case, make_environment, read, write
from schema import differences

SCHEMA = json.loads(read(os.path.join(ROOT, "docs/explain.schema.json")))
OPTIONS = [[], ["--profile", "grade"], ["--net=host", "--env-rw", "--keep-env", "TOKEN"],
           ["--without", "seccomp,landlock", "--memory", "100M", "--wall", "1500ms", "--cpus", "0.5"],
           ["--allow", "userns", "--ro", "/etc/passwd", "--tmpfs", "/scratch:size=1M"], ["--no-project"]]


class Explain(Case):
    def explain(self, *options, status=0, **more):
        result = self.vrun("python", "-c", "pass", options=["--explain", *options], **more)
        self.assertEqual((result.returncode, result.stderr), (status, ""))
        return result.stdout

    def test_page_fits_a_screen(self):
        write(os.path.join(self.project, ".git/config"))
        lines = self.explain().splitlines()
        self.assertLessEqual(len(lines), 24)
        for line in lines:
            self.assertTrue(len(line) <= 80 or " " not in line[13:], f"could have been parted: {line}")
        self.assertIn("but not .git", "\n".join(lines))

    def test_json_and_text_are_the_same(self):
        write(os.path.join(self.project, "pyproject.toml"), "[tool.vrun]\nhide = ['secret']\nnet = 'host'\n")
        write(os.path.join(self.project, "secret/key"))
        make_environment(os.path.join(self.project, "other"))
        for options in OPTIONS:
            with self.subTest(options=options):
                told = json.loads(self.explain("--json", *options, variables={"TOKEN": "t"}))
                self.assertEqual(differences(told, SCHEMA), [])
                text = self.explain("--verbose", *options, variables={"TOKEN": "t"})
                view = re.findall(r"^  ([a-z]+) +'?(/[^,'\n]*?)'?(?:,| from | -> |$)", text.partition("\nview:\n")[2].partition("\n\n")[0], re.M)
                self.assertGreater(len(view), 40)
                self.assertEqual([(step["step"], step["path"]) for step in told["view"]], view)
                policy = re.findall(r"^  ([a-z-]+)=(.*?)  +(\S.*)$", text.partition("\n\n")[0], re.M)
                self.assertEqual([(value["option"], value["value"], value["origin"]) for value in told["policy"]], policy)
                layers = re.findall(r"^  ([a-z-]+) +(full|reduced|none)", text.partition("\nlayers, by name:\n")[2], re.M)
                self.assertEqual([(layer["layer"], layer["share"]) for layer in told["layers"]], layers)
                variables = text.partition("\nvariables:\n")[2].partition("\n\n")[0].splitlines()
                self.assertEqual([f"  {name}={value}" for name, value in told["variables"].items()], variables)
                for key, paths in (("packages shown", told["packages"]["shown"]), ("packages hidden", told["packages"]["hidden"]),
                                   ("other environments hidden", told["hidden_environments"])):
                    self.assertEqual(re.findall(r"^  '?(/[^'\n]*)'?$", text.partition(f"\n{key}:\n")[2].partition("\n\n")[0], re.M), paths)
                page = self.explain(*options, variables={"TOKEN": "t"})
                for value in told["policy"]:
                    self.assertEqual(f"{value['option']}={value['value']}" in page, not value["default"])
                for notice in told["notices"]:
                    self.assertIn(notice, page)
                    self.assertIn(notice, text)

    def test_it_is_what_a_run_gets(self):
        """Limits, variables and writable places of the JSON, asked of a run with the same options."""
        options = ["--tmp-size", "1M", "--setenv", "A=b c", "--hide", "secret"]
        write(os.path.join(self.project, "secret/key"))
        told = json.loads(self.explain("--json", *options))
        code = ("import json, os; s = os.statvfs('/tmp')\n"
                "print(json.dumps([dict(os.environ), os.getcwd(), [os.getuid(), os.getgid()], s.f_frsize * s.f_blocks,\n"
                "                  [p for p in json.loads(input()) if os.access(p, os.W_OK)], os.listdir('secret')]))")
        places = told["shown"]["writable"] + told["shown"]["read_only"] + [one["path"] for one in told["shown"]["memory"]]
        result = self.python(code, options=options, stdin=None, input=json.dumps(places) + "\n")
        self.assertEqual((result.returncode, result.stderr), (0, ""))
        variables, directory, ids, size, writable, secret = json.loads(result.stdout)
        variables.pop("LC_CTYPE", None)  # Python's own (PEP 538)
        self.assertEqual(variables, told["variables"])
        self.assertEqual((directory, ids), (told["directory"], [told["user"]["uid"], told["user"]["gid"]]))
        self.assertEqual(size, next(one["bytes"] for one in told["shown"]["memory"] if one["path"] == "/tmp"))
        self.assertEqual(size, told["limits"]["tmp-size"])
        # /run is root's inside.
        self.assertEqual(set(writable) | {"/run"}, {*told["shown"]["writable"], *(one["path"] for one in told["shown"]["memory"])})
        self.assertEqual((secret, told["hidden"]), ([], [os.path.join(self.project, "secret")]))

    def test_system_packages(self):
        environment = make_environment(os.path.join(self.directory, "open"), system_site_packages=True)
        told = json.loads(self.explain("--json", environment=environment))
        self.assertTrue(told["environment"]["system_packages"])
        self.assertGreater(len(told["packages"]["shown"]), 1)
        self.assertEqual(set(told["packages"]["shown"]) & set(told["packages"]["hidden"]), set())
        self.assertIn({"layer": "hidden-packages", "share": "reduced", "by": ["the environment includes the system's packages"]},
                      told["layers"])

    def test_names_cannot_act_on_a_terminal(self):
        project = os.path.join(self.directory, "p\x1b]0;x\x07\u202e")
        os.mkdir(project)
        for options in ([], ["--verbose"], ["--json"]):
            text = self.explain(*options, cwd=project)
            self.assertIn("p\\\\x1b]0;" if options == ["--json"] else "p\\x1b]0;", text)
            self.assertEqual(re.findall(r"[\x00-\x09\x0b-\x1f\x7f\u202e]", text), [])

    def test_refused(self):
        self.refused(self.vrun("true", options=["--verbose"]), "--verbose goes with --explain")
        self.refused(self.vrun("true", options=["--explain", "--verbose", "--json"]), "--json, which has everything")
        self.refused(self.vrun("true", options=["--json"]), "--json goes with --explain, ")


if __name__ == "__main__":
    unittest.main()
