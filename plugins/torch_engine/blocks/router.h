// From router logits to chosen experts and their weights. Called by the engine's forward pass and by the trainer.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>

#include "core/model/model_spec.h"

namespace moescope::blocks {

struct Routing {
  at::Tensor logits;   // [tokens, E] float32, before anything
  at::Tensor scores;   // [tokens, E] float32: softmax or sigmoid of the logits; undefined for rules without gradients
  at::Tensor ids;      // [tokens, k] int64, by descending score, ties by ascending id; −1 = unfilled
  at::Tensor weights;  // [tokens, k] float32, as applied
  at::Tensor margin;   // [tokens] float32: score of rank k minus that of rank k + 1; undefined when k = E. No gradient
};

// x [tokens, H], weight [E, H] → logits [tokens, E] in float32. Differentiable.
at::Tensor router_logits(const at::Tensor& x, const at::Tensor& weight);

// Ids of the k largest of each row of `scores` [tokens, E] float32: descending score, ascending id on equal scores, NaN
// last. at::topk breaks ties in an order of its own, so it is never used. [tokens, k] int64, no gradient.
at::Tensor stable_top_k(const at::Tensor& scores, std::int64_t k);

// Applies the rule to logits [tokens, E]. `selection_bias` [E] float32 or undefined. `weights` and `scores` are
// differentiable in the logits for rules without groups, biases and sparsemixer.
Routing route(const at::Tensor& logits, const RouterRule& rule, std::int64_t k, const at::Tensor& selection_bias = {});

}  // namespace moescope::blocks
