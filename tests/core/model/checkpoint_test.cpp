#include "core/model/checkpoint.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <fstream>
#include <nlohmann/json.hpp>

#include "tests/core/model/checkpoint_files.h"

namespace moescope::checkpoint_test {
namespace {

namespace fs = std::filesystem;
using testing::AllOf;
using testing::HasSubstr;

using test::copy_golden_checkpoint;
using test::read_bytes;
using test::write_bytes;

const fs::path golden = test::golden_checkpoint();

// A copy of the golden checkpoint that a test may spoil.
class CheckpointTest : public testing::Test {
 protected:
  void SetUp() override {
    folder_ = fs::path(testing::TempDir()) / ("checkpoint_" + std::to_string(getpid()) + "_" +
                                              testing::UnitTest::GetInstance()->current_test_info()->name());
    fs::remove_all(folder_);
    copy_golden_checkpoint(folder_);
  }
  void TearDown() override { fs::remove_all(folder_); }

  void set_config(const std::string& key, const nlohmann::json& value) {
    auto config = nlohmann::json::parse(read_bytes(folder_ / "config.json"));
    if (value.is_discarded()) {
      config.erase(key);
    } else {
      config[key] = value;
    }
    write_bytes(folder_ / "config.json", config.dump(1));
  }
  // The one error that opening gives.
  std::string error() {
    const auto opened = Checkpoint::open(folder_);
    if (opened) return "opened";
    EXPECT_EQ(opened.error().kind, ErrorKind::input);
    EXPECT_FALSE(opened.error().where.empty());
    EXPECT_FALSE(opened.error().advice.empty()) << opened.error().text();
    return opened.error().text();
  }

  fs::path folder_;
};

TEST_F(CheckpointTest, OpensTheGoldenFolderWithItsDimensions) {
  const auto opened = Checkpoint::open(golden);
  ASSERT_TRUE(opened.has_value()) << opened.error().text();
  const ModelSpec& spec = (*opened)->spec();
  EXPECT_EQ(spec.family, "olmoe");
  EXPECT_EQ(spec.name, "olmoe");
  EXPECT_EQ(spec.vocabulary, 64U);
  EXPECT_EQ(spec.hidden, 32U);
  EXPECT_EQ(spec.heads, 4U);
  EXPECT_EQ(spec.head_dim, 8U);
  EXPECT_EQ(spec.qk_norm, QkNorm::whole_width);
  EXPECT_FALSE(spec.clip_qkv.has_value());
  ASSERT_EQ(spec.layers.size(), 2U);
  EXPECT_EQ(spec.layers[1].experts, 8U);
  EXPECT_EQ(spec.layers[1].k, 3U);
  EXPECT_EQ(spec.layers[1].intermediate, 48U);
  EXPECT_FALSE(spec.layers[1].rule.renormalise);
  EXPECT_EQ((*opened)->tokenizer(), nullptr);
  EXPECT_FALSE((*opened)->tokenizer_error().has_value());
  EXPECT_EQ((*opened)->config_hash().size(), 32U);
  ASSERT_NE((*opened)->tensor(tensor_name((*opened)->names()[WeightRole::expert_down], 1, 7)), nullptr);
  EXPECT_EQ((*opened)->tensor("nonsense"), nullptr);
  EXPECT_FALSE((*opened)->fault().has_value());
}

TEST_F(CheckpointTest, AFolderThatOnlySaysModelTakesTheNameAboveIt) {
  const fs::path inner = copy_golden_checkpoint(folder_ / "model");
  const auto opened = Checkpoint::open(inner);
  ASSERT_TRUE(opened.has_value()) << opened.error().text();
  EXPECT_EQ((*opened)->spec().name, folder_.filename().string());
  set_config("_name_or_path", "lab/tiny-moe");
  EXPECT_EQ((*Checkpoint::open(folder_))->spec().name, "tiny-moe");
}

TEST_F(CheckpointTest, CountsTheParametersThatTheFilesHold) {
  const auto opened = Checkpoint::open(golden);
  ASSERT_TRUE(opened.has_value());
  std::uint64_t stored = 0;
  for (const auto& [name, view] : (*opened)->tensors()) stored += view.elements();
  const ModelSpec& spec = (*opened)->spec();
  EXPECT_EQ(spec.parameters_total(), stored);
  // Five of eight experts rest in each of two layers.
  EXPECT_EQ(spec.parameters_active(), stored - 2ULL * 5 * 3 * 32 * 48);
  EXPECT_EQ((*opened)->total_bytes(), stored * 4);
}

TEST_F(CheckpointTest, OpensByAFileInTheFolderAndThroughSymbolicLinks) {
  EXPECT_TRUE(Checkpoint::open(folder_ / "config.json").has_value());
  EXPECT_TRUE(Checkpoint::open(folder_ / "model.safetensors").has_value());
  const fs::path blobs = folder_ / "blobs";
  fs::create_directory(blobs);
  fs::rename(folder_ / "model.safetensors", blobs / "0a1b");
  fs::create_symlink("blobs/0a1b", folder_ / "model.safetensors");
  EXPECT_TRUE(Checkpoint::open(folder_).has_value());
}

TEST_F(CheckpointTest, FallsBackOnTheArchitectureWhenModelTypeIsAbsent) {
  set_config("model_type", nlohmann::json(nlohmann::json::value_t::discarded));
  EXPECT_TRUE(Checkpoint::open(folder_).has_value());
}

TEST_F(CheckpointTest, TiedEmbeddingsNeedNoHead) {
  set_config("tie_word_embeddings", true);
  const auto opened = Checkpoint::open(folder_);
  ASSERT_TRUE(opened.has_value()) << opened.error().text();
  EXPECT_THAT((*opened)->notes(), testing::Contains(HasSubstr("lm_head.weight is there but not used")));
}

TEST_F(CheckpointTest, ABadTokenizerIsToldAndTheWeightsStillOpen) {
  write_bytes(folder_ / "tokenizer.json", "{ bad");
  const auto opened = Checkpoint::open(folder_);
  ASSERT_TRUE(opened.has_value());
  EXPECT_EQ((*opened)->tokenizer(), nullptr);
  ASSERT_TRUE((*opened)->tokenizer_error().has_value());
  EXPECT_THAT((*opened)->tokenizer_error()->text(), HasSubstr("line 1, column"));
}

TEST_F(CheckpointTest, MoreExpertsPerTokenThanExpertsNamesKeyAndValue) {
  set_config("num_experts_per_tok", 9);
  EXPECT_THAT(error(), AllOf(HasSubstr("9 experts per token, but only 8"), HasSubstr("config.json"),
                             HasSubstr("\"num_experts_per_tok\" = 9")));
}

TEST_F(CheckpointTest, ImpossibleNumbersAreRefusedByKey) {
  struct Case {
    const char* key;
    nlohmann::json value;
    const char* expected;
  };
  const std::vector<Case> cases{
      {"num_hidden_layers", 1000000000000ULL, "num_hidden_layers must be a whole number from 1 to 4096"},
      {"num_hidden_layers", 0, "num_hidden_layers must be"},
      {"hidden_size", -32, "\"hidden_size\" = -32"},
      {"hidden_size", 32.5, "hidden_size must be a whole number"},
      {"hidden_size", "32", "hidden_size must be a whole number"},
      {"num_attention_heads", 12, "does not divide into 12 heads"},
      {"num_key_value_heads", 3, "cannot be shared among 3"},
      {"head_dim", 7, "must be even"},
      {"num_experts", 0, "num_experts must be"},
      {"vocab_size", nullptr, "vocab_size is missing"},
      {"rms_norm_eps", 0, "rms_norm_eps must be a number above 0"},
      {"rope_theta", "big", "rope_theta must be a number above 0"},
      {"norm_topk_prob", 3, "norm_topk_prob must be true or false"},
      {"hidden_act", "gelu", "this activation is not supported"},
      {"rope_scaling", {{"rope_type", "spiral"}}, "the rotary embedding \"spiral\" is not known"},
      {"rope_scaling", {{"rope_type", "longrope"}}, "short_factor must be 4 numbers above 0"},
      {"rope_scaling", 7, "rope_scaling must be an object"},
      {"quantization_config", {{"quant_method", "awq"}}, "weights quantised by \"awq\""},
      {"model_type", "hunyuan_v1_moe", "recognised but cannot be opened"},
      {"model_type", 7, "model_type must be text"},
  };
  const std::string original = read_bytes(folder_ / "config.json");
  for (const Case& c : cases) {
    SCOPED_TRACE(std::string(c.key) + " = " + c.value.dump());
    write_bytes(folder_ / "config.json", original);
    if (std::string(c.key) == "model_type") set_config("architectures", nlohmann::json::array());
    set_config(c.key, c.value);
    EXPECT_THAT(error(), AllOf(HasSubstr(c.expected), HasSubstr("config.json")));
  }
}

TEST_F(CheckpointTest, AnUnknownFamilyListsTheKnownOnes) {
  write_bytes(folder_ / "config.json", R"({"model_type": "bert", "architectures": ["BertModel"]})");
  EXPECT_THAT(error(), AllOf(HasSubstr("\"model_type\" = \"bert\""),
                             HasSubstr("Families that can be opened: dbrx, deepseek_v2")));
}

TEST_F(CheckpointTest, BadJsonNamesLineAndColumn) {
  write_bytes(folder_ / "config.json", "{\n  \"hidden_size\": 32,,\n}");
  EXPECT_THAT(error(), HasSubstr("config.json, line 2, column 21"));
  write_bytes(folder_ / "config.json", "");
  EXPECT_THAT(error(), HasSubstr("the file is empty"));
  write_bytes(folder_ / "config.json", std::string(100000, '['));
  EXPECT_THAT(error(), HasSubstr("nests"));
  write_bytes(folder_ / "config.json", "[1, 2]");
  EXPECT_THAT(error(), HasSubstr("neither a model_type nor an architecture"));
}

TEST_F(CheckpointTest, WeightsThatDoNotFitTheConfigAreNamedWithTheExpectedShape) {
  set_config("intermediate_size", 50);
  EXPECT_THAT(error(),
              AllOf(HasSubstr("model.layers.0.mlp.experts.0.gate_proj.weight has shape [48, 32], [50, 32] expected"),
                    HasSubstr("and more")));
  set_config("intermediate_size", 48);
  set_config("num_hidden_layers", 3);
  EXPECT_THAT(error(), HasSubstr("model.layers.2.input_layernorm.weight is missing, shape [32] expected"));
}

TEST_F(CheckpointTest, ALoneFileAnEmptyFileAndAFolderWithoutConfigGiveDistinctErrors) {
  fs::remove(folder_ / "config.json");
  EXPECT_THAT(error(), HasSubstr("the folder has no config.json"));
  EXPECT_THAT(Checkpoint::open(folder_ / "model.safetensors").error().text(), HasSubstr("weights alone"));
  write_bytes(folder_ / "empty.bin", "");
  EXPECT_THAT(Checkpoint::open(folder_ / "empty.bin").error().text(), HasSubstr("the file is empty"));
  EXPECT_THAT(Checkpoint::open(folder_ / "absent").error().text(), HasSubstr("does not exist"));
}

TEST_F(CheckpointTest, AFileThatShrinksWhileOpenIsAFault) {
  const auto opened = Checkpoint::open(folder_);
  ASSERT_TRUE(opened.has_value());
  fs::resize_file(folder_ / "model.safetensors", 1000);
  EXPECT_TRUE((*opened)->fault().has_value());
}

}  // namespace
}  // namespace moescope::checkpoint_test
