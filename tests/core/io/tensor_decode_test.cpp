#include "core/io/tensor_decode.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <bit>
#include <cmath>
#include <cstring>
#include <limits>
#include <random>
#include <vector>

// The expected values follow the table of the format element by element: which bits an element has, then one formula.
// They share nothing with the decoders, which work block by block.
namespace moescope::tensor_decode_test {
namespace {

using ::testing::ElementsAre;
using Bytes = std::vector<std::uint8_t>;

std::vector<float> decoded(DType type, const Bytes& bytes, std::uint64_t first, std::size_t count) {
  std::vector<float> out(count, -12345.0F);
  const auto done = decode_floats(type, std::as_bytes(std::span(bytes)), first, out);
  EXPECT_TRUE(done) << done.error().text();
  return out;
}

void expect_same(float actual, float expected, std::size_t i) {
  if (std::isnan(expected)) {
    EXPECT_TRUE(std::isnan(actual)) << "element " << i;
  } else {
    EXPECT_EQ(std::bit_cast<std::uint32_t>(actual), std::bit_cast<std::uint32_t>(expected)) << "element " << i;
  }
}

// An IEEE half by its definition.
float half_value(unsigned bits) {
  const int exponent = static_cast<int>(bits >> 10U & 31U), fraction = static_cast<int>(bits & 1023U);
  double value = exponent == 0 ? std::ldexp(fraction, -24) : std::ldexp(1024 + fraction, exponent - 25);
  if (exponent == 31) {
    value = fraction == 0 ? std::numeric_limits<double>::infinity() : std::numeric_limits<double>::quiet_NaN();
  }
  return static_cast<float>((bits & 0x8000U) != 0 ? -value : value);
}

struct Block {
  const std::uint8_t* at;
  [[nodiscard]] float half(int offset) const { return half_value(at[offset] | at[offset + 1] << 8); }
  [[nodiscard]] unsigned word(int offset) const {
    return at[offset] | at[offset + 1] << 8 | at[offset + 2] << 16 | static_cast<unsigned>(at[offset + 3]) << 24;
  }
  // The nibble of element i of 32 in 16 bytes.
  [[nodiscard]] int nibble(int offset, int i) const { return i < 16 ? at[offset + i] & 15 : at[offset + i - 16] >> 4; }
};

// volatile: no fused multiply-add, whatever the compiler's options.
float product(float a, float b) {
  volatile float out = a * b;
  return out;
}

using Formula = float (*)(Block, int i);

float q4_0(Block b, int i) {
  return product(b.half(0), static_cast<float>(b.nibble(2, i) - 8));
}
float q4_1(Block b, int i) {
  return product(b.half(0), static_cast<float>(b.nibble(4, i))) + b.half(2);
}
float q5_0(Block b, int i) {
  const int n = b.nibble(6, i) + 16 * static_cast<int>(b.word(2) >> i & 1U);
  return product(b.half(0), static_cast<float>(n - 16));
}
float q5_1(Block b, int i) {
  const int n = b.nibble(8, i) + 16 * static_cast<int>(b.word(4) >> i & 1U);
  return product(b.half(0), static_cast<float>(n)) + b.half(2);
}
float q8_0(Block b, int i) {
  return product(b.half(0), static_cast<float>(static_cast<std::int8_t>(b.at[2 + i])));
}
float iq4_nl(Block b, int i) {
  const int table[] = {-127, -104, -83, -65, -49, -35, -22, -10, 1, 13, 25, 38, 53, 69, 89, 113};
  return product(b.half(0), static_cast<float>(table[b.nibble(2, i)]));
}
float mxfp4(Block b, int i) {
  const int table[] = {0, 1, 2, 3, 4, 6, 8, 12, 0, -1, -2, -3, -4, -6, -8, -12};
  return product(static_cast<float>(std::ldexp(1.0, b.at[0] - 128)), static_cast<float>(table[b.nibble(1, i)]));
}
float q2_k(Block b, int i) {
  const int n = i / 128, r = i % 128, j = r / 32, l = r % 32;
  const int v = b.at[16 + 32 * n + l] >> (2 * j) & 3, s = b.at[i / 16];
  return product(product(b.half(80), static_cast<float>(s & 15)), static_cast<float>(v)) -
         product(b.half(82), static_cast<float>(s >> 4));
}
float q3_k(Block b, int i) {
  const int n = i / 128, r = i % 128, j = r / 32, l = r % 32, s = i / 16;
  const int v = (b.at[32 + 32 * n + l] >> (2 * j) & 3) - ((b.at[l] >> (4 * n + j) & 1) != 0 ? 0 : 4);
  const int low = s < 8 ? b.at[96 + s] & 15 : b.at[96 + s - 8] >> 4, high = b.at[96 + 8 + s % 4] >> (2 * (s / 4)) & 3;
  return product(product(b.half(108), static_cast<float>(low + 16 * high - 32)), static_cast<float>(v));
}
// Scale and minimum of sub-block `s` in 12 bytes.
std::pair<int, int> six_bits(const std::uint8_t* at, int s) {
  if (s < 4) return {at[s] & 63, at[s + 4] & 63};
  return {(at[s + 4] & 15) | (at[s - 4] >> 6) << 4, (at[s + 4] >> 4) | (at[s] >> 6) << 4};
}
float q4_k(Block b, int i) {
  const int s = i / 32, l = i % 32, byte = b.at[16 + 32 * (s / 2) + l];
  const auto [scale, minimum] = six_bits(b.at + 4, s);
  return product(product(b.half(0), static_cast<float>(scale)),
                 static_cast<float>(s % 2 == 0 ? byte & 15 : byte >> 4)) -
         product(b.half(2), static_cast<float>(minimum));
}
float q5_k(Block b, int i) {
  const int s = i / 32, l = i % 32, byte = b.at[48 + 32 * (s / 2) + l];
  const int n = (s % 2 == 0 ? byte & 15 : byte >> 4) + 16 * (b.at[16 + l] >> s & 1);
  const auto [scale, minimum] = six_bits(b.at + 4, s);
  return product(product(b.half(0), static_cast<float>(scale)), static_cast<float>(n)) -
         product(b.half(2), static_cast<float>(minimum));
}
float q6_k(Block b, int i) {
  const int n = i / 128, r = i % 128, j = r / 32, l = r % 32;
  const int byte = b.at[64 * n + 32 * (j & 1) + l], low = j < 2 ? byte & 15 : byte >> 4;
  const int high = b.at[128 + 32 * n + l] >> (2 * j) & 3;
  return product(product(b.half(208), static_cast<float>(static_cast<std::int8_t>(b.at[192 + i / 16]))),
                 static_cast<float>(low + 16 * high - 32));
}

struct Layout {
  DType type;
  int elements, bytes;
  Formula formula;
};
const Layout layouts[] = {{DType::q4_0, 32, 18, q4_0},   {DType::q4_1, 32, 20, q4_1},   {DType::q5_0, 32, 22, q5_0},
                          {DType::q5_1, 32, 24, q5_1},   {DType::q8_0, 32, 34, q8_0},   {DType::iq4_nl, 32, 18, iq4_nl},
                          {DType::mxfp4, 32, 17, mxfp4}, {DType::q2_k, 256, 84, q2_k},  {DType::q3_k, 256, 110, q3_k},
                          {DType::q4_k, 256, 144, q4_k}, {DType::q5_k, 256, 176, q5_k}, {DType::q6_k, 256, 210, q6_k}};

TEST(TensorDecode, BlocksAreBitExactOnRandomBytes) {
  std::mt19937 random(7);
  for (const Layout& layout : layouts) {
    SCOPED_TRACE(dtype_name(layout.type));
    EXPECT_TRUE(can_decode(layout.type));
    EXPECT_EQ(dtype_block(layout.type).elements, static_cast<std::uint32_t>(layout.elements));
    EXPECT_EQ(dtype_block(layout.type).bytes, static_cast<std::uint32_t>(layout.bytes));
    constexpr int blocks = 300;
    Bytes bytes(static_cast<std::size_t>(layout.bytes) * blocks);
    for (auto& byte : bytes) byte = static_cast<std::uint8_t>(random());
    const auto all = decoded(layout.type, bytes, 0, static_cast<std::size_t>(layout.elements) * blocks);
    for (int i = 0; i < layout.elements * blocks; ++i) {
      const Block block{bytes.data() + i / layout.elements * layout.bytes};
      expect_same(all[static_cast<std::size_t>(i)], layout.formula(block, i % layout.elements),
                  static_cast<std::size_t>(i));
    }
  }
}

TEST(TensorDecode, AnyRangeEqualsThatPartOfTheWhole) {
  std::mt19937 random(11);
  for (const DType type : {DType::q4_0, DType::q6_k, DType::mxfp4, DType::f16, DType::f8_e4m3}) {
    const DTypeBlock block = dtype_block(type);
    Bytes bytes(std::size_t{block.bytes} * 7 + (block.bytes > 1 ? 1 : 0));  // and part of a further block
    for (auto& byte : bytes) byte = static_cast<std::uint8_t>(random());
    const std::size_t elements = std::size_t{block.elements} * 7;
    const auto whole = decoded(type, bytes, 0, elements);
    for (int trial = 0; trial < 200; ++trial) {
      const std::size_t first = random() % (elements + 1), count = random() % (elements - first + 1);
      const auto part = decoded(type, bytes, first, count);
      for (std::size_t i = 0; i < count; ++i) expect_same(part[i], whole[first + i], first + i);
    }
    std::vector<float> beyond(2);
    EXPECT_FALSE(decode_floats(type, std::as_bytes(std::span(bytes)), elements - 1, beyond));
    EXPECT_FALSE(decode_floats(type, std::as_bytes(std::span(bytes)), elements + 1, {}));
  }
}

TEST(TensorDecode, EveryHalfIsExact) {
  Bytes bytes;
  for (unsigned bits = 0; bits < 65536; ++bits) {
    bytes.push_back(static_cast<std::uint8_t>(bits & 255U));
    bytes.push_back(static_cast<std::uint8_t>(bits >> 8U));
  }
  const auto halves = decoded(DType::f16, bytes, 0, 65536);
  const auto brains = decoded(DType::bf16, bytes, 0, 65536);
  for (unsigned bits = 0; bits < 65536; ++bits) {
    expect_same(halves[bits], half_value(bits), bits);
    expect_same(brains[bits], std::bit_cast<float>(bits << 16U), bits);
  }
}

TEST(TensorDecode, PlainFloatsAreCopiedAndDoublesRounded) {
  const float floats[] = {1.5F, -0.0F, std::numeric_limits<float>::denorm_min()};
  Bytes bytes(1 + sizeof(floats));  // at an odd address
  std::memcpy(bytes.data() + 1, floats, sizeof(floats));
  std::vector<float> out(3);
  ASSERT_TRUE(decode_floats(DType::f32, std::as_bytes(std::span(bytes)).subspan(1), 0, out));
  for (std::size_t i = 0; i < 3; ++i) expect_same(out[i], floats[i], i);
  const double doubles[] = {0.1, -1e300};
  ASSERT_TRUE(decode_floats(DType::f64, std::as_bytes(std::span(doubles)), 0, std::span(out).first(2)));
  EXPECT_EQ(out[0], 0.1F);
  EXPECT_EQ(out[1], -std::numeric_limits<float>::infinity());
}

TEST(TensorDecode, EightBitFloatsHaveTheirDefinedValues) {
  // Micro-example 9 of the checkpoint reference.
  const auto e4m3 = fp8_values(DType::f8_e4m3);
  EXPECT_EQ(e4m3[0x01], 0.001953125F);
  EXPECT_EQ(e4m3[0x08], 0.015625F);
  EXPECT_EQ(e4m3[0x38], 1.0F);
  EXPECT_EQ(e4m3[0x7E], 448.0F);
  EXPECT_EQ(e4m3[0xFE], -448.0F);
  EXPECT_TRUE(std::isnan(e4m3[0x7F]) && std::isnan(e4m3[0xFF]));
  EXPECT_TRUE(std::signbit(e4m3[0x80]));
  const auto e5m2 = fp8_values(DType::f8_e5m2);
  EXPECT_EQ(e5m2[0x01], std::ldexp(1.0F, -16));
  EXPECT_EQ(e5m2[0x3C], 1.0F);
  EXPECT_EQ(e5m2[0x7B], 57344.0F);
  EXPECT_EQ(e5m2[0xFC], -std::numeric_limits<float>::infinity());
  EXPECT_TRUE(std::isnan(e5m2[0x7D]));
  const auto e4m3fnuz = fp8_values(DType::f8_e4m3fnuz);
  EXPECT_EQ(e4m3fnuz[0x01], std::ldexp(1.0F, -10));
  EXPECT_EQ(e4m3fnuz[0x40], 1.0F);
  EXPECT_EQ(e4m3fnuz[0x7F], 240.0F);
  EXPECT_TRUE(std::isnan(e4m3fnuz[0x80]));
  const auto e5m2fnuz = fp8_values(DType::f8_e5m2fnuz);
  EXPECT_EQ(e5m2fnuz[0x40], 1.0F);
  EXPECT_EQ(e5m2fnuz[0xFF], -57344.0F);
  EXPECT_TRUE(std::isnan(e5m2fnuz[0x80]));
  const auto e8m0 = fp8_values(DType::f8_e8m0);
  EXPECT_EQ(e8m0[127], 1.0F);
  EXPECT_EQ(e8m0[0], std::ldexp(1.0F, -127));
  EXPECT_EQ(e8m0[254], std::ldexp(1.0F, 127));
  EXPECT_TRUE(std::isnan(e8m0[255]));
  EXPECT_TRUE(fp8_values(DType::u8).empty());
  EXPECT_THAT(decoded(DType::f8_e4m3, {0x38, 0xB8, 0x7E}, 1, 2), ElementsAre(-1.0F, 448.0F));
}

TEST(TensorDecode, BlockScalesMultiplyWithPartialBlocksAtTheEdges) {
  // 5 × 7 in blocks of 2 × 3: 3 × 3 scales.
  const std::vector<float> scales{1, 2, 3, 4, 5, 6, 7, 8, 9};
  const BlockScales block{scales, 7, 2, 3};
  std::vector<float> values(3 * 7, 1.0F);  // rows 2 to 4
  ASSERT_TRUE(apply_block_scales(block, 2, values));
  for (std::size_t r = 0; r < 3; ++r) {
    for (std::size_t c = 0; c < 7; ++c) EXPECT_EQ(values[7 * r + c], scales[(r + 2) / 2 * 3 + c / 3]);
  }
  EXPECT_EQ(apply_block_scales(block, 4, values).error().kind, ErrorKind::input);
  EXPECT_EQ(apply_block_scales(block, 0, std::span(values).first(8)).error().kind, ErrorKind::internal);
  EXPECT_TRUE(apply_block_scales(block, 100, {}));
}

TEST(TensorDecode, HuggingFaceMxfp4HasNeighboursInOneByte) {
  // Micro-example 10: byte 0x2F with scale 128.
  Bytes blocks(32, 0), scales{127, 128};
  blocks[16] = 0x2F;
  blocks[17] = 0x10;
  std::vector<float> out(32);
  const auto bytes = [](const Bytes& from) { return std::as_bytes(std::span(from)); };
  ASSERT_TRUE(decode_mxfp4_groups(bytes(blocks), bytes(scales), 1, out));
  EXPECT_THAT(std::vector<float>(out.begin(), out.begin() + 4), ElementsAre(-12.0F, 2.0F, 0.0F, 1.0F));
  EXPECT_FALSE(decode_mxfp4_groups(bytes(blocks), bytes(scales), 2, out));
  EXPECT_FALSE(decode_mxfp4_groups(bytes(blocks), bytes(scales), 0, std::span(out).first(31)));
}

TEST(TensorDecode, BothMxfp4LayoutsHoldTheSameNibbles) {
  std::mt19937 random(3);
  Bytes blocks(16), gguf(17), scale{121};
  for (auto& byte : blocks) byte = static_cast<std::uint8_t>(random());
  const auto nibble = [&](int i) { return blocks[static_cast<std::size_t>(i / 2)] >> (i % 2 * 4) & 15; };
  gguf[0] = scale[0];
  for (int j = 0; j < 16; ++j) {
    gguf[static_cast<std::size_t>(1 + j)] = static_cast<std::uint8_t>(nibble(j) | nibble(j + 16) << 4);
  }
  std::vector<float> out(32);
  ASSERT_TRUE(decode_mxfp4_groups(std::as_bytes(std::span(blocks)), std::as_bytes(std::span(scale)), 0, out));
  EXPECT_EQ(out, decoded(DType::mxfp4, gguf, 0, 32));
}

TEST(TensorDecode, OtherTypesAreRefusedByName) {
  std::vector<float> out(1);
  const Bytes bytes(300);
  for (const DType type : {DType::i32, DType::u8, DType::c64, DType::f4, DType::iq2_xxs, DType::q8_k}) {
    EXPECT_FALSE(can_decode(type));
    const auto done = decode_floats(type, std::as_bytes(std::span(bytes)), 0, out);
    ASSERT_FALSE(done);
    EXPECT_EQ(done.error().kind, ErrorKind::input);
    EXPECT_THAT(done.error().what, ::testing::HasSubstr(dtype_name(type)));
  }
}

TEST(TensorDecode, BlockTypesHaveWholeBlocksInEveryRow) {
  using Shape = std::vector<std::uint64_t>;
  EXPECT_EQ(byte_size(DType::q4_k, Shape{3, 512}), 3U * 2 * 144);
  EXPECT_EQ(byte_size(DType::q4_0, Shape{2, 0}), 0U);
  EXPECT_FALSE(byte_size(DType::q4_0, Shape{32, 16}));
  EXPECT_FALSE(byte_size(DType::q4_0, Shape{}));
  EXPECT_FALSE(byte_size(DType::f4, Shape{3}));
  EXPECT_EQ(byte_size(DType::f6_e2m3, Shape{2, 2}), 3U);
  EXPECT_FALSE(byte_size(DType::f64, Shape{std::uint64_t{1} << 61U}));
  EXPECT_EQ(dtype_bits(DType::f32), 32);
  EXPECT_EQ(dtype_bits(DType::f6_e2m3), 6);
  EXPECT_FALSE(dtype_from_name("Q4_0"));
}

}  // namespace
}  // namespace moescope::tensor_decode_test
