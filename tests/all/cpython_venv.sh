#!/bin/sh
# The test suite that each installed Python has for its own venv, run against vbuild through the stand-in of
# tests/venv_shim; and once more with a builder that makes nothing, where every test of what is made must fail.
# $VBUILD is the program (build/ci/builder/vbuild). Uses no network, and nobody's home directory but a private one.
set -eu
cd "$(dirname "$0")/../.."

vbuild=${VBUILD:-$PWD/build/ci/builder/vbuild}
[ -x "$vbuild" ] || { echo "vbuild is not built: $vbuild" >&2; exit 1; }
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
trap 'exit 130' INT TERM HUP

for program in "$vbuild" /bin/false; do
  shim=$scratch/$(basename "$program")
  mkdir "$shim"
  cp -R tests/venv_shim/venv "$shim/"
  ln -s "$(realpath "$program")" "$shim/vbuild"
done

passed=0 failed=0 skipped=0

# suite PYTHON SHIM [OPTION]: one run in a directory of its own.
suite() {
  python=$1 shim=$2
  shift 2
  rm -rf "$scratch/run"
  mkdir "$scratch/run" "$scratch/run/home" "$scratch/run/tmp"
  status=0
  (
    cd "$scratch/run"
    # No bytecode goes beside what is under test, which may be somebody else's.
    exec env -i PATH=/usr/local/bin:/usr/bin:/bin HOME="$scratch/run/home" TMPDIR="$scratch/run/tmp" LC_ALL=C.UTF-8 \
      TERM=dumb PYTHONDONTWRITEBYTECODE=1 PYTHONPATH="$scratch/$shim" \
      "$python" "$suite" "$scratch/counts" "$@"
  ) >"$scratch/log" 2>&1 </dev/null || status=$?
  case $status in
  77) return 77 ;;
  0) tail -n 1 "$scratch/log" ;;
  *) cat "$scratch/log" ;;
  esac
  if [ -s "$scratch/counts" ]; then
    read -r good bad left_out <"$scratch/counts"
    passed=$((passed + good)) failed=$((failed + bad)) skipped=$((skipped + left_out))
  else
    echo "$python: FAILED: the suite ended early, with status $status"
    failed=$((failed + 1))
  fi
  rm -f "$scratch/counts"
}

suite=$PWD/tests/venv_shim/run_suite.py
seen=
for python in /usr/bin/python3 /usr/local/bin/python3.? /usr/local/bin/python3.?? \
  "${HOME:-/nowhere}"/.pyenv/versions/*/bin/python3 "${HOME:-/nowhere}"/.local/share/uv/python/cpython-*/bin/python3; do
  [ -x "$python" ] || continue
  real=$(realpath "$python")
  case " $seen " in *" $real "*) continue ;; esac
  seen="$seen $real"
  # venv of 3.6 and 3.7 is another one; 2 has none.
  "$python" -I -c 'import sys; sys.exit(sys.version_info < (3, 8))' 2>/dev/null || continue
  status=0
  suite "$python" vbuild || status=$?
  if [ "$status" = 77 ]; then
    echo "$python: skipped: it does not have its tests"
    skipped=$((skipped + 1))
  else
    suite "$python" false --must-fail
  fi
done

if [ "$passed" = 0 ] && [ "$failed" = 0 ]; then
  echo 'no Python here has its tests; ./dev knows the package that brings them where there is one'
  [ "${CI:-}" != true ] || failed=1
fi
echo "$passed passed, $failed failed, $skipped skipped"
[ "$failed" = 0 ]
