// Analyses of weights on checkpoints with planted weights: what was put in comes out.
#include "core/analysis/weights/checkpoint_analysis.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <cmath>
#include <filesystem>
#include <fstream>
#include <limits>
#include <map>
#include <random>

#include "core/io/safetensors_writer.h"
#include "core/model/weight_slice.h"

namespace moescope::checkpoint_analysis_test {
namespace {

namespace fs = std::filesystem;
using testing::HasSubstr;

const std::string golden = std::string(MOESCOPE_TEST_DATA) + "/golden/";

// The golden OLMoE with some tensors replaced.
class CheckpointAnalysisTest : public ::testing::Test {
 protected:
  void SetUp() override {
    folder_ = fs::temp_directory_path() / ("checkpoint_analysis_" + std::to_string(::getpid()) + "_" +
                                           ::testing::UnitTest::GetInstance()->current_test_info()->name());
    fs::create_directories(folder_);
  }
  void TearDown() override { fs::remove_all(folder_); }

  std::shared_ptr<const Checkpoint> planted(const std::map<std::string, std::vector<float>>& replaced) {
    const auto source = Checkpoint::open(golden + "olmoe").value();
    fs::copy_file(golden + "olmoe/config.json", folder_ / "config.json", fs::copy_options::overwrite_existing);
    std::vector<TensorSpec> specs;
    for (const auto& [name, view] : source->tensors()) specs.push_back({name, view.type, view.shape});
    auto writer = SafetensorsWriter::create(folder_ / "model.safetensors", specs, {});
    for (const auto& [name, view] : source->tensors()) {
      const auto own = replaced.find(name);
      const auto bytes = own == replaced.end() ? view.bytes : std::as_bytes(std::span(own->second));
      EXPECT_EQ(bytes.size(), view.bytes.size()) << name;
      EXPECT_TRUE(writer->write(name, bytes).has_value());
    }
    EXPECT_TRUE(writer->finish().has_value());
    return Checkpoint::open(folder_).value();
  }
  static Result run(const std::string& name, const Checkpoint& checkpoint, const nlohmann::json& params) {
    auto result = run_checkpoint_analysis(name, checkpoint, params);
    EXPECT_TRUE(result.has_value()) << (result ? "" : result.error().text());
    return result.value_or(Result{});
  }

  fs::path folder_;
};

constexpr std::size_t hidden = 32, inner = 48;

std::vector<float> noise(std::size_t n, unsigned seed) {
  std::mt19937 random(seed);
  std::normal_distribution<float> normal;
  std::vector<float> out(n);
  for (float& v : out) v = normal(random);
  return out;
}

std::string expert(int e, const char* part) {
  return "model.layers.1.mlp.experts." + std::to_string(e) + "." + part + "_proj.weight";
}

TEST_F(CheckpointAnalysisTest, EqualAndOppositeRouterRowsHaveCosineOneAndMinusOne) {
  std::vector<float> router = noise(8 * hidden, 1);
  for (std::size_t i = 0; i < hidden; ++i) {
    router[3 * hidden + i] = 2.0F * router[i];
    router[5 * hidden + i] = -router[i];
    router[7 * hidden + i] = 0.0F;
  }
  const Result result = run("router_weights", *planted({{"model.layers.1.mlp.gate.weight", router}}), {{"layer", 1}});
  const Matrix& cosine = *result.matrix("cosine");
  EXPECT_NEAR(cosine.at(0, 3), 1.0, 1e-6);
  EXPECT_NEAR(cosine.at(0, 5), -1.0, 1e-6);
  EXPECT_LT(std::abs(cosine.at(0, 1)), 0.9);
  EXPECT_TRUE(std::isnan(cosine.at(0, 7)));
  const Series& norm = *result.find_series("norm");
  EXPECT_NEAR(norm.y[3], 2 * norm.y[0], 1e-5);
}

TEST_F(CheckpointAnalysisTest, StableRankOfAnIdentityIsItsSizeAndOfARankOneMatrixIsOne) {
  std::vector<float> identity(inner * hidden, 0.0F), rank_one(inner * hidden);
  for (std::size_t i = 0; i < hidden; ++i) identity[i * hidden + i] = 3.0F;
  const std::vector<float> a = noise(inner, 2), b = noise(hidden, 3);
  for (std::size_t r = 0; r < inner; ++r) {
    for (std::size_t c = 0; c < hidden; ++c) rank_one[r * hidden + c] = a[r] * b[c];
  }
  const auto checkpoint = planted({{expert(2, "gate"), identity}, {expert(4, "gate"), rank_one}});
  const Result result = run("expert_spectra", *checkpoint, {{"layer", 1}, {"part", "gate"}});
  const Series& rank = *result.find_series("stable_rank");
  EXPECT_NEAR(rank.y[2], hidden, 1e-6);
  EXPECT_NEAR(rank.y[4], 1.0, 1e-6);
  EXPECT_GT(rank.y[0], 2.0);
  EXPECT_NEAR(result.matrix("singular_values")->at(2, 0), 3.0, 1e-6);
  EXPECT_NEAR(result.matrix("singular_values")->at(2, 31), 3.0, 1e-6);
}

TEST_F(CheckpointAnalysisTest, ACopiedExpertIsFoundByCosineAndAReorderedOneByCkaOnly) {
  const auto gate = noise(inner * hidden, 4), up = noise(inner * hidden, 5), down = noise(inner * hidden, 6);
  std::vector<float> reordered(gate.size());
  for (std::size_t r = 0; r < inner; ++r) {
    std::copy_n(gate.begin() + static_cast<std::ptrdiff_t>(r * hidden), hidden,
                reordered.begin() + static_cast<std::ptrdiff_t>((r + 7) % inner * hidden));
  }
  const auto checkpoint = planted({{expert(0, "gate"), gate},
                                   {expert(0, "up"), up},
                                   {expert(0, "down"), down},
                                   {expert(1, "gate"), gate},
                                   {expert(1, "up"), up},
                                   {expert(1, "down"), down},
                                   {expert(2, "gate"), reordered}});
  const Result cosine = run("expert_similarity", *checkpoint, {{"layer", 1}});
  EXPECT_NEAR(cosine.matrix("cosine")->at(0, 1), 1.0, 1e-6);
  EXPECT_LT(std::abs(cosine.matrix("cosine")->at(0, 2)), 0.3);
  const Result cka = run("expert_similarity", *checkpoint, {{"layer", 1}, {"measure", "cka"}, {"part", "gate"}});
  EXPECT_NEAR(cka.matrix("cka")->at(0, 1), 1.0, 1e-5);
  EXPECT_NEAR(cka.matrix("cka")->at(0, 2), 1.0, 1e-5);
  EXPECT_LT(cka.matrix("cka")->at(0, 3), 0.9);
}

TEST_F(CheckpointAnalysisTest, NormsAreThoseOfTheStoredNumbers) {
  const auto checkpoint = Checkpoint::open(golden + "granitemoe").value();
  const Result result = run("expert_norms", *checkpoint, {{"part", "up"}});
  const WeightSlice slice = checkpoint->weight(WeightRole::expert_up, 1, 2).value();
  std::vector<float> values(slice.elements());
  ASSERT_TRUE(read_rows(slice, 0, values).has_value());
  double squares = 0;
  for (const float v : values) squares += static_cast<double>(v) * static_cast<double>(v);
  EXPECT_NEAR(result.matrix("norm")->at(1, 2), std::sqrt(squares / static_cast<double>(values.size())), 1e-6);
}

TEST_F(CheckpointAnalysisTest, TheModelCardAddsUp) {
  for (const char* name : {"deepseek_v3", "gpt_oss_mxfp4", "jamba", "llama4_text", "qwen2_moe", "dbrx"}) {
    SCOPED_TRACE(name);
    const auto checkpoint = Checkpoint::open(golden + name).value();
    const Result card = run("model_card", *checkpoint, nlohmann::json::object());
    std::int64_t total = 0, active = 0;
    for (const auto& row : card.table("parts")->rows) {
      total += std::get<std::int64_t>(row[1]);
      active += std::get<std::int64_t>(row[2]);
    }
    EXPECT_EQ(static_cast<std::uint64_t>(total), checkpoint->spec().parameters_total());
    EXPECT_EQ(static_cast<std::uint64_t>(active), checkpoint->spec().parameters_active());
    EXPECT_EQ(card.table("layers")->rows.size(), checkpoint->spec().layers.size());
  }
}

TEST_F(CheckpointAnalysisTest, TensorsAreFoundByWords) {
  const auto checkpoint = Checkpoint::open(golden + "olmoe").value();
  const Result found = run("tensors", *checkpoint, {{"search", "layers.1 GATE_proj"}});
  EXPECT_EQ(found.scalar("found")->estimate.value, 8);
  EXPECT_EQ(found.table("tensors")->rows.size(), 8U);
  const Result few = run("tensors", *checkpoint, {{"most", 3}});
  EXPECT_EQ(few.table("tensors")->rows.size(), 3U);
  ASSERT_EQ(few.caveats.size(), 1U);
  EXPECT_THAT(few.caveats[0], HasSubstr("The first 3 of"));
}

TEST_F(CheckpointAnalysisTest, NumbersThatAreNotFiniteAreToldWithTheTensorsName) {
  std::vector<float> broken = noise(inner * hidden, 9);
  broken[17] = std::numeric_limits<float>::quiet_NaN();
  const auto checkpoint = planted({{expert(6, "up"), broken}});
  const auto result = run_checkpoint_analysis("expert_norms", *checkpoint, {{"part", "up"}});
  ASSERT_FALSE(result.has_value());
  EXPECT_THAT(result.error().text(), HasSubstr(expert(6, "up")));
  EXPECT_FALSE(run_checkpoint_analysis("expert_similarity", *checkpoint, {{"layer", 1}}).has_value());
}

TEST_F(CheckpointAnalysisTest, LayersWithoutExpertsAreRefused) {
  const auto checkpoint = Checkpoint::open(golden + "deepseek_v3").value();
  const auto result = run_checkpoint_analysis("router_weights", *checkpoint, {{"layer", 0}});
  ASSERT_FALSE(result.has_value());
  EXPECT_THAT(result.error().text(), HasSubstr("layer 0 has no experts"));
  EXPECT_TRUE(run_checkpoint_analysis("router_weights", *checkpoint, nlohmann::json::object()).has_value());
  EXPECT_FALSE(run_checkpoint_analysis("astrology", *checkpoint, nlohmann::json::object()).has_value());
}

}  // namespace
}  // namespace moescope::checkpoint_analysis_test
