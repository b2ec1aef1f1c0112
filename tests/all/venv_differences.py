"""Each entry of tests/integration/venv_differences.md is one: venv still does what it says, and vbuild the other.

No entry may stay that no longer occurs, and none may be without a demonstration here. An entry is known by the beginning
of its first column. Which Pythons show it depends on what is installed; one that none of them can show is said and passed.
"""

import glob
import os
import re
import shutil
import sys
import tempfile

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
sys.path.insert(0, os.path.join(ROOT, "tests/integration"))

from support import SYSTEM_PYTHON, VBUILD, cpythons, run  # noqa: E402
from vbuild_case import PYPY  # noqa: E402
from venv_matrix import Wrong, read, require, succeed, write  # noqa: E402

TABLE = os.path.join(ROOT, "tests/integration/venv_differences.md")
ALL = cpythons()
NO_PIP = "--without-pip"


class NotHere(Exception):
    """No Python of this machine can show it."""


def pick(low=(3, 8), high=(99,), condition=lambda path: True):
    """A CPython with `low` <= version < `high`."""
    for version, path in ALL:
        if low <= version < high and condition(path):
            return path
    raise NotHere


def stdlib(python):
    return succeed([python, "-I", "-c", "import os; print(os.path.dirname(os.__file__))"]).stdout.strip()


class Pair:
    """The same made by both, in directories of the same name."""

    def __init__(self, place, python, name, *options, before=None):
        self.results, self.paths = [], []
        for maker in ("venv", "vbuild"):
            parent = os.path.join(place, f"{maker}-{len(os.listdir(place))}")
            os.mkdir(parent)
            path = os.path.join(parent, name)
            if before:
                before(path)
            command = [python, "-I", "-m", "venv"] if maker == "venv" else [VBUILD, "--python", python]
            self.results.append(run([*command, *options, path], cwd=parent))
            self.paths.append(path)

    def texts(self, relative):
        return [read(os.path.join(path, relative)) for path in self.paths]

    def statuses(self):
        return tuple(result.returncode for result in self.results)


def old_templates(path):
    return '"__VENV_DIR__"' in read(stdlib(path) + "/venv/scripts/common/activate")


def activation_of_old(place):
    """`bin/activate*` of Pythons older than gh-124651"""
    pair = Pair(place, pick(condition=old_templates), 'a"$(x)', NO_PIP)
    venv, vbuild = pair.texts("bin/activate")
    require(f'VIRTUAL_ENV="{pair.paths[0]}"' in venv and f'VIRTUAL_ENV="{pair.paths[1]}"' not in vbuild, vbuild)
    require(f"'{pair.paths[1]}'" in vbuild, vbuild)


def shown_prompt(place):
    """`bin/activate`, what is shown before the prompt"""
    venv, vbuild = Pair(place, pick(condition=lambda path: not old_templates(path)), "env", NO_PIP, "--prompt", "$(x)`y`\\").texts("bin/activate")
    require(re.search(r"PS1=.*\$\(x\)`y`\\", venv), venv)
    require(re.search(r"PS1=.*\?\(x\)\?y\?\?", vbuild) and not re.search(r"PS1=.*\$\(x\)", vbuild), vbuild)


def csh_and_fish(place):
    """`bin/activate.csh`, `bin/activate.fish`"""
    pair = Pair(place, pick(condition=lambda path: not old_templates(path)), "a!b\\c", NO_PIP)
    venv, vbuild = pair.texts("bin/activate.csh")
    require("a!b" in venv and "a\\!b" not in venv and "a\\!b" in vbuild, vbuild)
    venv, vbuild = pair.texts("bin/activate.fish")
    require("b\\c" in venv and "b\\\\c" not in venv and "b\\\\c" in vbuild, vbuild)


def scripts(place):
    """`bin/pip*` of an environment whose path has a space"""
    pair = Pair(place, SYSTEM_PYTHON, "a b")
    venv, vbuild = pair.texts("bin/pip")
    require(f'exec\' "{pair.paths[0]}/bin' in venv and f"exec' '{pair.paths[1]}/bin" in vbuild, venv, vbuild)


def control_characters(place):
    """newline and other control characters"""
    require(Pair(place, SYSTEM_PYTHON, "a\nb", NO_PIP).statuses() == (0, 1), "path")
    require(Pair(place, SYSTEM_PYTHON, "env", NO_PIP, "--prompt", "a\nb").statuses() == (0, 1), "prompt")


def colon(place):
    """`:` in ENV_DIR"""
    require(Pair(place, SYSTEM_PYTHON, "a:b", NO_PIP).statuses() == (1, 1), "3.11 and later")
    require(Pair(place, pick(high=(3, 11)), "a:b", NO_PIP).statuses() == (0, 1), "before")


def unassigned(place):
    """prompt with code points"""
    venv, vbuild = Pair(place, SYSTEM_PYTHON, "env", NO_PIP, "--prompt", "\u0378").texts("pyvenv.cfg")
    require("prompt = '\\u0378'" in venv and "prompt = '\u0378'" in vbuild, venv, vbuild)


def nested_of_old(place):
    """from inside an environment, 3.8 to 3.10"""
    outer = os.path.join(place, "outer")
    python = pick(high=(3, 11))
    succeed([python, "-I", "-m", "venv", NO_PIP, outer])
    pair = Pair(place, outer + "/bin/python3", "env", NO_PIP)
    links = [{os.readlink(link) for link in glob.glob(path + "/bin/python*")} for path in pair.paths]
    through = [any(link.startswith(outer) for link in some) for some in links]
    require(through == [True, False], links)
    shutil.rmtree(outer)
    require([run([path + "/bin/python", "-c", ""]).returncode == 0 if os.path.exists(path + "/bin/python") else False
             for path in pair.paths] == [False, True], "the outer environment is gone")


def linked_program(place):
    """by way of a link to the interpreter alone"""
    link = os.path.join(place, "my-python")
    os.symlink(SYSTEM_PYTHON, link)
    pair = Pair(place, link, "env", NO_PIP)
    names = [os.path.lexists(path + "/bin/my-python") for path in pair.paths]
    require(names == [True, False], names)
    succeed([pair.paths[1] + "/bin/python", "-c", ""])


def broken(path):
    succeed([VBUILD, "--python", SYSTEM_PYTHON, NO_PIP, path])
    os.unlink(path + "/bin/python3")
    os.symlink("/nonexistent", path + "/bin/python3")


def existing(place):
    """existing environment"""
    pair = Pair(place, SYSTEM_PYTHON, "env", NO_PIP, before=broken)
    starts = [os.path.exists(path + "/bin/python3") for path in pair.paths]
    require(pair.statuses() == (0, 0) and starts == [False, True], starts)
    require("repaired" in pair.results[1].stderr, pair.results[1].stderr)


def upgrade_keeps(place):
    """`--upgrade` |"""
    def make(path):
        succeed([VBUILD, "--python", SYSTEM_PYTHON, NO_PIP, "--prompt", "mine", "--system-site-packages", path])
    venv, vbuild = Pair(place, SYSTEM_PYTHON, "env", NO_PIP, "--upgrade", before=make).texts("pyvenv.cfg")
    require("prompt" not in venv and "packages = false" in venv, venv)
    require("prompt = 'mine'" in vbuild and "packages = true" in vbuild, vbuild)


def upgrade_of_nothing(place):
    """`--upgrade` of nothing"""
    pair = Pair(place, SYSTEM_PYTHON, "env", NO_PIP, "--upgrade")
    made = [os.path.exists(path + "/bin/activate") for path in pair.paths]
    require(pair.statuses() == (0, 0) and made == [False, True], made)


def clear(place):
    """`--clear`"""
    def make(path):
        os.mkdir(path)
        write(path + "/precious", "")
    pair = Pair(place, SYSTEM_PYTHON, "env", NO_PIP, "--clear", before=make)
    left = [os.path.exists(path + "/precious") for path in pair.paths]
    require(pair.statuses() == (0, 1) and left == [False, True], pair.statuses(), left)

    def link(path):
        make(path + "-target")
        os.symlink(path + "-target", path)
    pair = Pair(place, SYSTEM_PYTHON, "env", NO_PIP, "--clear", before=link)
    left = [os.path.exists(path + "-target/precious") for path in pair.paths]
    require(pair.statuses() == (1, 1) and left == [False, True], pair.statuses(), left)


def failure(place):
    """a failure"""
    def make(path):
        os.mkdir(path)
        write(path + "/bin", "")
    pair = Pair(place, SYSTEM_PYTHON, "env", NO_PIP, before=make)
    left = [sorted(os.listdir(path)) for path in pair.paths]
    require(pair.statuses() == (1, 1) and left[0] != ["bin"] and left[1] == ["bin"], left)


def relocatable(place):
    """`--copies` of a Python that finds its library"""
    if not shutil.which("cc"):
        raise NotHere
    def shared(path):
        return glob.glob(os.path.dirname(os.path.dirname(path)) + "/lib/libpython3.*.so.1.0")
    python = pick(low=(3, 10), condition=shared)
    prefix = os.path.dirname(os.path.dirname(python))
    library = shared(python)[0]
    base = os.path.join(place, "base")
    os.makedirs(base + "/bin")
    os.mkdir(base + "/lib")
    shutil.copy(library, base + "/lib")
    for path in glob.glob(prefix + "/lib/python3.*"):
        os.symlink(path, base + "/lib/" + os.path.basename(path))
    source = write(base + "/main.c", "int Py_BytesMain(int, char**);\nint main(int n, char** v) { return Py_BytesMain(n, v); }\n")
    copied = f"{base}/lib/{os.path.basename(library)}"
    succeed(["cc", "-o", base + "/bin/python3", source, copied, "-Wl,-rpath,$ORIGIN/../lib"])
    pair = Pair(place, base + "/bin/python3", "env", NO_PIP, "--copies")
    starts = [run([path + "/bin/python3", "-I", "-c", "import sys; print(sys.prefix)"]) for path in pair.paths]
    require(starts[0].returncode == 127 and starts[1].stdout == pair.paths[1] + "\n", starts)


def other_kind(place):
    """`--copies` where ENV_DIR has links"""
    def make(option):
        return lambda path: succeed([VBUILD, "--python", SYSTEM_PYTHON, NO_PIP, option, path])
    pair = Pair(place, SYSTEM_PYTHON, "env", NO_PIP, "--copies", before=make("--symlinks"))
    links = [os.path.islink(path + "/bin/python3") for path in pair.paths]
    require(pair.statuses() == (1, 0) and links == [True, False], pair.statuses(), links)
    pair = Pair(place, SYSTEM_PYTHON, "env", NO_PIP, "--symlinks", before=make("--copies"))
    links = [os.path.islink(path + "/bin/python3") for path in pair.paths]
    require(pair.statuses() == (0, 0) and links == [False, True], pair.statuses(), links)


def pypy_copies(place):
    """PyPy, `--copies`"""
    if not os.path.exists(PYPY):
        raise NotHere
    # What venv would copy is all of /usr/lib, gigabytes of it; it is read in its source instead.
    source = read(stdlib(PYPY) + "/venv/__init__.py")
    require("libsrc = os.path.join(context.python_dir, '..', 'lib')" in source and "in os.listdir(libsrc)" in source,
            "PyPy's venv does not copy what is in lib")
    env = os.path.join(place, "env")
    succeed([VBUILD, "--python", PYPY, "--copies", NO_PIP, env])
    succeed([env + "/bin/pypy3", "-c", ""])
    require(sorted(os.listdir(env + "/lib")) == ["pypy3.9"], os.listdir(env + "/lib"))


def pypy_wheels(place):
    """PyPy of Debian, with pip"""
    if not os.path.exists(PYPY):
        raise NotHere
    pair = Pair(place, PYPY, "env")
    made = [os.path.exists(path + "/share/python-wheels") for path in pair.paths]
    require(pair.statuses() == (0, 0) and made == [True, False], pair.statuses(), made)


DEMONSTRATIONS = (activation_of_old, shown_prompt, csh_and_fish, scripts, control_characters, colon, unassigned, nested_of_old,
                  linked_program, existing, upgrade_keeps, upgrade_of_nothing, clear, failure, relocatable, other_kind,
                  pypy_copies, pypy_wheels)


def main():
    rows = [line[2:] for line in read(TABLE).splitlines() if line.startswith("| ")][1:]
    failed = 0
    for demonstration in DEMONSTRATIONS:
        name = demonstration.__doc__
        matching = [row for row in rows if row.startswith(name)]
        if not matching:
            print(f"{name}: FAILED: there is no such entry")
            failed += 1
            continue
        rows.remove(matching[0])
        with tempfile.TemporaryDirectory(prefix="vrun-differences-") as place:
            try:
                demonstration(place)
            except NotHere:
                print(f"{name}: skipped: no Python here can show it")
            except (Wrong, OSError) as error:
                print(f"{name}: FAILED\n{error}")
                failed += 1
    for row in rows:
        print(f"no demonstration: {row}")
        failed += 1
    print(f"{len(DEMONSTRATIONS)} differences, {failed} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
