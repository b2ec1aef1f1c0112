"""What making an environment costs, by vbuild and by others, on memory and on a disk."""

import os
import shutil
import subprocess
import tempfile

from measure import Contender, take_turns
from tools import PYTHON, VBUILD


def index_peers(scratch, network):
    """virtualenv and uv from the Python index, in an environment of their own. {name: path}, without those that failed."""
    if not network:
        return {}
    private = os.path.join(scratch, "peers")
    subprocess.run([PYTHON, "-m", "venv", private], check=True)
    pip = [private + "/bin/python", "-m", "pip", "install", "-q", "--disable-pip-version-check"]
    found = {}
    for name in ("virtualenv", "uv"):
        result = subprocess.run(pip + [name], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        if result.returncode == 0:
            found[name] = os.path.join(private, "bin", name)
    return found


def remove(path):
    """Memory is used again and again, as on a machine in use: that of a virtual machine may have to be fetched first."""
    if os.path.lexists(path):
        shutil.rmtree(path)


def put_away(path):
    """Moves it to a name of its own. Nothing is removed while there is something to measure: ext4 goes one by one past the
    inodes that were freed in the last five minutes whenever it makes a file, which then takes fifty times as long."""
    if os.path.lexists(path):
        kept = tempfile.mkdtemp(prefix="kept-", dir=os.path.dirname(path))
        os.rename(path, os.path.join(kept, os.path.basename(path)))


def contenders(place, clear, peers, network, with_pip):
    """All that is written, caches included, lies in the directory `place`; `clear` takes a path out of the way. Each has
    caches of its own: what one empties or fills is not what another finds."""
    target = os.path.join(place, "made")

    def make(name, command, empty=False):
        cache = os.path.join(place, "cache-" + name.replace(" ", "-"))
        variables = dict(os.environ, XDG_CACHE_HOME=cache, VIRTUALENV_OVERRIDE_APP_DATA=os.path.join(cache, "virtualenv"),
                         UV_CACHE_DIR=os.path.join(cache, "uv"))

        def prepare():
            clear(target)
            if empty:
                clear(cache)

        return Contender(name, [*command, target], prepare, variables=variables)

    def peer(name, program, options, empty=False):
        if program not in peers:
            why = "could not be had from the Python index" if network else "comes from the Python index, which is not asked"
            return Contender(name, missing=f"{program} {why}")
        return make(name, [peers[program], *options], empty)

    python = ["--python", PYTHON]
    if not with_pip:
        return [
            make("vbuild --without-pip", [VBUILD, *python, "--without-pip"]),
            make("python3 -m venv --without-pip", [PYTHON, "-m", "venv", "--without-pip"]),
            peer("virtualenv --no-seed", "virtualenv", ["-q", *python, "--no-seed"]),
            peer("uv venv", "uv", ["venv", "-q", "--offline", *python]),
        ]
    # A run that is not counted comes before the first round (Contender.try_out); it fills the caches of "again".
    return [
        make("vbuild --compile=now, again", [VBUILD, *python, "--compile=now"]),
        make("vbuild --compile=no, again", [VBUILD, *python, "--compile=no"]),
        make("vbuild, first time", [VBUILD, *python], empty=True),
        make("python3 -m venv", [PYTHON, "-m", "venv"]),
        peer("virtualenv, again", "virtualenv", ["-q", *python]),
        peer("virtualenv, first time", "virtualenv", ["-q", *python], empty=True),
        peer("uv venv --seed, again", "uv", ["venv", "-q", "--seed", *python]),
    ]


def building(places, settings, peers):
    """[Table]; `places` is {what it is: directory}."""
    tables = []
    for what, place in places.items():
        clear = remove if what == "memory" else put_away
        tables.append(take_turns(f"build-{what}", f"an environment without pip, on {what}",
                                 contenders(place, clear, peers, settings.network, False), settings.build))
        tables.append(take_turns(f"build-pip-{what}", f"an environment with pip, on {what}",
                                 contenders(place, clear, peers, settings.network, True), max(2, settings.build // 4)))
    return tables
