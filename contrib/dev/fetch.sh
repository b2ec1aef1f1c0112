# Sourced by contrib/dev/check.sh: the one thing that ./dev check takes from the Python index, with pip's own
# configuration, by hash. Sets `packages`, the directory. Uses say, warn and scratch of ./dev check.

lock=tests/data/real_suite.lock
packages=${XDG_CACHE_HOME:-$HOME/.cache}/vrun-tests/real-suite-$(cksum <$lock | cut -d ' ' -f 1)

fetch_packages() {
  [ ! -e "$packages/complete" ] || return 0
  say "fetching the packages of $lock, once, into $packages"
  mkdir -p "$packages"
  /usr/bin/python3 -m venv "$scratch/fetch" || return 1
  pip="$scratch/fetch/bin/python -m pip --disable-pip-version-check -q"
  # pip asks a source archive for its metadata, and with that its build backend: one of the wheels just fetched.
  $pip download --require-hashes --no-deps --only-binary :all: -d "$packages" -r $lock &&
    $pip install --no-index --no-deps --find-links "$packages" flit-core &&
    sed -n '/^click==/,/[^\\]$/p' $lock >"$scratch/source.lock" &&
    $pip download --require-hashes --no-deps --no-build-isolation --no-binary :all: -d "$packages" \
      -r "$scratch/source.lock" &&
    touch "$packages/complete"
}
