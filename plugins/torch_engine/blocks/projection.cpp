#include "plugins/torch_engine/blocks/projection.h"

#include <ATen/ATen.h>

#include "plugins/torch_engine/blocks/kernels.h"

namespace moescope::blocks {

at::Tensor product(const at::Tensor& x, const at::Tensor& weight) {
  return kernels::thin(x, weight) ? kernels::thin_product(x, weight) : at::matmul(x, weight.t()).to(at::kFloat);
}

at::Tensor apply_linear(const at::Tensor& x, const at::Tensor& weight, const at::Tensor& bias) {
  const at::Tensor out = product(x, weight);
  return bias.defined() ? out + bias.to(at::kFloat) : out;
}

}  // namespace moescope::blocks
