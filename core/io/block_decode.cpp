#include "core/io/block_decode.h"

#include <cstring>

// Layouts: checkpoints.md, section 3.2. The products are grouped as the format defines them (scale times sub-scale,
// then the integer, then the minimum), because float32 rounds each; this file is built without fused multiply-add.
namespace moescope {
namespace {

constexpr std::int8_t iq4_values[16] = {-127, -104, -83, -65, -49, -35, -22, -10, 1, 13, 25, 38, 53, 69, 89, 113};

const std::uint8_t* as_bytes(const std::byte* in) {
  return reinterpret_cast<const std::uint8_t*>(in);
}

float half_at(const std::uint8_t* at) {
  std::uint16_t half = 0;
  std::memcpy(&half, at, sizeof(half));
  return float_of_half(half);
}

float integer(int value) {
  return static_cast<float>(value);
}

// Calls `one(block, out)` for block after block.
template <std::size_t BlockBytes, typename OneBlock>
void each_block(const std::byte* in, std::uint64_t blocks, float* out, std::size_t elements, OneBlock one) {
  const std::uint8_t* at = as_bytes(in);
  for (std::uint64_t b = 0; b < blocks; ++b, at += BlockBytes, out += elements) one(at, out);
}

void decode_q4_0(const std::byte* in, std::uint64_t blocks, float* out) {
  each_block<18>(in, blocks, out, 32, [](const std::uint8_t* block, float* to) {
    const float d = half_at(block);
    const std::uint8_t* q = block + 2;
    for (int i = 0; i < 16; ++i) {
      to[i] = d * integer((q[i] & 15) - 8);
      to[i + 16] = d * integer((q[i] >> 4) - 8);
    }
  });
}

void decode_q4_1(const std::byte* in, std::uint64_t blocks, float* out) {
  each_block<20>(in, blocks, out, 32, [](const std::uint8_t* block, float* to) {
    const float d = half_at(block), m = half_at(block + 2);
    const std::uint8_t* q = block + 4;
    for (int i = 0; i < 16; ++i) {
      to[i] = d * integer(q[i] & 15) + m;
      to[i + 16] = d * integer(q[i] >> 4) + m;
    }
  });
}

void decode_q5_0(const std::byte* in, std::uint64_t blocks, float* out) {
  each_block<22>(in, blocks, out, 32, [](const std::uint8_t* block, float* to) {
    const float d = half_at(block);
    std::uint32_t high = 0;
    std::memcpy(&high, block + 2, sizeof(high));
    const std::uint8_t* q = block + 6;
    for (int i = 0; i < 16; ++i) {
      to[i] = d * integer(((q[i] & 15) | static_cast<int>(((high >> i) & 1U) << 4U)) - 16);
      to[i + 16] = d * integer(((q[i] >> 4) | static_cast<int>(((high >> (i + 16)) & 1U) << 4U)) - 16);
    }
  });
}

void decode_q5_1(const std::byte* in, std::uint64_t blocks, float* out) {
  each_block<24>(in, blocks, out, 32, [](const std::uint8_t* block, float* to) {
    const float d = half_at(block), m = half_at(block + 2);
    std::uint32_t high = 0;
    std::memcpy(&high, block + 4, sizeof(high));
    const std::uint8_t* q = block + 8;
    for (int i = 0; i < 16; ++i) {
      to[i] = d * integer((q[i] & 15) | static_cast<int>(((high >> i) & 1U) << 4U)) + m;
      to[i + 16] = d * integer((q[i] >> 4) | static_cast<int>(((high >> (i + 16)) & 1U) << 4U)) + m;
    }
  });
}

void decode_q8_0(const std::byte* in, std::uint64_t blocks, float* out) {
  each_block<34>(in, blocks, out, 32, [](const std::uint8_t* block, float* to) {
    const float d = half_at(block);
    for (int i = 0; i < 32; ++i) to[i] = d * integer(static_cast<std::int8_t>(block[2 + i]));
  });
}

void decode_iq4_nl(const std::byte* in, std::uint64_t blocks, float* out) {
  each_block<18>(in, blocks, out, 32, [](const std::uint8_t* block, float* to) {
    const float d = half_at(block);
    const std::uint8_t* q = block + 2;
    for (int i = 0; i < 16; ++i) {
      to[i] = d * integer(iq4_values[q[i] & 15]);
      to[i + 16] = d * integer(iq4_values[q[i] >> 4]);
    }
  });
}

void decode_mxfp4(const std::byte* in, std::uint64_t blocks, float* out) {
  each_block<17>(in, blocks, out, 32, [](const std::uint8_t* block, float* to) {
    const float d = mxfp4_half_scale(block[0]);
    const std::uint8_t* q = block + 1;
    for (int i = 0; i < 16; ++i) {
      to[i] = d * integer(mxfp4_twice[q[i] & 15]);
      to[i + 16] = d * integer(mxfp4_twice[q[i] >> 4]);
    }
  });
}

void decode_q2_k(const std::byte* in, std::uint64_t blocks, float* out) {
  each_block<84>(in, blocks, out, 256, [](const std::uint8_t* block, float* to) {
    const std::uint8_t* scales = block;
    const std::uint8_t* q = block + 16;
    const float d = half_at(block + 80), minimum = half_at(block + 82);
    for (int part = 0; part < 16; ++part) {  // 16 elements with one scale
      const float scale = d * integer(scales[part] & 15), offset = minimum * integer(scales[part] >> 4);
      const std::uint8_t* from = q + 32 * (part / 8) + 16 * (part % 2);
      const int shift = 2 * (part % 8 / 2);
      for (int l = 0; l < 16; ++l) to[16 * part + l] = scale * integer((from[l] >> shift) & 3) - offset;
    }
  });
}

void decode_q3_k(const std::byte* in, std::uint64_t blocks, float* out) {
  each_block<110>(in, blocks, out, 256, [](const std::uint8_t* block, float* to) {
    const std::uint8_t* mask = block;
    const std::uint8_t* q = block + 32;
    const std::uint8_t* scales = block + 96;
    const float d = half_at(block + 108);
    for (int part = 0; part < 16; ++part) {
      const int low = part < 8 ? scales[part] & 15 : scales[part - 8] >> 4;
      const int high = (scales[8 + part % 4] >> (2 * (part / 4))) & 3;
      const float scale = d * integer(low + 16 * high - 32);
      const int within = 16 * (part % 2), shift = 2 * (part % 8 / 2), bit = part / 2;
      const std::uint8_t* from = q + 32 * (part / 8) + within;
      for (int l = 0; l < 16; ++l) {
        const int value = ((from[l] >> shift) & 3) - (((mask[within + l] >> bit) & 1) != 0 ? 0 : 4);
        to[16 * part + l] = scale * integer(value);
      }
    }
  });
}

// The six-bit scale and minimum of sub-block b of Q4_K and Q5_K.
struct SixBits {
  int scale, minimum;
};
SixBits six_bits(const std::uint8_t* s, int b) {
  if (b < 4) return {s[b] & 63, s[b + 4] & 63};
  return {(s[b + 4] & 15) | ((s[b - 4] >> 6) << 4), (s[b + 4] >> 4) | ((s[b] >> 6) << 4)};
}

void decode_q4_k(const std::byte* in, std::uint64_t blocks, float* out) {
  each_block<144>(in, blocks, out, 256, [](const std::uint8_t* block, float* to) {
    const float d = half_at(block), minimum = half_at(block + 2);
    for (int b = 0; b < 8; ++b) {
      const SixBits bits = six_bits(block + 4, b);
      const float scale = d * integer(bits.scale), offset = minimum * integer(bits.minimum);
      const std::uint8_t* from = block + 16 + 32 * (b / 2);
      const int shift = 4 * (b % 2);
      for (int l = 0; l < 32; ++l) to[32 * b + l] = scale * integer((from[l] >> shift) & 15) - offset;
    }
  });
}

void decode_q5_k(const std::byte* in, std::uint64_t blocks, float* out) {
  each_block<176>(in, blocks, out, 256, [](const std::uint8_t* block, float* to) {
    const float d = half_at(block), minimum = half_at(block + 2);
    const std::uint8_t* high = block + 16;
    for (int b = 0; b < 8; ++b) {
      const SixBits bits = six_bits(block + 4, b);
      const float scale = d * integer(bits.scale), offset = minimum * integer(bits.minimum);
      const std::uint8_t* from = block + 48 + 32 * (b / 2);
      const int shift = 4 * (b % 2);
      for (int l = 0; l < 32; ++l) {
        const int value = ((from[l] >> shift) & 15) + (((high[l] >> b) & 1) << 4);
        to[32 * b + l] = scale * integer(value) - offset;
      }
    }
  });
}

void decode_q6_k(const std::byte* in, std::uint64_t blocks, float* out) {
  each_block<210>(in, blocks, out, 256, [](const std::uint8_t* block, float* to) {
    const std::uint8_t* low = block;
    const std::uint8_t* high = block + 128;
    const float d = half_at(block + 208);
    for (int part = 0; part < 16; ++part) {
      const float scale = d * integer(static_cast<std::int8_t>(block[192 + part]));
      const int half = part / 8, quarter = part % 8 / 2, within = 16 * (part % 2);
      const std::uint8_t* from = low + 64 * half + 32 * (quarter % 2) + within;
      const std::uint8_t* upper = high + 32 * half + within;
      const int shift = 4 * (quarter / 2), upper_shift = 2 * quarter;
      for (int l = 0; l < 16; ++l) {
        const int value = ((from[l] >> shift) & 15) + (((upper[l] >> upper_shift) & 3) << 4) - 32;
        to[16 * part + l] = scale * integer(value);
      }
    }
  });
}

}  // namespace

float mxfp4_half_scale(std::uint8_t exponent) {
  // The two smallest are subnormal numbers.
  const std::uint32_t bits =
      exponent >= 2 ? (std::uint32_t{exponent} - 1U) << 23U : (exponent == 1 ? 0x00400000U : 0x00200000U);
  return __builtin_bit_cast(float, bits);
}

BlockDecoder block_decoder(DType type) {
  switch (type) {
    case DType::q4_0:
      return decode_q4_0;
    case DType::q4_1:
      return decode_q4_1;
    case DType::q5_0:
      return decode_q5_0;
    case DType::q5_1:
      return decode_q5_1;
    case DType::q8_0:
      return decode_q8_0;
    case DType::q2_k:
      return decode_q2_k;
    case DType::q3_k:
      return decode_q3_k;
    case DType::q4_k:
      return decode_q4_k;
    case DType::q5_k:
      return decode_q5_k;
    case DType::q6_k:
      return decode_q6_k;
    case DType::iq4_nl:
      return decode_iq4_nl;
    case DType::mxfp4:
      return decode_mxfp4;
    default:
      return nullptr;
  }
}

}  // namespace moescope
