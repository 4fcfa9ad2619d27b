// A model whose weights are GGUF blocks gives what the same numbers give from float32: one file in which every type of
// block holds some weight, against a folder with the decoded numbers.
#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <bit>
#include <fstream>
#include <random>
#include <set>

#include "core/io/safetensors_writer.h"
#include "core/io/tensor_decode.h"
#include "tests/core/io/gguf_bytes.h"
#include "tests/plugins/torch_engine/engine_fixture.h"

namespace moescope::engine_quantised_test {
namespace {

using fixtures::GgufBytes;

// A type, its number in the file, and where the half floats of a block lie, with values that make weights of about
// 1/16. What lies between is drawn at random: any bits are a valid block.
struct Block {
  DType type;
  std::uint32_t number;
  std::vector<std::pair<std::size_t, float>> scales;
};
const std::array<Block, 14>& blocks() {
  static const std::array<Block, 14> all{{{DType::q4_0, 2, {{0, 0.013F}}},
                                          {DType::q4_1, 3, {{0, 0.013F}, {2, -0.1F}}},
                                          {DType::q5_0, 6, {{0, 0.0068F}}},
                                          {DType::q5_1, 7, {{0, 0.0068F}, {2, -0.1F}}},
                                          {DType::q8_0, 8, {{0, 0.0008F}}},
                                          {DType::q2_k, 10, {{80, 0.005F}, {82, 0.005F}}},
                                          {DType::q3_k, 11, {{108, 0.0017F}}},
                                          {DType::q4_k, 12, {{0, 0.0003F}, {2, 0.002F}}},
                                          {DType::q5_k, 13, {{0, 0.00013F}, {2, 0.0015F}}},
                                          {DType::q6_k, 14, {{208, 0.00007F}}},
                                          {DType::iq4_nl, 20, {{0, 0.001F}}},
                                          {DType::mxfp4, 39, {}},
                                          {DType::bf16, 30, {}},
                                          {DType::f16, 1, {}}}};
  return all;
}

// Of a normal number in the range of halves.
std::uint16_t half(float value) {
  const auto bits = std::bit_cast<std::uint32_t>(value);
  const std::uint32_t exponent = ((bits >> 23U) & 0xFFU) - 127 + 15;
  return static_cast<std::uint16_t>(((bits >> 16U) & 0x8000U) | (exponent << 10U) | ((bits >> 13U) & 0x3FFU));
}

constexpr std::uint64_t width = 256, experts = 4, vocabulary = 48, layers = 2;

class EngineQuantised : public engine_test::EngineTest {
 protected:
  void SetUp() override {
    engine_test::EngineTest::SetUp();
    gguf_.add("general.architecture", "olmoe");
    const std::vector<std::pair<const char*, std::uint32_t>> numbers{
        {"block_count", layers},   {"embedding_length", width}, {"attention.head_count", 4},
        {"expert_count", experts}, {"expert_used_count", 2},    {"feed_forward_length", width},
        {"context_length", 64},    {"vocab_size", vocabulary}};
    for (const auto& [key, value] : numbers) gguf_.add(std::string("olmoe.") + key, value);
    gguf_.add("olmoe.attention.layer_norm_rms_epsilon", 1e-5F);

    matrix("token_embd.weight", "model.embed_tokens.weight", vocabulary);
    matrix("output.weight", "lm_head.weight", vocabulary);
    plain("output_norm.weight", "model.norm.weight", 1, 1.0F, 0.1F);
    for (std::uint64_t l = 0; l < layers; ++l) {
      const std::string block = "blk." + std::to_string(l) + ".", layer = "model.layers." + std::to_string(l) + ".";
      plain(block + "attn_norm.weight", layer + "input_layernorm.weight", 1, 1.0F, 0.1F);
      plain(block + "ffn_norm.weight", layer + "post_attention_layernorm.weight", 1, 1.0F, 0.1F);
      plain(block + "attn_q_norm.weight", layer + "self_attn.q_norm.weight", 1, 1.0F, 0.1F);
      plain(block + "attn_k_norm.weight", layer + "self_attn.k_norm.weight", 1, 1.0F, 0.1F);
      plain(block + "ffn_gate_inp.weight", layer + "mlp.gate.weight", experts, 0.0F, 0.12F);
      matrix(block + "attn_q.weight", layer + "self_attn.q_proj.weight", width);
      matrix(block + "attn_k.weight", layer + "self_attn.k_proj.weight", width);
      matrix(block + "attn_v.weight", layer + "self_attn.v_proj.weight", width);
      matrix(block + "attn_output.weight", layer + "self_attn.o_proj.weight", width);
      for (const char* part : {"gate", "up", "down"}) {
        stack(block + "ffn_" + part + "_exps.weight", layer + "mlp.experts.", std::string(part) + "_proj.weight");
      }
    }
    std::ofstream(folder_ / "quantised.gguf", std::ios::binary) << gguf_.bytes();
    std::filesystem::create_directories(folder_ / "plain");
    std::ofstream(folder_ / "plain/config.json") << R"({"model_type": "olmoe", "vocab_size": 48, "hidden_size": 256,
      "intermediate_size": 256, "num_hidden_layers": 2, "num_attention_heads": 4, "max_position_embeddings": 64,
      "rms_norm_eps": 1e-5, "num_experts": 4, "num_experts_per_tok": 2, "norm_topk_prob": false})";
    std::vector<TensorSpec> specs;
    for (const auto& [name, values] : decoded_) {
      const bool vector = values.size() == width;
      specs.push_back(
          {name, DType::f32,
           vector ? std::vector<std::uint64_t>{width} : std::vector<std::uint64_t>{values.size() / width, width}});
    }
    auto writer = SafetensorsWriter::create(folder_ / "plain/model.safetensors", specs, {});
    ASSERT_TRUE(writer.has_value());
    for (const auto& [name, values] : decoded_) {
      ASSERT_TRUE(writer->write(name, std::as_bytes(std::span<const float>(values))).has_value());
    }
    ASSERT_TRUE(writer->finish().has_value());
  }

  // A matrix of `rows` rows in the next type.
  void matrix(const std::string& name, const std::string& plain_name, std::uint64_t rows) {
    const std::string bytes = draw(rows * width);
    decoded_.emplace_back(plain_name, decode(bytes, rows * width));
    gguf_.tensor(name, {width, rows}, last().number, bytes);
  }
  // The experts' matrices, all of one type, in one tensor here and one each there.
  void stack(const std::string& name, const std::string& prefix, const std::string& suffix) {
    constexpr std::uint64_t each = width * width;
    const std::string bytes = draw(experts * each);
    const std::vector<float> all = decode(bytes, experts * each);
    for (std::uint64_t e = 0; e < experts; ++e) {
      const auto begin = all.begin() + static_cast<std::ptrdiff_t>(e * each);
      decoded_.emplace_back(prefix + std::to_string(e) + "." + suffix,
                            std::vector<float>(begin, begin + static_cast<std::ptrdiff_t>(each)));
    }
    gguf_.tensor(name, {width, width, experts}, last().number, bytes);
  }
  // Rows of float32 in both.
  void plain(const std::string& name, const std::string& plain_name, std::uint64_t rows, float mean, float spread) {
    std::normal_distribution<float> normal(mean, spread);
    std::vector<float> values(rows * width);
    for (float& value : values) value = normal(bits_);
    const std::string bytes(reinterpret_cast<const char*>(values.data()), values.size() * sizeof(float));
    gguf_.tensor(name, rows == 1 ? std::vector<std::uint64_t>{width} : std::vector<std::uint64_t>{width, rows}, 0,
                 bytes);
    decoded_.emplace_back(plain_name, std::move(values));
  }

  [[nodiscard]] const Block& last() const { return blocks()[(next_ - 1) % blocks().size()]; }
  std::string draw(std::uint64_t count) {
    const Block& block = blocks()[next_++ % blocks().size()];
    used_.insert(block.type);
    std::normal_distribution<float> normal(0.0F, 1.0F / 16);
    std::string out;
    if (block.type == DType::bf16 || block.type == DType::f16) {
      for (std::uint64_t i = 0; i < count; ++i) {
        const float value = normal(bits_) + 1.0F / 64;  // a half needs an exponent in its range
        const float safe = std::abs(value) < 1e-3F ? 1e-3F : value;
        const std::uint16_t bits = block.type == DType::f16
                                       ? half(safe)
                                       : static_cast<std::uint16_t>(std::bit_cast<std::uint32_t>(safe) >> 16U);
        out += GgufBytes::raw(bits);
      }
      return out;
    }
    const DTypeBlock size = dtype_block(block.type);
    out.resize(count / size.elements * size.bytes);
    for (char& byte : out) byte = static_cast<char>(bits_());
    for (std::size_t begin = 0; begin < out.size(); begin += size.bytes) {
      for (const auto& [place, value] : block.scales) {
        out.replace(begin + place, 2, GgufBytes::raw(half(value)));
      }
      if (block.type == DType::mxfp4) out[begin] = static_cast<char>(121);
    }
    return out;
  }
  [[nodiscard]] std::vector<float> decode(const std::string& bytes, std::uint64_t count) const {
    std::vector<float> out(count);
    EXPECT_TRUE(decode_floats(last().type, std::as_bytes(std::span(bytes)), 0, out).has_value());
    return out;
  }
  Trace capture(const std::string& checkpoint, std::uint64_t limit) {
    RunRequest request;
    request.checkpoint = (folder_ / checkpoint).string();
    for (std::int32_t t = 0; t < 40; ++t) ids_.push_back(t * 17 % 48);
    request.sequences = {{ids_, "", {}, {}}};
    ids_.clear();
    request.record.router_logits = request.record.output_logits = true;
    request.device = Device::cpu;
    request.memory_limit = limit;
    return run(std::move(request));
  }

  std::mt19937 bits_{11};
  std::size_t next_ = 0;
  std::set<DType> used_;
  GgufBytes gguf_;
  std::vector<std::pair<std::string, std::vector<float>>> decoded_;
  std::vector<std::int32_t> ids_;
};

TEST_F(EngineQuantised, EveryTypeOfBlockGivesWhatItsNumbersGive) {
  EXPECT_EQ(used_.size(), blocks().size());
  const Trace plain = capture("plain", std::uint64_t{1} << 32U);
  ASSERT_EQ(plain.token_count(), 40U);
  std::set<std::uint32_t> chosen;
  for (const std::uint64_t limit : {std::uint64_t{1} << 32U, std::uint64_t{1}}) {
    const Trace quantised = capture("quantised.gguf", limit);
    ASSERT_EQ(quantised.token_count(), 40U);
    const Segment &a = *plain.segments.at(0), &b = *quantised.segments.at(0);
    for (std::size_t row = 0; row < layers; ++row) {
      for (std::size_t t = 0; t < 40; ++t) {
        for (std::size_t j = 0; j < 2; ++j) {
          EXPECT_EQ(a.id(row, t, j), b.id(row, t, j)) << "row " << row << " token " << t;
          chosen.insert(a.id(row, t, j));
        }
      }
    }
    EXPECT_LT(largest_difference(floats(a.gate_weights), floats(b.gate_weights)), 1e-6);
    EXPECT_LT(largest_difference(floats(a.router_logits), floats(b.router_logits)), 1e-5);
    EXPECT_LT(largest_difference(output_logits(plain), output_logits(quantised)), 1e-4);
  }
  EXPECT_EQ(chosen.size(), experts);
  // The comparison is of numbers that say something.
  const auto logits = output_logits(plain);
  EXPECT_GT(*std::max_element(logits.begin(), logits.end()), 0.5F);
}

}  // namespace
}  // namespace moescope::engine_quantised_test
