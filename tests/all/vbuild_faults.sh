#!/bin/sh
# Every system call of vbuild fails once, with every error that it can have, and is the last before SIGKILL once.
# $VBUILD is the program (build/ci/builder/vbuild), $PYTHON the Python of the environments (/usr/bin/python3).
set -eu
cd "$(dirname "$0")/../.."
exec /usr/bin/python3 tests/all/vbuild_faults.py "${VBUILD:-$PWD/build/ci/builder/vbuild}" "${PYTHON:-/usr/bin/python3}"
