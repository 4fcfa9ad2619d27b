// Fused loops for inference on the CPU in float32: each reads its input once, where the same arithmetic as tensor
// operations would take many passes. The blocks choose them when no gradient is wanted; results agree with the tensor
// operations to rounding (a test checks). Any thread; they use torch's threads.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <functional>

#include "plugins/torch_engine/blocks/rope.h"

namespace moescope::blocks::kernels {

// True when no gradient is wanted and `x` is on the CPU, whatever its type.
[[nodiscard]] bool inference_on_cpu(const at::Tensor& x);
// True when no gradient is wanted and `x` is a float32 tensor of the CPU whose last axis is dense.
[[nodiscard]] bool usable(const at::Tensor& x);

// Runs task(0..count−1) on torch's threads, the next free thread taking the next task. Products inside a task stay on
// its thread. What a task throws is thrown here.
void parallel_tasks(std::int64_t count, const std::function<void(std::int64_t)>& task);

// x [n, W] (rows may be strided), weight [W] → [n, W].
[[nodiscard]] at::Tensor rms_norm(const at::Tensor& x, const at::Tensor& weight, double epsilon);

// One projection made ready for attention: norm over the whole width (weight undefined = none), clamp to ±clip
// (negative = none), rotation of each head. x [n, heads · D], rows may be strided → [n, heads · D].
[[nodiscard]] at::Tensor norm_clip_rope(const at::Tensor& x, const at::Tensor& weight, double epsilon, double clip,
                                        const RopeTables& tables, std::int64_t head_dim);

// In place on a fresh tensor: row r of scores [rows, keys] becomes softmax(scale · row) over keys 0..first + r, zero
// after.
void causal_softmax(at::Tensor& scores, std::int64_t first, double scale);

// both [n, 2I] → silu(both[:, :I]) · both[:, I:], [n, I].
[[nodiscard]] at::Tensor silu_product(const at::Tensor& both);

// Sum over a token's slots of weight · output: place [n · k] is the row of `outputs` of each slot, −1 = none.
[[nodiscard]] at::Tensor weighted_sum(const at::Tensor& outputs, const at::Tensor& place, const at::Tensor& weights);

// log Σ exp(row) − row[target] of each row of logits [n, V]; targets [n] int64, all valid.
[[nodiscard]] at::Tensor cross_entropy(const at::Tensor& logits, const at::Tensor& targets);

}  // namespace moescope::blocks::kernels
