// Decodes the weights of containers to float32, bit-exactly and in pieces: plain floats, FP8, GGUF's blocks, and the
// two layouts whose scales lie in a tensor of their own (FP8 with block scales, MXFP4 of Hugging Face). Called by
// engines and by readers of traces. Pure functions: any thread.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "core/base/error.h"
#include "core/base/export.h"
#include "core/io/tensor_view.h"

namespace moescope {

// The two FP8 types, whose weights come with scales of their own.
[[nodiscard]] constexpr bool is_f8(DType type) {
  return type == DType::f8_e4m3 || type == DType::f8_e5m2;
}

// Whether decode_floats() knows the type: F64, F32, F16, BF16, the FP8 types, Q4_0, Q4_1, Q5_0, Q5_1, Q8_0, Q2_K to
// Q6_K, IQ4_NL and MXFP4.
[[nodiscard]] MOESCOPE_API bool can_decode(DType type);

// Elements [first, first + out.size()) of `bytes`, which hold elements of `type` one after the other, beginning with
// element 0. Neither end needs to lie on a block. F64 is rounded. Errors: input for a type that cannot be decoded;
// internal when the range is not inside the bytes.
[[nodiscard]] MOESCOPE_API Expected<void> decode_floats(DType type, std::span<const std::byte> bytes,
                                                        std::uint64_t first, std::span<float> out);
// The same for elements of a tensor in row-major order; errors name it.
[[nodiscard]] MOESCOPE_API Expected<void> decode_tensor(const TensorView& tensor, std::uint64_t first,
                                                        std::span<float> out);

// The value of an 8-bit float: F8_E4M3, F8_E5M2, F8_E8M0, F8_E4M3FNUZ or F8_E5M2FNUZ; 256 entries. Empty for other
// types.
[[nodiscard]] MOESCOPE_API std::span<const float> fp8_values(DType type);

// Scales of an FP8 weight [rows, columns]: W[r, c] = fp8[r, c] · scale[r / block_rows, c / block_columns], with partial
// blocks at both edges (checkpoints.md names them weight_scale_inv; they multiply).
struct BlockScales {
  std::span<const float> values;  // [ceil(rows / block_rows), ceil(columns / block_columns)]
  std::uint64_t columns = 0;      // of the weight
  std::uint64_t block_rows = 128, block_columns = 128;
};
// Multiplies whole rows [first_row, first_row + values.size() / columns) by their scales, in place. Error (input): the
// scales do not cover those rows; (internal): not whole rows.
[[nodiscard]] MOESCOPE_API Expected<void> apply_block_scales(const BlockScales& scales, std::uint64_t first_row,
                                                             std::span<float> values);

// MXFP4 as Hugging Face stores it: groups of 32 elements; `blocks` has 16 bytes a group, byte j with element 2j in its
// low and 2j + 1 in its high nibble; `scales` one E8M0 byte a group. Decodes groups [first, first + out.size() / 32).
// Error (internal): the range is not inside, or `out` is not whole groups.
[[nodiscard]] MOESCOPE_API Expected<void> decode_mxfp4_groups(std::span<const std::byte> blocks,
                                                              std::span<const std::byte> scales, std::uint64_t first,
                                                              std::span<float> out);

}  // namespace moescope
