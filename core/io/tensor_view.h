// TensorView: bytes of a named tensor in a container, with its type and shape. Row-major, little-endian. Reading never
// copies; the owner keeps the mapping alive. Any thread.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "core/base/export.h"

namespace moescope {

// Types that containers name. Sub-byte types keep their packed bytes. Those from q4_0 on are GGUF's blocks: several
// elements share scales, so an element has no bytes of its own; rows (the last dimension) hold whole blocks.
enum class DType : std::uint8_t {
  boolean,
  u8,
  i8,
  f8_e5m2,
  f8_e4m3,
  f8_e8m0,
  f8_e4m3fnuz,
  f8_e5m2fnuz,
  i16,
  u16,
  f16,
  bf16,
  i32,
  u32,
  f32,
  i64,
  u64,
  f64,
  c64,
  f4,
  f6_e2m3,
  f6_e3m2,
  q4_0,
  q4_1,
  q5_0,
  q5_1,
  q8_0,
  q8_1,
  q2_k,
  q3_k,
  q4_k,
  q5_k,
  q6_k,
  q8_k,
  iq1_s,
  iq1_m,
  iq2_xxs,
  iq2_xs,
  iq2_s,
  iq3_xxs,
  iq3_s,
  iq4_nl,
  iq4_xs,
  tq1_0,
  tq2_0,
  mxfp4
};
// The fewest elements of a type that fill whole bytes, and those bytes: F32 1 and 4, F4 2 and 1, Q4_0 32 and 18.
struct DTypeBlock {
  std::uint32_t elements = 1, bytes = 1;
};

[[nodiscard]] MOESCOPE_API const char* dtype_name(DType type);  // "BF16", as safetensors writes it; "Q4_K" as GGUF does
[[nodiscard]] MOESCOPE_API DTypeBlock dtype_block(DType type);
// Whole numbers, signed or not; a boolean is none.
[[nodiscard]] constexpr bool is_integer(DType type) {
  return type == DType::u8 || type == DType::i8 || type == DType::i16 || type == DType::u16 || type == DType::i32 ||
         type == DType::u32 || type == DType::i64 || type == DType::u64;
}
// One of GGUF's blocks with scales.
[[nodiscard]] MOESCOPE_API bool is_block_type(DType type);
// Bits of an element; of block types the whole bits of a block over its elements, rounded up.
[[nodiscard]] MOESCOPE_API int dtype_bits(DType type);
// By the name that safetensors gives it; block types have none.
[[nodiscard]] MOESCOPE_API std::optional<DType> dtype_from_name(std::string_view name);
// Bytes of a tensor of this type and shape; nothing when a product overflows, the bits do not fill whole bytes or the
// rows of a block type do not hold whole blocks.
[[nodiscard]] MOESCOPE_API std::optional<std::uint64_t> byte_size(DType type, std::span<const std::uint64_t> shape);

struct TensorView {
  std::string name;
  DType type = DType::f32;
  std::vector<std::uint64_t> shape;
  std::span<const std::byte> bytes;   // may start at any address: copy or check before reinterpreting
  std::shared_ptr<const void> owner;  // keeps the mapping
  std::string file;                   // for error messages
  std::uint64_t file_offset = 0;      // of the first byte

  [[nodiscard]] std::uint64_t elements() const {
    std::uint64_t n = 1;
    for (const std::uint64_t d : shape) n *= d;
    return n;
  }
};

}  // namespace moescope
