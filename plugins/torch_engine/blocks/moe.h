// The experts of one layer: tokens sorted by expert, one pair of products per expert, weighted sum back. Called by the
// engine's forward pass and by the trainer.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <vector>

#include "plugins/torch_engine/blocks/attention.h"

namespace moescope::blocks {

// Rows are outputs. Either gate_up (gate's rows, then up's) or gate and up are defined.
struct ExpertWeights {
  at::Tensor gate_up;   // [2I, H]
  at::Tensor gate, up;  // [I, H]
  at::Tensor down;      // [H, I]
};

// Filled slots sorted by expert, and by token within an expert.
struct Dispatch {
  at::Tensor tokens;                // [S] int64: token of each entry
  at::Tensor slots;                 // [S] int64: token · k + slot of each entry
  std::vector<std::int64_t> begin;  // [E+1]: entries of expert e are begin[e]..begin[e+1]
  at::Tensor places;                // [tokens · k] int64 on the CPU: entry of each slot, −1 = unfilled
  std::int64_t token_count = 0, slot_count = 0;
};

// ids [tokens, k] int64, −1 = unfilled (any slot). Ids must be < experts.
Dispatch dispatch_by_expert(const at::Tensor& ids, std::int64_t experts);

// One expert: down(silu(gate(x)) · up(x)), x [n, H] → [n, H].
at::Tensor expert_mlp(const at::Tensor& x, const ExpertWeights& expert);

// Output of each entry's expert before its gate weight, [S, H], in the dispatch's order. Calls `interrupt` between
// experts.
at::Tensor expert_outputs(const at::Tensor& x, const Dispatch& dispatch, const std::vector<ExpertWeights>& experts,
                          const Interrupt& interrupt = {});

// Sum over a token's entries of weight · output: outputs [S, H], weights [tokens, k] float32 → [tokens, H] float32.
at::Tensor combine(const at::Tensor& outputs, const Dispatch& dispatch, const at::Tensor& weights);

// The whole block: x [tokens, H] → [tokens, H] float32. Differentiable in x, weights and the experts.
at::Tensor moe_block(const at::Tensor& x, const at::Tensor& ids, const at::Tensor& weights,
                     const std::vector<ExpertWeights>& experts, const Interrupt& interrupt = {});

}  // namespace moescope::blocks
