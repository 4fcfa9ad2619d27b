#!/usr/bin/env bash
# clang-format and clang-tidy over our own sources; nothing is compiled. With arguments, only over those files.
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/common.sh"

install_missing build core engine desktop test tidy
cd "$root"
# A folder of its own, where every file has its own compile command: no batches, no precompiled headers.
cmake --preset dev -B build/tidy -DMOESCOPE_FAST_BUILD=OFF -DMOESCOPE_WERROR=OFF -DMOESCOPE_TRAINER=ON >/dev/null

mapfile -t files < <(if [ "$#" -gt 0 ]; then printf '%s\n' "$@"; else git ls-files '*.cpp' '*.h'; fi)
clang-format --dry-run --Werror "${files[@]}"
printf '%s\n' "${files[@]}" | grep '\.cpp$' | grep -v '^tests/' |
  xargs -P "$jobs" -n 1 clang-tidy -p build/tidy --quiet
