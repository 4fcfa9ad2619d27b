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

RopeTables rope_tables_at(const RopeSpec& spec, std::uint32_t max_positions, std::int64_t first, std::int64_t count,
                          at::Device device) {
  const at::TensorOptions wide = at::TensorOptions().dtype(at::kFloat);
  const RopeFrequencies f = rope_frequencies(spec, max_positions, static_cast<std::uint64_t>(first + count));
  const at::Tensor angle = at::outer(at::arange(first, first + count, wide), at::tensor(f.inverse, wide));
  return RopeTables{(at::cos(angle) * f.factor).to(device), (at::sin(angle) * f.factor).to(device), spec.interleaved};
}

RopeTables rope_tables(const RopeSpec& spec, std::uint32_t max_positions, const std::vector<std::int64_t>& lengths,
                       at::Device device) {
  std::vector<at::Tensor> cos, sin;
  for (const std::int64_t length : lengths) {
    const RopeTables one = rope_tables_at(spec, max_positions, 0, length, device);
    cos.push_back(one.cos);
    sin.push_back(one.sin);
  }
  return RopeTables{at::cat(cos, 0), at::cat(sin, 0), spec.interleaved};
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
