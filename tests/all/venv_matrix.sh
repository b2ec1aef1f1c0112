#!/bin/sh
# vbuild and `python3 -m venv` side by side, for every Python here: all that both can be told, and every entry of
# tests/integration/venv_differences.md. $VBUILD is the program (build/ci/builder/vbuild).
set -eu
cd "$(dirname "$0")/../.."
export VBUILD="${VBUILD:-$PWD/build/ci/builder/vbuild}"
/usr/bin/python3 -B tests/all/venv_differences.py
exec /usr/bin/python3 -B tests/all/venv_matrix.py "$@"
