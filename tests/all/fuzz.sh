#!/bin/sh
# Every fuzz target, NAME_fuzz, for FUZZ_SECONDS (60), starting from its corpus in tests/fuzz/corpus/NAME. What it finds
# on the way stays in build/fuzz/found; an input that fails is written there too, and its name printed.
set -eu
cd "$(dirname "$0")/../.."

cmake --preset fuzz >/dev/null
cmake --build --preset fuzz -j "${JOBS:-2}" >build/fuzz.log 2>&1 || { cat build/fuzz.log; exit 1; }

targets=$(find build/fuzz/tests/fuzz -maxdepth 1 -type f -perm -u=x | sort)
[ -n "$targets" ] || { echo 'no fuzz target was built' >&2; exit 1; }
for target in $targets; do
  name=$(basename "$target" _fuzz)
  found=build/fuzz/found/$name
  mkdir -p "$found"
  set -- "$found"
  [ ! -d "tests/fuzz/corpus/$name" ] || set -- "$found" "tests/fuzz/corpus/$name"
  log=build/fuzz/$name.log
  "$target" -max_total_time="${FUZZ_SECONDS:-60}" -artifact_prefix="$found/" -print_final_stats=1 "$@" >"$log" 2>&1 || {
    tail -n 60 "$log"
    exit 1
  }
  echo "$name: $(sed -n 's/^stat::number_of_executed_units: *//p' "$log") inputs, no fault"
done
