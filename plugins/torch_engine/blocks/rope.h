// Rotary positions, half-split pairing. Called by the engine's forward pass and by the trainer; any thread.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>

namespace moescope::blocks {

// cos and sin of position · theta^(−2i/D), i = 0..D/2−1, each [tokens, D/2], always float32: angles in a narrower type
// are useless.
struct RopeTables {
  at::Tensor cos, sin;
};

// `positions` [tokens] int64, starting at 0 in each sequence. head_dim D is even.
RopeTables rope_tables(const at::Tensor& positions, std::int64_t head_dim, double theta);

// x [tokens, heads, D]: y[i] = x[i]·cos − x[i+D/2]·sin, y[i+D/2] = x[i+D/2]·cos + x[i]·sin. Differentiable in x.
at::Tensor rope(const at::Tensor& x, const RopeTables& tables);

}  // namespace moescope::blocks
