#include <ATen/ATen.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <filesystem>
#include <fstream>

#include "plugins/torch_engine/train/load_model.h"
#include "plugins/torch_engine/train/model_files.h"
#include "plugins/torch_engine/train/trainer.h"

namespace moescope::train {
namespace {

ModelShape tiny_shape() {
  ModelShape shape;
  shape.vocabulary = 257;
  shape.hidden = 16;
  shape.layers = 2;
  shape.heads = 2;
  shape.experts = 4;
  shape.intermediate = 8;
  return shape;
}

// Two domains that a small model tells apart at once: a counting one and a constant one.
TokenStreams tiny_streams() {
  TokenStreams streams{{"count", "same"}, {{}, {}}};
  for (std::int32_t i = 0; i < 400; ++i) {
    streams.tokens[0].push_back(1 + i % 10);
    streams.tokens[1].push_back(100);
  }
  return streams;
}

TrainSettings tiny_settings(std::uint64_t seed) {
  TrainSettings settings;
  settings.steps = 60;
  settings.batch = 4;
  settings.length = 16;
  settings.warm_up = 5;
  settings.learning_rate = 1e-2;
  settings.seed = seed;
  return settings;
}

std::string bytes_of(const std::filesystem::path& file) {
  std::ifstream in(file, std::ios::binary);
  return {std::istreambuf_iterator<char>(in), {}};
}

blocks::ModelWeights trained(std::uint64_t seed, std::vector<double>* losses = nullptr) {
  auto weights = train_model(
      tiny_shape(), tiny_settings(seed), tiny_streams(),
      [&](const StepReport& r) {
        if (losses != nullptr) losses->push_back(r.loss);
      },
      [](std::int64_t, const blocks::ModelWeights&) { return Expected<void>{}; });
  EXPECT_TRUE(weights);
  return *weights;
}

TEST(Trainer, SameSeedGivesTheSameFileAndAnotherSeedDoesNot) {
  const std::filesystem::path base = testing::TempDir();
  ASSERT_TRUE(write_model(base / "one", tiny_shape(), trained(1), "{}"));
  ASSERT_TRUE(write_model(base / "two", tiny_shape(), trained(1), "{}"));
  ASSERT_TRUE(write_model(base / "three", tiny_shape(), trained(2), "{}"));
  const std::string one = bytes_of(base / "one" / "model.safetensors");
  EXPECT_FALSE(one.empty());
  EXPECT_EQ(one, bytes_of(base / "two" / "model.safetensors"));
  EXPECT_NE(one, bytes_of(base / "three" / "model.safetensors"));
}

TEST(Trainer, LossFallsFarBelowUniform) {
  std::vector<double> losses;
  trained(1, &losses);
  EXPECT_NEAR(losses.front(), std::log(257.0), 0.2);
  EXPECT_LT(losses.back(), 0.5);
}

TEST(Trainer, KeepsWeightsAtTheStepsAskedFor) {
  TrainSettings settings = tiny_settings(1);
  settings.steps = 4;
  settings.keep_steps = {0, 2, 4};
  std::vector<std::int64_t> kept;
  ASSERT_TRUE(train_model(
      tiny_shape(), settings, tiny_streams(), [](const StepReport&) {},
      [&](std::int64_t step, const blocks::ModelWeights&) {
        kept.push_back(step);
        return Expected<void>{};
      }));
  EXPECT_THAT(kept, testing::ElementsAre(0, 2, 4));
}

TEST(Trainer, TextShorterThanAWindowIsAnError) {
  TokenStreams streams = tiny_streams();
  streams.tokens[1].resize(10);
  const auto weights = train_model(
      tiny_shape(), tiny_settings(1), streams, [](const StepReport&) {},
      [](std::int64_t, const blocks::ModelWeights&) { return Expected<void>{}; });
  ASSERT_FALSE(weights);
  EXPECT_THAT(weights.error().what, testing::HasSubstr("\"same\""));
}

TEST(Losses, BalanceIsOneWhenEvenAndGrowsToTheNumberOfExperts) {
  blocks::Routing even, all_on_one;
  even.logits = at::zeros({4, 4});
  even.scores = even.logits.softmax(-1);
  even.ids = at::arange(4, at::kLong).view({4, 1});
  all_on_one.logits = at::zeros({4, 4});
  all_on_one.logits.select(1, 2).fill_(50.0);
  all_on_one.scores = all_on_one.logits.softmax(-1);
  all_on_one.ids = at::full({4, 1}, 2, at::kLong);
  EXPECT_NEAR(balance_loss({even}).item<double>(), 1.0, 1e-6);
  EXPECT_NEAR(balance_loss({all_on_one}).item<double>(), 4.0, 1e-6);
  EXPECT_NEAR(balance_loss({even, all_on_one}).item<double>(), 2.5, 1e-6);
  EXPECT_NEAR(router_z_loss({even}).item<double>(), std::log(4.0) * std::log(4.0), 1e-6);
}

TEST(Unigram, AddOneCountsBalancedOrNot) {
  const TokenStreams train{{"a", "b"}, {{0, 0, 0, 0}, {1}}};
  // As counted: P(0) = (4+1)/(5+2), P(1) = (1+1)/(5+2). Balanced: the five become 4 + 4.
  EXPECT_NEAR(unigram_loss(train, {{0, 0, 1}}, 2, false), -(std::log(5.0 / 7) + std::log(2.0 / 7)) / 2, 1e-12);
  EXPECT_NEAR(unigram_loss(train, {{0, 0, 1}}, 2, true), -std::log(0.5), 1e-12);
}

}  // namespace
}  // namespace moescope::train
