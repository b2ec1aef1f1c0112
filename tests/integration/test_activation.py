"""bin/activate in the shells themselves: whatever the name, activation gives exactly that and runs none of it.

A name comes to the shell in a variable, so that nothing but the script under test has to quote it. The shell writes its
whole state to files, as `env -0` has it: before, while the environment is active, and after `deactivate`.
"""

import glob
import os
import shutil
import unittest

from support import IN_CI, VBUILD, run
from vbuild_case import PYPY, WHOLE, Case, pythons

EVIL = "touch canary"

# Names that mean something to one shell or another, within quotes or out of them.
NAMES = (
    "plain",
    "with space",
    f"$({EVIL}) `{EVIL}` ${{x=$({EVIL})}} $HOME ;{EVIL}; &{EVIL}& |{EVIL}",
    "bang! !! !$ !x ^a^b %n %~ ~ *?[a] {a,b} #c <x> (y) =z",
    "end with backslash \\",
    f"\\044({EVIL}) \\$({EVIL}) a\\b \\n \\\\",
    f"it's \"both\" '$({EVIL})' \"$({EVIL})\"",
    f"'; {EVIL}; '",
    f"\"; {EVIL}; \"",
    f"'\"'\"'$({EVIL})\"'\"",
    f"\\'; {EVIL}; '",
    f"\\\"; {EVIL}; \"",
    f"); {EVIL}; (",
    "-n",
    "grün \u4e2d\u6587 \U0001f40d \u2019$(x)",
    "x" * 255,
    "/".join([("y" * 80 + " ") * 2 + "$(z)"] * 2) + "/it's",  # more than 300 bytes
)

SH = """
PS1='old> '; export PS1
PYTHONHOME=/nowhere; export PYTHONHOME
state() { env -0 >"$OUT/$1"; printf %s "$PS1" >"$OUT/prompt-$1"; }
state before
. "$TARGET/bin/activate"
state active
env which python >"$OUT/python"
[ "${1:-}" != twice ] || . "$TARGET/bin/activate"
deactivate
state after
if command -v deactivate >/dev/null; then echo 'deactivate is still there'; fi
"""

FISH = """
function fish_prompt; printf 'old> '; end
set -gx PYTHONHOME /nowhere
function state; env -0 >"$OUT/$argv[1]"; fish_prompt >"$OUT/prompt-$argv[1]"; end
state before
source "$TARGET/bin/activate.fish"
state active
env which python >"$OUT/python"
test "$argv[1]" != twice; or source "$TARGET/bin/activate.fish"
deactivate
state after
if functions -q deactivate; echo 'deactivate is still there'; end
"""

# The script of venv unsets no PYTHONHOME for csh.
CSH = """
set prompt = 'old> '
env -0 >"$OUT/before"; printf %s $prompt:q >"$OUT/prompt-before"
source $TARGET:q/bin/activate.csh
env -0 >"$OUT/active"; printf %s $prompt:q >"$OUT/prompt-active"
env which python >"$OUT/python"
if ("$1" == twice) source $TARGET:q/bin/activate.csh
deactivate
env -0 >"$OUT/after"; printf %s $prompt:q >"$OUT/prompt-after"
alias deactivate
"""

# How each is started for a script, and which one it is to run.
SHELLS = {
    "bash": (["bash", "--norc", "--noprofile"], SH),
    "dash": (["dash"], SH),
    "zsh": (["zsh", "-f"], SH),
    "ksh": (["ksh"], SH),
    "mksh": (["mksh"], SH),
    "busybox": (["busybox", "ash"], SH),
    "fish": (["fish", "--no-config"], FISH),
    "tcsh": (["tcsh", "-f"], CSH),
}

NEEDED_IN_CI = {"bash", "zsh", "fish", "tcsh"}  # every distribution has them

# How each is made to show its prompt; some have to be told to expand it.
INTERACTIVE = {
    "bash": ["bash", "--norc", "--noprofile", "-i"],
    "bash as sh": ["bash", "--posix", "--norc", "--noprofile", "-i"],
    "dash": ["dash", "-i"],
    "zsh": ["zsh", "-f", "-i"],
    "zsh with its prompts expanded": ["zsh", "-f", "-o", "promptsubst", "-o", "promptbang", "-i"],
    "ksh": ["ksh", "-i"],
    "mksh": ["mksh", "-i"],
    "busybox": ["busybox", "ash", "-i"],
    "tcsh": ["tcsh", "-f", "-i"],
}

# Of the shells' own making, or new with every program.
OF_SHELLS = {b"_", b"SHLVL", b"OLDPWD", b"PS1", b"GROUP", b"HOST", b"HOSTTYPE", b"LOGNAME", b"MACHTYPE", b"OSTYPE",
             b"USER", b"VENDOR", b"PWD"}


def read_bytes(path):
    with open(path, "rb") as file:
        return file.read()


def scripts_of(python):
    """What the activation scripts are made from, so that two Pythons with the same are tested once."""
    code = "import os, venv; print(os.path.dirname(venv.__file__))"
    directory = run([python, "-I", "-c", code]).stdout.strip() + "/scripts"
    return tuple((name, read_bytes(os.path.join(directory, part, name)))
                 for part in ("common", "posix") for name in sorted(os.listdir(os.path.join(directory, part))))


class Shell(Case):
    """Runs with a directory of their own, which is to stay as empty as it is."""

    def setUp(self):
        super().setUp()
        self.place, self.out = (os.path.join(self.directory, name) for name in ("place", "out"))
        os.mkdir(self.place)
        os.mkdir(self.out)

    def shells(self, table):
        found = {name: entry for name, entry in table.items()
                 if shutil.which((entry[0] if isinstance(entry, tuple) else entry)[0])}
        missing = sorted(set(table) - set(found))
        if missing:
            print(f"  (not installed, so not tested: {', '.join(missing)})", flush=True)
        if IN_CI:
            self.assertEqual(NEEDED_IN_CI & set(missing), set())
        self.assertTrue(found)
        return found

    def different_pythons(self):
        seen = {}
        for python in pythons():
            seen.setdefault(scripts_of(python), python)
        return list(seen.values())

    def variables(self, target):
        return {"PATH": "/usr/bin:/bin", "HOME": self.out, "LC_ALL": "C.UTF-8", "TERM": "dumb", "TARGET": target,
                "OUT": self.out, "XDG_CONFIG_HOME": self.out, "XDG_DATA_HOME": self.out}

    def run_shell(self, words, target, **options):
        result = run(words, cwd=self.place, env=self.variables(target), timeout=60, **options)
        appeared = os.listdir(self.place)
        for name in appeared:  # so that the next one is not blamed
            os.unlink(os.path.join(self.place, name))
        self.assertEqual(appeared, [], f"a part of the name was run\n{result.stdout}{result.stderr}")
        return result

    def state(self, name):
        pairs = read_bytes(os.path.join(self.out, name)).split(b"\0")
        return dict(pair.split(b"=", 1) for pair in pairs if pair)

    def prompt(self, name):
        return read_bytes(os.path.join(self.out, "prompt-" + name))


class Activation(Shell):
    def check_shell(self, words, script, target, word=""):
        shutil.rmtree(self.out)
        os.mkdir(self.out)
        path = os.path.join(self.out, "script")
        with open(path, "w", encoding="utf-8") as file:
            file.write(script)
        result = self.run_shell([*words, path, word], target)
        self.assertEqual((result.returncode, result.stdout, result.stderr), (0, "", ""))

        before, active, after = (self.state(name) for name in ("before", "active", "after"))
        expected = os.fsencode(target)
        self.assertEqual(active.pop(b"VIRTUAL_ENV"), expected)
        self.assertEqual(active.pop(b"PATH"), expected + b"/bin:" + before[b"PATH"])
        self.assertEqual(read_bytes(self.out + "/python").rstrip(b"\n"), expected + b"/bin/python")
        self.assertNotIn(b"PYTHONHOME" if script is not CSH else b"VIRTUAL_ENV", active)
        self.assertNotEqual(self.prompt("active"), b"old> ")
        self.assertTrue(self.prompt("active").endswith(b"old> "), self.prompt("active"))
        for name in set(before) - {b"PATH", b"PYTHONHOME"} - OF_SHELLS:
            self.assertEqual(active.get(name), before[name], name)

        self.assertEqual(self.prompt("after"), b"old> ")
        left = {name: value for name, value in after.items() if name not in OF_SHELLS}
        self.assertEqual(left, {name: value for name, value in before.items() if name not in OF_SHELLS})

    def pythons_and_names(self):
        """All names with the oldest and the newest scripts, which quote in different ways; those between have one or the
        other way, and the names are dealt to them."""
        found = self.different_pythons()
        ends = [found[0], [python for python in found if python != PYPY][-1]]
        between = [python for python in found if python not in ends]
        return [(python, name) for python in found for i, name in enumerate(NAMES)
                if WHOLE or python in ends or between[i % len(between)] == python]

    def test_every_name(self):
        shells = self.shells(SHELLS)
        for python, name in self.pythons_and_names():
            target = os.path.join(self.directory, "envs", name)
            self.build("--without-pip", target, python=python)
            for shell, (words, script) in shells.items():
                with self.subTest(python=python, name=name, shell=shell):
                    self.check_shell(words, script, target)
            shutil.rmtree(os.path.join(self.directory, "envs"))

    def test_every_prompt(self):
        shells = self.shells(SHELLS)
        for python, prompt in self.pythons_and_names():
            self.build("--without-pip", "--prompt", prompt, self.env, python=python)
            for shell, (words, script) in shells.items():
                with self.subTest(python=python, prompt=prompt, shell=shell):
                    self.check_shell(words, script, self.env)
                    told = self.state("active").get(b"VIRTUAL_ENV_PROMPT")
                    # Python 3.10 is the first to say it; up to 3.12 it is what is shown, with its parentheses.
                    if told is not None:
                        self.assertIn(told, (os.fsencode(prompt), os.fsencode(f"({prompt}) ")))
            shutil.rmtree(self.env)

    def test_active_twice(self):
        for python in self.different_pythons():
            self.build("--without-pip", "--clear", self.env, python=python)
            for shell, (words, script) in self.shells(SHELLS).items():
                with self.subTest(python=python, shell=shell):
                    self.check_shell(words, script, self.env, "twice")


class Prompts(Shell):
    def test_nothing_in_a_prompt_is_run_when_it_is_shown(self):
        shells = self.shells(INTERACTIVE)
        for python in self.different_pythons():
            for name in (f"$({EVIL})shown", f"`{EVIL}`shown", f"\\044({EVIL})shown", f"\\$({EVIL})\\`{EVIL}`shown",
                         f"'$({EVIL})'\"$({EVIL})\"shown", f"${{x-$({EVIL})}}$((`{EVIL}`))shown",
                         f"%{{$({EVIL})%}}!`{EVIL}`shown"):
                target = os.path.join(self.directory, "envs", name)
                self.build("--without-pip", target, python=python)
                for shell, words in shells.items():
                    with self.subTest(python=python, name=name, shell=shell):
                        source = "source $TARGET:q/bin/activate.csh" if shell == "tcsh" else '. "$TARGET/bin/activate"'
                        result = self.run_shell(words, target, input=f"{source}\n:\nexit\n", stdin=None)
                        # Otherwise there was no prompt that could have run anything.
                        self.assertIn("shown", result.stdout + result.stderr)
                shutil.rmtree(target)


class Scripts(Shell):
    def test_scripts_start_from_every_path(self):
        # What a script is called by does not depend on the Python: the names are dealt to them. What follows does.
        found = pythons()
        pairs = [(found[i % len(found)], name) for i, name in enumerate(NAMES)]
        for python in found:
            for name in NAMES if WHOLE else [name for one, name in pairs if one == python] or NAMES[2:3]:
                target = os.path.join(self.directory, "envs", name)
                self.build(target, python=python)
                # What the script calls, reduced to what matters here: compiling all of pip takes a second.
                main = glob.glob(glob.escape(target) + "/lib/*/site-packages/pip/_internal/cli/main.py")[0]
                with open(main, "w", encoding="utf-8") as file:
                    file.write("import sys\ndef main():\n    print(sys.prefix, sys.argv[1:], sep='\\n')\n")
                with self.subTest(python=python, name=name):
                    for words in ([target + "/bin/pip", "a b"], ["env", "PATH=" + target + "/bin", "pip", "a b"]):
                        result = self.run_shell(words, target)
                        self.assertEqual((result.returncode, result.stderr), (0, ""))
                        self.assertEqual(result.stdout, f"{target}\n['a b']\n")
                shutil.rmtree(os.path.join(self.directory, "envs"))


class Refused(Shell):
    def test_what_no_script_could_say(self):
        """Before anything is written."""
        for name in (b"caf\xe9", b"\xff$(touch canary)", b"a\nb", b"a\rb", b"a\x1b[31mb", b"a:b", b"a\x7fb",
                     b"a\xc2\x85b"):
            for options in ([os.fsencode(self.directory) + b"/" + name], [b"--prompt", name, os.fsencode(self.env)]):
                if name == b"a:b" and options[0] == b"--prompt":
                    continue  # as good as any other
                with self.subTest(options=options):
                    before = sorted(os.listdir(self.directory))
                    result = run([os.fsencode(VBUILD), b"--without-pip", *options])
                    self.assertEqual((result.returncode, result.stdout), (1, ""))
                    self.assertRegex(result.stderr, r"\Avbuild: [ -~]+\n\Z")
                    self.assertEqual(sorted(os.listdir(self.directory)), before)


if __name__ == "__main__":
    unittest.main()
