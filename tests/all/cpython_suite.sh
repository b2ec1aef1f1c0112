#!/bin/sh
# CPython's own test suite, inside vrun and outside: cpython_suite.py has it. $VRUN and $VBUILD are the programs.
# With the variable SUITE_MODULES, only those modules of the suite.
set -eu
cd "$(dirname "$0")/../.."

VRUN=${VRUN:-$PWD/build/ci/runner/vrun} VBUILD=${VBUILD:-$PWD/build/ci/builder/vbuild}
export VRUN VBUILD
for program in "$VRUN" "$VBUILD"; do
  [ -x "$program" ] || { echo "not built: $program" >&2; exit 1; }
done
# shellcheck disable=SC2086 # a list of names
exec /usr/bin/python3 -B tests/all/cpython_suite.py "$@" ${SUITE_MODULES:-}
