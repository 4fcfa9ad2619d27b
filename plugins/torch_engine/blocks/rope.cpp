#include "plugins/torch_engine/blocks/rope.h"

#include <ATen/ATen.h>

namespace moescope::blocks {

RopeTables rope_tables(const at::Tensor& positions, std::int64_t head_dim, double theta) {
  const at::TensorOptions wide = positions.options().dtype(at::kFloat);
  const at::Tensor exponent = at::arange(0, head_dim, 2, wide) / static_cast<double>(head_dim);
  const at::Tensor frequency = at::reciprocal(at::pow(at::scalar_tensor(theta, wide), exponent));
  const at::Tensor angle = at::outer(positions.to(at::kFloat), frequency);
  return RopeTables{at::cos(angle), at::sin(angle)};
}

at::Tensor rope(const at::Tensor& x, const RopeTables& tables) {
  const std::int64_t half = x.size(-1) / 2;
  const at::Tensor cos = tables.cos.to(x.scalar_type()).unsqueeze(1);
  const at::Tensor sin = tables.sin.to(x.scalar_type()).unsqueeze(1);
  const at::Tensor low = x.narrow(-1, 0, half);
  const at::Tensor high = x.narrow(-1, half, half);
  return at::cat({low * cos - high * sin, high * cos + low * sin}, -1);
}

}  // namespace moescope::blocks
