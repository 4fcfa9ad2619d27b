#!/usr/bin/env bash
# Builds core with sanitizers and runs its tests: address and undefined on all of core, thread on the job system.
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/common.sh"

install_missing build core test
cd "$root"

say "Address and undefined sanitizers"
cmake --preset asan
cmake --build --preset asan --parallel "$jobs" --target core_tests
UBSAN_OPTIONS=print_stacktrace=1 ctest --test-dir build/asan --output-on-failure --parallel "$jobs" -L core

say "Thread sanitizer"
cmake --preset tsan
cmake --build --preset tsan --parallel "$jobs" --target job_tests
build/tsan/bin/job_tests
