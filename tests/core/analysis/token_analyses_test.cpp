#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "tests/core/analysis/planted.h"

namespace moescope::token_analyses_test {
namespace {

using planted::Plan;

Plan with_logits(std::size_t tokens, const std::vector<float>& logits, std::uint32_t k) {
  Plan plan;
  plan.experts = {static_cast<std::uint32_t>(logits.size())};
  std::vector<std::uint32_t> route;
  for (std::uint32_t e = 0; e < k; ++e) route.push_back(e);
  plan.routes = {std::vector<std::vector<std::uint32_t>>(tokens, route)};
  plan.logits = {std::vector<std::vector<float>>(tokens, logits)};
  return plan;
}

TEST(RoutingEntropy, EqualLogitsGiveLnEAndNoMargin) {
  const Result result = planted::run("routing_entropy", planted::make_trace(with_logits(50, {1, 1, 1, 1}, 2)));
  EXPECT_NEAR(result.find_series("entropy")->y[0], std::log(4.0), 1e-12);
  EXPECT_DOUBLE_EQ(result.find_series("margin")->y[0], 0);
  EXPECT_EQ(result.find_series("entropy")->n[0], 50);
}

TEST(RoutingEntropy, ASureRouterHasNoEntropyAndItsMarginIsTheGapAfterRankK) {
  const Result result = planted::run("routing_entropy", planted::make_trace(with_logits(50, {500, 3, 1, 0.5}, 2)));
  EXPECT_NEAR(result.find_series("entropy")->y[0], 0, 1e-12);
  EXPECT_DOUBLE_EQ(result.find_series("margin")->y[0], 2);
}

TEST(RoutingEntropy, MatchesTheFormulaAndTheHistogramHoldsEveryToken) {
  Plan plan = with_logits(101, {0, 0, 0}, 1);
  std::vector<double> expected;
  for (std::size_t t = 0; t < 101; ++t) {
    const float x = static_cast<float>(t) / 20;
    plan.logits[0][t] = {x, 0, -x};
    const double z = std::exp(x) + 1 + std::exp(-x);
    double h = 0;
    for (const double l : {static_cast<double>(x), 0.0, -static_cast<double>(x)})
      h -= std::exp(l) / z * (l - std::log(z));
    expected.push_back(h);
  }
  const Result result = planted::run("routing_entropy", planted::make_trace(plan));
  double mean = 0;
  for (const double h : expected) mean += h / 101;
  std::sort(expected.begin(), expected.end());
  const Series& entropy = *result.find_series("entropy");
  EXPECT_NEAR(entropy.y[0], mean, 1e-6);
  EXPECT_NEAR(entropy.low[0], expected[25], 1e-6);
  EXPECT_NEAR(entropy.high[0], expected[75], 1e-6);
  std::int64_t total = 0;
  for (const auto& row : result.table("entropy_histogram")->rows) total += std::get<std::int64_t>(row[3]);
  EXPECT_EQ(total, 101);
}

TEST(RoutingEntropy, DroppedTokensAndNaNLogitsDoNotCount) {
  Plan plan = with_logits(3, {1, 1}, 1);
  plan.used = {{1, used_code::dropped, 1}};
  plan.logits[0][2] = {1, std::numeric_limits<float>::quiet_NaN()};
  const Result result = planted::run("routing_entropy", planted::make_trace(plan));
  EXPECT_EQ(result.find_series("entropy")->n[0], 1);
}

TEST(RoutingEntropy, GateWeightsGiveAnotherNumberUnderItsOwnName) {
  Plan plan = planted::uniform_plan(1, 4, 2, 20, 1);
  plan.weights = {std::vector<std::vector<float>>(20, {0.3F, 0.3F})};
  const Trace trace = planted::make_trace(plan);
  const Result result = planted::run("routing_entropy", trace);
  EXPECT_EQ(result.find_series("entropy"), nullptr);
  EXPECT_NEAR(result.find_series("gate_entropy")->y[0], std::log(2.0), 1e-6);
  EXPECT_THAT(result.caveats, testing::Contains(testing::HasSubstr("no router logits")));
  plan.weights.clear();
  EXPECT_FALSE(run_analysis("routing_entropy", planted::make_trace(plan), {}, nullptr));
}

TEST(Coactivation, BruteForceAgrees) {
  for (const std::uint32_t k : {2U, 3U, 8U}) {
    Plan plan = planted::uniform_plan(2, 9, k, 20000, k);
    std::mt19937_64 random(k);
    for (auto& route : plan.routes[1]) route.resize(random() % (k + 1));
    const Result result = planted::run("coactivation", planted::make_trace(plan), {{"row", 1}});
    std::vector<double> n(9, 0), both(81, 0);
    double tokens = 0;
    for (const auto& route : plan.routes[1]) {
      tokens += route.empty() ? 0 : 1;
      for (const auto i : route) {
        ++n[i];
        for (const auto j : route) both[i * 9 + j] += 1;
      }
    }
    for (std::size_t i = 0; i < 9; ++i) {
      EXPECT_EQ(result.matrix("count")->n[i], n[i]);
      EXPECT_TRUE(std::isnan(result.matrix("count")->at(i, i)));
      for (std::size_t j = 0; j < 9; ++j) {
        if (i == j) continue;
        const double c = both[i * 9 + j];
        EXPECT_EQ(result.matrix("count")->at(i, j), c);
        EXPECT_DOUBLE_EQ(result.matrix("conditional")->at(i, j), c / n[i]);
        EXPECT_DOUBLE_EQ(result.matrix("lift")->at(i, j), c * tokens / (n[i] * n[j]));
        EXPECT_DOUBLE_EQ(result.matrix("jaccard")->at(i, j), c / (n[i] + n[j] - c));
      }
    }
  }
}

TEST(Coactivation, EvenIndependentChoiceHasTheStatedLift) {
  const Result result = planted::run("coactivation", planted::make_trace(planted::uniform_plan(1, 8, 2, 50000, 4)));
  const double expected = result.scalar("uniform_lift")->estimate.value;
  EXPECT_NEAR(expected, 8.0 / (2 * 7), 1e-12);
  EXPECT_NEAR(result.matrix("lift")->at(0, 1), expected, 0.05);
}

TEST(Coactivation, OneExpertPerTokenIsUnavailable) {
  const auto result = run_analysis("coactivation", planted::make_trace(planted::uniform_plan(1, 4, 1, 9, 1)), {}, {});
  ASSERT_FALSE(result);
  EXPECT_THAT(result.error().what, testing::HasSubstr("one expert per token"));
}

TEST(TokenRoutes, GivesExpertWeightMarginAndLossOfAStretch) {
  Plan plan = planted::uniform_plan(2, 4, 2, 30, 1);
  plan.segments = 3;
  plan.losses.assign(30, 0.5F);
  plan.weights.assign(2, std::vector<std::vector<float>>(30, {0.75F, 0.25F}));
  plan.used.assign(2, std::vector<std::uint8_t>(30, 2));
  plan.used[1][12] = used_code::dropped;
  plan.logits.assign(2, std::vector<std::vector<float>>(30, {4, 3, 1, 0}));
  const AppliedFilter filter = planted::keep_tokens(30, [](std::size_t t) { return t != 13; });
  const Result result =
      planted::run("token_routes", planted::make_trace(plan), {{"first", 8}, {"count", 10}, {"rank", 2}}, filter);
  const Matrix& expert = *result.matrix("expert");
  ASSERT_EQ(expert.columns(), 10U);
  for (std::size_t r = 0; r < 2; ++r) {
    for (std::size_t t = 0; t < 10; ++t) {
      if (t == 5) {
        EXPECT_EQ(expert.absence[r * 10 + t], Absence::filtered_out);
      } else if (t == 4 && r == 1) {
        EXPECT_EQ(expert.absence[r * 10 + t], Absence::not_recorded);
        EXPECT_TRUE(std::isnan(expert.at(r, t)));
      } else {
        EXPECT_EQ(expert.at(r, t), plan.routes[r][8 + t][1]);
        EXPECT_DOUBLE_EQ(result.matrix("weight")->at(r, t), 0.25);
        EXPECT_DOUBLE_EQ(result.matrix("margin")->at(r, t), 2);
      }
    }
  }
  EXPECT_DOUBLE_EQ(result.find_series("loss")->y[0], 0.5);
  EXPECT_FALSE(run_analysis("token_routes", planted::make_trace(plan), {}, {{"first", 30}}));
  EXPECT_FALSE(run_analysis("token_routes", planted::make_trace(plan), {}, {{"rank", 3}}));
  EXPECT_EQ(planted::run("token_routes", planted::make_trace(plan), {{"first", 28}}).matrix("expert")->columns(), 2U);
}

}  // namespace
}  // namespace moescope::token_analyses_test
