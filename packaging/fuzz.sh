#!/usr/bin/env bash
# Builds the fuzzers with address and undefined sanitizers and runs each over its seed corpus, one after the other:
# fuzz.sh [SECONDS] [TARGET …]; without names, all. What is found new is kept in build/fuzz/corpus; a finding stops it.
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/common.sh"

install_missing build core test fuzz
cd "$root"
seconds=${1:-300}
shift $(($# > 0))
targets=("$@")
if [ ${#targets[@]} -eq 0 ]; then
  for folder in tests/data/fuzz/*/; do targets+=("$(basename "$folder")"); done
fi

say "Building the fuzzers"
cmake --preset fuzz
cmake --build --preset fuzz --parallel "$jobs"
for target in "${targets[@]}"; do
  say "$target, $seconds seconds"
  mkdir -p "build/fuzz/corpus/$target" build/fuzz/findings
  UBSAN_OPTIONS=print_stacktrace=1 "build/fuzz/bin/fuzz_$target" -max_total_time="$seconds" -timeout=20 -rss_limit_mb=4096 \
    -print_final_stats=1 -verbosity=1 -artifact_prefix="build/fuzz/findings/$target-" "build/fuzz/corpus/$target" \
    "tests/data/fuzz/$target" 2>&1 | grep -E "stat::|ERROR|SUMMARY|runtime error|Done" || true
  if compgen -G "build/fuzz/findings/$target-*" > /dev/null; then
    echo "A finding: $(ls build/fuzz/findings/"$target"-*)" >&2
    exit 1
  fi
done
