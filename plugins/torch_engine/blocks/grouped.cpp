#include "plugins/torch_engine/blocks/grouped.h"

#include <ATen/ATen.h>
#include <torch/csrc/api/include/torch/version.h>

#include <atomic>

#if TORCH_VERSION_MAJOR > 2 || (TORCH_VERSION_MAJOR == 2 && TORCH_VERSION_MINOR >= 8)
#define MOESCOPE_GROUPED_MM 1
#endif

namespace moescope::blocks {
namespace {

std::atomic<bool> given_up{false};

GroupedProduct& replacement() {
  static GroupedProduct product;
  return product;
}

#ifdef MOESCOPE_GROUPED_MM
at::Tensor grouped_mm(const at::Tensor& rows, const at::Tensor& weights, const std::vector<std::int64_t>& begin) {
  const std::vector<std::int32_t> ends(begin.begin() + 1, begin.end());
  return at::_grouped_mm(rows, weights.transpose(1, 2), at::tensor(ends).to(rows.device()));
}
#endif

}  // namespace

GroupedProduct grouped_product(const at::Tensor& rows) {
  if (replacement()) return replacement();
#ifdef MOESCOPE_GROUPED_MM
  if (!given_up && rows.is_cuda() && rows.scalar_type() == at::kBFloat16) return grouped_mm;
#endif
  static_cast<void>(rows);
  return {};
}

void give_up_grouped_products() {
  given_up = true;
}

void replace_grouped_product(GroupedProduct product) {
  replacement() = std::move(product);
}

}  // namespace moescope::blocks
