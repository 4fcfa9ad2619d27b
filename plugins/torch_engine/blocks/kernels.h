// Fused loops for inference on the CPU in float32: each reads its input once, where the same arithmetic as tensor
// operations would take many passes. The blocks choose them when no gradient is wanted; results agree with the tensor
// operations to rounding (a test checks). Any thread; they use torch's threads.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <functional>
#include <optional>

#include "core/model/model_spec.h"
#include "plugins/torch_engine/blocks/rope.h"

namespace moescope::blocks::kernels {

// True when no gradient is wanted and `x` is on the CPU, whatever its type.
[[nodiscard]] bool inference_on_cpu(const at::Tensor& x);
// True when no gradient is wanted and `x` is a float32 tensor of the CPU whose last axis is dense.
[[nodiscard]] bool usable(const at::Tensor& x);

// Runs task(0..count−1) on torch's threads, the next free thread taking the next task. Products inside a task stay on
// its thread. What a task throws is thrown here.
void parallel_tasks(std::int64_t count, const std::function<void(std::int64_t)>& task);

// Whether thin_product() takes these: no gradient, on the CPU, at most 4 rows, weights of bfloat16 or float32 in dense
// rows, and x of the same type.
[[nodiscard]] bool thin(const at::Tensor& x, const at::Tensor& weight);
// x [n, K] · weightᵀ for weight [N, K] → float32 [n, N]. Reads each weight once, which is all that the time of so few
// rows depends on; libraries rearrange the weights first.
[[nodiscard]] at::Tensor thin_product(const at::Tensor& x, const at::Tensor& weight);

// x [n, W] (rows may be strided), weight [W] → [n, W].
[[nodiscard]] at::Tensor rms_norm(const at::Tensor& x, const at::Tensor& weight, double epsilon);

// How one projection is made ready for attention.
struct HeadPreparation {
  QkNorm norm = QkNorm::none;  // a norm before the rotation needs `weight` to be defined
  at::Tensor weight;           // over the whole width, or of one head
  double epsilon = 1e-5;
  double clip = -1.0;  // clamps to ±clip; negative = not
  std::int64_t head_dim = 0;
  std::int64_t rotary_first = 0;  // number of a head at which the rotated part begins
  bool rotate = true;
};
// Norm, clip and rotation of each head in one pass. x [n, heads · D], rows may be strided → [n, heads · D].
[[nodiscard]] at::Tensor prepare_heads(const at::Tensor& x, const HeadPreparation& how, const RopeTables& tables);

// In place on a fresh tensor: row r of scores [rows, keys] becomes softmax(scale · row) over keys begin(r)..end(r) − 1,
// zero elsewhere. A sink is a further logit that takes a share.
void causal_softmax(at::Tensor& scores, double scale, std::optional<float> sink,
                    const std::function<std::int64_t(std::int64_t)>& begin,
                    const std::function<std::int64_t(std::int64_t)>& end);

// both [n, 2I] → silu(both[:, :I]) · both[:, I:], [n, I].
[[nodiscard]] at::Tensor silu_product(const at::Tensor& both);
// The same for (min(gate, limit) · sigmoid(1.702 · min(gate, limit))) · (clamp(up, ±limit) + 1).
[[nodiscard]] at::Tensor clamped_swiglu_product(const at::Tensor& both, double limit);

// Sum over a token's slots of weight · output: place [n · k] is the row of `outputs` of each slot, −1 = none.
[[nodiscard]] at::Tensor weighted_sum(const at::Tensor& outputs, const at::Tensor& place, const at::Tensor& weights);

// log Σ exp(row) − row[target] of each row of logits [n, V]; targets [n] int64, all valid.
[[nodiscard]] at::Tensor cross_entropy(const at::Tensor& logits, const at::Tensor& targets);

}  // namespace moescope::blocks::kernels
