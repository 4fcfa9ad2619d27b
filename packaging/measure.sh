#!/usr/bin/env bash
# Prints what this machine does: time to the first frame, frame time while orbiting Routes, capture speed beside the bare
# matrix products, the cost of recording, peak memory, counting beside numpy, and a window on a million tokens. Takes about
# ten minutes on a quiet machine after the build and 1 GB of disk.
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/common.sh"

install_missing build core engine desktop test
build bench

bin="$root/build/bench/bin"
trace="$root/resources/sample/held-out.routes.safetensors"
export XDG_RUNTIME_DIR="${XDG_RUNTIME_DIR:-$(mktemp -d)}"
on_screen() { xvfb-run -a -s "-screen 0 1440x900x24" "$@"; }

say "From exec to the first complete frame with the sample's heat map, software renderer"
for _ in 1 2 3 4 5; do
  on_screen "$bin/moescope" "$trace" --view experts --time-first-frame
done | tee /dev/stderr | sort -t ' ' -k 3 -n | sed -n 3p | sed 's/^/median: /'

say "Routes: median time of a frame while orbiting at 1440x900"
on_screen "$bin/moescope" "$trace" --view routes --time-orbit 30

say "Capture of 10,000 tokens beside the model's own matrix products; recording on and off"
"$bin/engine_bench"

say "From asking a capture in the worker to stop until it has stopped; 200 ms is the limit"
"$bin/cancel_bench"

say "Counting a million tokens"
"$bin/analysis_bench"

say "Counting kernels beside numpy, taking turns; processor time on 2 threads"
made="$(mktemp -d)"
trap 'rm -rf "$made"' EXIT
for shape in 16x64x8 48x128x8 58x256x8; do
  IFS=x read -r layers experts k <<<"$shape"
  "$bin/moescope-cli" synth trace --out "$made/$shape.routes.safetensors" --tokens 1000000 --layers "$layers" \
    --experts "$experts" --k "$k" 2>/dev/null
done
grep -qm1 avx512_vpopcntdq /proc/cpuinfo && sets="avx512 avx2" || sets="avx2"
# shellcheck disable=SC2086
/usr/bin/python3 "$root/tests/bench/compare_python.py" "$made"/*.routes.safetensors --bench "$bin/counting_bench" \
  --kernels $sets

say "A million tokens of 58 layers, 256 experts, 8 per token (464 MB of ids) in the window"
large="$made/58x256x8.routes.safetensors"
for _ in 1 2 3; do on_screen "$bin/moescope" "$large" --view experts --time-first-frame; done
for view in experts affinity tokens; do
  echo "$view:"
  on_screen "$bin/moescope" "$large" --view "$view" --time-brush 6
done
