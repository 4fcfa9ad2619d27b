// Norms as pure functions of tensors. Called by the engine's forward pass and by the trainer; any thread.
#pragma once

#include <ATen/core/Tensor.h>

namespace moescope::blocks {

// x · rsqrt(mean(x², last axis) + epsilon) in float32, cast to x's type, times `weight` [last axis] in that type.
// `weight` may be undefined: then there is none. Same shape and type as x. Differentiable in x and weight.
at::Tensor rms_norm(const at::Tensor& x, const at::Tensor& weight, double epsilon);

// (x − mean) · rsqrt(variance + epsilon) · weight + bias, in float32. `bias` may be undefined. Same shape and type as
// x.
at::Tensor layer_norm(const at::Tensor& x, const at::Tensor& weight, const at::Tensor& bias, double epsilon);

}  // namespace moescope::blocks
