// Small helpers of the block tests: seeded random tensors and the largest difference.
#pragma once

#include <ATen/ATen.h>
#include <ATen/CPUGeneratorImpl.h>

#include <initializer_list>
#include <vector>

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

}  // namespace moescope::blocks_test
