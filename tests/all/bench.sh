#!/bin/sh
# A little of everything that the bench does, so that it still works when it is wanted. Its figures mean nothing here.
set -eu
cd "$(dirname "$0")/../.."

scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
export VRUN="$PWD/build/ci/runner/vrun" VBUILD="$PWD/build/ci/builder/vbuild"
/usr/bin/python3 -B contrib/bench/bench.py --quick --json "$scratch/results" >"$scratch/out" 2>"$scratch/err" || {
  cat "$scratch/out" "$scratch/err" >&2
  exit 1
}
exec /usr/bin/python3 -B tests/all/bench.py "$scratch/results"
