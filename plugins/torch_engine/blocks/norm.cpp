#include "plugins/torch_engine/blocks/norm.h"

#include <ATen/ATen.h>

#include "plugins/torch_engine/blocks/kernels.h"

namespace moescope::blocks {

at::Tensor rms_norm(const at::Tensor& x, const at::Tensor& weight, double epsilon) {
  if (x.dim() == 2 && kernels::usable(x) && weight.defined() && weight.scalar_type() == at::kFloat) {
    return kernels::rms_norm(x, weight, epsilon);
  }
  const at::Tensor wide = x.to(at::kFloat);
  const at::Tensor scale = at::rsqrt(at::mean(at::mul(wide, wide), {-1}, true) + epsilon);
  const at::Tensor normed = at::mul(wide, scale).to(x.scalar_type());
  return weight.defined() ? at::mul(normed, weight.to(x.scalar_type())) : normed;
}

at::Tensor layer_norm(const at::Tensor& x, const at::Tensor& weight, const at::Tensor& bias, double epsilon) {
  const at::Tensor wide = x.to(at::kFloat);
  const at::Tensor centred = wide - at::mean(wide, {-1}, true);
  const at::Tensor scale = at::rsqrt(at::mean(at::mul(centred, centred), {-1}, true) + epsilon);
  at::Tensor out = centred * scale * weight.to(at::kFloat);
  if (bias.defined()) out = out + bias.to(at::kFloat);
  return out.to(x.scalar_type());
}

}  // namespace moescope::blocks
