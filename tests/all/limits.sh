#!/bin/sh
# limits.py as root and as an ordinary user, or as the user who runs it. For the ordinary user everything is copied to
# where it can be read.
set -eu
cd "$(dirname "$0")/../.."

scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
mkdir "$scratch/tests" "$scratch/tmp"
cp -R tests/integration tests/attacks tests/all "$scratch/tests"
cp build/ci/runner/vrun build/ci/builder/vbuild build/ci/tests/probes/probe build/ci/tests/probes/fault "$scratch"
chmod 755 "$scratch"
export VRUN="$scratch/vrun" VBUILD="$scratch/vbuild" VRUN_PROBE="$scratch/probe"
cd "$scratch"
/usr/bin/python3 -B tests/all/limits.py
if [ "$(id -u)" = 0 ]; then
  chmod 1777 tmp
  TMPDIR="$scratch/tmp" HOME=/nonexistent /usr/bin/python3 -B tests/all/limits.py 12345
else
  echo 'limits as root: skipped: you are not root'
fi
