#include "core/model/relative_position.h"

#include <gtest/gtest.h>

namespace moescope::relative_position_test {
namespace {

// Of the released models: 32 buckets up to 128.
constexpr RelativePositions usual{32, 128};

TEST(RelativeBucket, NearDistancesHaveABucketEach) {
  for (std::int64_t far = 0; far < 8; ++far) {
    EXPECT_EQ(relative_bucket(usual, true, -far), static_cast<std::uint32_t>(far));
    if (far > 0) {
      EXPECT_EQ(relative_bucket(usual, true, far), static_cast<std::uint32_t>(16 + far));
    }
  }
  for (std::int64_t far = 0; far < 16; ++far) {
    EXPECT_EQ(relative_bucket(usual, false, -far), static_cast<std::uint32_t>(far));
  }
}

TEST(RelativeBucket, FarDistancesShareBucketsThatGrowToTheLast) {
  // Both ways 8 + ⌊8 · ln(d / 8) / ln 16⌋: a step at each factor of √2.
  EXPECT_EQ(relative_bucket(usual, true, -11), 8U);
  EXPECT_EQ(relative_bucket(usual, true, -12), 9U);
  EXPECT_EQ(relative_bucket(usual, true, -16), 10U);
  EXPECT_EQ(relative_bucket(usual, true, 64), 30U);
  EXPECT_EQ(relative_bucket(usual, true, -127), 15U);
  EXPECT_EQ(relative_bucket(usual, true, -100000), 15U);
  EXPECT_EQ(relative_bucket(usual, true, 100000), 31U);
  // One way 16 + ⌊16 · ln(d / 16) / ln 8⌋.
  EXPECT_EQ(relative_bucket(usual, false, -32), 21U);
  EXPECT_EQ(relative_bucket(usual, false, -100000), 31U);
}

TEST(RelativeBucket, OneWayPutsWhatComesAfterIntoTheFirst) {
  EXPECT_EQ(relative_bucket(usual, false, 1), 0U);
  EXPECT_EQ(relative_bucket(usual, false, 1000), 0U);
}

}  // namespace
}  // namespace moescope::relative_position_test
