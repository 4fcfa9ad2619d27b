// Reader and header writer of NumPy's .npy arrays, versions 1 to 3. The header's Python literal is read by a small
// parser that knows three keys and nothing else; nothing is evaluated, and arrays of Python objects are refused.
// Called by importers of traces and by exporters; pure, any thread.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "core/base/error.h"
#include "core/base/export.h"
#include "core/io/tensor_view.h"

namespace moescope {

namespace npy_limit {
inline constexpr std::size_t header_bytes = 1U << 20U;
inline constexpr std::size_t dimensions = 32;
}  // namespace npy_limit

// One array, row-major and little-endian. Its bytes are those of the file when the file has them so, else a copy.
struct NpyArray {
  TensorView tensor;
  std::uint64_t missing_bytes = 0;  // cut off at the end; the tensor's first dimension counts whole entries only
};

// True when `bytes` begin with the magic of the format.
[[nodiscard]] MOESCOPE_API bool looks_like_npy(std::span<const std::byte> bytes);

// Reads an array of numbers or truth values from the bytes of a whole file. `owner` keeps them alive, `file` names them
// in errors. A file that ends early keeps its whole entries along the first axis (none in Fortran order: refused).
// Errors (input): not the format, a version above 3, a header that is not the literal, type O or another that holds no
// numbers, a size that overflows.
[[nodiscard]] MOESCOPE_API Expected<NpyArray> read_npy(std::span<const std::byte> bytes,
                                                       std::shared_ptr<const void> owner, const std::string& file);

// Magic, version and header of an array in C order, padded so that the data behind it lie on 64 bytes. The type is one
// that NumPy has.
[[nodiscard]] MOESCOPE_API std::string npy_header(DType type, std::span<const std::uint64_t> shape);

}  // namespace moescope
