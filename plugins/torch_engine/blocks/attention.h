// Causal self-attention over packed sequences, ordinary and latent. Called by the engine's forward pass and by the
// trainer; any thread.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <functional>
#include <optional>
#include <vector>

#include "core/model/model_spec.h"
#include "plugins/torch_engine/blocks/rope.h"

namespace moescope::blocks {

// Called between pieces of work of a few milliseconds; stops it by throwing. May be empty.
using Interrupt = std::function<void()>;

// Sequences one after another in the token axis: token axis length = sum of `lengths`.
struct PackedSequences {
  std::vector<std::int64_t> lengths;
};

// Rows are outputs ([out, in], as checkpoints store them). What a model does not have is undefined.
struct AttentionWeights {
  at::Tensor q, k, v, o;                      // [A·D, H], [K·D, H], [K·D, H], [H, A·D]
  at::Tensor q_norm, k_norm;                  // [A·D], [K·D] over the whole width, or [D] per head
  at::Tensor qkv;                             // [(A+2K)·D, H]: q, k, v in one product; undefined = three products
  at::Tensor q_bias, k_bias, v_bias, o_bias;  // of the products
  at::Tensor sinks;                           // [A] float32
  // Latent attention: q_a [q_rank, H], q_b [A·(nope+rope), q_rank] instead of q where q_rank > 0; kv_a [kv_rank+rope,
  // H], kv_b [A·(nope+value), kv_rank] instead of k and v.
  at::Tensor q_a, q_a_bias, q_a_norm, q_b, kv_a, kv_a_bias, kv_a_norm, kv_b;
};

struct AttentionShape {
  std::int64_t heads = 0, kv_heads = 0, head_dim = 0;
  double norm_epsilon = 1e-5;
  std::optional<double> clip_qkv;  // clamps q, k and v to ±clip, after the norms
  QkNorm qk_norm = QkNorm::whole_width;
  double scale = 0.0;  // of the scores; 0 = head_dim^−½
  bool rotate = true;
  std::int64_t window = 0, chunk = 0;  // see LayerSpec
  double temperature_floor = 0.0, temperature_scale = 0.0;
  LatentAttention latent;  // kv_rank 0 = ordinary attention

  [[nodiscard]] std::int64_t value_dim() const { return latent.kv_rank == 0 ? head_dim : latent.value_dim; }
};
// The shape of one layer of a model.
[[nodiscard]] AttentionShape attention_shape(const ModelSpec& spec, const LayerSpec& layer);

// Keys and values of the tokens of one sequence that went before, ready for use: [capacity, heads · D] and
// [capacity, heads · value], float32. Empty tensors grow on first use.
struct KvCache {
  at::Tensor k, v;
  std::int64_t length = 0;
};

// x [tokens, H] (already normed) → [tokens, H]. Projections plus biases; q and k normed, clipped, split in heads,
// rotated; query head a uses key head a / (A/K); scores · scale, each token sees itself and what its window and chunk
// hold before it, softmax in float32 with the sink's share left out. A sequence's values do not depend on what is
// packed beside it. With a cache there is one sequence: its tokens follow those in the cache and are added to it; the
// tables are those of their positions. Differentiable in x and the weights, without a cache.
at::Tensor causal_attention(const at::Tensor& x, const AttentionWeights& weights, const AttentionShape& shape,
                            const RopeTables& tables, const PackedSequences& sequences, const Interrupt& interrupt = {},
                            KvCache* cache = nullptr);

}  // namespace moescope::blocks
