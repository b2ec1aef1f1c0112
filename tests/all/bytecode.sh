#!/bin/sh
# The cache of bytecode, with every Python that is installed: too slow for every check. $VBUILD and $VRUN are the programs
# (build/ci). Uses no network, and nobody's home directory but a private one.
set -eu
cd "$(dirname "$0")/../integration"

VBUILD=${VBUILD:-$PWD/../../build/ci/builder/vbuild}
VRUN=${VRUN:-$PWD/../../build/ci/runner/vrun}
# Compiling takes minutes, and many of them beside others that want the processors.
VRUN_TEST_SLOW=${VRUN_TEST_SLOW:-4}
export VBUILD VRUN VRUN_TEST_SLOW
exec env -u PYTHONDONTWRITEBYTECODE python3 run.py all_vbuild_bytecode.py
