#!/bin/sh
# What vbuild --install leaves, compared with pip's, for every Python that is installed: too slow for every check. $VBUILD
# is the program (build/ci/builder/vbuild). Uses no network.
set -eu
cd "$(dirname "$0")/../integration"

VBUILD=${VBUILD:-$PWD/../../build/ci/builder/vbuild}
VBUILD_TEST_ALL_PYTHONS=1
export VBUILD VBUILD_TEST_ALL_PYTHONS
exec python3 run.py test_vbuild_install.py
