// Causal self-attention over packed sequences. Called by the engine's forward pass and by the trainer; any thread.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <functional>
#include <optional>
#include <vector>

#include "plugins/torch_engine/blocks/rope.h"

namespace moescope::blocks {

// Called between pieces of work of a few milliseconds; stops it by throwing. May be empty.
using Interrupt = std::function<void()>;

// Sequences one after another in the token axis: token axis length = sum of `lengths`.
struct PackedSequences {
  std::vector<std::int64_t> lengths;
};

// Rows are outputs ([out, in], as checkpoints store them).
struct AttentionWeights {
  at::Tensor q, k, v, o;      // [A·D, H], [K·D, H], [K·D, H], [H, A·D]
  at::Tensor q_norm, k_norm;  // [A·D], [K·D] over the whole width; undefined = no norm
  at::Tensor qkv;             // [(A+2K)·D, H]: q, k, v in one product; undefined = three products
};

struct AttentionShape {
  std::int64_t heads = 0, kv_heads = 0, head_dim = 0;
  double norm_epsilon = 1e-5;
  std::optional<double> clip_qkv;  // clamps q, k and v to ±clip, after the norms
};

// x [tokens, H] (already normed) → [tokens, H]. q and k normed over the whole width, clipped, split in heads, rotated;
// query head a uses key head a / (A/K); scores · D^−½, causal within each sequence, softmax in float32.
// A sequence's values do not depend on what is packed beside it. Differentiable in x and the weights.
at::Tensor causal_attention(const at::Tensor& x, const AttentionWeights& weights, const AttentionShape& shape,
                            const RopeTables& tables, const PackedSequences& sequences,
                            const Interrupt& interrupt = {});

}  // namespace moescope::blocks
