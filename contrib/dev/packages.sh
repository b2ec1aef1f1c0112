# Sourced by ./dev: what has to be installed, and how. Uses say, warn and die of ./dev.

# One need a line: the set that it belongs to, how it is seen to be there, and its package on each distribution.
#
#   set    build: to build and run; check: for ./dev check in addition; vm: for ./dev check --all in addition to check;
#          bench: for ./dev bench in addition to build
#   seen   cmd=program in PATH, inc=header, lib=static library, file=pattern, py=module of the system's Python
#   "-"    not needed there, not to be had there, or part of another line's package
#   a|b    the first that the distribution has (apt only)
package_table() {
  cat <<'TABLE'
build cmd=g++                       g++                          gcc-c++            gcc               g++               gcc-c++
build cmd=cmake                     cmake                        cmake              cmake             cmake             cmake
build cmd=ninja                     ninja-build                  ninja-build        ninja             samurai           ninja
build file=/usr/bin/python3         python3                      python3            python            python3           python3
build inc=linux/mount.h             linux-libc-dev               kernel-headers     linux-api-headers linux-headers     linux-glibc-devel
build inc=sys/capability.h          libcap-dev                   libcap-devel       libcap            libcap-dev        libcap-devel
build inc=boost/program_options.hpp libboost-program-options-dev boost-devel        boost             boost-dev         libboost_program_options-devel
build inc=libdeflate.h              libdeflate-dev               libdeflate-devel   libdeflate        libdeflate-dev    libdeflate-devel
build inc=nlohmann/json.hpp         nlohmann-json3-dev           json-devel         nlohmann-json     nlohmann-json     nlohmann_json-devel
build inc=toml++/toml.h             libtomlplusplus-dev          tomlplusplus-devel tomlplusplus      tomlplusplus-dev  tomlplusplus-devel
build lib=libcap.a                  -                            libcap-static      -                 libcap-static     -
build lib=libboost_program_options.a -                           boost-static       -                 boost-static      -
build lib=libdeflate.a              -                            -                  -                 libdeflate-static -
build lib=gcc/*/*/libstdc++.a       -                            libstdc++-static   -                 -                 -
build lib=libc.a                    -                            glibc-static       -                 -                 glibc-devel-static
check lib=libseccomp.so             libseccomp-dev               libseccomp-devel   libseccomp        libseccomp-dev    libseccomp-devel
check inc=gtest/gtest.h             libgtest-dev                 gtest-devel        gtest             gtest-dev         gtest
check inc=gmock/gmock.h             libgmock-dev                 gmock-devel        -                 -                 gmock
check lib=libasan.so.*             -                            libasan            -                 -                 -
check lib=libubsan.so.*            -                            libubsan           -                 -                 -
check cmd=clang++                   clang                        clang              clang             clang             clang
check cmd=clang-tidy                clang-tidy                   clang-tools-extra  -                 clang-extra-tools clang-tools
check cmd=clang-format              clang-format                 -                  -                 -                 -
check file=/usr/lib*/clang/*/lib/*/libclang_rt.fuzzer* libclang-rt-dev|libclang-rt-14-dev compiler-rt compiler-rt compiler-rt -
check cmd=git                       git                          git-core           git               git               git-core
check cmd=strace                    strace                       strace             strace            strace            strace
check file=/usr/lib*/python3.*/venv/__main__.py      python3-venv -                 -                 -                 -
check file=/usr/lib*/python3.*/ensurepip/__main__.py python3-venv -                 -                 -                 -
check file=/usr/share/python-wheels/pip-*.whl python3-pip-whl    python-pip-wheel   -                 -                 -
check file=/usr/share/python-wheels/setuptools-*.whl python3-setuptools-whl -       -                 -                 -
check py=apt_pkg                    python3-apt                  -                  -                 -                 -
check py=rpm                        -                            python3-rpm        -                 -                 python3-rpm
check py=packaging                  -                            -                  python-packaging  py3-packaging     -
check py=numpy                      python3-numpy                python3-numpy      python-numpy      py3-numpy         python3-numpy
check file=/usr/lib*/python3.*/test/test_venv.py libpython3-testsuite|libpython3.13-testsuite|libpython3.12-testsuite|libpython3.11-testsuite python3-test - - python3-testsuite
check cmd=zsh                       zsh                          zsh                zsh               zsh               zsh
check cmd=fish                      fish                         fish               fish              fish              fish
check cmd=groff                     groff-base                   groff-base         groff             groff             groff
check cmd=tcsh                      tcsh                         tcsh               tcsh              tcsh              tcsh
check cmd=busybox                   busybox                      busybox            busybox           busybox           busybox
check cmd=mksh                      mksh                         mksh               -                 -                 mksh
check cmd=ksh                       ksh                          ksh                -                 -                 ksh
check cmd=pypy3                     pypy3                        -                  -                 -                 -
check file=/usr/share/doc/pypy3-venv pypy3-venv                  -                  -                 -                 -
vm    cmd=qemu-system-x86_64        qemu-system-x86              -                  -                 -                 -
vm    file=/sbin/mke2fs             e2fsprogs                    -                  -                 -                 -
vm    file=/lib/systemd/systemd       systemd                      -                  -                 -                 -
bench cmd=firejail                  firejail                     firejail           firejail          firejail          firejail
bench cmd=bwrap                     bubblewrap                   bubblewrap         bubblewrap        bubblewrap        bubblewrap
bench cmd=crun                      crun                         crun               crun              crun              crun
bench file=/usr/*bin/runc           runc                         runc               runc              runc              runc
bench cmd=strace                    strace                       strace             strace            strace            strace
TABLE
}

# The family of this distribution, as the columns of the table are in order: debian fedora arch alpine suse.
family() {
  release=${VRUN_DEV_OS_RELEASE:-/etc/os-release}
  [ -r "$release" ] || die "$release cannot be read, so the distribution is not known"
  for id in $(. "$release" && echo "${ID:-} ${ID_LIKE:-}"); do
    case $id in
    debian | ubuntu) echo debian ;;
    fedora | rhel | centos) echo fedora ;;
    arch) echo arch ;;
    alpine) echo alpine ;;
    suse | opensuse*) echo suse ;;
    *) continue ;;
    esac
    return
  done
  echo unknown
}

# any_exists PATH...: patterns arrive here expanded, or as they are when nothing matches.
any_exists() {
  for path; do
    [ ! -e "$path" ] || return 0
  done
  return 1
}

# The patterns of the table are to be expanded, so they stay unquoted.
# shellcheck disable=SC2086
seen() {
  case $1 in
  cmd=*) command -v "${1#cmd=}" >/dev/null ;;
  inc=*) any_exists /usr/include/${1#inc=} /usr/include/*/${1#inc=} /usr/local/include/${1#inc=} ;;
  lib=*) any_exists /usr/lib/${1#lib=} /usr/lib64/${1#lib=} /usr/lib/*/${1#lib=} /usr/local/lib/${1#lib=} ;;
  file=*) any_exists ${1#file=} ;;
  py=*) any_exists /usr/lib*/python3*/*-packages/${1#py=} /usr/lib*/python3*/*-packages/${1#py=}.* ;;
  esac
}

# missing_packages SET: one package a line, nothing when all is there. Asks no package manager, so it costs nothing.
missing_packages() {
  case $1 in
  build) sets='build' ;;
  check) sets='build check' ;;
  vm) sets='build check vm' ;;
  bench) sets='build bench' ;;
  *) die "no such set of packages: $1 (build, check, vm or bench)" ;;
  esac
  family=$(family)
  package_table | while read -r set seen debian fedora arch alpine suse; do
    case " $sets " in
    *" $set "*) ;;
    *) continue ;;
    esac
    case $family in
    debian) package=$debian ;;
    fedora) package=$fedora ;;
    arch) package=$arch ;;
    alpine) package=$alpine ;;
    suse) package=$suse ;;
    *) package=$seen ;;
    esac
    [ "$package" = - ] || seen "$seen" || echo "$package"
  done | sort -u
}

as_root() {
  if [ "$(id -u)" = 0 ]; then
    "$@"
  elif command -v sudo >/dev/null; then
    sudo "$@"
  else
    die "packages are missing and there is no sudo here; run as root: $*"
  fi
}

# The first of a|b that apt knows.
apt_choice() {
  for name in $(echo "$1" | tr '|' ' '); do
    if apt-cache show --no-all-versions "$name" >/dev/null 2>&1; then
      echo "$name"
      return
    fi
  done
  return 1
}

apt_update() {
  say "refreshing apt's lists: $1"
  as_root apt-get update -q
}

# apt_install a|b...
apt_install() {
  for names; do
    shift
    set -- "$@" "$(apt_choice "$names" || echo "${names%%|*}")"
  done
  as_root env DEBIAN_FRONTEND=noninteractive apt-get install -q -y --no-install-recommends "$@"
}

install_packages() {
  case $(family) in
  debian)
    for names; do
      apt_choice "$names" >/dev/null || { apt_update "'${names%%|*}' is not in them" && break; }
    done
    apt_install "$@" || { apt_update 'the installation failed; it is tried once more' && apt_install "$@"; }
    ;;
  fedora) as_root dnf install -y "$@" ;;
  arch) as_root pacman -S --needed --noconfirm "$@" ;;
  alpine) as_root apk add "$@" ;;
  suse) as_root zypper --non-interactive install --no-recommends "$@" ;;
  *) die "this distribution is not one that ./dev knows; install by hand what gives: $*" ;;
  esac
}

# at_least HAVE WANT
at_least() {
  [ "$(printf '%s\n%s\n' "$2" "$1" | sort -V | head -n 1)" = "$2" ]
}

check_versions() {
  have=$(cmake --version | sed -n '1s/.*version //p')
  at_least "$have" 3.22 || die "cmake $have is too old: 3.22 or later is needed"
  compiler=${CXX:-g++}
  have=$($compiler -dumpfullversion -dumpversion 2>/dev/null) ||
    die "the compiler '$compiler' does not run; set CXX to one that does"
  case $($compiler --version) in
  *clang*) want=14 ;;
  *) want=11 ;;
  esac
  at_least "$have" "$want" || die "$compiler $have is too old: $want or later is needed; set CXX to a newer one"
}

# need SET: installs what is missing of it. When nothing is, no package manager is started.
need() {
  missing=$(missing_packages "$1")
  if [ -n "$missing" ]; then
    # shellcheck disable=SC2086 # one package a word
    say 'installing what is missing:' $missing
    # shellcheck disable=SC2086
    install_packages $missing || die 'the package manager failed: its message above says why'
    missing=$(missing_packages "$1")
    # Distributions move files; whatever is really missing is named by the step that needs it.
    # shellcheck disable=SC2086
    [ -z "$missing" ] || warn 'installed, but not seen where contrib/dev/packages.sh looks for it:' $missing
  fi
  check_versions
}
