// Attention without rotation, whose positions come from a learned bias for the distance of a key: an encoder's, where
// tokens see both ways, a decoder's, and a decoder's view of the encoder. Called by the engine's forward pass; any
// thread.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>

#include "core/model/model_spec.h"
#include "plugins/torch_engine/blocks/attention.h"

namespace moescope::blocks {

// How the tokens of a layer see keys. Keys are the tokens themselves, or the encoder's.
struct RelativeView {
  RelativePositions positions;
  at::Tensor bias;         // [buckets, heads] float32; undefined = none, as in a decoder's view of the encoder
  bool both_ways = false;  // tokens see those after them as well
  at::Tensor memory;       // [m, H] what the encoder made of each sequence's tokens; undefined = the tokens themselves
  PackedSequences memory_sequences;
};

// Biases [heads, queries, keys] of queries from position `first` on, for keys from position 0 on.
at::Tensor relative_bias(const RelativeView& view, std::int64_t first, std::int64_t queries, std::int64_t keys);

// x [tokens, H] (already normed) → [tokens, H]. scores = q·k·scale + bias, softmax in float32 over the keys that are
// seen. A sequence's values do not depend on what is packed beside it.
at::Tensor relative_attention(const at::Tensor& x, const AttentionWeights& weights, const AttentionShape& shape,
                              const RelativeView& view, const PackedSequences& sequences,
                              const Interrupt& interrupt = {});

}  // namespace moescope::blocks
