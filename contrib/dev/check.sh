# Sourced by ./dev: the whole check. A step that fails does not stop the ones after it, save for a build that they need.
# Uses say, warn, die, build, format, sources and jobs of ./dev.

all=
case ${1:-} in
'') ;;
--all)
  all=1
  need vm
  ;;
*) die "check: no such option: $1 (see ./dev help)" ;;
esac

scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
trap 'exit 130' INT TERM HUP
. "$root/contrib/dev/fetch.sh"

passed=0 failed=0 skipped=0
count() {
  passed=$((passed + $1)) failed=$((failed + $2)) skipped=$((skipped + $3))
}

# step NAME COMMAND...: counts as one check.
step() {
  name=$1
  shift
  began=$(date +%s)
  if "$@"; then
    count 1 0 0
    say "$name: ok ($(($(date +%s) - began)) s)"
  else
    count 0 1 0
    warn "$name: FAILED"
    return 1
  fi
}

# not_here NAME REASON: a skip, and in CI a failure.
not_here() {
  if [ "${CI:-}" = true ]; then
    count 0 1 0
    warn "$1: FAILED, it may not be skipped in CI, but: $2"
  else
    count 0 0 1
    say "$1: skipped: $2"
  fi
}

attribute() { sed -n "s/.*\b$1=\"\([0-9]*\)\".*/\1/p" "$2" | head -n 1; }

# unit_tests PRESET: ctest's own results, counted one by one.
unit_tests() {
  say "unit tests, preset $1"
  results=$scratch/$1.xml
  status=0
  ctest --preset "$1" -j "$jobs" --output-junit "$results" >"$scratch/ctest.log" 2>&1 || status=$?
  if [ "$status" = 0 ]; then
    tail -n 5 "$scratch/ctest.log"
  else
    cat "$scratch/ctest.log"
  fi
  bad=$(attribute failures "$results") left_out=$(attribute skipped "$results")
  ran=$(attribute tests "$results")
  if [ "${ran:-0}" = 0 ]; then
    warn "unit tests, preset $1: FAILED: no test ran"
    count 0 1 0
  else
    count $((ran - bad - left_out)) "$bad" "$left_out"
  fi
}

# lint: every file in CI and with --all, otherwise the changed ones. Following every path through a function, as the
# analyzer does, takes nine tenths of the time; through tests, which users do not run, it goes with --all only.
lint() {
  if [ "${CI:-}" = true ] || [ -n "$all" ] || ! git rev-parse -q --verify HEAD >/dev/null 2>&1; then
    files=$(sources | grep '\.cc$')
  else
    files=$({ git diff --name-only --diff-filter=d HEAD && git ls-files --others --exclude-standard; } |
      grep '^\(policy\|builder\|runner\|tests\)/.*\.cc$' | sort -u)
  fi
  # Files that the preset does not build (fuzz targets) have no compile command.
  for file in $files; do
    ! grep -q "\"$root/$file\"" build/ci/compile_commands.json || echo "$file"
  done >"$scratch/lint"
  say "lint: clang-tidy on $(wc -l <"$scratch/lint") files"
  without=$([ -n "$all" ] || echo '-clang-analyzer-*')
  grep -v '^tests/' "$scratch/lint" | tidy && grep '^tests/' "$scratch/lint" | tidy ${without:+"--checks=$without"}
}

# tidy [OPTION...]: clang-tidy on the files that are named on standard input.
tidy() {
  xargs -r -P "$jobs" -n 1 clang-tidy --quiet -p build/ci "$@" 2>"$scratch/lint.err" ||
    { grep -v 'warnings generated\|^Suppressed\|^Use -' "$scratch/lint.err" >&2; return 1; }
}

# integration NAME DIRECTORY [OPTION...]: the tests of the tree in DIRECTORY with the programs built in it.
integration() {
  say "integration tests $1"
  tree=$2
  shift 2
  [ "${CI:-}" != true ] || set -- "$@" --no-skips
  : >"$scratch/counts"
  status=0
  (
    cd "$tree"
    export VRUN="$tree/build/ci/runner/vrun" VBUILD="$tree/build/ci/builder/vbuild"
    export VRUN_PROBE="$tree/build/ci/tests/probes/probe"
    exec /usr/bin/python3 -B tests/integration/run.py --jobs "$jobs" --counts "$scratch/counts" "$@"
  ) || status=$?
  # shellcheck disable=SC2046 # three numbers
  if [ -s "$scratch/counts" ]; then
    count $(cat "$scratch/counts")
  else
    warn "integration tests: FAILED: they ended early, with status $status"
    count 0 1 0
  fi
}

# The ordinary user of the second pass: the first of this machine's, else a number that nobody has.
ordinary_uid() {
  getent passwd 2>/dev/null | awk -F: '$3 >= 1000 && $3 < 60000 { print $3; found = 1; exit } END { if (!found) print 12345 }'
}

# A checkout may lie where the other user cannot enter, so that pass has a copy of everything, and a home of its own.
# Interpreters of pyenv, which live in a home, come along as hard links, save those that would look for their shared
# library where it was.
integration_as_user() {
  uid=$(ordinary_uid)
  home=$(mktemp -d)
  trap 'rm -rf "$scratch" "$home"' EXIT
  mkdir "$home/tree" "$home/tmp"
  tar -cf - --exclude=./build --exclude=./.git . | tar -C "$home/tree" -xf -
  find build/ci -type f -perm -u=x ! -path '*/CMakeFiles/*' | tar -cf - -T - | tar -C "$home/tree" -xf -
  cp -R "$packages" "$home/packages"
  chown -R "$uid:$uid" "$home"
  mkdir -p "$home/.pyenv/versions"
  for version in "$HOME"/.pyenv/versions/*; do
    if [ -d "$version" ] && ! any_exists "$version"/lib/libpython*.so; then
      cp -al "$version" "$home/.pyenv/versions/" 2>/dev/null ||
        say "the ordinary user goes without $version: it is on another file system"
    fi
  done
  (
    export HOME="$home" TMPDIR="$home/tmp" VRUN_TEST_PACKAGES="$home/packages" PATH=/usr/local/bin:/usr/bin:/bin
    unset XDG_CACHE_HOME XDG_CONFIG_HOME XDG_RUNTIME_DIR PYENV_ROOT VIRTUAL_ENV
    integration "as an ordinary user, uid $uid" "$home/tree" --uid "$uid"
    echo "$passed $failed $skipped" >"$scratch/totals"
  )
  read -r passed failed skipped <"$scratch/totals"
}

if step 'build' build ci; then
  if find_clang_format >/dev/null; then
    step 'format' format --check || true
  else
    not_here format "clang-format $format_version is wanted, here is $(clang-format --version 2>/dev/null || echo none)"
  fi
  step 'lint' lint || true
  unit_tests ci
  if step 'build with sanitizers' build asan; then
    unit_tests asan
  fi
  fetch_packages || warn 'the packages could not be fetched; the tests that need them say so'
  export VRUN_TEST_PACKAGES="$packages"
  if [ "$(id -u)" = 0 ]; then
    integration 'as root' "$root"
    integration_as_user
  else
    integration 'as this user' "$root"
    not_here 'integration tests as root' 'you are not root; sudo ./dev check runs both passes'
  fi
  if [ -n "$all" ]; then
    for suite in tests/all/*.sh; do
      [ ! -e "$suite" ] || step "$suite" sh "$suite" || true
    done
  fi
fi

[ "$failed" = 0 ] || warn 'something failed: look for FAILED above'
echo "$passed passed, $failed failed, $skipped skipped"
[ "$failed" = 0 ]
