// The counting kernels against the plain loop over tokens and slots, to the last count, on every instruction set that
// this machine runs.
#include <gtest/gtest.h>

#include <algorithm>
#include <random>

#include "core/analysis/kernels/counting.h"
#include "core/analysis/kernels/simd.h"
#include "tests/core/analysis/planted.h"

namespace moescope::counting_test {
namespace {

using kernels::LoadCounts;
using kernels::PairCounts;
using kernels::Rows;
using planted::Plan;

// Runs the rest of a test once for each instruction set.
class CountingTest : public testing::TestWithParam<const kernels::KernelSet*> {
 protected:
  void SetUp() override { ASSERT_TRUE(kernels::use_kernels(GetParam()->name)); }
  void TearDown() override { (void)kernels::use_kernels(kernels::runnable_kernels().front()->name); }
};

INSTANTIATE_TEST_SUITE_P(Sets, CountingTest, testing::ValuesIn(kernels::runnable_kernels()),
                         [](const auto& set) { return std::string(set.param->name); });

// What the trace says of a token at a row: its filled slots, whatever their ids.
std::vector<std::uint32_t> slots_of(const Trace& trace, std::uint32_t row, std::size_t token) {
  const auto place = trace.locate(token);
  std::vector<std::uint32_t> ids;
  for (std::size_t s = 0; s < place.segment->filled(row, place.token); ++s) {
    ids.push_back(place.segment->id(row, place.token, s));
  }
  return ids;
}

LoadCounts plain_load(const Trace& trace, const TokenMask& mask, std::uint32_t row) {
  LoadCounts load;
  load.counts.assign(trace.rows()[row].experts, 0);
  for (std::size_t t = 0; t < trace.token_count(); ++t) {
    if (!mask.test(t)) continue;
    bool any = false;
    for (const std::uint32_t e : slots_of(trace, row, t)) {
      if (e < load.counts.size()) {
        ++load.counts[e];
        any = true;
      } else {
        ++load.bad;
      }
    }
    load.tokens += any ? 1 : 0;
  }
  return load;
}

PairCounts plain_pairs(const Trace& trace, const TokenMask& mask, Rows rows) {
  PairCounts counts;
  counts.from_experts = trace.rows()[rows.from].experts;
  counts.to_experts = trace.rows()[rows.to].experts;
  counts.cells.assign(std::size_t{counts.from_experts} * counts.to_experts, 0);
  counts.first.assign(counts.cells.size(), 0);
  counts.from.assign(counts.from_experts, 0);
  counts.to.assign(counts.to_experts, 0);
  for (std::size_t t = 0; t < trace.token_count(); ++t) {
    if (!mask.test(t)) continue;
    const auto a = slots_of(trace, rows.from, t);
    const auto b = slots_of(trace, rows.to, t);
    const auto known_a = [&](std::uint32_t e) { return e < counts.from_experts; };
    const auto known_b = [&](std::uint32_t e) { return e < counts.to_experts; };
    if (std::none_of(a.begin(), a.end(), known_a) || std::none_of(b.begin(), b.end(), known_b)) continue;
    ++counts.tokens;
    if (known_a(a[0]) && known_b(b[0])) ++counts.first[a[0] * counts.to_experts + b[0]];
    for (const auto j : b) {
      if (known_b(j)) ++counts.to[j];
    }
    for (const auto i : a) {
      if (!known_a(i)) continue;
      ++counts.from[i];
      for (const auto j : b) {
        if (known_b(j)) ++counts.cells[i * counts.to_experts + j];
      }
    }
  }
  return counts;
}

void expect_equal(const Trace& trace, const AppliedFilter& filter) {
  std::vector<std::uint32_t> rows;
  std::vector<Rows> pairs;
  for (std::uint32_t r = 0; r < trace.rows().size(); ++r) {
    rows.push_back(r);
    for (std::uint32_t s = 0; s < trace.rows().size(); ++s) pairs.push_back({r, s});
  }
  const auto loads = kernels::count_load(trace, filter.mask, rows);
  ASSERT_TRUE(loads);
  for (const std::uint32_t r : rows) {
    const LoadCounts truth = plain_load(trace, filter.mask, r);
    EXPECT_EQ((*loads)[r].counts, truth.counts) << "row " << r;
    EXPECT_EQ((*loads)[r].tokens, truth.tokens);
    EXPECT_EQ((*loads)[r].bad, truth.bad);
  }
  std::vector<PairCounts> tables, firsts;
  ASSERT_TRUE(kernels::count_pairs(trace, filter.mask, pairs, kernels::Ranks::both, tables));
  ASSERT_TRUE(kernels::count_pairs(trace, filter.mask, pairs, kernels::Ranks::first, firsts));
  for (std::size_t p = 0; p < pairs.size(); ++p) {
    const PairCounts truth = plain_pairs(trace, filter.mask, pairs[p]);
    const auto where = testing::Message() << "rows " << pairs[p].from << " and " << pairs[p].to;
    EXPECT_EQ(tables[p].cells, truth.cells) << where;
    EXPECT_EQ(tables[p].first, truth.first) << where;
    EXPECT_EQ(firsts[p].first, truth.first) << where;
    EXPECT_EQ(firsts[p].tokens, truth.tokens) << where;
    EXPECT_EQ(tables[p].from, truth.from) << where;
    EXPECT_EQ(tables[p].to, truth.to) << where;
    EXPECT_EQ(tables[p].tokens, truth.tokens) << where;
  }
}

struct Shape {
  std::vector<std::uint32_t> experts;
  std::uint32_t k = 1;
};

// Each token has k different experts of each row (fewer where the row has fewer).
Plan plan_of(const Shape& shape, std::size_t tokens, std::uint64_t seed) {
  Plan plan;
  plan.experts = shape.experts;
  std::mt19937_64 random(seed);
  for (const std::uint32_t experts : shape.experts) {
    auto& row = plan.routes.emplace_back();
    const std::uint32_t k = std::min(shape.k, experts);
    std::vector<std::uint32_t> order(experts);
    for (std::uint32_t e = 0; e < experts; ++e) order[e] = e;
    for (std::size_t t = 0; t < tokens; ++t) {
      // The square of an even number makes low ids popular.
      for (std::uint32_t i = 0; i < k; ++i) {
        const double u = static_cast<double>(random() >> 11U) * 0x1.0p-53;
        std::swap(order[i], order[i + static_cast<std::uint32_t>(u * u * (experts - i))]);
      }
      row.emplace_back(order.begin(), order.begin() + k);
    }
  }
  plan.wide = *std::max_element(plan.experts.begin(), plan.experts.end()) > 256;
  return plan;
}

AppliedFilter filter_of(int kind, std::size_t tokens) {
  switch (kind) {
    case 0:
      return planted::no_filter();
    case 1:
      return planted::keep_tokens(tokens, [](std::size_t t) { return t % 3 == 0; });
    case 2:  // a brush
      return planted::keep_tokens(tokens, [&](std::size_t t) { return t > tokens / 3 && t < tokens / 2; });
    case 3:  // a few tokens far apart
      return planted::keep_tokens(tokens, [](std::size_t t) { return t % 701 == 5; });
    default:
      return planted::keep_tokens(tokens, [](std::size_t) { return false; });
  }
}

TEST_P(CountingTest, EqualsThePlainLoopForEveryShape) {
  const std::vector<Shape> shapes{{{64, 64}, 8},   {{128, 128}, 8}, {{256, 256}, 8}, {{8, 8}, 2},     {{1, 1}, 1},
                                  {{1, 64}, 8},    {{5, 5}, 5},     {{64, 63}, 64},  {{65, 127}, 3},  {{256, 64}, 6},
                                  {{255, 129}, 7}, {{300, 256}, 8}, {{512, 40}, 4},  {{1024, 8}, 16}, {{600}, 32}};
  std::uint64_t seed = 1;
  for (const Shape& shape : shapes) {
    SCOPED_TRACE(testing::Message() << "E " << shape.experts[0] << ", k " << shape.k);
    Plan plan = plan_of(shape, 1300, ++seed);
    plan.segments = 1 + seed % 3;
    plan.write_used = seed % 2 == 0 || *std::max_element(shape.experts.begin(), shape.experts.end()) == 256;
    const Trace trace = planted::make_trace(plan);
    for (int kind = 0; kind < 5; ++kind) expect_equal(trace, filter_of(kind, 1300));
  }
}

TEST_P(CountingTest, EqualsThePlainLoopOverManyTilesAndThreads) {
  setenv("MOESCOPE_THREADS", "3", 1);
  for (const std::uint32_t experts : {40U, 100U, 256U}) {
    Plan plan = plan_of({{experts, experts, experts}, 4}, 70'000, experts);
    plan.segments = 3;
    const Trace trace = planted::make_trace(plan);
    for (const int kind : {0, 1, 2}) expect_equal(trace, filter_of(kind, 70'000));
  }
  unsetenv("MOESCOPE_THREADS");
}

TEST_P(CountingTest, UnfilledSlotsCodesAndBadIdsCountAsThePlainLoopDoes) {
  for (const bool used : {true, false}) {
    for (const std::uint32_t experts : {7U, 64U, 200U, 256U, 400U}) {
      if (!used && experts == 256) continue;  // all ones would be an expert
      SCOPED_TRACE(testing::Message() << "E " << experts << (used ? ", with used" : ", without used"));
      Plan plan = plan_of({{experts, experts}, 4}, 3000, experts);
      std::mt19937_64 random(experts);
      plan.used.resize(2);
      for (std::size_t r = 0; r < 2; ++r) {
        for (auto& route : plan.routes[r]) {
          if (random() % 3 == 0) route.resize(random() % 5);
          // An id that no router has: only such a row's all ones is none.
          if (random() % 50 == 0 && !route.empty() && experts != 256) route[0] = experts + random() % 40;
          if (experts < 256 && !route.empty() && route[0] >= 255) route[0] = 254;
          plan.used[r].push_back(random() % 40 == 0 ? used_code::not_recorded
                                                    : static_cast<std::uint8_t>(route.size()));
        }
      }
      if (!used) plan.used.clear();
      plan.write_used = used;
      plan.segments = 2;
      const Trace trace = planted::make_trace(plan);
      for (int kind = 0; kind < 4; ++kind) expect_equal(trace, filter_of(kind, 3000));
    }
  }
}

TEST_P(CountingTest, AnExpertThatATokenHoldsTwiceCountsTwice) {
  for (const std::uint32_t experts : {10U, 64U, 128U, 256U, 300U}) {
    Plan plan = plan_of({{experts, experts}, 8}, 2000, experts);
    for (std::size_t t = 0; t < 2000; t += 97) plan.routes[t % 2][t][5] = plan.routes[t % 2][t][2];
    expect_equal(planted::make_trace(plan), planted::no_filter());
  }
}

TEST_P(CountingTest, TheLastOf256ExpertsIsCountedWithoutAUsedColumn) {
  Plan plan = plan_of({{256, 256}, 8}, 4000, 5);
  plan.write_used = false;
  const Trace made = planted::make_trace(plan);
  expect_equal(made, planted::no_filter());  // not said to be an expert: an unfilled slot
  Trace trace = made;
  auto segment = std::make_shared<Segment>(*made.segments[0]);
  segment->all_ones_is_expert = {1, 1};
  trace.segments = {segment};
  expect_equal(trace, planted::no_filter());
  const auto load = kernels::count_load(trace, {}, std::vector<std::uint32_t>{0});
  ASSERT_TRUE(load);
  EXPECT_GT((*load)[0].counts[255], 0U);
}

TEST_P(CountingTest, GroupsAddUpToThePlainLoop) {
  const std::size_t tokens = 40'000;
  Plan plan = plan_of({{64, 256, 10}, 4}, tokens, 3);
  plan.routes[2][17].resize(1);
  plan.segments = 2;
  const Trace trace = planted::make_trace(plan);
  kernels::TokenGroups groups;
  groups.count = 5;
  std::mt19937_64 random(1);
  for (std::size_t t = 0; t < tokens; ++t) {
    // Long runs, then single tokens, then tokens in no group.
    groups.of_token.push_back(static_cast<std::uint32_t>(t < 20'000 ? t / 4000 : t < 30'000 ? random() % 5 : t % 7));
  }
  const AppliedFilter filter = filter_of(1, tokens);
  const auto grouped = kernels::count_grouped(trace, filter.mask, std::vector<std::uint32_t>{0, 1, 2}, groups);
  ASSERT_TRUE(grouped);
  for (std::uint32_t row = 0; row < 3; ++row) {
    for (std::uint32_t g = 0; g < 5; ++g) {
      TokenMask mask =
          planted::keep_tokens(tokens, [&](std::size_t t) { return t % 3 == 0 && groups.of_token[t] == g; }).mask;
      const LoadCounts truth = plain_load(trace, mask, row);
      const std::size_t experts = truth.counts.size();
      EXPECT_EQ((*grouped)[row].tokens[g], truth.tokens);
      for (std::size_t e = 0; e < experts; ++e) EXPECT_EQ((*grouped)[row].counts[g * experts + e], truth.counts[e]);
    }
  }
}

TEST_P(CountingTest, PositionsAndTokenIdsAreGroupsOfSingleTokens) {
  const std::size_t tokens = 30'000;
  Plan plan = plan_of({{64, 256, 300}, 8}, tokens, 6);
  plan.routes[0][31].resize(2);
  plan.segments = 3;
  const Trace trace = planted::make_trace(plan);
  std::mt19937_64 random(2);
  for (const std::size_t count : {128U, 5000U}) {  // positions in sequences of 128, then ids of a vocabulary
    kernels::TokenGroups groups;
    groups.count = count;
    for (std::size_t t = 0; t < tokens; ++t) {
      groups.of_token.push_back(static_cast<std::uint32_t>(count == 128 ? t % 130 : random() % 6000));
    }
    const AppliedFilter filter = filter_of(count == 128 ? 0 : 1, tokens);
    const auto grouped = kernels::count_grouped(trace, filter.mask, std::vector<std::uint32_t>{0, 1, 2}, groups);
    ASSERT_TRUE(grouped);
    for (std::uint32_t row = 0; row < 3; ++row) {
      const std::size_t experts = trace.rows()[row].experts;
      std::vector<std::uint32_t> truth(count * experts), holding(count), any(count);
      std::vector<std::uint64_t> first(count, ~std::uint64_t{0});
      for (std::size_t t = 0; t < tokens; ++t) {
        const std::uint32_t group = groups.of_token[t];
        if (group >= count || !filter.mask.test(t)) continue;
        const auto slots = slots_of(trace, row, t);
        for (const std::uint32_t e : slots) ++truth[group * experts + e];
        any[group] += slots.empty() ? 0 : 1;
        holding[group] += std::find(slots.begin(), slots.end(), 3U) != slots.end() ? 1 : 0;
        if (!slots.empty()) first[group] = std::min<std::uint64_t>(first[group], t);
      }
      EXPECT_EQ((*grouped)[row].counts, truth);
      EXPECT_EQ((*grouped)[row].tokens, any);
      const auto uses = kernels::count_uses(trace, filter.mask, row, 3, groups);
      ASSERT_TRUE(uses);
      EXPECT_EQ(uses->uses, holding);
      EXPECT_EQ(uses->tokens, any);
      EXPECT_EQ(uses->first, first);
    }
  }
}

TEST_P(CountingTest, PartsOfTheTokensAddUpToTheWhole) {
  const Trace trace = planted::make_trace(plan_of({{64, 200}, 6}, 9000, 2));
  const std::vector<Rows> pairs{{0, 1}, {1, 1}};
  std::vector<PairCounts> whole, parts;
  ASSERT_TRUE(kernels::count_pairs(trace, {}, pairs, kernels::Ranks::both, whole));
  for (const std::size_t begin : {6016U, 0U, 640U}) {
    kernels::CountJob job;
    job.begin = begin;
    job.end = begin == 6016 ? 9000 : begin == 0 ? 640 : 6016;
    ASSERT_TRUE(kernels::count_pairs(trace, {}, pairs, kernels::Ranks::both, parts, job));
  }
  for (std::size_t p = 0; p < 2; ++p) {
    EXPECT_EQ(parts[p].cells, whole[p].cells);
    EXPECT_EQ(parts[p].first, whole[p].first);
    EXPECT_EQ(parts[p].tokens, 9000U);
  }
}

TEST_P(CountingTest, ACancelStopsTheCount) {
  const Trace trace = planted::make_trace(plan_of({{64, 64}, 4}, 2000, 2));
  kernels::CountJob job;
  job.work.cancel.cancel();
  std::vector<PairCounts> tables;
  const auto done = kernels::count_pairs(trace, {}, std::vector<Rows>{{0, 1}}, kernels::Ranks::all, tables, job);
  ASSERT_FALSE(done);
  EXPECT_EQ(done.error().kind, ErrorKind::cancelled);
}

}  // namespace
}  // namespace moescope::counting_test
