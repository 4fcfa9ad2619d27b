// RMS norm as a pure function of tensors. Called by the engine's forward pass and by the trainer; any thread.
#pragma once

#include <ATen/core/Tensor.h>

namespace moescope::blocks {

// x · rsqrt(mean(x², last axis) + epsilon) in float32, cast to x's type, times `weight` [last axis] in that type.
// Same shape and type as x. Differentiable in x and weight.
at::Tensor rms_norm(const at::Tensor& x, const at::Tensor& weight, double epsilon);

}  // namespace moescope::blocks
