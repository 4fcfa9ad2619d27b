#include "core/io/tensor_decode.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <cstring>
#include <limits>

#include "core/io/block_decode.h"

namespace moescope {
namespace {

constexpr std::size_t largest_block = 256;  // elements

// Sign, exponent and fraction of an 8-bit float.
struct SmallFloat {
  int exponent_bits = 4, bias = 7;
  bool unsigned_zero = false;  // the fnuz types: 0x80 is their only NaN, all else is a number
  bool infinities = false;     // the largest exponent means infinity or NaN, as in IEEE's types
};

std::array<float, 256> table_of(const SmallFloat& format) {
  std::array<float, 256> out{};
  const int fraction_bits = 7 - format.exponent_bits;
  const int largest = (1 << format.exponent_bits) - 1, ones = (1 << fraction_bits) - 1;
  for (int byte = 0; byte < 256; ++byte) {
    const int exponent = (byte & 0x7F) >> fraction_bits, fraction = byte & ones;
    float value = exponent == 0
                      ? std::ldexp(static_cast<float>(fraction), 1 - format.bias - fraction_bits)
                      : std::ldexp(static_cast<float>(fraction + ones + 1), exponent - format.bias - fraction_bits);
    if (format.unsigned_zero) {
      if (byte == 0x80) value = std::numeric_limits<float>::quiet_NaN();
    } else if (exponent == largest && format.infinities) {
      value = fraction == 0 ? std::numeric_limits<float>::infinity() : std::numeric_limits<float>::quiet_NaN();
    } else if (exponent == largest && fraction == ones) {
      value = std::numeric_limits<float>::quiet_NaN();
    }
    out[static_cast<std::size_t>(byte)] = (byte & 0x80) != 0 ? -value : value;
  }
  return out;
}

// Powers of two from 2^-127; 255 is NaN.
std::array<float, 256> scale_table() {
  std::array<float, 256> out{};
  for (int byte = 0; byte < 255; ++byte) out[static_cast<std::size_t>(byte)] = std::ldexp(1.0F, byte - 127);
  out[255] = std::numeric_limits<float>::quiet_NaN();
  return out;
}

template <typename Value>
Value value_at(const std::byte* at, std::size_t i) {
  Value out;
  std::memcpy(&out, at + i * sizeof(Value), sizeof(Value));
  return out;
}

// Elements of a type without blocks; `in` is at the first of them and need not be aligned.
void decode_plain(DType type, const std::byte* in, std::span<float> out) {
  float* const to = out.data();
  const std::size_t n = out.size();
  switch (type) {
    case DType::f32:
      if (n != 0) std::memcpy(to, in, n * sizeof(float));
      return;
    case DType::f64:
      for (std::size_t i = 0; i < n; ++i) to[i] = static_cast<float>(value_at<double>(in, i));
      return;
    case DType::f16:
      for (std::size_t i = 0; i < n; ++i) to[i] = float_of_half(value_at<std::uint16_t>(in, i));
      return;
    case DType::bf16:
      for (std::size_t i = 0; i < n; ++i) {
        to[i] = __builtin_bit_cast(float, static_cast<std::uint32_t>(value_at<std::uint16_t>(in, i)) << 16U);
      }
      return;
    default: {
      const float* const table = fp8_values(type).data();
      for (std::size_t i = 0; i < n; ++i) to[i] = table[static_cast<std::uint8_t>(in[i])];
      return;
    }
  }
}

// Elements [first, first + out.size()) of whole blocks; the ends may cut a block.
void decode_blocks(DType type, const std::byte* in, std::uint64_t first, std::span<float> out) {
  const DTypeBlock block = dtype_block(type);
  const BlockDecoder decode = block_decoder(type);
  std::array<float, largest_block> whole{};
  const auto part = [&](std::uint64_t at, std::size_t skipped, std::size_t count) {
    decode(in + at * block.bytes, 1, whole.data());
    std::copy_n(whole.data() + skipped, count, out.data());
    out = out.subspan(count);
  };
  std::uint64_t at = first / block.elements;
  if (const auto skipped = static_cast<std::size_t>(first % block.elements); skipped != 0) {
    part(at++, skipped, std::min<std::size_t>(out.size(), block.elements - skipped));
  }
  const std::size_t blocks = out.size() / block.elements;
  decode(in + at * block.bytes, blocks, out.data());
  out = out.subspan(blocks * block.elements);
  if (!out.empty()) part(at + blocks, 0, out.size());
}

}  // namespace

std::span<const float> fp8_values(DType type) {
  static const auto e4m3 = table_of({4, 7, false, false});
  static const auto e5m2 = table_of({5, 15, false, true});
  static const auto e4m3fnuz = table_of({4, 8, true, false});
  static const auto e5m2fnuz = table_of({5, 16, true, false});
  static const auto e8m0 = scale_table();
  switch (type) {
    case DType::f8_e4m3:
      return e4m3;
    case DType::f8_e5m2:
      return e5m2;
    case DType::f8_e4m3fnuz:
      return e4m3fnuz;
    case DType::f8_e5m2fnuz:
      return e5m2fnuz;
    case DType::f8_e8m0:
      return e8m0;
    default:
      return {};
  }
}

bool can_decode(DType type) {
  return type == DType::f32 || type == DType::f16 || type == DType::bf16 || type == DType::f64 ||
         !fp8_values(type).empty() || block_decoder(type) != nullptr;
}

Expected<void> decode_floats(DType type, std::span<const std::byte> bytes, std::uint64_t first, std::span<float> out) {
  if (!can_decode(type)) {
    return fail(ErrorKind::input, fmt::format("weights of type {} cannot be decoded", dtype_name(type)), {},
                "Convert them to F32, BF16, F16, FP8, Q4_0 to Q8_0, Q2_K to Q6_K, IQ4_NL or MXFP4");
  }
  const DTypeBlock block = dtype_block(type);
  const std::uint64_t elements = bytes.size() / block.bytes * block.elements;
  if (first > elements || out.size() > elements - first) {
    return fail(ErrorKind::internal,
                fmt::format("elements {} to {} were asked for where {} are", first, first + out.size(), elements));
  }
  if (is_block_type(type)) {
    decode_blocks(type, bytes.data(), first, out);
  } else {
    decode_plain(type, bytes.data() + first * block.bytes, out);
  }
  return {};
}

Expected<void> decode_tensor(const TensorView& tensor, std::uint64_t first, std::span<float> out) {
  auto done = decode_floats(tensor.type, tensor.bytes, first, out);
  if (!done) done.error().where = fmt::format("{}, tensor '{}'", tensor.file, tensor.name);
  return done;
}

Expected<void> apply_block_scales(const BlockScales& scales, std::uint64_t first_row, std::span<float> values) {
  if (scales.columns == 0 || scales.block_rows == 0 || scales.block_columns == 0 ||
      values.size() % scales.columns != 0) {
    return fail(ErrorKind::internal, "block scales are applied to whole rows");
  }
  const std::uint64_t rows = values.size() / scales.columns;
  const std::uint64_t across = (scales.columns - 1) / scales.block_columns + 1;
  if (rows == 0) return {};
  if ((first_row + rows - 1) / scales.block_rows >= scales.values.size() / across) {
    return fail(ErrorKind::input,
                fmt::format("{} scales do not cover row {} of {} columns in blocks of {} × {}", scales.values.size(),
                            first_row + rows - 1, scales.columns, scales.block_rows, scales.block_columns));
  }
  for (std::uint64_t r = 0; r < rows; ++r) {
    const float* const row_scales = scales.values.data() + (first_row + r) / scales.block_rows * across;
    float* const row = values.data() + r * scales.columns;
    for (std::uint64_t b = 0; b < across; ++b) {
      const float scale = row_scales[b];
      const std::uint64_t end = std::min(scales.columns, (b + 1) * scales.block_columns);
      for (std::uint64_t c = b * scales.block_columns; c < end; ++c) row[c] *= scale;
    }
  }
  return {};
}

Expected<void> decode_mxfp4_groups(std::span<const std::byte> blocks, std::span<const std::byte> scales,
                                   std::uint64_t first, std::span<float> out) {
  constexpr std::size_t elements = 32, bytes = 16;
  const std::uint64_t groups = std::min<std::uint64_t>(blocks.size() / bytes, scales.size());
  const std::uint64_t wanted = out.size() / elements;
  if (out.size() % elements != 0 || first > groups || wanted > groups - first) {
    return fail(ErrorKind::internal,
                fmt::format("groups {} to {} of MXFP4 were asked for where {} are", first, first + wanted, groups));
  }
  float* to = out.data();
  for (std::uint64_t g = first; g < first + wanted; ++g, to += elements) {
    const float scale = mxfp4_half_scale(static_cast<std::uint8_t>(scales[g]));
    const std::byte* const from = blocks.data() + g * bytes;
    for (std::size_t j = 0; j < bytes; ++j) {
      const auto byte = static_cast<std::uint8_t>(from[j]);
      to[2 * j] = scale * static_cast<float>(mxfp4_twice[byte & 15U]);
      to[2 * j + 1] = scale * static_cast<float>(mxfp4_twice[byte >> 4U]);
    }
  }
  return {};
}

}  // namespace moescope
