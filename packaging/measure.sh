#!/usr/bin/env bash
# Prints what this machine does: time to the first frame, frame time while orbiting Routes, capture speed beside the bare
# matrix products, the cost of recording, and peak memory. Takes about two minutes on a quiet machine after the build.
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
