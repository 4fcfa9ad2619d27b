#!/usr/bin/env bash
# clang-format and clang-tidy over our own sources. With arguments, only over those files.
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/common.sh"

install_missing build core engine desktop test tidy
cd "$root"
# Generated headers and moc output must exist before the sources can be parsed.
cmake --preset dev >/dev/null
cmake --build --preset dev --parallel "$jobs" >/dev/null

mapfile -t files < <(if [ "$#" -gt 0 ]; then printf '%s\n' "$@"; else git ls-files '*.cpp' '*.h'; fi)
clang-format --dry-run --Werror "${files[@]}"
printf '%s\n' "${files[@]}" | grep '\.cpp$' | xargs -P "$jobs" -n 4 clang-tidy -p build/dev --quiet
