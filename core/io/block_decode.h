// The element layouts of GGUF's quantised blocks. Used by tensor_decode only. Pure functions: any thread.
#pragma once

#include <cstddef>
#include <cstdint>

#include "core/io/tensor_view.h"

namespace moescope {

// Decodes `blocks` whole blocks at `in` to blocks × elements floats at `out`.
using BlockDecoder = void (*)(const std::byte* in, std::uint64_t blocks, float* out);
// Null for types without a decoder.
[[nodiscard]] BlockDecoder block_decoder(DType type);

// 2^(e - 128) for a scale byte e: with twice the value of an E2M1 nibble it gives MXFP4's element.
[[nodiscard]] float mxfp4_half_scale(std::uint8_t exponent);
// Twice the value of an E2M1 nibble.
inline constexpr std::int8_t mxfp4_twice[16] = {0, 1, 2, 3, 4, 6, 8, 12, 0, -1, -2, -3, -4, -6, -8, -12};

// The float32 of an IEEE half, exactly; without arithmetic on subnormal numbers, which processors do slowly.
[[nodiscard]] inline float float_of_half(std::uint16_t half) {
  const std::uint32_t sign = (half & 0x8000U) << 16U;
  const std::uint32_t magnitude = (half & 0x7FFFU) << 13U;  // exponent and fraction where a float has them
  const std::uint32_t exponent = magnitude & 0x0F800000U;
  constexpr std::uint32_t rebias = (127U - 15U) << 23U;
  // Of a subnormal half: the fraction below an implicit one, which is then taken away.
  const float subnormal =
      __builtin_bit_cast(float, magnitude + rebias + (1U << 23U)) - __builtin_bit_cast(float, rebias + (1U << 23U));
  const std::uint32_t normal = magnitude + (exponent == 0x0F800000U ? 2 * rebias : rebias);
  const std::uint32_t bits = exponent == 0 ? __builtin_bit_cast(std::uint32_t, subnormal) : normal;
  return __builtin_bit_cast(float, bits | sign);
}

}  // namespace moescope
