# Sourced by ./dev: shows that a package of the system is imported outside a run and absent inside. Uses say and die.

vrun=$root/build/release/runner/vrun
vbuild=$root/build/release/builder/vbuild
system_python=/usr/bin/python3

scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
trap 'exit 130' INT TERM HUP
mkdir "$scratch/project"
cd "$scratch/project"

# Prints "NAME DIRECTORY" for a module that the distribution installed beside the standard library.
find_system_module() {
  "$system_python" -I - <<'PYTHON'
import os, site, sys
from importlib.machinery import PathFinder

preferred = ["apt_pkg", "rpm", "packaging", "yaml", "six"]
for directory in filter(os.path.isdir, site.getsitepackages()):
    found = sorted(name.split(".")[0] for name in os.listdir(directory) if not name.endswith(("-info", ".pth")))
    for name in preferred + [name for name in found if name.isidentifier() and not name.startswith("_")]:
        spec = PathFinder.find_spec(name, [directory])
        if spec and spec.origin:
            print(name, directory)
            sys.exit()
PYTHON
}

module_and_directory=$(find_system_module) || die "$system_python does not run: see its message above"
[ -n "$module_and_directory" ] || die "$system_python has no package beside its standard library, so there is nothing to" \
  "show; install one (on Debian python3-apt) and run ./dev try again"
module=${module_and_directory%% *}
directory=${module_and_directory#* }

# absent LABEL COMMAND...: holds when the command, run inside, cannot find the module, and for no other reason.
absent() {
  label=$1
  shift
  status=0
  "$vrun" "$scratch/env" -- "$@" >"$scratch/output" 2>&1 || status=$?
  last=$(tail -n 1 "$scratch/output")
  printf 'inside   $ vrun ENV -- %s\n           %s\n' "$label" "${last:-(no output, status $status)}"
  [ "$status" = 1 ] && [ "$last" = "ModuleNotFoundError: No module named '$module'" ]
}

say "an environment of its own: vbuild --without-pip $scratch/env"
"$vbuild" --without-pip "$scratch/env" || die 'vbuild failed: its message above says why'

say "a package of this system: $module, in $directory"
printf "outside  \$ %s -c 'import %s'\n" "$system_python" "$module"
"$system_python" -c "import $module" || die "'$module' cannot be imported outside either, so nothing is shown"
printf '           imported\n'

"$vrun" "$scratch/env" -- python -c 'print("inside   $ vrun ENV -- python\n           runs")' ||
  die 'isolation not shown: vrun could not run python at all; its message above says why'
absent "$system_python -c 'import $module'" "$system_python" -c "import $module" ||
  die "ISOLATION DOES NOT HOLD: $system_python inside did not end in ModuleNotFoundError for '$module'"
code="import sys; sys.path.append(\"$directory\"); import $module"
absent "python -c '$code'" python -c "$code" ||
  die "ISOLATION DOES NOT HOLD: with $directory in sys.path, python inside did not end in ModuleNotFoundError for '$module'"

say "isolation holds: $module is imported outside and absent inside"
