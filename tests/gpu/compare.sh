#!/usr/bin/env bash
# Builds core, the engine module and moescope-cli with the LibTorch of the Python package, makes a random checkpoint of
# OLMoE's shape and compares with Hugging Face transformers on the same folder: ids in float32 on 256 tokens, and
# prefill tokens per second in bfloat16 at batches of 1x2048 and 16x2048. Without a CUDA device it runs small sizes on
# the CPU and prints "GPU: not measured".
# Settings: MOESCOPE_BUILD (build folder), MOESCOPE_WORK (checkpoint and traces), PREFIX (unpacked -dev packages),
# LAYERS (default 16; 2 without a GPU).
set -euo pipefail
cd "$(dirname "$0")/../.."
python=${PYTHON:-python3}
build=${MOESCOPE_BUILD:-build/gpu}
work=${MOESCOPE_WORK:-$(mktemp -d)}

has_python() { "$python" -c "import $1" 2>/dev/null; }
gpu=no
if has_python torch && [ "$("$python" -c 'import torch; print(torch.cuda.is_available())')" = True ]; then gpu=yes; fi

options=(-DCMAKE_BUILD_TYPE=Release -DMOESCOPE_DESKTOP=OFF -DMOESCOPE_TESTS=OFF)
if has_python torch && "$python" -c 'import os, torch; exit(not os.path.isdir(torch.utils.cmake_prefix_path))' 2>/dev/null; then
  options+=("-DTorch_DIR=$("$python" -c 'import torch; print(torch.utils.cmake_prefix_path)')/Torch")
fi
if [ -n "${PREFIX:-}" ]; then options+=("-DCMAKE_PREFIX_PATH=$PREFIX/usr"); export PKG_CONFIG_PATH="$PREFIX/usr/lib/x86_64-linux-gnu/pkgconfig"; fi
cli=${MOESCOPE_CLI:-$build/bin/moescope-cli}
if [ -z "${MOESCOPE_CLI:-}" ]; then
  cmake -S . -B "$build" -G Ninja "${options[@]}"
  cmake --build "$build" --target moescope-cli moescope_torch_engine
fi

checkpoint=$work/checkpoint
if [ "$gpu" = yes ]; then
  shape=(--layers "${LAYERS:-16}" --hidden 2048 --intermediate 1024 --experts 64 --k 8 --heads 16 --vocabulary 50304)
else
  shape=(--layers "${LAYERS:-2}" --hidden 256 --intermediate 128 --experts 16 --k 4 --heads 4 --vocabulary 2048)
fi
[ -e "$checkpoint/config.json" ] || "$cli" synth checkpoint --family olmoe "${shape[@]}" --dtype bfloat16 --out "$checkpoint"

if ! command -v "$python" >/dev/null; then
  echo "$python was not found: only a capture is run"
  "$cli" capture "$checkpoint" --ids "$(seq -s, 1 256)" --dtype bfloat16 --out "$work/alone.routes.safetensors" --force
  echo "transformers: not measured"
  echo "GPU: not measured"
  exit 0
fi
"$python" tests/gpu/compare_transformers.py --cli "$cli" --checkpoint "$checkpoint" --work "$work" --gpu "$gpu"
[ "$gpu" = yes ] || echo "GPU: not measured"
