// Small helpers of the block tests: seeded random tensors and the largest difference.
#pragma once

#include <ATen/ATen.h>
#include <ATen/CPUGeneratorImpl.h>

#include <initializer_list>
#include <vector>

#include "plugins/torch_engine/blocks/attention.h"

namespace moescope::blocks_test {

inline at::Tensor random(std::initializer_list<std::int64_t> shape, std::uint64_t seed, double deviation = 0.5) {
  const at::Generator generator = at::detail::createCPUGenerator(seed);
  return at::randn(at::IntArrayRef(shape.begin(), shape.size()), generator, at::kFloat) * deviation;
}

inline double difference(const at::Tensor& a, const at::Tensor& b) {
  return at::max(at::abs(a.to(at::kDouble) - b.to(at::kDouble))).item<double>();
}

inline at::Tensor row(const std::vector<float>& values) {
  return at::tensor(values).unsqueeze(0);
}

// The usual attention with norms over the whole width.
inline blocks::AttentionShape attention_of(std::int64_t heads, std::int64_t kv_heads, std::int64_t head_dim,
                                           std::optional<double> clip = std::nullopt) {
  blocks::AttentionShape shape;
  shape.heads = heads;
  shape.kv_heads = kv_heads;
  shape.head_dim = head_dim;
  shape.clip_qkv = clip;
  return shape;
}

}  // namespace moescope::blocks_test
