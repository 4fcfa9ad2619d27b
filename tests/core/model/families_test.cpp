// Families: what their configs mean, which configs are refused, and that each can be made from nothing and opened.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>

#include "core/io/safetensors_writer.h"
#include "core/model/checkpoint.h"
#include "core/model/synth.h"

namespace moescope::families_test {
namespace {

namespace fs = std::filesystem;
using testing::AllOf;
using testing::HasSubstr;

class FamiliesTest : public ::testing::Test {
 protected:
  void SetUp() override {
    folder_ = fs::temp_directory_path() / ("families_" + std::to_string(::getpid()) + "_" +
                                           ::testing::UnitTest::GetInstance()->current_test_info()->name());
  }
  void TearDown() override { fs::remove_all(folder_); }

  // A golden checkpoint's folder with changed config keys; the weights stay as they are.
  [[nodiscard]] fs::path golden_with(const std::string& name, const nlohmann::json& changes) const {
    const fs::path source = fs::path(MOESCOPE_TEST_DATA) / "golden" / name;
    fs::remove_all(folder_);
    fs::create_directories(folder_);
    for (const auto& entry : fs::directory_iterator(source)) {
      if (entry.path().filename() != "config.json") fs::create_symlink(entry.path(), folder_ / entry.path().filename());
    }
    std::ifstream in(source / "config.json");
    nlohmann::json config = nlohmann::json::parse(in);
    config.merge_patch(changes);
    std::ofstream(folder_ / "config.json") << config.dump();
    return folder_;
  }
  [[nodiscard]] std::string error_of(const std::string& name, const nlohmann::json& changes) const {
    const auto opened = Checkpoint::open(golden_with(name, changes));
    return opened ? "opened" : opened.error().text();
  }
  [[nodiscard]] ModelSpec spec_of(const std::string& name,
                                  const nlohmann::json& changes = nlohmann::json::object()) const {
    const auto opened = Checkpoint::open(golden_with(name, changes));
    EXPECT_TRUE(opened.has_value()) << (opened ? "" : opened.error().text());
    return opened ? (*opened)->spec() : ModelSpec{};
  }

  fs::path folder_;
};

TEST_F(FamiliesTest, EveryFamilyCanBeMadeFromNothingAndOpened) {
  for (const char* family : {"dbrx", "deepseek_v2", "deepseek_v3", "glm4_moe", "gpt_oss", "granitemoe", "jamba",
                             "llama4", "mixtral", "olmoe", "phimoe", "qwen2_moe", "qwen3_moe", "switch_transformers"}) {
    SCOPED_TRACE(family);
    SynthOptions options;
    options.family = family;
    options.vocabulary = 64;
    fs::remove_all(folder_);
    const auto made = write_random_checkpoint(options, folder_);
    ASSERT_TRUE(made.has_value()) << made.error().text();
    const auto opened = Checkpoint::open(folder_);
    ASSERT_TRUE(opened.has_value()) << opened.error().text();
    EXPECT_EQ((*opened)->spec().family, family);
    EXPECT_EQ((*opened)->spec().layers.size(), 4U);
    EXPECT_EQ((*opened)->spec().parameters_total(), made->parameters);
    EXPECT_LT((*opened)->spec().parameters_active(), made->parameters);
    EXPECT_THAT((*opened)->notes(), testing::IsEmpty());
  }
}

TEST_F(FamiliesTest, SwitchHasTwoStacksWhoseSparseLayersFollowTheStep) {
  SynthOptions options;
  options.family = "switch_transformers";
  options.layers = 8;
  options.vocabulary = 64;
  ASSERT_TRUE(write_random_checkpoint(options, folder_).has_value());
  const auto opened = Checkpoint::open(folder_);
  ASSERT_TRUE(opened.has_value()) << opened.error().text();
  const ModelSpec& spec = (*opened)->spec();
  EXPECT_EQ(spec.encoder_layers, 4U);
  ASSERT_EQ(spec.layers.size(), 8U);
  for (std::size_t l = 0; l < 8; ++l) {
    EXPECT_EQ(spec.layers[l].kind, l % 2 == 1 ? LayerKind::moe : LayerKind::dense) << l;
  }
  EXPECT_EQ(spec.layers[5].k, 1U);
  EXPECT_EQ(router_rule_words(spec.layers[5].rule, 1),
            "softmax over all experts, then the best one, weights not renormalised, at most 64 tokens per expert and "
            "sequence");
  // Layers count within their stack, and the inner layer lies elsewhere in a decoder's block.
  const auto name = [&](WeightRole role, std::uint32_t layer) {
    return weight_name(spec, (*opened)->names(), role, layer, 2);
  };
  EXPECT_EQ(name(WeightRole::expert_gate, 3), "encoder.block.3.layer.1.mlp.experts.expert_2.wi.weight");
  EXPECT_EQ(name(WeightRole::expert_gate, 5), "decoder.block.1.layer.2.mlp.experts.expert_2.wi.weight");
  EXPECT_EQ(name(WeightRole::cross_q, 4), "decoder.block.0.layer.1.EncDecAttention.q.weight");
  EXPECT_FALSE(find_weight(spec, WeightRole::cross_q, 3).has_value());
  EXPECT_FALSE(find_weight(spec, WeightRole::relative_bias, 5).has_value());
}

TEST_F(FamiliesTest, EveryWeightOfEveryGoldenModelIsFoundAndFinite) {
  for (const auto& entry : fs::directory_iterator(fs::path(MOESCOPE_TEST_DATA) / "golden")) {
    SCOPED_TRACE(entry.path().filename());
    const auto opened = Checkpoint::open(entry.path());
    ASSERT_TRUE(opened.has_value()) << opened.error().text();
    std::size_t weights = 0;
    for_each_weight((*opened)->spec(), [&](const WeightUse& use) {
      const auto slice = (*opened)->weight(use.role, use.layer, use.expert);
      EXPECT_TRUE(slice.has_value()) << weight_role_name(use.role);
      if (!slice) return true;
      EXPECT_EQ(slice->rows, use.rows);
      EXPECT_EQ(slice->columns, use.columns);
      std::vector<float> values(slice->elements());
      EXPECT_TRUE(read_rows(*slice, 0, values).has_value()) << weight_role_name(use.role);
      EXPECT_TRUE(std::all_of(values.begin(), values.end(), [](float v) { return std::isfinite(v); }));
      ++weights;
      return true;
    });
    EXPECT_GT(weights, 20U);
  }
}

TEST_F(FamiliesTest, StoredLayoutsOfOneModelHoldTheSameExperts) {
  // The same random model once with a tensor per expert, once with all experts in one.
  const auto separate = Checkpoint::open(fs::path(MOESCOPE_TEST_DATA) / "golden/qwen3_moe").value();
  const auto fused = Checkpoint::open(fs::path(MOESCOPE_TEST_DATA) / "golden/qwen3_moe_fused_v5").value();
  EXPECT_EQ(separate->names().experts, ExpertStorage::per_expert);
  EXPECT_EQ(fused->names().experts, ExpertStorage::fused_rows);
  // Rows read one at a time are the rows of the whole.
  for (const WeightRole role : {WeightRole::expert_gate, WeightRole::expert_up, WeightRole::expert_down}) {
    const WeightSlice slice = fused->weight(role, 1, 5).value();
    std::vector<float> whole(slice.elements()), row(slice.columns);
    ASSERT_TRUE(read_rows(slice, 0, whole).has_value());
    for (std::uint64_t r = 0; r < slice.rows; ++r) {
      ASSERT_TRUE(read_rows(slice, r, row).has_value());
      EXPECT_TRUE(std::equal(row.begin(), row.end(), whole.begin() + static_cast<std::ptrdiff_t>(r * slice.columns)));
    }
  }
}

TEST_F(FamiliesTest, LayersAreDenseWhereTheConfigSaysSo) {
  const ModelSpec deepseek = spec_of("deepseek_v3");
  EXPECT_EQ(deepseek.layers[0].kind, LayerKind::dense);
  EXPECT_EQ(deepseek.layers[1].kind, LayerKind::moe);
  const ModelSpec jamba = spec_of("jamba");
  EXPECT_EQ(jamba.layers[0].mixer, Mixer::mamba);
  EXPECT_EQ(jamba.layers[1].mixer, Mixer::attention);
  EXPECT_EQ(jamba.layers[0].kind, LayerKind::dense);
  const ModelSpec llama = spec_of("llama4_text");
  EXPECT_EQ(llama.layers[2].kind, LayerKind::dense);
  EXPECT_TRUE(llama.layers[2].rope);
  EXPECT_FALSE(llama.layers[3].rope);
  EXPECT_EQ(llama.layers[3].chunk, 0U);
}

TEST_F(FamiliesTest, RulesReadAsWords) {
  const auto words = [&](const char* golden) {
    const ModelSpec spec = spec_of(golden);
    const LayerSpec& layer = *std::find_if(spec.layers.begin(), spec.layers.end(),
                                           [](const LayerSpec& l) { return l.kind == LayerKind::moe; });
    return router_rule_words(layer.rule, layer.k);
  };
  EXPECT_EQ(words("mixtral"), "softmax over all experts, then the best 2, weights divided by their sum");
  EXPECT_EQ(words("gpt_oss"), "the best 3 logits, then softmax over them");
  EXPECT_EQ(words("deepseek_v3"),
            "sigmoid over all experts, then the best 3 out of the 2 best of 4 groups (judged by the sum of the two "
            "best), chosen with a bias that does not enter the weights, weights divided by their sum, times 2.5");
  EXPECT_EQ(words("llama4_text"), "the best logit, then sigmoid of it, applied to the experts' input");
  EXPECT_THAT(words("phimoe"), HasSubstr("sparsemixer"));
}

TEST_F(FamiliesTest, AbsurdConfigsAreRefusedByKey) {
  struct Case {
    const char* golden;
    nlohmann::json changes;
    const char* expected;
  };
  const std::vector<Case> cases{
      {"mixtral", {{"num_experts_per_tok", 5}}, "5 experts per token, but only 4"},
      {"mixtral", {{"num_local_experts", -4}}, "num_local_experts must be a whole number"},
      {"mixtral", {{"num_hidden_layers", 1000000000000ULL}}, "num_hidden_layers must be"},
      {"mixtral", {{"num_key_value_heads", 3}}, "cannot be shared among 3"},
      {"mixtral", {{"head_dim", 7}}, "must be even"},
      {"deepseek_v3", {{"n_group", 3}}, "8 experts do not divide into 3 groups"},
      {"deepseek_v3", {{"topk_group", 5}}, "5 groups cannot be kept of 4"},
      {"deepseek_v3", {{"topk_group", 1}}, "3 experts per token cannot be chosen from 1 groups of 2"},
      {"deepseek_v3", {{"n_group", 8}, {"topk_group", 8}}, "a group needs two experts"},
      {"deepseek_v3", {{"qk_rope_head_dim", 7}}, "must be even"},
      {"deepseek_v3", {{"scoring_func", "softmax"}}, "scores by sigmoid"},
      {"deepseek_v2", {{"topk_method", "magic"}}, "the choice \"magic\" is not known"},
      {"deepseek_v3_fp8",
       {{"quantization_config", {{"weight_block_size", {0, 16}}}}},
       "weight_block_size must be two whole numbers"},
      {"deepseek_v3_fp8", {{"quantization_config", {{"weight_block_size", {32, 32}}}}}, "weight_scale_inv has shape"},
      {"deepseek_v3_fp8", {{"quantization_config", nullptr}}, "names no fp8 quantisation"},
      {"phimoe", {{"num_experts_per_tok", 1}}, "exactly two experts"},
      {"qwen2_moe", {{"use_sliding_window", true}}, "does not say which layers have windows"},
      {"qwen3_moe", {{"mlp_only_layers", {7}}}, "it must list layers of the model"},
      {"qwen3_moe", {{"decoder_sparse_step", 2}}, "mlp.gate_proj.weight is missing"},
      {"gpt_oss", {{"layer_types", {"full_attention"}}}, "1 layer types for 4 layers"},
      {"jamba", {{"attn_layer_offset", 9}}, "attn_layer_offset must be below attn_layer_period"},
      {"dbrx", {{"ffn_config", nullptr}}, "ffn_config is missing"},
      {"dbrx", {{"ffn_config", {{"moe_top_k", 9}}}}, "9 experts per token, but only 4"},
      {"llama4_text", {{"moe_layers", {1, 4}}}, "it must list layers of the model"},
      {"granitemoe", {{"position_embedding_type", "alibi"}}, "this kind of positions is not supported"},
      {"glm4_moe", {{"partial_rotary_factor", 2.0}}, "more than the whole head cannot be rotated"},
  };
  for (const Case& c : cases) {
    SCOPED_TRACE(std::string(c.golden) + " " + c.changes.dump());
    EXPECT_THAT(error_of(c.golden, c.changes), HasSubstr(c.expected));
  }
}

TEST_F(FamiliesTest, TheLanguageModelOfAMultimodalConfigIsRead) {
  const fs::path source = fs::path(MOESCOPE_TEST_DATA) / "golden/llama4_text";
  std::ifstream in(source / "config.json");
  nlohmann::json inner = nlohmann::json::parse(in);
  fs::create_directories(folder_);
  std::ofstream(folder_ / "config.json") << nlohmann::json{{"model_type", "llama4"}, {"text_config", inner}}.dump();
  // The tensors lie below a prefix.
  const auto plain = Checkpoint::open(source).value();
  std::vector<TensorSpec> specs;
  for (const auto& [name, view] : plain->tensors()) specs.push_back({"language_model." + name, view.type, view.shape});
  auto writer = SafetensorsWriter::create(folder_ / "model.safetensors", specs, {});
  ASSERT_TRUE(writer.has_value());
  for (const auto& [name, view] : plain->tensors()) {
    ASSERT_TRUE(writer->write("language_model." + name, view.bytes).has_value());
  }
  ASSERT_TRUE(writer->finish().has_value());
  const auto opened = Checkpoint::open(folder_);
  ASSERT_TRUE(opened.has_value()) << opened.error().text();
  EXPECT_EQ((*opened)->spec().family, "llama4");
  EXPECT_TRUE((*opened)->weight(WeightRole::expert_down, 1, 3).has_value());
}

TEST_F(FamiliesTest, WindowsFollowTheConfig) {
  EXPECT_EQ(spec_of("mixtral", {{"sliding_window", 4}}).layers[1].window, 4U);
  const ModelSpec oss = spec_of("gpt_oss", {{"layer_types", nullptr}});
  EXPECT_EQ(oss.layers[0].window, 4U);
  EXPECT_EQ(oss.layers[1].window, 0U);
  const ModelSpec qwen = spec_of(
      "qwen2_moe", {{"use_sliding_window", true},
                    {"sliding_window", 6},
                    {"layer_types", {"full_attention", "sliding_attention", "full_attention", "full_attention"}}});
  EXPECT_EQ(qwen.layers[1].window, 6U);
}

}  // namespace
}  // namespace moescope::families_test
