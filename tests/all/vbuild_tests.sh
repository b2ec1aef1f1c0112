#!/bin/sh
# The tests of vbuild of which ./dev check has a sample, whole: every Python with what is tried with a few, every name with
# every Python, kills at many calls. $VBUILD and $VRUN are the programs (build/ci). Uses no network.
set -eu
cd "$(dirname "$0")/../integration"

VBUILD=${VBUILD:-$PWD/../../build/ci/builder/vbuild}
VRUN=${VRUN:-$PWD/../../build/ci/runner/vrun}
VBUILD_TEST_WHOLE=1
# A test that is whole takes minutes, and many of them beside others that want the processors.
VRUN_TEST_SLOW=${VRUN_TEST_SLOW:-4}
export VBUILD VRUN VBUILD_TEST_WHOLE VRUN_TEST_SLOW
for tests in test_vbuild.py test_vbuild_robust.py test_vbuild_install.py test_activation.py test_inspect.py; do
  python3 run.py "$tests"
done
