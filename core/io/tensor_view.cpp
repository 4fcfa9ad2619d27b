#include "core/io/tensor_view.h"

#include <array>

namespace moescope {
namespace {

struct TypeRow {
  DType type;
  const char* name;
  int bits;
};

// In the order of the enumeration.
constexpr std::array<TypeRow, 22> type_rows{{{DType::boolean, "BOOL", 8},
                                             {DType::u8, "U8", 8},
                                             {DType::i8, "I8", 8},
                                             {DType::f8_e5m2, "F8_E5M2", 8},
                                             {DType::f8_e4m3, "F8_E4M3", 8},
                                             {DType::f8_e8m0, "F8_E8M0", 8},
                                             {DType::f8_e4m3fnuz, "F8_E4M3FNUZ", 8},
                                             {DType::f8_e5m2fnuz, "F8_E5M2FNUZ", 8},
                                             {DType::i16, "I16", 16},
                                             {DType::u16, "U16", 16},
                                             {DType::f16, "F16", 16},
                                             {DType::bf16, "BF16", 16},
                                             {DType::i32, "I32", 32},
                                             {DType::u32, "U32", 32},
                                             {DType::f32, "F32", 32},
                                             {DType::i64, "I64", 64},
                                             {DType::u64, "U64", 64},
                                             {DType::f64, "F64", 64},
                                             {DType::c64, "C64", 64},
                                             {DType::f4, "F4", 4},
                                             {DType::f6_e2m3, "F6_E2M3", 6},
                                             {DType::f6_e3m2, "F6_E3M2", 6}}};

}  // namespace

const char* dtype_name(DType type) {
  return type_rows[static_cast<std::size_t>(type)].name;
}

int dtype_bits(DType type) {
  return type_rows[static_cast<std::size_t>(type)].bits;
}

std::optional<DType> dtype_from_name(std::string_view name) {
  for (const TypeRow& row : type_rows) {
    if (name == row.name) return row.type;
  }
  return std::nullopt;
}

std::optional<std::uint64_t> byte_size(DType type, std::span<const std::uint64_t> shape) {
  std::uint64_t bits = static_cast<std::uint64_t>(dtype_bits(type));
  // Elements first, as the element count alone may already overflow although a later zero makes the product small.
  std::uint64_t elements = 1;
  for (const std::uint64_t extent : shape) {
    if (__builtin_mul_overflow(elements, extent, &elements)) return std::nullopt;
  }
  if (__builtin_mul_overflow(elements, bits, &bits) || bits % 8 != 0) return std::nullopt;
  return bits / 8;
}

}  // namespace moescope
