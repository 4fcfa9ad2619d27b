// A layer of weights as the models store it: [out, in], with or without a bias. Called by the mixers; any thread.
#pragma once

#include <ATen/core/Tensor.h>

namespace moescope::blocks {

// x · weightᵀ in float32: x [tokens, in], weight [out, in] → [tokens, out]. A few tokens take the way that reads the
// weights once.
[[nodiscard]] at::Tensor product(const at::Tensor& x, const at::Tensor& weight);

// x · weightᵀ (+ bias): x [tokens, in], weight [out, in], bias [out] or undefined. Gives float32 [tokens, out].
[[nodiscard]] at::Tensor apply_linear(const at::Tensor& x, const at::Tensor& weight, const at::Tensor& bias);

}  // namespace moescope::blocks
