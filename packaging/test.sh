#!/usr/bin/env bash
# Installs what is missing, builds everything and passes all tests. Needs neither a display nor a GPU.
# Arguments go to ctest, for example: packaging/test.sh -L core
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/common.sh"

install_missing build core engine desktop test
build release -DMOESCOPE_TESTS=ON -DMOESCOPE_WERROR=ON

say "Testing"
export XDG_RUNTIME_DIR="${XDG_RUNTIME_DIR:-$(mktemp -d)}"
cd "$root"
xvfb-run -a -s "-screen 0 1440x900x24" ctest --test-dir build/release --output-on-failure --parallel "$jobs" "$@"
