#include "core/model/synth.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <cmath>
#include <cstring>
#include <fstream>

#include "core/model/checkpoint.h"

namespace moescope::synth_test {
namespace {

namespace fs = std::filesystem;

class SynthTest : public testing::Test {
 protected:
  void SetUp() override {
    folder_ = fs::path(testing::TempDir()) / ("synth_" + std::to_string(getpid()) + "_" +
                                              testing::UnitTest::GetInstance()->current_test_info()->name());
    fs::remove_all(folder_);
  }
  void TearDown() override { fs::remove_all(folder_); }
  fs::path folder_;
};

std::vector<float> values(const TensorView& view) {
  std::vector<float> out(view.elements());
  std::memcpy(out.data(), view.bytes.data(), view.bytes.size());
  return out;
}

TEST_F(SynthTest, WritesACheckpointThatOpensWithTheSizesAskedFor) {
  SynthOptions options;
  options.layers = 3;
  options.experts = 5;
  options.k = 2;
  options.kv_heads = 2;
  const auto made = write_random_checkpoint(options, folder_);
  ASSERT_TRUE(made.has_value()) << made.error().text();
  const auto opened = Checkpoint::open(folder_);
  ASSERT_TRUE(opened.has_value()) << opened.error().text();
  const ModelSpec& spec = (*opened)->spec();
  EXPECT_EQ(spec.layers.size(), 3U);
  EXPECT_EQ(spec.layers[2].experts, 5U);
  EXPECT_EQ(spec.kv_heads, 2U);
  EXPECT_EQ(spec.parameters_total(), made->parameters);
  EXPECT_EQ((*opened)->total_bytes(), made->bytes);
  EXPECT_EQ(made->bytes, made->parameters * 2);
}

TEST_F(SynthTest, WeightsHaveTheSpreadThatKeepsRoutingAlive) {
  SynthOptions options;
  options.type = DType::f32;
  options.hidden = 256;
  ASSERT_TRUE(write_random_checkpoint(options, folder_).has_value());
  const auto opened = Checkpoint::open(folder_);
  ASSERT_TRUE(opened.has_value());
  const auto deviation = [&](const std::string& name, double mean) {
    const std::vector<float> v = values(*(*opened)->tensor(name));
    double sum = 0, squares = 0;
    for (const float x : v) {
      sum += x;
      squares += (x - mean) * (x - mean);
    }
    EXPECT_NEAR(sum / static_cast<double>(v.size()), mean, 0.03) << name;
    return std::sqrt(squares / static_cast<double>(v.size()));
  };
  EXPECT_NEAR(deviation("model.layers.1.self_attn.q_proj.weight", 0), 1.0 / 16, 0.001);
  EXPECT_NEAR(deviation("model.layers.1.mlp.gate.weight", 0), 2.0 / 16, 0.01);
  EXPECT_NEAR(deviation("model.layers.1.input_layernorm.weight", 1), 0.1, 0.02);
}

TEST_F(SynthTest, TheSameSeedGivesTheSameNumbersHoweverSharded) {
  SynthOptions options;
  ASSERT_TRUE(write_random_checkpoint(options, folder_ / "one").has_value());
  options.shard_bytes = 100'000;
  const auto sharded = write_random_checkpoint(options, folder_ / "many");
  ASSERT_TRUE(sharded.has_value());
  EXPECT_GT(sharded->files, 2U);
  options.seed = 2;
  ASSERT_TRUE(write_random_checkpoint(options, folder_ / "other").has_value());
  const auto one = Checkpoint::open(folder_ / "one");
  const auto many = Checkpoint::open(folder_ / "many");
  const auto other = Checkpoint::open(folder_ / "other");
  ASSERT_TRUE(one && many && other);
  for (const auto& [name, view] : (*one)->tensors()) {
    const TensorView* same = (*many)->tensor(name);
    ASSERT_NE(same, nullptr) << name;
    EXPECT_TRUE(std::equal(view.bytes.begin(), view.bytes.end(), same->bytes.begin(), same->bytes.end())) << name;
    const TensorView* different = (*other)->tensor(name);
    EXPECT_FALSE(std::equal(view.bytes.begin(), view.bytes.end(), different->bytes.begin(), different->bytes.end()));
  }
}

TEST_F(SynthTest, ImpossibleSizesAndAnOccupiedFolderAreRefused) {
  SynthOptions options;
  options.k = 9;
  auto made = write_random_checkpoint(options, folder_);
  ASSERT_FALSE(made.has_value());
  EXPECT_EQ(made.error().kind, ErrorKind::usage);
  EXPECT_THAT(made.error().text(), testing::HasSubstr("num_experts_per_tok"));
  EXPECT_FALSE(fs::exists(folder_));
  options.k = 1;
  options.family = "gpt5";
  EXPECT_THAT(write_random_checkpoint(options, folder_).error().text(), testing::HasSubstr("Known: dbrx, deepseek_v2"));
  options.family = "olmoe";
  ASSERT_TRUE(write_random_checkpoint(options, folder_).has_value());
  EXPECT_THAT(write_random_checkpoint(options, folder_).error().text(),
              testing::HasSubstr("already has a config.json"));
}

TEST_F(SynthTest, ACancelLeavesNoFile) {
  WorkContext work;
  work.on_progress = [&](const ProgressReport& report) {
    if (report.fraction > 0.5) work.cancel.cancel();
  };
  SynthOptions options;
  options.shard_bytes = 100'000;
  const auto made = write_random_checkpoint(options, folder_, work);
  ASSERT_FALSE(made.has_value());
  EXPECT_EQ(made.error().kind, ErrorKind::cancelled);
  EXPECT_TRUE(fs::is_empty(folder_));
}

TEST_F(SynthTest, CopiesATokenizer) {
  SynthOptions options;
  options.tokenizer = fs::path(MOESCOPE_TEST_DATA) / "tokenizers/gpt2.tokenizer.json";
  ASSERT_TRUE(write_random_checkpoint(options, folder_).has_value());
  const auto opened = Checkpoint::open(folder_);
  ASSERT_TRUE(opened.has_value());
  ASSERT_NE((*opened)->tokenizer(), nullptr);
  EXPECT_EQ((*opened)->tokenizer()->description(), "byte-level BPE, 273 tokens");
}

}  // namespace
}  // namespace moescope::synth_test
