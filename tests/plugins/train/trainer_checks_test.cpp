#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <random>

#include "plugins/torch_engine/train/routing_checks.h"

namespace moescope::train {
namespace {

// 2 domains × 8 sequences × 20 tokens, 4 experts, top-1. `planted`: domain d uses experts 2d and 2d + 1 alone.
RoutedTokens routed(bool planted) {
  RoutedTokens r{1, 4, 1, {}, {}, {}, {"a", "b"}};
  std::mt19937_64 random(3);
  for (int s = 0; s < 16; ++s) {
    for (int t = 0; t < 20; ++t) {
      r.ids.push_back(static_cast<std::uint8_t>(planted ? s % 2 * 2 + t % 2 : random() % 4));
      r.domain.push_back(s % 2);
      r.sequence.push_back(s);
    }
  }
  return r;
}

TEST(RoutingChecks, PlantedSpecialistsGiveTheirExactInformationAndLift) {
  const RoutedTokens r = routed(true);
  const auto rows = check_rows(r, 200, 1);
  ASSERT_EQ(rows.size(), 1U);
  EXPECT_NEAR(rows[0].information, std::log(2.0), 1e-12);
  EXPECT_GT(rows[0].information, rows[0].null_99);
  EXPECT_DOUBLE_EQ(rows[0].min_share, 0.25);
  const auto lifts = best_lifts(r, 80);
  ASSERT_EQ(lifts.size(), 2U);
  EXPECT_DOUBLE_EQ(lifts[0].lift, 2.0);
  EXPECT_EQ(lifts[0].n, 80);
  EXPECT_EQ(lifts[1].expert, 2U);
  EXPECT_EQ(best_lifts(r, 81)[0].n, 0) << "cells with fewer slots than asked do not count";
}

TEST(RoutingChecks, RandomRoutesStayInsideTheNull) {
  const auto rows = check_rows(routed(false), 200, 1);
  EXPECT_LT(rows[0].information, rows[0].null_99);
  EXPECT_GT(rows[0].information, 0.0) << "the plug-in estimate is biased upwards, hence the null";
}

TEST(RoutingChecks, UntaggedTokensCountForLoadAlone) {
  RoutedTokens r = routed(true);
  for (int t = 0; t < 320; ++t) {
    r.ids.push_back(0);
    r.domain.push_back(-1);
    r.sequence.push_back(16);
  }
  const auto rows = check_rows(r, 10, 1);
  EXPECT_DOUBLE_EQ(rows[0].max_share, 0.625);
  EXPECT_NEAR(rows[0].information, std::log(2.0), 1e-12);
}

}  // namespace
}  // namespace moescope::train
