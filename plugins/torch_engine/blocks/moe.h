// The experts of one layer: tokens sorted by expert, one pair of products per expert, weighted sum back. Called by the
// engine's forward pass and by the trainer.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <functional>
#include <vector>

#include "core/model/model_spec.h"
#include "plugins/torch_engine/blocks/attention.h"

namespace moescope::blocks {

// Of an expert or any gated MLP. Rows are outputs. Either gate_up (gate's rows, then up's) or gate and up are defined;
// biases where the model has them, gate_up_bias beside gate_up. With relu there is no up, and gate_up is gate.
struct ExpertWeights {
  at::Tensor gate_up;   // [2I, H]
  at::Tensor gate, up;  // [I, H]
  at::Tensor down;      // [H, I]
  at::Tensor gate_up_bias, gate_bias, up_bias, down_bias;
};

// What an expert computes between its products.
struct ExpertRule {
  Activation activation = Activation::silu;
  double limit = 0.0;
};

// The experts of a layer: all at hand, or fetched one at a time when some token chose them. Fetching may happen on any
// of torch's threads at once, and throws what it throws.
struct Experts {
  std::vector<ExpertWeights> loaded;
  std::function<ExpertWeights(std::size_t)> fetch;
  std::vector<std::uint32_t> weights_of;  // [E] whose weights an expert uses; empty = its own
  // [E, 2I, H], [E, H, I]: the same weights in one tensor each, for products of all experts at once; may be undefined.
  at::Tensor all_gate_up, all_down;
  std::size_t count = 0;

  Experts() = default;
  explicit Experts(std::vector<ExpertWeights> all) : loaded(std::move(all)), count(loaded.size()) {}
  [[nodiscard]] ExpertWeights get(std::size_t expert) const {
    const std::size_t source = weights_of.empty() ? expert : weights_of[expert];
    return loaded.empty() ? fetch(source) : loaded[source];
  }
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

// One expert: down(act(gate(x), up(x))), x [n, H] → [n, H].
at::Tensor expert_mlp(const at::Tensor& x, const ExpertWeights& expert, const ExpertRule& rule = {});

// Output of each entry's expert before its gate weight, [S, H], in the dispatch's order. `input_weights` [tokens, k]
// float32 multiply what enters the experts; undefined = nothing does. Calls `interrupt` between experts.
at::Tensor expert_outputs(const at::Tensor& x, const Dispatch& dispatch, const Experts& experts,
                          const ExpertRule& rule = {}, const at::Tensor& input_weights = {},
                          const Interrupt& interrupt = {});

// Sum over a token's entries of weight · output: outputs [S, H], weights [tokens, k] float32 → [tokens, H] float32.
at::Tensor combine(const at::Tensor& outputs, const Dispatch& dispatch, const at::Tensor& weights);

// The whole block: x [tokens, H] → [tokens, H] float32. Differentiable in x, weights and the experts.
at::Tensor moe_block(const at::Tensor& x, const at::Tensor& ids, const at::Tensor& weights,
                     const std::vector<ExpertWeights>& experts, const Interrupt& interrupt = {});

}  // namespace moescope::blocks
