#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>

#include "tests/core/analysis/planted.h"

namespace moescope::expert_load_test {
namespace {

using planted::Plan;

double cell(const Table& table, std::size_t row, const std::string& column) {
  for (std::size_t c = 0; c < table.columns.size(); ++c) {
    if (table.columns[c].name != column) continue;
    const auto& value = table.rows[row][c];
    if (const auto* whole = std::get_if<std::int64_t>(&value)) return static_cast<double>(*whole);
    if (const auto* real = std::get_if<double>(&value)) return *real;
  }
  ADD_FAILURE() << "no number in column " << column;
  return NAN;
}

Plan all_to_one(std::size_t tokens, std::uint32_t experts) {
  Plan plan;
  plan.experts = {experts};
  plan.routes = {std::vector<std::vector<std::uint32_t>>(tokens, {0})};
  return plan;
}

TEST(ExpertLoad, AllToOneIsAsUnevenAsCanBe) {
  const Result result = planted::run("expert_load", planted::make_trace(all_to_one(100, 4)));
  const Table& balance = *result.table("balance");
  EXPECT_DOUBLE_EQ(cell(balance, 0, "n"), 100);
  EXPECT_DOUBLE_EQ(cell(balance, 0, "max_over_mean"), 4);
  EXPECT_DOUBLE_EQ(cell(balance, 0, "maxvio"), 3);
  EXPECT_DOUBLE_EQ(cell(balance, 0, "cv"), std::sqrt(3.0));
  EXPECT_DOUBLE_EQ(cell(balance, 0, "gini"), 0.75);
  EXPECT_DOUBLE_EQ(cell(balance, 0, "entropy"), 0);
  EXPECT_DOUBLE_EQ(cell(balance, 0, "effective_experts"), 1);
  EXPECT_DOUBLE_EQ(cell(balance, 0, "dead"), 3);
  EXPECT_DOUBLE_EQ(result.matrix("lift")->at(0, 0), 4);
  EXPECT_DOUBLE_EQ(result.matrix("count")->at(0, 1), 0)
      << "an expert that is never chosen was counted: zero, not absent";
}

TEST(ExpertLoad, RoundRobinIsEven) {
  Plan plan = all_to_one(64, 8);
  for (std::uint32_t t = 0; t < 64; ++t) plan.routes[0][t] = {t % 8};
  const Result result = planted::run("expert_load", planted::make_trace(plan));
  const Table& balance = *result.table("balance");
  EXPECT_DOUBLE_EQ(cell(balance, 0, "max_over_mean"), 1);
  EXPECT_DOUBLE_EQ(cell(balance, 0, "cv"), 0);
  EXPECT_NEAR(cell(balance, 0, "gini"), 0, 1e-12);
  EXPECT_NEAR(cell(balance, 0, "entropy"), 1, 1e-12);
  EXPECT_NEAR(cell(balance, 0, "effective_experts"), 8, 1e-9);
  EXPECT_DOUBLE_EQ(cell(balance, 0, "dead"), 0);
  EXPECT_DOUBLE_EQ(result.matrix("share")->at(0, 3), 0.125);
}

TEST(ExpertLoad, RaggedRowsEndInAbsentCells) {
  Plan plan = planted::uniform_plan(2, 4, 2, 50, 1);
  plan.experts = {4, 6};
  const Result result = planted::run("expert_load", planted::make_trace(plan));
  const Matrix& count = *result.matrix("count");
  EXPECT_EQ(count.row_names, (std::vector<std::string>{"L0", "L1"}));
  EXPECT_EQ(count.columns(), 6U);
  EXPECT_EQ(count.column_names[5], "E05");
  EXPECT_TRUE(std::isnan(count.at(0, 5)));
  EXPECT_EQ(count.absence[5], Absence::not_recorded);
  EXPECT_EQ(count.at(1, 5), 0);
}

TEST(ExpertLoad, UsedCodesAreNeverCounted) {
  Plan plan = all_to_one(6, 4);
  plan.routes[0] = {{0, 1}, {0, 1}, {0, 1}, {0, 1}, {0, 1}, {0, 1}};
  plan.used = {{2, 1, used_code::dropped, used_code::not_recorded, used_code::skipped_layer, used_code::other_stream}};
  const Result result = planted::run("expert_load", planted::make_trace(plan));
  EXPECT_EQ(result.matrix("count")->at(0, 0), 2);
  EXPECT_EQ(result.matrix("count")->at(0, 1), 1);
  EXPECT_EQ(cell(*result.table("balance"), 0, "n"), 2);
}

TEST(ExpertLoad, WithoutUsedColumnUnfilledSlotsAreLeftOut) {
  for (const bool wide : {false, true}) {
    Plan plan = all_to_one(3, 4);
    plan.routes[0] = {{0, 1}, {2}, {}};
    plan.write_used = false;
    plan.wide = wide;
    const Result result = planted::run("expert_load", planted::make_trace(plan));
    EXPECT_EQ(result.matrix("n") == nullptr, true);
    EXPECT_EQ(result.matrix("count")->at(0, 2), 1);
    EXPECT_EQ(result.matrix("count")->n[0], 3);
  }
}

TEST(ExpertLoad, IdsBeyondTheRouterAreReportedAndNotCounted) {
  Plan plan = all_to_one(3, 4);
  plan.routes[0] = {{0}, {9}, {200}};
  const Result result = planted::run("expert_load", planted::make_trace(plan));
  EXPECT_EQ(result.matrix("count")->n[0], 1);
  EXPECT_THAT(result.caveats, testing::Contains(testing::StartsWith("2 slots name an expert")));
}

TEST(ExpertLoad, FilteredRowsAndTokensAreLeftOut) {
  const Plan plan = planted::uniform_plan(2, 4, 2, 3000, 3);
  AppliedFilter filter = planted::keep_tokens(3000, [](std::size_t t) { return t % 3 == 0; });
  filter.filter.rows = {1};
  const Result result = planted::run("expert_load", planted::make_trace(plan), nullptr, filter);
  EXPECT_EQ(result.provenance.tokens, 1000U);
  EXPECT_EQ(result.matrix("count")->absence[0], Absence::filtered_out);
  EXPECT_TRUE(std::isnan(result.matrix("share")->at(0, 0)));
  std::vector<double> expected(4, 0);
  for (std::size_t t = 0; t < 3000; t += 3) {
    for (const auto e : plan.routes[1][t]) ++expected[e];
  }
  for (std::size_t e = 0; e < 4; ++e) EXPECT_EQ(result.matrix("count")->at(1, e), expected[e]);
}

TEST(ExpertLoad, BruteForceAgreesOnRaggedRandomTracesInAnySegmentation) {
  for (const std::uint64_t seed : {1, 2, 3}) {
    Plan plan = planted::uniform_plan(3, 7, 3, 2500, seed);
    std::mt19937_64 random(seed);
    for (auto& row : plan.routes) {
      for (auto& route : row) route.resize(random() % 4);
    }
    plan.sequences = planted::sequences_of(2500, 100);
    plan.wide = seed == 2;
    plan.segments = seed;
    const Result result = planted::run("expert_load", planted::make_trace(plan));
    for (std::size_t r = 0; r < 3; ++r) {
      std::vector<double> expected(7, 0);
      for (const auto& route : plan.routes[r]) {
        for (const auto e : route) ++expected[e];
      }
      for (std::size_t e = 0; e < 7; ++e) EXPECT_EQ(result.matrix("count")->at(r, e), expected[e]);
    }
  }
}

TEST(ExpertLoad, BootstrapIntervalsCoverTheTruthAndHoldTheEstimate) {
  int covered = 0;
  const int trials = 40;
  for (int trial = 0; trial < trials; ++trial) {
    Plan plan = planted::uniform_plan(1, 4, 1, 2000, 100 + static_cast<std::uint64_t>(trial));
    plan.sequences = planted::sequences_of(2000, 50);
    const Result result = planted::run("expert_load", planted::make_trace(plan));
    const Matrix& share = *result.matrix("share");
    EXPECT_LE(share.low[0], share.at(0, 0));
    EXPECT_GE(share.high[0], share.at(0, 0));
    covered += share.low[0] <= 0.25 && share.high[0] >= 0.25 ? 1 : 0;
  }
  EXPECT_GE(covered, trials * 8 / 10);
}

TEST(ExpertLoad, FewSequencesGiveNoIntervals) {
  Plan plan = planted::uniform_plan(1, 4, 1, 400, 5);
  plan.sequences = planted::sequences_of(400, 100);
  const Result result = planted::run("expert_load", planted::make_trace(plan));
  EXPECT_TRUE(result.matrix("share")->low.empty());
  EXPECT_THAT(result.caveats, testing::Contains(testing::HasSubstr("No intervals")));
}

TEST(ExpertLoad, WeightingsCountWhatTheySay) {
  Plan plan = all_to_one(2, 3);
  plan.routes[0] = {{0, 1}, {2, 1}};
  plan.weights = {{{0.75F, 0.25F}, {0.5F, 0.25F}}};
  const Trace trace = planted::make_trace(plan);
  const Result top1 = planted::run("expert_load", trace, {{"weighting", "top1"}});
  EXPECT_EQ(top1.matrix("count")->at(0, 1), 0);
  EXPECT_EQ(top1.matrix("count")->at(0, 2), 1);
  const Result gate = planted::run("expert_load", trace, {{"weighting", "gate"}});
  EXPECT_DOUBLE_EQ(gate.matrix("count")->at(0, 1), 0.5);
  EXPECT_DOUBLE_EQ(gate.matrix("share")->at(0, 0), 0.75 / 1.75);
}

TEST(ExpertLoad, CountsOnlyTracesGiveLoad) {
  Trace trace;
  auto info = std::make_shared<TraceInfo>();
  RouterRow row;
  row.experts = 3;
  row.k = 2;
  info->rows = {row};
  trace.info = info;
  trace.name = "counts";
  trace.counts.steps = 2;
  trace.counts.rows = 1;
  trace.counts.emax = 3;
  trace.counts.values = Column<std::int64_t>::own({1, 2, 3, 3, 2, 1});
  const Result result = planted::run("expert_load", trace);
  for (std::size_t e = 0; e < 3; ++e) EXPECT_EQ(result.matrix("count")->at(0, e), 4);
  EXPECT_EQ(cell(*result.table("balance"), 0, "n"), 6);
  EXPECT_FALSE(run_analysis("expert_load", trace, {}, {{"weighting", "top1"}}));
}

}  // namespace
}  // namespace moescope::expert_load_test
