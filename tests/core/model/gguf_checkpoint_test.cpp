#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstring>
#include <filesystem>
#include <map>

#include "core/model/checkpoint.h"
#include "tests/core/io/gguf_bytes.h"
#include "tests/core/io/temporary_folder.h"

namespace moescope::gguf_checkpoint_test {
namespace {

using fixtures::GgufBytes;
using fixtures::TemporaryFolder;
using ::testing::HasSubstr;

namespace fs = std::filesystem;

fs::path golden(const std::string& name) {
  return fs::path(MOESCOPE_TEST_DATA) / "golden" / name;
}

std::shared_ptr<const Checkpoint> open(const fs::path& path) {
  auto opened = Checkpoint::open(path);
  if (!opened) {
    ADD_FAILURE() << opened.error().text();
    return nullptr;
  }
  return *opened;
}

// A matrix of a checkpoint, row by row.
std::vector<float> matrix(const Checkpoint& checkpoint, const WeightUse& use) {
  const auto slice = checkpoint.weight(use.role, use.layer, use.expert);
  if (!slice) {
    ADD_FAILURE() << slice.error().text();
    return {};
  }
  std::vector<float> out(static_cast<std::size_t>(use.rows * use.columns));
  const auto read = read_rows(*slice, 0, out);
  EXPECT_TRUE(read) << read.error().text();
  return out;
}

// Rows as the converter of the llama architecture stores q and k: within a head, (half, i) becomes (i, half).
std::vector<float> permuted(const std::vector<float>& rows, std::uint64_t columns, std::uint64_t head) {
  std::vector<float> out(rows.size());
  for (std::uint64_t r = 0; r < rows.size() / columns; ++r) {
    const std::uint64_t within = r % head, half = within / (head / 2), i = within % (head / 2);
    const std::uint64_t to = r - within + 2 * i + half;
    std::copy_n(rows.begin() + static_cast<std::ptrdiff_t>(r * columns), columns,
                out.begin() + static_cast<std::ptrdiff_t>(to * columns));
  }
  return out;
}

// The latent projection of all heads from its two tensors: per head the keys, then the values.
std::vector<float> joined_kv_b(const Checkpoint& checkpoint, const WeightUse& use) {
  std::vector<float> out;
  for (std::uint32_t head = 0; head < checkpoint.spec().heads; ++head) {
    for (const bool values : {false, true}) {
      const auto slice = checkpoint.latent_head(use.layer, head, values);
      if (!slice) {
        ADD_FAILURE() << slice.error().text();
        return {};
      }
      std::vector<float> part(static_cast<std::size_t>(slice->elements()));
      EXPECT_TRUE(read_rows(*slice, 0, part));
      out.insert(out.end(), part.begin(), part.end());
    }
  }
  return out;
}

class GoldenGguf : public ::testing::TestWithParam<std::string> {};

TEST_P(GoldenGguf, IsTheSameModelAsItsSafetensors) {
  const auto gguf = open(golden(GetParam()) / "model.gguf");
  const auto plain = open(golden(GetParam()));
  ASSERT_TRUE(gguf && plain);
  const ModelSpec& a = gguf->spec();
  const ModelSpec& b = plain->spec();
  EXPECT_EQ(a.family, b.family);
  EXPECT_EQ(a.heads, b.heads);
  EXPECT_EQ(a.kv_heads, b.kv_heads);
  EXPECT_EQ(a.head_dim, b.head_dim);
  EXPECT_EQ(a.max_positions, b.max_positions);
  EXPECT_FLOAT_EQ(static_cast<float>(a.norm_epsilon), static_cast<float>(b.norm_epsilon));
  EXPECT_FLOAT_EQ(static_cast<float>(a.rope.theta), static_cast<float>(b.rope.theta));
  EXPECT_EQ(a.rope.dims, b.rope.dims);
  EXPECT_EQ(a.rope.scaling, b.rope.scaling);
  EXPECT_NEAR(a.attention_scale, b.attention_scale, 1e-7);
  EXPECT_EQ(a.parameters_total(), b.parameters_total());
  EXPECT_EQ(a.parameters_active(), b.parameters_active());
  ASSERT_EQ(a.layers.size(), b.layers.size());
  for (std::size_t l = 0; l < a.layers.size(); ++l) {
    EXPECT_EQ(a.layers[l].kind, b.layers[l].kind);
    EXPECT_EQ(router_rule_words(a.layers[l].rule, a.layers[l].k), router_rule_words(b.layers[l].rule, b.layers[l].k));
  }
  const bool converted = a.family == "mixtral" || a.family == "granitemoe";
  EXPECT_EQ(a.rope.interleaved, converted || b.rope.interleaved);
  std::size_t compared = 0;
  for_each_weight(b, [&](const WeightUse& use) {
    std::vector<float> expected = matrix(*plain, use);
    if (converted && (use.role == WeightRole::q || use.role == WeightRole::k)) {
      expected = permuted(expected, use.columns, b.head_dim);
    }
    const bool split = use.role == WeightRole::kv_b && gguf->names().split_kv_b;
    const auto actual = split ? joined_kv_b(*gguf, use) : matrix(*gguf, use);
    EXPECT_EQ(actual, expected) << weight_role_name(use.role) << " layer " << use.layer << " expert " << use.expert;
    ++compared;
    return true;
  });
  EXPECT_GT(compared, 20U);
  EXPECT_EQ(gguf->folder(), golden(GetParam()) / "model.gguf");
  EXPECT_EQ(gguf->tokenizer(), nullptr);
}

INSTANTIATE_TEST_SUITE_P(Families, GoldenGguf,
                         ::testing::Values("deepseek_v2", "deepseek_v2_yarn", "deepseek_v3", "glm4_moe", "granitemoe",
                                           "mixtral", "olmoe", "qwen2_moe", "qwen3_moe"),
                         [](const auto& name) { return name.param; });

class GgufCheckpoint : public ::testing::Test {
 protected:
  // A whole model of one layer with hidden size 32 and two experts; `type` is that of the experts' gate and up.
  static GgufBytes model(std::uint32_t type = 0, const std::string& skipped = {}) {
    GgufBytes out;
    out.add("general.architecture", "llama");
    out.add("general.name", "Tiny");
    const std::vector<std::pair<std::string, std::uint32_t>> numbers{
        {"block_count", 1},  {"embedding_length", 32},    {"attention.head_count", 2}, {"attention.head_count_kv", 1},
        {"expert_count", 2}, {"expert_used_count", 1},    {"feed_forward_length", 32}, {"context_length", 64},
        {"vocab_size", 4},   {"rope.dimension_count", 16}};
    for (const auto& [key, value] : numbers) {
      if (key != skipped) out.add("llama." + key, value);
    }
    const auto floats = [](std::size_t count) {
      std::string bytes;
      for (std::size_t i = 0; i < count; ++i) bytes += GgufBytes::raw(static_cast<float>(i % 7) - 3.0F);
      return bytes;
    };
    const auto add = [&](const std::string& name, const std::vector<std::uint64_t>& dims) {
      std::uint64_t count = 1;
      for (const std::uint64_t extent : dims) count *= extent;
      if (name != skipped) out.tensor(name, dims, 0, floats(count));
    };
    add("token_embd.weight", {32, 4});
    add("output_norm.weight", {32});
    for (const char* name : {"attn_norm", "ffn_norm"}) add(std::string("blk.0.") + name + ".weight", {32});
    add("blk.0.attn_q.weight", {32, 32});
    add("blk.0.attn_k.weight", {32, 16});
    add("blk.0.attn_v.weight", {32, 16});
    add("blk.0.attn_output.weight", {32, 32});
    add("blk.0.ffn_gate_inp.weight", {32, 2});
    for (const char* name : {"blk.0.ffn_gate_exps.weight", "blk.0.ffn_up_exps.weight"}) {
      if (type == 0) {
        add(name, {32, 32, 2});
      } else {  // Q8_0: a half scale of 1, then 0 … 31
        std::string block = std::string("\x00\x3C", 2);
        for (int i = 0; i < 32; ++i) block.push_back(static_cast<char>(i));
        std::string blocks;
        for (int row = 0; row < 64; ++row) blocks += block;
        out.tensor(name, {32, 32, 2}, type, blocks);
      }
    }
    add("blk.0.ffn_down_exps.weight", {32, 32, 2});
    return out;
  }
  std::string problem(const GgufBytes& bytes) const {
    const auto opened = Checkpoint::open(folder_.write("m.gguf", bytes.bytes()));
    if (opened) {
      ADD_FAILURE() << "was accepted";
      return {};
    }
    EXPECT_EQ(opened.error().kind, ErrorKind::input);
    return opened.error().text();
  }
  TemporaryFolder folder_;
};

TEST_F(GgufCheckpoint, AFolderWithOneFileIsThatModel) {
  folder_.write("m.gguf", model().bytes());
  const auto checkpoint = open(folder_.path());
  ASSERT_TRUE(checkpoint);
  EXPECT_EQ(checkpoint->spec().name, "Tiny");
  EXPECT_TRUE(checkpoint->spec().tied_embeddings);
  EXPECT_EQ(checkpoint->folder(), folder_.path() / "m.gguf");
  EXPECT_EQ(checkpoint->tensors().size(), 12U);
  folder_.write("n.gguf", model().bytes());
  EXPECT_THAT(Checkpoint::open(folder_.path()).error().what, HasSubstr("several GGUF files"));
}

TEST_F(GgufCheckpoint, QuantisedExpertsAreReadThroughTheirBlocks) {
  const auto checkpoint = open(folder_.write("m.gguf", model(8).bytes()));
  ASSERT_TRUE(checkpoint);
  const auto slice = checkpoint->weight(WeightRole::expert_up, 0, 1);
  ASSERT_TRUE(slice);
  std::vector<float> row(32);
  ASSERT_TRUE(read_rows(*slice, 31, row));
  for (std::size_t i = 0; i < 32; ++i) EXPECT_EQ(row[i], static_cast<float>(i));
}

TEST_F(GgufCheckpoint, TypesWithoutADecoderAreNamed) {
  GgufBytes out = model(0, "blk.0.ffn_gate_exps.weight");
  out.tensor("blk.0.ffn_gate_exps.weight", {32, 32, 2}, 9, std::string(64 * 36, '\0'));
  EXPECT_THAT(problem(out), HasSubstr("Q8_1"));
}

TEST_F(GgufCheckpoint, MissingKeysAndTensorsAreNamed) {
  EXPECT_THAT(problem(model(0, "embedding_length")), HasSubstr("llama.embedding_length"));
  EXPECT_THAT(problem(model(0, "attention.head_count")), HasSubstr("llama.attention.head_count"));
  EXPECT_THAT(problem(model(0, "expert_used_count")), HasSubstr("llama.expert_used_count"));
  EXPECT_THAT(problem(model(0, "expert_count")), HasSubstr("no experts"));
  EXPECT_THAT(problem(model(0, "blk.0.ffn_down_exps.weight")), HasSubstr("blk.0.ffn_down_exps.weight is missing"));
}

TEST_F(GgufCheckpoint, AbsurdValuesAreErrors) {
  for (const auto& [key, value] : std::vector<std::pair<const char*, std::uint32_t>>{{"block_count", 4294967295U},
                                                                                     {"block_count", 0},
                                                                                     {"attention.head_count", 3},
                                                                                     {"attention.head_count", 0},
                                                                                     {"expert_used_count", 3},
                                                                                     {"rope.dimension_count", 8}}) {
    GgufBytes out = model(0, key);
    out.add(std::string("llama.") + key, value);
    EXPECT_FALSE(problem(out).empty());
  }
  GgufBytes text = model(0, "embedding_length");
  text.add("llama.embedding_length", "32");
  EXPECT_THAT(problem(text), HasSubstr("another kind of value"));
  GgufBytes scaling = model();
  scaling.add("llama.rope.scaling.type", "something");
  EXPECT_THAT(problem(scaling), HasSubstr("something"));
}

TEST_F(GgufCheckpoint, OtherArchitecturesAreNamed) {
  GgufBytes out;
  out.add("general.architecture", "bert");
  EXPECT_THAT(problem(out), HasSubstr("\"bert\""));
  EXPECT_THAT(problem(GgufBytes()), HasSubstr("architecture"));
}

TEST_F(GgufCheckpoint, AVocabularyInTheFileIsItsTokenizer) {
  GgufBytes out = model();
  out.add("tokenizer.ggml.model", "llama");
  out.add("tokenizer.ggml.tokens", std::vector<std::string>{"<unk>", "<s>", "\u2581a", "b"});
  out.add_numbers("tokenizer.ggml.scores", GgufBytes::f32, std::vector<float>{0, 0, 0, 0});
  const auto checkpoint = open(folder_.write("m.gguf", out.bytes()));
  ASSERT_TRUE(checkpoint);
  ASSERT_NE(checkpoint->tokenizer(), nullptr);
  EXPECT_THAT(checkpoint->tokenizer()->encode("ab", false)->ids, ::testing::ElementsAre(2, 3));
  out.add("tokenizer.ggml.bos_token_id", std::uint32_t{77});
  const auto broken = open(folder_.write("m.gguf", out.bytes()));
  ASSERT_TRUE(broken);
  EXPECT_EQ(broken->tokenizer(), nullptr);
  EXPECT_TRUE(broken->tokenizer_error());
}

// gpt-oss has no golden GGUF file, so one is made from its safetensors: gate and up apart, experts stacked.
TEST_F(GgufCheckpoint, GptOssIsTheSameModelAsTheSafetensorsItIsMadeFrom) {
  const auto plain = open(golden("gpt_oss"));
  ASSERT_TRUE(plain);
  const ModelSpec& spec = plain->spec();
  GgufBytes out;
  out.add("general.architecture", "gpt-oss");
  const auto number = [&](const char* key, std::uint32_t value) { out.add(std::string("gpt-oss.") + key, value); };
  number("block_count", static_cast<std::uint32_t>(spec.layers.size()));
  number("embedding_length", spec.hidden);
  number("context_length", spec.max_positions);
  number("attention.head_count", spec.heads);
  number("attention.head_count_kv", spec.kv_heads);
  number("attention.key_length", spec.head_dim);
  number("attention.value_length", spec.head_dim);
  number("attention.sliding_window", spec.layers[0].window);
  number("expert_count", spec.layers[0].experts);
  number("expert_used_count", spec.layers[0].k);
  number("expert_feed_forward_length", spec.layers[0].intermediate);
  number("rope.scaling.original_context_length", static_cast<std::uint32_t>(spec.rope.original_positions));
  out.add("gpt-oss.attention.layer_norm_rms_epsilon", static_cast<float>(spec.norm_epsilon));
  out.add("gpt-oss.rope.freq_base", static_cast<float>(spec.rope.theta));
  out.add("gpt-oss.rope.scaling.type", "yarn");
  out.add("gpt-oss.rope.scaling.factor", static_cast<float>(spec.rope.factor));
  const std::map<WeightRole, std::string> names{{WeightRole::embedding, "token_embd.weight"},
                                                {WeightRole::final_norm, "output_norm.weight"},
                                                {WeightRole::lm_head, "output.weight"},
                                                {WeightRole::input_norm, "attn_norm.weight"},
                                                {WeightRole::post_norm, "post_attention_norm.weight"},
                                                {WeightRole::q, "attn_q.weight"},
                                                {WeightRole::k, "attn_k.weight"},
                                                {WeightRole::v, "attn_v.weight"},
                                                {WeightRole::o, "attn_output.weight"},
                                                {WeightRole::q_bias, "attn_q.bias"},
                                                {WeightRole::k_bias, "attn_k.bias"},
                                                {WeightRole::v_bias, "attn_v.bias"},
                                                {WeightRole::o_bias, "attn_output.bias"},
                                                {WeightRole::sinks, "attn_sinks.weight"},
                                                {WeightRole::router, "ffn_gate_inp.weight"},
                                                {WeightRole::router_bias, "ffn_gate_inp.bias"},
                                                {WeightRole::expert_gate, "ffn_gate_exps.weight"},
                                                {WeightRole::expert_up, "ffn_up_exps.weight"},
                                                {WeightRole::expert_down, "ffn_down_exps.weight"},
                                                {WeightRole::expert_gate_bias, "ffn_gate_exps.bias"},
                                                {WeightRole::expert_up_bias, "ffn_up_exps.bias"},
                                                {WeightRole::expert_down_bias, "ffn_down_exps.bias"}};
  struct Stack {
    std::vector<std::uint64_t> dims;
    std::string bytes;
  };
  std::map<std::string, Stack> tensors;
  for_each_weight(spec, [&](const WeightUse& use) {
    const std::string& name = names.at(use.role);
    const bool global = name.rfind("token_embd", 0) == 0 || name.rfind("output", 0) == 0;
    Stack& stack = tensors[(global ? "" : "blk." + std::to_string(use.layer) + ".") + name];
    if (stack.dims.empty()) {
      if (use.columns > 1) stack.dims.push_back(use.columns);
      stack.dims.push_back(use.rows);
      if (is_expert_role(use.role)) stack.dims.push_back(spec.layers[use.layer].experts);
    }
    const auto values = matrix(*plain, use);
    stack.bytes.append(reinterpret_cast<const char*>(values.data()), values.size() * sizeof(float));
    return true;
  });
  for (const auto& [name, stack] : tensors) out.tensor(name, stack.dims, 0, stack.bytes);

  const auto gguf = open(folder_.write("m.gguf", out.bytes()));
  ASSERT_TRUE(gguf);
  const ModelSpec& made = gguf->spec();
  EXPECT_EQ(made.family, "gpt_oss");
  EXPECT_EQ(made.rope.truncate, spec.rope.truncate);
  EXPECT_EQ(made.rope.beta_fast, spec.rope.beta_fast);
  EXPECT_EQ(made.rope.interleaved, spec.rope.interleaved);
  EXPECT_EQ(made.attention_sinks, spec.attention_sinks);
  EXPECT_EQ(made.activation_limit, spec.activation_limit);
  ASSERT_EQ(made.layers.size(), spec.layers.size());
  for (std::size_t l = 0; l < made.layers.size(); ++l) EXPECT_EQ(made.layers[l].window, spec.layers[l].window);
  for_each_weight(spec, [&](const WeightUse& use) {
    EXPECT_EQ(matrix(*gguf, use), matrix(*plain, use)) << weight_role_name(use.role);
    return true;
  });
}

}  // namespace
}  // namespace moescope::gguf_checkpoint_test
