#include "plugins/torch_engine/blocks/rope.h"

#include <ATen/ATen.h>

namespace moescope::blocks {
namespace {

at::Tensor rotated(const at::Tensor& x, const RopeTables& tables) {
  const at::Tensor cos = tables.cos.to(x.scalar_type()).unsqueeze(1);
  const at::Tensor sin = tables.sin.to(x.scalar_type()).unsqueeze(1);
  if (tables.interleaved) {
    const at::Tensor pairs = x.reshape({x.size(0), x.size(1), -1, 2});
    const at::Tensor even = pairs.select(-1, 0), odd = pairs.select(-1, 1);
    return at::stack({even * cos - odd * sin, odd * cos + even * sin}, -1).reshape(x.sizes());
  }
  const std::int64_t half = x.size(-1) / 2;
  const at::Tensor low = x.narrow(-1, 0, half);
  const at::Tensor high = x.narrow(-1, half, half);
  return at::cat({low * cos - high * sin, high * cos + low * sin}, -1);
}

}  // namespace

RopeTables rope_tables(const at::Tensor& positions, std::int64_t head_dim, double theta) {
  const at::TensorOptions wide = positions.options().dtype(at::kFloat);
  const at::Tensor exponent = at::arange(0, head_dim, 2, wide) / static_cast<double>(head_dim);
  const at::Tensor frequency = at::reciprocal(at::pow(at::scalar_tensor(theta, wide), exponent));
  const at::Tensor angle = at::outer(positions.to(at::kFloat), frequency);
  return RopeTables{at::cos(angle), at::sin(angle), false};
}

RopeTables rope_tables(const RopeSpec& spec, std::uint32_t max_positions, const std::vector<std::int64_t>& lengths,
                       at::Device device) {
  const at::TensorOptions wide = at::TensorOptions().dtype(at::kFloat);
  std::vector<at::Tensor> cos, sin;
  for (const std::int64_t length : lengths) {
    const RopeFrequencies f = rope_frequencies(spec, max_positions, static_cast<std::uint64_t>(length));
    const at::Tensor inverse = at::tensor(f.inverse, wide);
    const at::Tensor angle = at::outer(at::arange(length, wide), inverse);
    cos.push_back(at::cos(angle) * f.factor);
    sin.push_back(at::sin(angle) * f.factor);
  }
  return RopeTables{at::cat(cos, 0).to(device), at::cat(sin, 0).to(device), spec.interleaved};
}

at::Tensor rope(const at::Tensor& x, const RopeTables& tables, std::int64_t first) {
  const std::int64_t dims = 2 * tables.cos.size(1), all = x.size(-1);
  if (dims == all) return rotated(x, tables);
  const at::Tensor turned = rotated(x.narrow(-1, first, dims), tables);
  std::vector<at::Tensor> parts;
  if (first > 0) parts.push_back(x.narrow(-1, 0, first));
  parts.push_back(turned);
  if (first + dims < all) parts.push_back(x.narrow(-1, first + dims, all - first - dims));
  return at::cat(parts, -1);
}

}  // namespace moescope::blocks
