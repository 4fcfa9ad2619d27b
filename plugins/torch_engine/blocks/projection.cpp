#include "plugins/torch_engine/blocks/projection.h"

#include <ATen/ATen.h>

namespace moescope::blocks {

at::Tensor apply_linear(const at::Tensor& x, const at::Tensor& weight, const at::Tensor& bias) {
  const at::Tensor out = at::matmul(x, weight.t()).to(at::kFloat);
  return bias.defined() ? out + bias.to(at::kFloat) : out;
}

}  // namespace moescope::blocks
