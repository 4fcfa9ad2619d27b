#include "plugins/torch_engine/blocks/norm.h"

#include <ATen/ATen.h>

namespace moescope::blocks {

at::Tensor rms_norm(const at::Tensor& x, const at::Tensor& weight, double epsilon) {
  const at::Tensor wide = x.to(at::kFloat);
  const at::Tensor scale = at::rsqrt(at::mean(at::mul(wide, wide), {-1}, true) + epsilon);
  return at::mul(at::mul(wide, scale).to(x.scalar_type()), weight.to(x.scalar_type()));
}

}  // namespace moescope::blocks
