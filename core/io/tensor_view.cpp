#include "core/io/tensor_view.h"

#include <array>

namespace moescope {
namespace {

struct TypeRow {
  DType type;
  const char* name;
  DTypeBlock block;
};

// In the order of the enumeration. GGUF's sizes follow from its block layouts.
constexpr std::array type_rows{TypeRow{DType::boolean, "BOOL", {1, 1}},
                               TypeRow{DType::u8, "U8", {1, 1}},
                               TypeRow{DType::i8, "I8", {1, 1}},
                               TypeRow{DType::f8_e5m2, "F8_E5M2", {1, 1}},
                               TypeRow{DType::f8_e4m3, "F8_E4M3", {1, 1}},
                               TypeRow{DType::f8_e8m0, "F8_E8M0", {1, 1}},
                               TypeRow{DType::f8_e4m3fnuz, "F8_E4M3FNUZ", {1, 1}},
                               TypeRow{DType::f8_e5m2fnuz, "F8_E5M2FNUZ", {1, 1}},
                               TypeRow{DType::i16, "I16", {1, 2}},
                               TypeRow{DType::u16, "U16", {1, 2}},
                               TypeRow{DType::f16, "F16", {1, 2}},
                               TypeRow{DType::bf16, "BF16", {1, 2}},
                               TypeRow{DType::i32, "I32", {1, 4}},
                               TypeRow{DType::u32, "U32", {1, 4}},
                               TypeRow{DType::f32, "F32", {1, 4}},
                               TypeRow{DType::i64, "I64", {1, 8}},
                               TypeRow{DType::u64, "U64", {1, 8}},
                               TypeRow{DType::f64, "F64", {1, 8}},
                               TypeRow{DType::c64, "C64", {1, 8}},
                               TypeRow{DType::f4, "F4", {2, 1}},
                               TypeRow{DType::f6_e2m3, "F6_E2M3", {4, 3}},
                               TypeRow{DType::f6_e3m2, "F6_E3M2", {4, 3}},
                               TypeRow{DType::q4_0, "Q4_0", {32, 18}},
                               TypeRow{DType::q4_1, "Q4_1", {32, 20}},
                               TypeRow{DType::q5_0, "Q5_0", {32, 22}},
                               TypeRow{DType::q5_1, "Q5_1", {32, 24}},
                               TypeRow{DType::q8_0, "Q8_0", {32, 34}},
                               TypeRow{DType::q8_1, "Q8_1", {32, 36}},
                               TypeRow{DType::q2_k, "Q2_K", {256, 84}},
                               TypeRow{DType::q3_k, "Q3_K", {256, 110}},
                               TypeRow{DType::q4_k, "Q4_K", {256, 144}},
                               TypeRow{DType::q5_k, "Q5_K", {256, 176}},
                               TypeRow{DType::q6_k, "Q6_K", {256, 210}},
                               TypeRow{DType::q8_k, "Q8_K", {256, 292}},
                               TypeRow{DType::iq1_s, "IQ1_S", {256, 50}},
                               TypeRow{DType::iq1_m, "IQ1_M", {256, 56}},
                               TypeRow{DType::iq2_xxs, "IQ2_XXS", {256, 66}},
                               TypeRow{DType::iq2_xs, "IQ2_XS", {256, 74}},
                               TypeRow{DType::iq2_s, "IQ2_S", {256, 82}},
                               TypeRow{DType::iq3_xxs, "IQ3_XXS", {256, 98}},
                               TypeRow{DType::iq3_s, "IQ3_S", {256, 110}},
                               TypeRow{DType::iq4_nl, "IQ4_NL", {32, 18}},
                               TypeRow{DType::iq4_xs, "IQ4_XS", {256, 136}},
                               TypeRow{DType::tq1_0, "TQ1_0", {256, 54}},
                               TypeRow{DType::tq2_0, "TQ2_0", {256, 66}},
                               TypeRow{DType::mxfp4, "MXFP4", {32, 17}}};

constexpr bool rows_are_in_order() {
  for (std::size_t i = 0; i < type_rows.size(); ++i) {
    if (static_cast<std::size_t>(type_rows[i].type) != i) return false;
  }
  return true;
}
static_assert(rows_are_in_order());

}  // namespace

const char* dtype_name(DType type) {
  return type_rows[static_cast<std::size_t>(type)].name;
}

DTypeBlock dtype_block(DType type) {
  return type_rows[static_cast<std::size_t>(type)].block;
}

bool is_block_type(DType type) {
  return type >= DType::q4_0;
}

int dtype_bits(DType type) {
  const DTypeBlock block = dtype_block(type);
  return static_cast<int>((block.bytes * 8 + block.elements - 1) / block.elements);
}

std::optional<DType> dtype_from_name(std::string_view name) {
  for (const TypeRow& row : type_rows) {
    if (name == row.name && !is_block_type(row.type)) return row.type;
  }
  return std::nullopt;
}

std::optional<std::uint64_t> byte_size(DType type, std::span<const std::uint64_t> shape) {
  const DTypeBlock block = dtype_block(type);
  // Elements first, as the element count alone may already overflow although a later zero makes the product small.
  std::uint64_t elements = 1;
  for (const std::uint64_t extent : shape) {
    if (__builtin_mul_overflow(elements, extent, &elements)) return std::nullopt;
  }
  if (is_block_type(type) && (shape.empty() || shape.back() % block.elements != 0)) return std::nullopt;
  std::uint64_t bytes = 0;
  if (elements % block.elements != 0 || __builtin_mul_overflow(elements / block.elements, block.bytes, &bytes)) {
    return std::nullopt;
  }
  return bytes;
}

}  // namespace moescope
