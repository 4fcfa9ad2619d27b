// The worked examples of the reference, and the rules against their definition by brute force.
#include "core/engine/model_router.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <random>

namespace moescope::model_router_test {
namespace {

using testing::ElementsAre;
using testing::FloatNear;

struct Chosen {
  std::vector<std::int32_t> ids;
  std::vector<float> weights;
  float margin = 0;
};

Chosen choose(const RouterRule& rule, std::size_t k, const std::vector<float>& logits,
              const std::vector<float>& bias = {}, const std::vector<std::uint32_t>& force = {}) {
  Chosen out{std::vector<std::int32_t>(k), std::vector<float>(k)};
  RuleScratch scratch;
  out.margin = choose_by_rule(rule, {logits, bias, force}, out.ids, out.weights, scratch);
  return out;
}

const std::vector<float> by_ratio{0.0F, std::log(2.0F), std::log(3.0F), std::log(4.0F)};

TEST(ModelRouter, SoftmaxThenTopKWithAndWithoutRenormalising) {
  RouterRule rule;
  Chosen c = choose(rule, 2, by_ratio);
  EXPECT_THAT(c.ids, ElementsAre(3, 2));
  EXPECT_THAT(c.weights, ElementsAre(FloatNear(0.4F, 1e-6), FloatNear(0.3F, 1e-6)));
  EXPECT_NEAR(c.margin, 0.1, 1e-6);
  rule.renormalise = true;
  EXPECT_THAT(choose(rule, 2, by_ratio).weights, ElementsAre(FloatNear(4.0F / 7, 1e-6), FloatNear(3.0F / 7, 1e-6)));
}

TEST(ModelRouter, SoftmaxOverTheChosenLogits) {
  RouterRule rule;
  rule.order = RouterRule::Order::top_k_then_score;
  const Chosen c = choose(rule, 2, by_ratio);
  EXPECT_THAT(c.weights, ElementsAre(FloatNear(4.0F / 7, 1e-6), FloatNear(3.0F / 7, 1e-6)));
}

RouterRule deepseek_v3(std::uint32_t kept) {
  RouterRule rule;
  rule.score = RouterRule::Score::sigmoid;
  rule.selection_bias = rule.renormalise = true;
  rule.norm_epsilon = 1e-20;
  rule.groups = 2;
  rule.kept_groups = kept;
  rule.group_score = RouterRule::GroupScore::two_best;
  return rule;
}

TEST(ModelRouter, GroupsAreJudgedByTheirTwoBestAndTheBiasStaysOutOfTheWeights) {
  const std::vector<float> z{0.0F, std::log(3.0F), -std::log(3.0F), std::log(9.0F)}, bias{0.6F, 0.0F, 0.9F, 0.0F};
  RouterRule rule = deepseek_v3(1);
  Chosen c = choose(rule, 2, z, bias);
  EXPECT_THAT(c.ids, ElementsAre(2, 3));
  EXPECT_THAT(c.weights, ElementsAre(FloatNear(0.217391F, 1e-6), FloatNear(0.782609F, 1e-6)));
  rule.scale = 2.5;
  EXPECT_THAT(choose(rule, 2, z, bias).weights, ElementsAre(FloatNear(0.543478F, 1e-6), FloatNear(1.956522F, 1e-6)));
  c = choose(deepseek_v3(2), 2, z, bias);
  EXPECT_THAT(c.ids, ElementsAre(2, 0));
  EXPECT_THAT(c.weights, ElementsAre(FloatNear(1.0F / 3, 1e-6), FloatNear(2.0F / 3, 1e-6)));
}

TEST(ModelRouter, GroupsAreJudgedByTheirBestWhereTheRuleSaysSo) {
  const std::vector<float> z{std::log(0.4F), std::log(0.05F), std::log(0.3F), std::log(0.25F)};
  RouterRule rule;
  rule.groups = 2;
  rule.kept_groups = 1;
  Chosen c = choose(rule, 2, z);
  EXPECT_THAT(c.ids, ElementsAre(0, 1));
  EXPECT_THAT(c.weights, ElementsAre(FloatNear(0.4F, 1e-6), FloatNear(0.05F, 1e-6)));
  rule.group_score = RouterRule::GroupScore::two_best;
  EXPECT_THAT(choose(rule, 2, z).ids, ElementsAre(2, 3));
}

TEST(ModelRouter, SparsemixerWeighsEachPickAmongThoseCloseToIt) {
  RouterRule rule;
  rule.score = RouterRule::Score::sparsemixer;
  rule.jitter = 0.01;
  const Chosen c = choose(rule, 2, {1.0F, 0.99F, 0.5F, -2.0F});
  EXPECT_THAT(c.ids, ElementsAre(0, 1));
  EXPECT_THAT(c.weights, ElementsAre(FloatNear(0.5025F, 1e-5), FloatNear(1.0F, 1e-6)));
  // All zero: 0 / 0 is close, so all take part.
  EXPECT_THAT(choose(rule, 2, {0.0F, 0.0F, 0.0F, 0.0F}).weights,
              ElementsAre(FloatNear(0.25F, 1e-6), FloatNear(1.0F / 3, 1e-6)));
}

TEST(ModelRouter, ANormOfAnotherOrderDivides) {
  RouterRule rule;
  rule.renormalise = true;
  rule.norm_order = 2.0;
  EXPECT_THAT(choose(rule, 2, by_ratio).weights, ElementsAre(FloatNear(0.8F, 1e-6), FloatNear(0.6F, 1e-6)));
}

TEST(ModelRouter, MaskedExpertsAreNotChosenAndForcedOnesComeFirst) {
  constexpr float never = -std::numeric_limits<float>::infinity();
  const RouterRule rule;
  Chosen c = choose(rule, 3, {never, 1.0F, never, 0.0F});
  EXPECT_THAT(c.ids, ElementsAre(1, 3, -1));
  EXPECT_EQ(c.weights[2], 0.0F);
  EXPECT_TRUE(std::isnan(c.margin));
  c = choose(rule, 2, by_ratio, {}, {0});
  EXPECT_THAT(c.ids, ElementsAre(0, 3));
  EXPECT_THAT(c.weights, ElementsAre(FloatNear(0.1F, 1e-6), FloatNear(0.4F, 1e-6)));
}

TEST(ModelRouter, EqualScoresGoToTheLowerExpert) {
  EXPECT_THAT(choose({}, 3, {1.0F, 1.0F, 1.0F, 1.0F, 1.0F}).ids, ElementsAre(0, 1, 2));
}

// The choice by its definition: sort everything.
TEST(ModelRouter, GroupedChoiceEqualsSortingByHand) {
  std::mt19937_64 random(7);
  std::normal_distribution<float> normal(0.0F, 1.0F);
  for (int round = 0; round < 200; ++round) {
    const std::size_t groups = 1 + random() % 4, size = 2 + random() % 6, experts = groups * size;
    RouterRule rule = deepseek_v3(static_cast<std::uint32_t>(1 + random() % groups));
    rule.groups = static_cast<std::uint32_t>(groups);
    if (random() % 2 == 0) rule.group_score = RouterRule::GroupScore::best;
    const std::size_t k = 1 + random() % (rule.kept_groups * size);
    std::vector<float> z(experts), bias(experts);
    for (float& value : z) value = normal(random);
    for (float& value : bias) value = 0.3F * normal(random);
    std::vector<double> score(experts), group(groups);
    for (std::size_t e = 0; e < experts; ++e) score[e] = 1.0 / (1.0 + std::exp(-static_cast<double>(z[e])));
    for (std::size_t g = 0; g < groups; ++g) {
      std::vector<double> own;
      for (std::size_t e = g * size; e < (g + 1) * size; ++e) own.push_back(score[e] + static_cast<double>(bias[e]));
      std::sort(own.begin(), own.end(), std::greater<>());
      group[g] = own[0] + (rule.group_score == RouterRule::GroupScore::two_best ? own[1] : 0.0);
    }
    std::vector<std::size_t> order(groups), best;
    for (std::size_t g = 0; g < groups; ++g) order[g] = g;
    std::sort(order.begin(), order.end(), [&](std::size_t a, std::size_t b) { return group[a] > group[b]; });
    for (std::size_t i = 0; i < rule.kept_groups; ++i) {
      for (std::size_t e = 0; e < size; ++e) best.push_back(order[i] * size + e);
    }
    const auto rank = [&](std::size_t e) { return score[e] + static_cast<double>(bias[e]); };
    std::sort(best.begin(), best.end(), [&](std::size_t a, std::size_t b) { return rank(a) > rank(b); });
    double sum = 0;
    for (std::size_t j = 0; j < k; ++j) sum += score[best[j]];
    const Chosen c = choose(rule, k, z, bias);
    for (std::size_t j = 0; j < k; ++j) {
      ASSERT_EQ(c.ids[j], static_cast<std::int32_t>(best[j])) << "round " << round;
      ASSERT_NEAR(c.weights[j], score[best[j]] / sum, 1e-6) << "round " << round;
    }
  }
}

}  // namespace
}  // namespace moescope::model_router_test
