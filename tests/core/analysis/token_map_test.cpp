// The pyramid of routes and the token map drawn from it, against the plain loop over tokens and slots.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <random>

#include "core/analysis/kernels/route_pyramid.h"
#include "core/analysis/kernels/simd.h"
#include "tests/core/analysis/planted.h"

namespace moescope::token_map_test {
namespace {

using kernels::PyramidOptions;
using kernels::RoutePyramid;
using kernels::StretchCounts;
using planted::Plan;

// Rows of different sizes, unfilled and unrecorded slots, ids that no router has, an expert held twice.
Plan rough_plan(std::size_t tokens, std::uint64_t seed) {
  Plan plan;
  plan.experts = {64, 256, 7};
  std::mt19937_64 random(seed);
  for (const std::uint32_t experts : plan.experts) {
    auto& row = plan.routes.emplace_back();
    auto& used = plan.used.emplace_back();
    for (std::size_t t = 0; t < tokens; ++t) {
      auto& route = row.emplace_back();
      for (std::size_t s = 0; s < 4; ++s) route.push_back(static_cast<std::uint32_t>(random() % experts));
      if (random() % 20 == 0) route.resize(random() % 4);
      if (random() % 50 == 0 && !route.empty() && experts < 200) route[0] = experts + 3;
      used.push_back(random() % 60 == 0 ? used_code::not_recorded : static_cast<std::uint8_t>(route.size()));
    }
  }
  plan.segments = 3;
  return plan;
}

// Counts of stretches by the plain loop.
StretchCounts plain(const Trace& trace, const TokenMask& mask, std::uint32_t row, const StretchCounts& like) {
  StretchCounts counts = like;
  std::fill(counts.counts.begin(), counts.counts.end(), 0U);
  std::fill(counts.tokens.begin(), counts.tokens.end(), 0U);
  for (std::size_t t = like.first; t < std::min(trace.token_count(), like.first + like.cells * like.length); ++t) {
    if (!mask.test(t)) continue;
    const auto place = trace.locate(t);
    const std::size_t cell = (t - like.first) / like.length;
    bool any = false;
    for (std::size_t s = 0; s < place.segment->filled(row, place.token); ++s) {
      const std::uint32_t id = place.segment->id(row, place.token, s);
      if (id >= like.experts) continue;
      ++counts.counts[cell * like.experts + id];
      any = true;
    }
    counts.tokens[cell] += any ? 1 : 0;
  }
  return counts;
}

class PyramidTest : public testing::TestWithParam<const kernels::KernelSet*> {
 protected:
  void SetUp() override { ASSERT_TRUE(kernels::use_kernels(GetParam()->name)); }
  void TearDown() override { (void)kernels::use_kernels(kernels::runnable_kernels().front()->name); }
};
INSTANTIATE_TEST_SUITE_P(Sets, PyramidTest, testing::ValuesIn(kernels::runnable_kernels()),
                         [](const auto& set) { return std::string(set.param->name); });

TEST_P(PyramidTest, EveryStretchAtEveryScaleEqualsThePlainLoop) {
  const std::size_t tokens = 5003;
  const Trace trace = planted::make_trace(rough_plan(tokens, 1));
  const TokenMask third = planted::keep_tokens(tokens, [](std::size_t t) { return t % 3 == 0; }).mask;
  const TokenMask brush = planted::keep_tokens(tokens, [](std::size_t t) { return t > 700 && t < 2100; }).mask;
  for (const TokenMask& mask : {TokenMask{}, third, brush}) {
    for (const std::size_t shortest : {4U, 64U, 512U, 8192U}) {
      RoutePyramid pyramid(trace, {std::size_t{1} << 30U, shortest});
      ASSERT_EQ(pyramid.finest(), shortest);
      ASSERT_TRUE(pyramid.extend(trace, mask, tokens, {}));
      EXPECT_EQ(pyramid.counted(), tokens);
      std::size_t cells = 0;
      for (std::size_t l = 0; l < pyramid.levels(); ++l) cells += pyramid.cells(l);
      EXPECT_LE(cells, 2 * pyramid.cells(0));
      for (std::uint32_t row = 0; row < 3; ++row) {
        for (std::size_t length = 1; length <= 8192; length *= 2) {
          const auto read = pyramid.read(trace, mask, row, 0, tokens, length);
          const auto truth = plain(trace, mask, row, read);
          EXPECT_EQ(read.counts, truth.counts) << "row " << row << ", " << length << " tokens, finest " << shortest;
          EXPECT_EQ(read.tokens, truth.tokens);
          const auto part = pyramid.read(trace, mask, row, 1111, 777, length);
          EXPECT_LE(part.first, 1111U);
          EXPECT_GE(part.first + part.cells * length, 1888U);
          EXPECT_EQ(part.counts, plain(trace, mask, row, part).counts) << "a part";
        }
      }
    }
  }
}

TEST_P(PyramidTest, GrowsPieceByPieceAndSurvivesACancel) {
  const std::size_t tokens = 5003;
  const Trace trace = planted::make_trace(rough_plan(tokens, 2));
  RoutePyramid pyramid(trace, {std::size_t{1} << 30U, 16});
  for (const std::size_t until : {100U, 101U, 1000U, 2999U}) {
    ASSERT_TRUE(pyramid.extend(trace, {}, until, {}));
    EXPECT_GE(pyramid.counted(), until);
  }
  const std::size_t before = pyramid.counted();
  kernels::CountJob stopped;
  stopped.work.cancel.cancel();
  const auto failed = pyramid.extend(trace, {}, tokens, stopped);
  ASSERT_FALSE(failed);
  EXPECT_EQ(failed.error().kind, ErrorKind::cancelled);
  EXPECT_EQ(pyramid.counted(), before);
  const auto half = pyramid.read(trace, {}, 1, 0, before, 1024);
  std::uint64_t sum = 0;
  for (const auto n : half.tokens) sum += n;
  std::uint64_t truth = 0;
  for (const auto n : plain(trace, {}, 1, pyramid.read(trace, {}, 1, 0, before, 1)).tokens) truth += n;
  EXPECT_EQ(sum, truth) << "only what was counted counts";
  ASSERT_TRUE(pyramid.extend(trace, {}, tokens, {}));
  const auto read = pyramid.read(trace, {}, 1, 0, tokens, 512);
  EXPECT_EQ(read.counts, plain(trace, {}, 1, read).counts);
}

TEST(Pyramid, StaysInItsMemoryAndHoldsWideRowsAndEmptyTraces) {
  Plan plan = planted::uniform_plan(2, 300, 6, 20'000, 3);
  plan.wide = true;
  const Trace trace = planted::make_trace(plan);
  RoutePyramid pyramid(trace, {1 << 20U, 16});
  EXPECT_LE(pyramid.bytes(), std::size_t{1} << 20U);
  ASSERT_TRUE(pyramid.extend(trace, {}, 20'000, {}));
  for (const std::size_t length : {8U, 1024U, 32768U}) {
    const auto read = pyramid.read(trace, {}, 1, 0, 20'000, length);
    EXPECT_EQ(read.counts, plain(trace, {}, 1, read).counts);
  }
  const Trace empty = planted::make_trace(planted::uniform_plan(1, 4, 1, 0, 1));
  RoutePyramid nothing(empty, {});
  EXPECT_TRUE(nothing.extend(empty, {}, 10, {}));
  EXPECT_EQ(nothing.read(empty, {}, 0, 0, 10, 4).cells, 0U);
}

TEST(Pyramid, StretchesAreTheShortestThatFit) {
  EXPECT_EQ(kernels::stretch_length(0, 1000, 1000), 1U);
  EXPECT_EQ(kernels::stretch_length(0, 1000, 999), 2U);
  EXPECT_EQ(kernels::stretch_length(0, 1024, 4), 256U);
  EXPECT_EQ(kernels::stretch_length(255, 2, 1), 512U) << "stretches begin at multiples of their length";
  EXPECT_EQ(kernels::stretch_length(5, 0, 10), 1U);
}

double sum_of(const Matrix& matrix) {
  double sum = 0;
  for (const double v : matrix.values) sum += std::isnan(v) ? 0 : v;
  return sum;
}

TEST(TokenMap, SlotsAddUpAtEveryScaleAndNeverMoreCellsThanAskedFor) {
  const std::size_t tokens = 3000;
  const Trace trace = planted::make_trace(rough_plan(tokens, 4));
  const double slots = sum_of(*planted::run("token_map", trace, {{"cells", 1}}).matrix("slots"));
  EXPECT_GT(slots, 3 * 3 * tokens);
  for (const int cells : {1, 7, 100, 3000}) {
    const Result layers = planted::run("token_map", trace, {{"cells", cells}});
    EXPECT_LE(layers.matrix("slots")->columns(), static_cast<std::size_t>(cells));
    EXPECT_EQ(sum_of(*layers.matrix("slots")), slots);
    double experts = 0;
    for (int row = 0; row < 3; ++row) {
      const Result map =
          planted::run("token_map", trace, {{"cells", cells}, {"row", row}, {"expert_cells", cells == 7 ? 5 : 4096}});
      EXPECT_LE(map.matrix("count")->rows(), cells == 7 ? 5U : 256U);
      experts += sum_of(*map.matrix("count"));
    }
    EXPECT_EQ(experts, slots);
  }
}

TEST(TokenMap, ATokenACellIsItsOwnRoute) {
  Plan plan = planted::uniform_plan(2, 12, 3, 500, 7);
  const Trace trace = planted::make_trace(plan);
  const Result map = planted::run("token_map", trace, {{"first", 100}, {"count", 50}, {"cells", 50}, {"row", 1}});
  const Matrix& count = *map.matrix("count");
  ASSERT_EQ(count.columns(), 50U);
  EXPECT_EQ(map.scalar("tokens_per_cell")->estimate.value, 1);
  EXPECT_EQ(count.column_names[3], "103");
  for (std::size_t t = 0; t < 50; ++t) {
    for (std::uint32_t e = 0; e < 12; ++e) {
      const auto& route = plan.routes[1][100 + t];
      EXPECT_EQ(count.at(e, t), std::find(route.begin(), route.end(), e) != route.end() ? 1 : 0);
      EXPECT_DOUBLE_EQ(map.matrix("share")->at(e, t), count.at(e, t) / 3);
    }
  }
}

TEST(TokenMap, APlantedStretchOfOneExpertStandsOutThereAndNowhereElse) {
  Plan plan = planted::uniform_plan(3, 16, 2, 64'000, 9);
  for (std::size_t t = 32'000; t < 36'000; ++t) plan.routes[1][t] = {5, static_cast<std::uint32_t>(6 + t % 10)};
  const Result map = planted::run("token_map", planted::make_trace(plan), {{"cells", 64}});
  const Matrix& uneven = *map.matrix("max_over_mean");
  const Matrix& busiest = *map.matrix("busiest");
  const auto length = static_cast<std::size_t>(map.scalar("tokens_per_cell")->estimate.value);
  ASSERT_EQ(length, 1024U);
  for (std::size_t r = 0; r < 3; ++r) {
    for (std::size_t c = 0; c < uneven.columns(); ++c) {
      const bool inside = r == 1 && c * length >= 32'000 && (c + 1) * length <= 36'000;
      const bool outside = r != 1 || (c + 1) * length <= 32'000 || c * length >= 36'000;
      if (inside) {
        EXPECT_DOUBLE_EQ(uneven.at(r, c), 8) << "half of the slots of 16 experts";
        EXPECT_EQ(busiest.at(r, c), 5);
      } else if (outside) {
        EXPECT_LT(uneven.at(r, c), 1.6);
      }
    }
  }
}

TEST(TokenMap, WhatTheFilterLeavesOutIsSaidToBeLeftOut) {
  Plan plan = planted::uniform_plan(2, 8, 2, 4096, 3);
  plan.used.assign(2, std::vector<std::uint8_t>(4096, 2));
  for (std::size_t t = 0; t < 256; ++t) plan.used[0][t] = used_code::not_recorded;
  const Trace trace = planted::make_trace(plan);
  AppliedFilter filter = planted::keep_tokens(4096, [](std::size_t t) { return t < 1024; });
  const Result map = planted::run("token_map", trace, {{"cells", 16}}, filter);
  const Matrix& slots = *map.matrix("slots");
  EXPECT_EQ(slots.absence[0], Absence::not_recorded);
  EXPECT_EQ(slots.absence[1], Absence::present);
  EXPECT_EQ(slots.absence[4], Absence::filtered_out);
  EXPECT_EQ(slots.n[16 + 1], 256);
  filter.filter.rows = {1};
  EXPECT_EQ(planted::run("token_map", trace, {{"cells", 16}}, filter).matrix("slots")->absence[1],
            Absence::filtered_out);
  EXPECT_FALSE(run_analysis("token_map", trace, {}, {{"first", 4096}}));
  EXPECT_FALSE(run_analysis("token_map", trace, {}, {{"row", 2}}));
}

TEST(TokenMap, ALongTraceIsShownInPartsThatGrowToTheWhole) {
  // Enough decisions for parts: one row with many slots, sharing one block of ids.
  constexpr std::size_t tokens = 1 << 18U, slots = 160;
  std::vector<std::uint8_t> ids(tokens * slots);
  for (std::size_t i = 0; i < ids.size(); ++i) ids[i] = static_cast<std::uint8_t>(i * 7 % 200);
  auto segment = std::make_shared<Segment>();
  segment->rows = 1;
  segment->tokens = tokens;
  segment->slots = slots;
  segment->ids8 = Column<std::uint8_t>::own(std::move(ids));
  auto info = std::make_shared<TraceInfo>();
  info->rows.emplace_back().experts = 200;
  Trace trace;
  trace.name = "long";
  trace.info = info;
  trace.segments = {segment};
  std::vector<double> sums;
  WorkContext work;
  const auto partial = [&](const Result& part) {
    EXPECT_THAT(part.caveats.front(), testing::HasSubstr("Still counting"));
    sums.push_back(sum_of(*part.matrix("slots")));
    if (sums.size() == 2) work.cancel.cancel();
  };
  EXPECT_FALSE(run_analysis("token_map", trace, {}, {{"cells", 64}}, work, partial));
  EXPECT_EQ(sums, (std::vector<double>{tokens / 8 * slots, tokens / 4 * slots}));
  const auto whole = run_analysis("token_map", trace, {}, {{"cells", 64}}, {},
                                  [&](const Result& part) { sums.push_back(sum_of(*part.matrix("slots"))); });
  ASSERT_TRUE(whole);
  EXPECT_EQ(sums.size(), 3U) << "the second call goes on where the cancelled one was";
  EXPECT_EQ(sums.back(), tokens / 2 * slots);
  EXPECT_EQ(sum_of(*whole->matrix("slots")), tokens * slots);
}

}  // namespace
}  // namespace moescope::token_map_test
