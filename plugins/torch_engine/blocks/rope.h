// Rotary positions. Called by the engine's forward pass and by the trainer; any thread.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <vector>

#include "core/model/rope.h"

namespace moescope::blocks {

// cos and sin of position · frequency, each [tokens, dims/2], always float32: angles in a narrower type are useless.
struct RopeTables {
  at::Tensor cos, sin;
  bool interleaved = false;  // pairs (2i, 2i+1), else (i, i + dims/2)
};

// `positions` [tokens] int64, starting at 0 in each sequence. head_dim D is even.
RopeTables rope_tables(const at::Tensor& positions, std::int64_t head_dim, double theta);

// For packed sequences of these lengths: a scaling that depends on the length uses each sequence's own.
RopeTables rope_tables(const RopeSpec& spec, std::uint32_t max_positions, const std::vector<std::int64_t>& lengths,
                       at::Device device);

// For `count` tokens of one sequence from position `first` on, as one sequence of first + count tokens has them.
RopeTables rope_tables_at(const RopeSpec& spec, std::uint32_t max_positions, std::int64_t first, std::int64_t count,
                          at::Device device);

// x [tokens, heads, D] with D at least the tables' dims, rotated from number `first` of each head on; the rest passes.
// Half split: y[i] = x[i]·cos − x[i+d/2]·sin, y[i+d/2] = x[i+d/2]·cos + x[i]·sin. Differentiable in x.
at::Tensor rope(const at::Tensor& x, const RopeTables& tables, std::int64_t first = 0);

}  // namespace moescope::blocks
