#include "plugins/torch_engine/blocks/norm.h"

#include <ATen/ATen.h>

#include "plugins/torch_engine/blocks/kernels.h"

namespace moescope::blocks {

at::Tensor rms_norm(const at::Tensor& x, const at::Tensor& weight, double epsilon) {
  if (x.dim() == 2 && kernels::usable(x) && weight.scalar_type() == at::kFloat) {
    return kernels::rms_norm(x, weight, epsilon);
  }
  const at::Tensor wide = x.to(at::kFloat);
  const at::Tensor scale = at::rsqrt(at::mean(at::mul(wide, wide), {-1}, true) + epsilon);
  return at::mul(at::mul(wide, scale).to(x.scalar_type()), weight.to(x.scalar_type()));
}

}  // namespace moescope::blocks
