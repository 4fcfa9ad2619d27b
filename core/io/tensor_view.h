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

// Types that containers name. Sub-byte types keep their packed bytes.
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
  f6_e3m2
};
[[nodiscard]] MOESCOPE_API const char* dtype_name(DType type);  // "BF16", as safetensors writes it
[[nodiscard]] MOESCOPE_API int dtype_bits(DType type);
[[nodiscard]] MOESCOPE_API std::optional<DType> dtype_from_name(std::string_view name);
// Bytes of a tensor of this type and shape; nothing when a product overflows or the bits do not fill whole bytes.
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
