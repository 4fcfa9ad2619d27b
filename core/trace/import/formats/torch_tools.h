// What the importers of torch files share: tensors that may lie in any order as planes and grids, without copies.
// Private to core/trace/import.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>
#include <vector>

#include "core/io/pickle_value.h"
#include "core/trace/import/raw_trace.h"
#include "core/trace/import/source_file.h"

namespace moescope {

// The plane [token, item] of a tensor of two axes, or of entry `index` along the first of three.
[[nodiscard]] RawPlane strided_plane(const StridedTensor& tensor, std::uint64_t index = 0);
// The shape of a tensor.
[[nodiscard]] inline const std::vector<std::uint64_t>& shape_of(const StridedTensor& tensor) {
  return tensor.view.shape;
}
// Whether elements lie on each other (strides of 0), so that a small file looks large.
[[nodiscard]] bool repeats(const StridedTensor& tensor);
// A tensor of a dict, null when there is none under the key.
[[nodiscard]] const StridedTensor* tensor_at(const PickleValue& dict, std::string_view key);
// A list of whole numbers, or a tensor of them, as 32 bits; empty for anything else.
[[nodiscard]] std::vector<std::int32_t> small_integers(const PickleValue* value);
// Every tensor of a list, a dict with names, or the one tensor, row-major with names; empty when something else is in.
[[nodiscard]] std::vector<TensorView> plain_tensors(const PickleValue& root);

}  // namespace moescope
