#!/bin/sh
# layers.py with copies of the tests and programs that an ordinary user can read.
set -eu
cd "$(dirname "$0")/../.."

if [ "$(id -u)" != 0 ]; then
  echo 'layers: skipped: you are not root'
  exit 0
fi
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
mkdir "$scratch/tests"
cp -R tests/integration tests/attacks tests/all "$scratch/tests"
cp build/ci/builder/vbuild build/ci/tests/probes/probe build/ci/tests/probes/fault "$scratch"
chmod 755 "$scratch"
export VBUILD="$scratch/vbuild" VRUN_PROBE="$scratch/probe"
/usr/bin/python3 -B "$scratch/tests/all/layers.py" "$PWD" "$PWD/build/layers" "$@"
