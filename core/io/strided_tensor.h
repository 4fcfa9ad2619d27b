// StridedTensor: a tensor of a torch file, whose elements may lie in any order and several times in its storage; and
// accessors that give it in row-major order. Called by importers and checkpoints that read torch files. Any thread.
#pragma once

#include <cstdint>
#include <vector>

#include "core/base/error.h"
#include "core/base/export.h"
#include "core/io/tensor_view.h"

namespace moescope {

// `view.bytes` begin at the first element and end at the last that any index reaches.
struct StridedTensor {
  TensorView view;
  std::vector<std::uint64_t> strides;  // in elements, one for each dimension

  // Whether the bytes are the row-major tensor as they lie, so that `view` is an ordinary one.
  [[nodiscard]] MOESCOPE_API bool contiguous() const;
};

inline constexpr std::uint64_t strided_copy_limit = std::uint64_t{1} << 34U;  // bytes of a copy

// The elements in row-major order. Error (input): more bytes than `limit` (strides of zero make a small file large).
[[nodiscard]] MOESCOPE_API Expected<std::vector<std::byte>> contiguous_bytes(const StridedTensor& tensor,
                                                                             std::uint64_t limit = strided_copy_limit);
// The same as float32. Error (input) for types that are no floats.
[[nodiscard]] MOESCOPE_API Expected<std::vector<float>> contiguous_floats(const StridedTensor& tensor,
                                                                          std::uint64_t limit = strided_copy_limit);
// The same as integers; booleans are 0 and 1. Error (input) for types that are no integers, and for U64 values beyond
// the largest.
[[nodiscard]] MOESCOPE_API Expected<std::vector<std::int64_t>> contiguous_integers(
    const StridedTensor& tensor, std::uint64_t limit = strided_copy_limit);

}  // namespace moescope
