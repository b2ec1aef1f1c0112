#!/bin/sh
# The cache of bytecode, with every Python that is installed: too slow for every check. $VBUILD and $VRUN are the programs
# (build/ci). Uses no network, and nobody's home directory but a private one.
set -eu
cd "$(dirname "$0")/../integration"

VBUILD=${VBUILD:-$PWD/../../build/ci/builder/vbuild}
VRUN=${VRUN:-$PWD/../../build/ci/runner/vrun}
export VBUILD VRUN
exec env -u PYTHONDONTWRITEBYTECODE python3 run.py all_vbuild_bytecode.py
