// Two traces of the same tokens: planted changes are found, and what does not align is left out and said.
#include "core/analysis/compare.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>

#include "tests/core/analysis/planted.h"

namespace moescope::compare_test {
namespace {

using planted::Plan;
using ::testing::Contains;
using ::testing::HasSubstr;

constexpr std::size_t tokens = 600;

Plan base_plan() {
  Plan plan = planted::uniform_plan(3, 12, 3, tokens, 4);
  plan.sequences = planted::sequences_of(tokens, 60);
  for (std::size_t t = 0; t < tokens; ++t) plan.token_ids.push_back(static_cast<std::int32_t>(t * 7 % 501));
  for (std::size_t t = 0; t < tokens; ++t) plan.positions.push_back(static_cast<std::int32_t>(t % 60));
  return plan;
}

Result compared(const Trace& first, const Trace& second, const CompareOptions& options = {}) {
  auto result = compare_traces(first, second, options);
  if (!result) {
    ADD_FAILURE() << result.error().text();
    return {};
  }
  return *result;
}

TEST(Compare, ATraceAgreesWithItselfInEverything) {
  const Trace trace = planted::make_trace(base_plan());
  const Result result = compared(trace, trace);
  EXPECT_EQ(result.scalar("overlap")->estimate.value, 1);
  EXPECT_EQ(result.scalar("tokens")->estimate.value, tokens);
  for (const double share : result.matrix("rank_agreement")->values) EXPECT_EQ(share, 1);
  for (const double share : result.find_series("same_set")->y) EXPECT_EQ(share, 1);
  EXPECT_TRUE(result.table("moves")->rows.empty());
}

TEST(Compare, PlantedMovesAreFoundAndNothingElse) {
  const Plan plan = base_plan();
  Plan changed = plan;
  std::size_t moved = 0, held = 0;
  for (auto& route : changed.routes[1]) {
    if (std::find(route.begin(), route.end(), 5U) == route.end()) continue;
    ++held;
    if (std::find(route.begin(), route.end(), 9U) != route.end()) continue;
    std::replace(route.begin(), route.end(), 5U, 9U);
    ++moved;
  }
  CompareOptions options;
  options.row = 1;
  const Result result = compared(planted::make_trace(plan), planted::make_trace(changed), options);
  const Matrix& matrix = *result.matrix("moved");
  for (std::size_t i = 0; i < 12; ++i) {
    for (std::size_t j = 0; j < 12; ++j) EXPECT_EQ(matrix.at(i, j), i == 5 && j == 9 ? static_cast<double>(moved) : 0);
  }
  const Series& same = *result.find_series("same_set");
  EXPECT_EQ(same.y[0], 1);
  EXPECT_DOUBLE_EQ(same.y[1], 1 - static_cast<double>(moved) / tokens);
  EXPECT_NEAR(result.find_series("overlap")->y[1], 1 - static_cast<double>(moved) / tokens / 3, 1e-12);
  ASSERT_EQ(result.table("moves")->rows.size(), 1U);
  EXPECT_EQ(std::get<std::int64_t>(result.table("moves")->rows[0][1]), 5);
  EXPECT_EQ(std::get<std::int64_t>(result.table("moves")->rows[0][2]), 9);
  EXPECT_GT(held, moved);
}

TEST(Compare, AnotherOrderOfRanksIsTheSameSet) {
  const Plan plan = base_plan();
  Plan changed = plan;
  for (auto& route : changed.routes[2]) std::swap(route[0], route[2]);
  const Result result = compared(planted::make_trace(plan), planted::make_trace(changed));
  EXPECT_EQ(result.find_series("same_set")->y[2], 1);
  EXPECT_EQ(result.matrix("rank_agreement")->at(2, 0), 0);
  EXPECT_EQ(result.matrix("rank_agreement")->at(2, 1), 1);
}

TEST(Compare, IndependentRoutesAgreeAsChanceDoes) {
  Plan other = base_plan();
  other.routes = planted::uniform_plan(3, 12, 3, tokens, 99).routes;
  const Result result = compared(planted::make_trace(base_plan()), planted::make_trace(other));
  EXPECT_NEAR(result.scalar("overlap")->estimate.value, 3.0 / 12, 0.03);
}

TEST(Compare, SequencesAreFoundInAnyOrderBySegmentsOfAnySize) {
  const Plan plan = base_plan();
  Plan other = plan;
  // The sequences the other way round.
  const auto turned = [](auto& values) {
    auto copy = values;
    for (std::size_t t = 0; t < tokens; ++t) values[t] = copy[(9 - t / 60) * 60 + t % 60];
  };
  for (auto& row : other.routes) turned(row);
  turned(other.token_ids);
  turned(other.positions);
  other.segments = 4;
  const Result result = compared(planted::make_trace(plan), planted::make_trace(other));
  EXPECT_EQ(result.scalar("tokens")->estimate.value, tokens);
  EXPECT_EQ(result.scalar("overlap")->estimate.value, 1);
}

TEST(Compare, WhatDoesNotAlignIsLeftOutAndSaid) {
  const Plan plan = base_plan();
  Plan other = plan;
  other.token_ids[100] = 7777;  // another token
  other.token_ids[130] = 7777;
  // The last sequence was not recorded.
  other.token_ids.resize(540);
  other.sequences.resize(540);
  other.positions.resize(540);
  for (auto& row : other.routes) row.resize(540);
  const Trace first = planted::make_trace(plan), second = planted::make_trace(other);
  const TokenAlignment alignment = align_tokens(first, second);
  EXPECT_TRUE(alignment.by_token_ids);
  EXPECT_EQ(alignment.sequences, 9U);
  EXPECT_EQ(alignment.first.size(), 538U);
  EXPECT_EQ(alignment.different, 2U);
  EXPECT_EQ(alignment.only_first, 62U);
  EXPECT_EQ(alignment.only_second, 2U);
  const Result result = compared(first, second);
  EXPECT_EQ(result.scalar("overlap")->estimate.value, 1);
  EXPECT_THAT(result.caveats, Contains(HasSubstr("538 of 600 and 540 tokens are aligned")));
}

TEST(Compare, WithoutTokenIdsPlacesAlignAndTheResultSaysSo) {
  Plan plan = base_plan();
  plan.token_ids.clear();
  const Trace trace = planted::make_trace(plan);
  const Result result = compared(trace, trace);
  EXPECT_EQ(result.scalar("overlap")->estimate.value, 1);
  EXPECT_THAT(result.caveats, Contains(HasSubstr("place alone")));
}

TEST(Compare, TracesWithNothingInCommonAreRefused) {
  const Plan plan = base_plan();
  Plan other = plan;
  for (auto& id : other.token_ids) id += 1000;
  const Trace first = planted::make_trace(plan);
  const auto tokens_differ = compare_traces(first, planted::make_trace(other), {});
  ASSERT_FALSE(tokens_differ);
  EXPECT_THAT(tokens_differ.error().what, HasSubstr("no token"));
  Trace moved = first;
  auto info = std::make_shared<TraceInfo>(*first.info);
  for (auto& row : info->rows) row.layer += 100;
  moved.info = info;
  const auto rows_differ = compare_traces(first, moved, {});
  ASSERT_FALSE(rows_differ);
  EXPECT_THAT(rows_differ.error().what, HasSubstr("no layer in common"));
  CompareOptions options;
  options.row = 44;
  EXPECT_FALSE(compare_traces(first, first, options));
}

}  // namespace
}  // namespace moescope::compare_test
