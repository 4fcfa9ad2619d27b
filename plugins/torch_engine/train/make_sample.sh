#!/bin/sh
# Rebuilds the sample's model and traces in resources/sample from its corpus: about 25 minutes of one core.
#   plugins/torch_engine/train/make_sample.sh BUILD     BUILD: a build folder configured with -DMOESCOPE_TRAINER=ON
# The corpus itself is made by make_corpus.py. Works in BUILD/sample and copies the results when all is well.
set -eu
here=$(cd "$(dirname "$0")/../../.." && pwd)
build=${1:?usage: make_sample.sh BUILD}
sample=$here/resources/sample
work=$build/sample
train="$build/bin/moescope-train --corpus $sample/corpus.jsonl.zst --held-out $sample/held-out.jsonl"
steps=1600

$train --out "$work" --steps $steps --batch 6 --length 256 --warm-up 60 --rate 3e-3 --balance 0.03 --z 0.001 \
       --seed 1 --threads 1 --keep 0,50,200,600,$steps
mkdir -p "$sample/model" "$sample/traces"
for step in 0 50 200 600 $steps; do
  # The early steps do not keep the promises yet: only the last verdict counts.
  $train --evaluate "$work/step-$(printf %05d $step)" --compact \
         --trace "$sample/traces/step-$(printf %04d $step).routes.safetensors" \
         --trace-notes "held-out.jsonl of the sample, after $step of $steps training steps" > /dev/null 2>&1 || true
done
cp "$work/config.json" "$work/model.safetensors" "$work/tokenizer.json" "$sample/model/"
$train --evaluate "$sample/model" --trace "$sample/held-out.routes.safetensors" \
       --trace-notes "held-out.jsonl of the sample, trained model"
