"""Runs every command line that the documentation shows, and compares what it prints with what is shown.

A command is a line that begins with "$ " in a ```console block of a Markdown file, or after ".Dl " in a manual page.
The lines under it are its output, in which "..." stands for any text and a line of "..." for any lines; without lines
the output is not looked at. A command has to succeed, unless the last line shown names an error: then it has to fail.
The commands of a file run in order, in one directory, which holds what `prepare` puts there.
"""

import glob
import json
import os
import re
import shutil
import unittest

from support import ROOT, SYSTEM_PYTHON, VBUILD, VRUN, TestCase, run
from test_real_suite import find_packages

# Commands that are not run, by their beginnings, and why.
NOT_RUN = {
    "./dev": "it builds and checks this very tree",
    "sudo ": "it changes the machine",
    "ctest --preset": "it belongs to the build",
    "python3 tests/integration/run.py": "it runs these tests",
    "vrun --env-rw --net=host .venv -- pip install --require-hashes": "it needs the Python index",
}
DOCUMENTS = ["README.md", "SECURITY.md", "CONTRIBUTING.md"]


def documents():
    pages = glob.glob(os.path.join(ROOT, "docs/**/*.md"), recursive=True) + glob.glob(os.path.join(ROOT, "docs/*.[1-8]"))
    return [os.path.join(ROOT, name) for name in DOCUMENTS] + sorted(pages)


def read(path):
    with open(path, encoding="utf-8") as file:
        return file.read()


def commands(path):
    """[(command, lines shown under it)] of a file."""
    found = []
    if not path.endswith(".md"):
        return [(line[len(".Dl $ "):], []) for line in read(path).splitlines() if line.startswith(".Dl $ ")]
    for block in re.findall(r"^```console\n(.*?)^```", read(path), re.M | re.S):
        for line in block.splitlines():
            if line.startswith("$ "):
                found.append((line[2:], []))
            else:
                found[-1][1].append(line)
    return found


def output_pattern(lines):
    pattern = ""
    for line in lines:
        pattern += r"(?:.*\n)*?" if line == "..." else re.escape(line).replace(re.escape("..."), ".*") + r"\n"
    return re.compile(r"\A" + pattern + r"\Z")


def names_error(lines):
    return bool(lines) and re.match(r"(\w+Error: |vrun: (?!note: )|vbuild: |touch: cannot )", lines[-1]) is not None


def reason_not_to_run(command):
    return next((reason for beginning, reason in NOT_RUN.items() if command.startswith(beginning)), None)


class DocumentedCommands(TestCase):
    def prepare(self, directory):
        """A project with a test, submissions, the examples and a directory of wheels, as the documents assume."""
        os.makedirs(os.path.join(directory, "submissions/ana"))
        os.makedirs(os.path.join(directory, "submissions/ben"))
        with open(os.path.join(directory, "test_sum.py"), "w") as file:
            file.write("def test_sum():\n    assert 2 + 2 == 4\n")
        with open(os.path.join(directory, "submissions/ana/main.py"), "w") as file:
            file.write("print('2 + 2 =', 2 + 2)\n")
        shutil.copytree(os.path.join(ROOT, "docs/examples/grading"), os.path.join(directory, "grading"))
        packages = find_packages(self)
        shutil.copytree(packages, os.path.join(directory, "wheels"))
        programs = os.path.join(self.directory, "programs")
        os.makedirs(programs, exist_ok=True)
        for program in (VRUN, VBUILD):
            link = os.path.join(programs, os.path.basename(program))
            if not os.path.lexists(link):
                os.symlink(os.path.abspath(program), link)
        environment = dict(os.environ, PATH=programs + ":" + os.environ["PATH"], PIP_NO_INDEX="1",
                           PIP_FIND_LINKS=os.path.join(directory, "wheels"), PIP_DISABLE_PIP_VERSION_CHECK="1")
        for name in ("VRUN_ENV", "VIRTUAL_ENV", "PYTHONPATH", "PYTHONHOME"):
            environment.pop(name, None)
        return environment

    def run_document(self, path):
        directory = os.path.join(self.directory, os.path.basename(path), "project")
        os.makedirs(directory)
        environment = self.prepare(directory)
        for command, shown in commands(path):
            if reason_not_to_run(command):
                continue
            with self.subTest(document=os.path.relpath(path, ROOT), command=command):
                if "apt_pkg" in command and not run([SYSTEM_PYTHON, "-c", "import apt_pkg"]).returncode == 0:
                    self.skipTest("the example shows Debian's apt_pkg, which is not installed here")
                result = run(["/bin/sh", "-c", "exec 2>&1\n" + command], cwd=directory, env=environment)
                self.assertEqual(result.returncode != 0, names_error(shown), f"status {result.returncode}:\n{result.stdout}")
                if shown:
                    self.assertRegex(result.stdout, output_pattern(shown))

    def test_every_command_line(self):
        for path in documents():
            if any(not reason_not_to_run(command) for command, _ in commands(path)):
                self.run_document(path)

    def test_every_exclusion_is_used(self):
        shown = [command for path in documents() for command, _ in commands(path)]
        for beginning in NOT_RUN:
            self.assertTrue(any(command.startswith(beginning) for command in shown), beginning)

    def test_dev_commands_exist(self):
        usage = self.check([os.path.join(ROOT, "dev"), "help"]).stdout
        for path in documents():
            for name in re.findall(r"\./dev ([a-z]+)", read(path)):
                self.assertRegex(usage, rf"(?m)^  {name}\b", f"{path} shows ./dev {name}")

    def test_presets_exist(self):
        presets = [preset["name"] for preset in json.loads(read(os.path.join(ROOT, "CMakePresets.json")))["configurePresets"]]
        for path in documents():
            for name in re.findall(r"(?:--preset |\./dev build )([a-z]+)", read(path)):
                self.assertIn(name, presets, path)

    def test_links_lead_somewhere(self):
        for path in documents():
            if not path.endswith(".md"):
                continue
            for target in re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", read(path)):
                self.assertTrue(os.path.exists(os.path.join(os.path.dirname(path), target)), f"{path}: {target}")


class ManualPages(TestCase):
    """The options of --help and those of the manual page are the same."""

    def check_page(self, program):
        page = read(os.path.join(ROOT, "docs", os.path.basename(program) + ".1"))
        items = "".join(re.findall(r"(?m)^\.It (Fl .*\n)", page))
        documented = {"-" + name for name in re.findall(r" (-[a-z][a-z-]+)", items)}
        helped = set(re.findall(r"(?<![\w-])--[a-z][a-z-]*", self.check([program, "--help"]).stdout))
        self.assertEqual(documented, helped)

    def test_vrun(self):
        self.check_page(VRUN)

    def test_vbuild(self):
        self.check_page(VBUILD)


if __name__ == "__main__":
    unittest.main()
