#!/usr/bin/env bash
# Installs what is missing, builds MoEScope and opens it on the bundled sample. Without a display it runs the same job
# through the command line and leaves moescope-sample-report.html in the current folder.
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/common.sh"

install_missing build core engine desktop
build release -DMOESCOPE_TESTS=OFF

bin="$root/build/release/bin"
sample="$root/resources/sample"
if [ -n "${DISPLAY:-}${WAYLAND_DISPLAY:-}" ]; then
  say "Opening the sample"
  exec "$bin/moescope" "$sample/model" "$sample/held-out.routes.safetensors" "$@"
fi

say "No display here: running the sample through the command line instead"
work="$(mktemp -d)"
trap 'rm -rf "$work"' EXIT
"$bin/moescope-cli" info "$sample/model"
"$bin/moescope-cli" capture "$sample/model" --jsonl "$sample/held-out.jsonl" --router-logits --out "$work/sample.routes.safetensors"
"$bin/moescope-cli" session new "$work/sample.moescope" "$sample/model" "$work/sample.routes.safetensors"
"$bin/moescope-cli" session show "$work/sample.moescope"
"$bin/moescope-cli" report "$work/sample.routes.safetensors" --out moescope-sample-report.html
say "Done: $(pwd)/moescope-sample-report.html"
