#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <map>
#include <set>

#include "core/analysis/pairs.h"
#include "tests/core/analysis/planted.h"

namespace moescope::affinity_test {
namespace {

using planted::Plan;

// Row l + 1 is a fixed permutation of row l, one expert per token.
Plan permutation_plan(std::size_t rows, std::uint32_t experts, std::size_t tokens, double obey = 1.0) {
  Plan plan = planted::uniform_plan(rows, experts, 1, tokens, 7);
  std::mt19937_64 random(11);
  for (std::size_t r = 1; r < rows; ++r) {
    for (std::size_t t = 0; t < tokens; ++t) {
      if (static_cast<double>(random() % 10000) / 10000 < obey) {
        plan.routes[r][t] = {(plan.routes[r - 1][t][0] * 3 + 1) % experts};
      }
    }
  }
  plan.sequences = planted::sequences_of(tokens, 100);
  return plan;
}

TEST(Affinity, APermutationOfExpertsGivesAPermutationMatrixAndStrengthOne) {
  const Trace trace = planted::make_trace(permutation_plan(3, 8, 1000));
  for (const char* weighting : {"pairs", "top1", "pairs_over_k2"}) {
    const Result result = planted::run("affinity", trace, {{"row", 1}, {"weighting", weighting}});
    const Matrix& probability = *result.matrix("probability");
    for (std::size_t i = 0; i < 8; ++i) {
      for (std::size_t j = 0; j < 8; ++j) EXPECT_EQ(probability.at(i, j), j == (i * 3 + 1) % 8 ? 1.0 : 0.0);
    }
    EXPECT_DOUBLE_EQ(result.scalar("strength")->estimate.value, 1);
    EXPECT_DOUBLE_EQ(result.scalar("floor")->estimate.value, 0.125);
    EXPECT_GT(result.find_series("mutual_information")->y[0], 0.98);
    EXPECT_LT(result.find_series("mutual_information_null")->high[0], 0.1);
    for (const double entropy : result.find_series("row_entropy")->y) EXPECT_DOUBLE_EQ(entropy, 0);
    EXPECT_LT(result.find_series("strength_null")->high[0], 0.5);
  }
}

TEST(Affinity, PlantedObedienceIsFound) {
  const Trace trace = planted::make_trace(permutation_plan(6, 8, 4000, 0.8));
  const Result result = planted::run("affinity", trace, {{"row", 2}});
  // With probability q the planted expert, else one of all: q + (1 - q) / E.
  for (const double strength : result.find_series("strength")->y) EXPECT_NEAR(strength, 0.8 + 0.2 / 8, 0.03);
  const Result far = planted::run("affinity", trace, {{"distance", 2}});
  EXPECT_NEAR(far.scalar("strength")->estimate.value, 0.8 * 0.8 + (1 - 0.64) / 8, 0.03);
  EXPECT_EQ(far.find_series("strength")->y.size(), 4U);
}

TEST(Affinity, IndependentRoutingLiesInTheNullBand) {
  int strength_inside = 0, information_inside = 0, points = 0;
  for (const std::uint64_t seed : {21, 22, 23, 24}) {
    Plan plan = planted::uniform_plan(6, 8, 2, 2000, seed);
    plan.sequences = planted::sequences_of(2000, 50);
    const Result result = planted::run("affinity", planted::make_trace(plan), {{"null_draws", 60}, {"seed", 5}});
    const Series& strength = *result.find_series("strength");
    const Series& null = *result.find_series("strength_null");
    const Series& information = *result.find_series("mutual_information");
    const Series& information_null = *result.find_series("mutual_information_null");
    EXPECT_EQ(null.role, Series::Role::null_band);
    EXPECT_DOUBLE_EQ(result.scalar("floor")->estimate.value, 0.25);
    for (std::size_t i = 0; i < strength.y.size(); ++i, ++points) {
      strength_inside += strength.y[i] >= null.low[i] && strength.y[i] <= null.high[i] ? 1 : 0;
      information_inside +=
          information.y[i] >= information_null.low[i] && information.y[i] <= information_null.high[i] ? 1 : 0;
      EXPECT_NEAR(strength.y[i], 0.25, 0.1);
    }
  }
  EXPECT_GE(strength_inside, points * 8 / 10);
  EXPECT_GE(information_inside, points * 8 / 10);
}

TEST(Affinity, SequenceTopicsAloneStayInTheNullBand) {
  // Each sequence has its own two experts at both rows: strong affinity, all of it from the sequence.
  Plan plan;
  plan.experts = {8, 8};
  plan.routes.resize(2);
  std::mt19937_64 random(3);
  for (std::size_t t = 0; t < 4000; ++t) {
    const auto topic = static_cast<std::uint32_t>(t / 40 % 4);
    for (auto& row : plan.routes) row.push_back({topic * 2 + static_cast<std::uint32_t>(random() % 2)});
  }
  plan.sequences = planted::sequences_of(4000, 40);
  const Result result = planted::run("affinity", planted::make_trace(plan), {{"null_draws", 100}});
  EXPECT_GT(result.find_series("strength")->y[0], 0.45);
  EXPECT_LE(result.find_series("strength")->y[0], result.find_series("strength_null")->high[0] + 0.02);
  EXPECT_GT(result.find_series("strength_null")->low[0], 0.45);
}

TEST(Affinity, UnusedExpertsHaveNoDataAndAreNeverZero) {
  Plan plan = permutation_plan(2, 8, 500);
  for (auto& route : plan.routes[0]) {
    if (route[0] == 3) route[0] = 4;
  }
  const Result result = planted::run("affinity", planted::make_trace(plan));
  const Matrix& probability = *result.matrix("probability");
  for (std::size_t j = 0; j < 8; ++j) {
    EXPECT_TRUE(std::isnan(probability.at(3, j)));
    EXPECT_EQ(probability.absence[3 * 8 + j], Absence::not_recorded);
  }
  EXPECT_EQ(probability.n[3], 0);
  EXPECT_TRUE(std::isnan(result.find_series("row_entropy")->y[3]));
}

// Everything counted the slow way, over ragged rows with codes, two sizes of E and two widths of ids.
TEST(Affinity, BruteForceAgreesOnRaggedRandomTraces) {
  for (const std::uint64_t seed : {1, 2, 3, 4}) {
    Plan plan = planted::uniform_plan(2, 5, 3, 1500, seed);
    plan.experts = {5, 9};
    std::mt19937_64 random(seed);
    plan.used.resize(2);
    for (std::size_t r = 0; r < 2; ++r) {
      for (auto& route : plan.routes[r]) {
        for (auto& e : route) e = r == 0 ? e : (e * 2) % 9;
        route.resize(random() % 4);
        plan.used[r].push_back(random() % 10 == 0 ? used_code::dropped : static_cast<std::uint8_t>(route.size()));
      }
    }
    plan.sequences = planted::sequences_of(1500, 100);
    plan.wide = seed % 2 == 0;
    plan.segments = seed;
    const AppliedFilter filter = planted::keep_tokens(1500, [&](std::size_t t) { return seed < 3 || t % 5 != 0; });
    std::map<std::pair<std::size_t, std::size_t>, double> pairs;
    std::map<std::size_t, double> from;
    for (std::size_t t = 0; t < 1500; ++t) {
      const auto& a = plan.routes[0][t];
      const auto& b = plan.routes[1][t];
      if (!filter.mask.test(t) || a.empty() || b.empty() || plan.used[0][t] > 249 || plan.used[1][t] > 249) continue;
      for (const auto i : a) {
        ++from[i];
        for (const auto j : b) ++pairs[{i, j}];
      }
    }
    const Result result = planted::run("affinity", planted::make_trace(plan), nullptr, filter);
    for (std::size_t i = 0; i < 5; ++i) {
      EXPECT_EQ(result.matrix("count")->n[i], from[i]);
      for (std::size_t j = 0; j < 9; ++j) {
        EXPECT_EQ(result.matrix("count")->at(i, j), (pairs[{i, j}])) << i << " " << j;
        EXPECT_DOUBLE_EQ(result.matrix("probability")->at(i, j), (pairs[{i, j}]) / from[i]);
      }
    }
  }
}

double row_sum(const Matrix& matrix, std::size_t row) {
  double sum = 0;
  for (std::size_t c = 0; c < matrix.columns(); ++c) sum += matrix.at(row, c);
  return sum;
}

TEST(Affinity, RowsSumToKOrToOne) {
  for (const std::uint32_t k : {1U, 2U, 3U, 4U, 6U, 8U}) {
    const Trace trace = planted::make_trace(planted::uniform_plan(2, 9, k, 700, k));
    const Result pairs = planted::run("affinity", trace);
    const Result spread = planted::run("affinity", trace, {{"weighting", "pairs_over_k2"}});
    const Result top1 = planted::run("affinity", trace, {{"weighting", "top1"}});
    for (std::size_t i = 0; i < 9; ++i) {
      EXPECT_NEAR(row_sum(*pairs.matrix("probability"), i), k, 1e-9);
      EXPECT_NEAR(row_sum(*spread.matrix("probability"), i), 1, 1e-9);
      EXPECT_NEAR(row_sum(*top1.matrix("probability"), i), 1, 1e-9);
    }
    EXPECT_NEAR(pairs.scalar("floor")->estimate.value, k / 9.0, 1e-9);
    EXPECT_NEAR(spread.scalar("floor")->estimate.value, 1 / 9.0, 1e-9);
    EXPECT_NEAR(top1.scalar("floor")->estimate.value, 1 / 9.0, 1e-9);
  }
}

TEST(Affinity, RelabellingExpertsRelabelsTheMatrixAndKeepsTheStrength) {
  const Plan plan = permutation_plan(2, 8, 1000, 0.6);
  Plan other = plan;
  for (auto& route : other.routes[1]) route[0] = 7 - route[0];
  const Result one = planted::run("affinity", planted::make_trace(plan));
  const Result two = planted::run("affinity", planted::make_trace(other));
  EXPECT_DOUBLE_EQ(one.scalar("strength")->estimate.value, two.scalar("strength")->estimate.value);
  for (std::size_t i = 0; i < 8; ++i) {
    for (std::size_t j = 0; j < 8; ++j) {
      EXPECT_EQ(one.matrix("count")->at(i, j), two.matrix("count")->at(i, 7 - j));
    }
  }
}

TEST(Affinity, TheOrderOfTokensDoesNotMatterToTheObserved) {
  const Plan plan = permutation_plan(2, 8, 1000, 0.6);
  Plan other = plan;
  for (auto& row : other.routes) std::reverse(row.begin(), row.end());
  const Result one = planted::run("affinity", planted::make_trace(plan));
  const Result two = planted::run("affinity", planted::make_trace(other));
  EXPECT_EQ(one.matrix("count")->values, two.matrix("count")->values);
}

TEST(Affinity, TheSameSeedGivesTheSameNullOnAnyThreadCountAndSegmentation) {
  Plan plan = planted::uniform_plan(5, 6, 2, 3000, 9);
  plan.sequences = planted::sequences_of(3000, 70);
  setenv("MOESCOPE_THREADS", "1", 1);
  const Result one = planted::run("affinity", planted::make_trace(plan), {{"seed", 3}});
  setenv("MOESCOPE_THREADS", "4", 1);
  plan.segments = 4;
  const Result two = planted::run("affinity", planted::make_trace(plan), {{"seed", 3}});
  const Result three = planted::run("affinity", planted::make_trace(plan), {{"seed", 4}});
  unsetenv("MOESCOPE_THREADS");
  EXPECT_EQ(one.find_series("strength_null")->high, two.find_series("strength_null")->high);
  EXPECT_NE(one.find_series("strength_null")->high, three.find_series("strength_null")->high);
}

TEST(ShuffledPairs, KeepTheMarginsAndStayWithinTheirSequence) {
  // Sequences are interleaved, and each has experts of its own: a pair across sequences would be seen.
  Plan plan;
  plan.experts = {6, 6};
  plan.routes.resize(2);
  std::mt19937_64 random(3);
  for (std::size_t t = 0; t < 900; ++t) {
    plan.sequences.push_back(static_cast<std::int32_t>(t % 3));
    for (auto& row : plan.routes) {
      row.push_back({static_cast<std::uint32_t>(t % 3 * 2 + random() % 2)});
    }
  }
  const Trace trace = planted::make_trace(plan);
  const RowPair pair{0, 1, 6, 6, 1};
  PairTable observed(pair, PairWeighting::pairs);
  EXPECT_EQ(count_pairs(chunks_of(trace), {}, {}, observed), 0U);
  const auto truth = observed.joint();
  bool moved = false;
  std::size_t draws = 0;
  const auto check = [&](const PairTable& table) {
    ++draws;
    const auto drawn = table.joint();
    EXPECT_EQ(drawn.from, truth.from);
    EXPECT_EQ(drawn.to, truth.to);
    EXPECT_EQ(drawn.tokens, truth.tokens);
    moved = moved || drawn.cells != truth.cells;
    for (std::size_t i = 0; i < 6; ++i) {
      for (std::size_t j = 0; j < 6; ++j) EXPECT_TRUE(i / 2 == j / 2 || drawn.cells[i * 6 + j] == 0);
    }
  };
  shuffled_pairs(trace, group_tokens(trace, {}, sequence_index(trace)), pair, PairWeighting::pairs, 20, 1, {}, check);
  EXPECT_EQ(draws, 20U);
  EXPECT_TRUE(moved);
}

TEST(Affinity, DistanceCountsWithinOneBlockAndSite) {
  Trace trace = planted::make_trace(permutation_plan(4, 8, 300));
  auto info = std::make_shared<TraceInfo>(*trace.info);
  info->rows[1].site = "attention";
  info->rows[1].layer = 0;
  info->rows[3].block = "mtp";
  trace.info = info;
  const Result result = planted::run("affinity", trace);
  EXPECT_EQ(result.title, "Affinity, L0 to L2");
  EXPECT_EQ(result.find_series("strength")->y.size(), 1U);
  EXPECT_FALSE(run_analysis("affinity", trace, {}, {{"row", 1}}));
  EXPECT_FALSE(run_analysis("affinity", trace, {}, {{"row", 3}}));
  EXPECT_FALSE(run_analysis("affinity", trace, {}, {{"row", 99}}));
}

TEST(Affinity, LinksAreTheStrongestOfEachPairOfRows) {
  const Result result =
      planted::run("affinity", planted::make_trace(permutation_plan(3, 8, 2000, 0.7)), {{"links", 8}});
  const Graph& links = *result.graph("links");
  EXPECT_EQ(links.nodes.size(), 24U);
  ASSERT_EQ(links.links.size(), 16U);
  for (const auto& link : links.links) {
    EXPECT_EQ(link.link.to.expert, (link.link.from.expert * 3 + 1) % 8);
    EXPECT_EQ(link.link.to.row, link.link.from.row + 1);
    EXPECT_GT(link.n, 100);
  }
}

TEST(Affinity, IdsBeyondTheRouterNeverIndexOutOfBounds) {
  Plan plan = planted::uniform_plan(2, 4, 2, 200, 1);
  for (std::size_t t = 0; t < 200; t += 3) plan.routes[1][t][t % 2] = 250;
  const Result result = planted::run("affinity", planted::make_trace(plan));
  EXPECT_THAT(result.caveats, testing::Contains(testing::HasSubstr("name an expert")));
  EXPECT_EQ(result.scalar("strength")->estimate.n, 200);
}

TEST(Affinity, FewDrawsAreRefused) {
  const Trace trace = planted::make_trace(planted::uniform_plan(2, 4, 1, 50, 1));
  EXPECT_FALSE(run_analysis("affinity", trace, {}, {{"null_draws", 5}}));
  const Result none = planted::run("affinity", trace, {{"null_draws", 0}});
  EXPECT_EQ(none.find_series("strength_null"), nullptr);
}

}  // namespace
}  // namespace moescope::affinity_test
