#!/usr/bin/env bash
# clang-format and clang-tidy over our own sources; nothing is compiled. With arguments, only over those files.
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/common.sh"

install_missing build core engine desktop test tidy
cd "$root"
options=(-DMOESCOPE_WERROR=OFF -DMOESCOPE_TRAINER=ON)

if [ "$#" -gt 0 ]; then
  # Every file by its own compile command: no batches, no precompiled headers.
  cmake --preset dev -B build/tidy-files "${options[@]}" -DMOESCOPE_FAST_BUILD=OFF >/dev/null
  clang-format --dry-run --Werror "$@"
  printf '%s\n' "$@" | grep '\.cpp$' | xargs -r -P "$jobs" -n 1 clang-tidy -p build/tidy-files --quiet
  exit
fi

# The whole tree in the batches that are compiled, which reads each header once per batch; a batch includes .cpp files.
# LibTorch 1.13's headers are not read by clang 14 as C++20, so the engine's files are left to the compiler's warnings.
cmake --preset dev -B build/tidy "${options[@]}" >/dev/null
git ls-files '*.cpp' '*.h' | xargs clang-format --dry-run --Werror
sed -n 's/^ *"file": "\(.*\)".*/\1/p' build/tidy/compile_commands.json |
  grep -v -e "$root/tests/" -e "$root/build/tidy/tests/" -e torch_engine/ -e _autogen/ -e /.rcc/ -e cmake_pch |
  xargs -P "$jobs" -n 1 clang-tidy -p build/tidy --quiet --checks=-bugprone-suspicious-include
