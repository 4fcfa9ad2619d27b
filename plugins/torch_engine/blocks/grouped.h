// Products of groups of rows with a matrix each, in one call, where LibTorch has them: on a GPU many experts' small
// products then share it. Called by the experts' block; any thread.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <functional>
#include <vector>

namespace moescope::blocks {

// rows [S, K] sorted by group, weights [G, N, K], begin [G+1] (group g has rows begin[g]..begin[g+1]) → [S, N].
using GroupedProduct = std::function<at::Tensor(const at::Tensor& rows, const at::Tensor& weights,
                                                const std::vector<std::int64_t>& begin)>;

// The one to use for such rows; empty where this LibTorch (before 2.8), the device or the type has none, or once it
// failed: then each group is multiplied by itself.
[[nodiscard]] GroupedProduct grouped_product(const at::Tensor& rows);
// After a failure that is not about memory: not tried again in this process.
void give_up_grouped_products();
// Takes the place of LibTorch's, whatever the device; empty = LibTorch's again. For tests.
void replace_grouped_product(GroupedProduct product);

}  // namespace moescope::blocks
