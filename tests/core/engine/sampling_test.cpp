#include "core/engine/sampling.h"

#include <gtest/gtest.h>

#include <array>
#include <cmath>
#include <limits>

namespace moescope::sampling_test {
namespace {

const std::vector<float> logits{std::log(0.1F), std::log(0.5F), std::log(0.3F), std::log(0.1F)};

std::array<int, 4> draws(const GenerateOptions& options, int count) {
  TokenSampler sampler(options, 0);
  std::array<int, 4> seen{};
  for (int i = 0; i < count; ++i) ++seen[static_cast<std::size_t>(sampler.next(logits))];
  return seen;
}

TEST(TokenSampler, TemperatureZeroTakesTheLargestLogitAndTheLowerIdOnTies) {
  TokenSampler sampler({}, 0);
  EXPECT_EQ(sampler.next(logits), 1);
  const std::vector<float> ties{0.0F, 2.0F, 2.0F};
  EXPECT_EQ(sampler.next(ties), 1);
  const std::vector<float> broken{std::numeric_limits<float>::quiet_NaN(), -1.0F};
  EXPECT_EQ(sampler.next(broken), 1);
}

TEST(TokenSampler, DrawsFollowTheProbabilities) {
  const auto seen = draws({.temperature = 1.0, .stop = {}}, 20000);
  EXPECT_NEAR(seen[0], 2000, 200);
  EXPECT_NEAR(seen[1], 10000, 350);
  EXPECT_NEAR(seen[2], 6000, 300);
}

TEST(TokenSampler, TopPKeepsTheFewestTokensThatReachIt) {
  const auto seen = draws({.temperature = 1.0, .top_p = 0.7, .stop = {}}, 8000);
  EXPECT_EQ(seen[0], 0);
  EXPECT_EQ(seen[3], 0);
  EXPECT_NEAR(seen[1], 5000, 250);  // 0.5 of 0.8
}

TEST(TokenSampler, ALowTemperatureSharpens) {
  const auto seen = draws({.temperature = 0.25, .stop = {}}, 4000);
  const double odds = std::pow(0.5 / 0.3, 4);
  EXPECT_NEAR(static_cast<double>(seen[1]) / seen[2], odds, 1.0);
}

}  // namespace
}  // namespace moescope::sampling_test
