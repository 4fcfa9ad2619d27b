#include "core/base/natural_order.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <random>
#include <string>
#include <vector>

namespace moescope::natural_order_test {
namespace {

TEST(NaturalOrder, NumbersInNamesAreCountedAndNotSpelled) {
  const std::vector<std::string> wanted{
      "a", "a.2.down", "a.2.up", "a.010.down", "a.10.down", "a.99999999999999999999999", "a.b", "b"};
  std::vector<std::string> names = wanted;
  std::mt19937 random(1);
  for (int round = 0; round < 20; ++round) {
    std::shuffle(names.begin(), names.end(), random);
    std::sort(names.begin(), names.end(), natural_less);
    EXPECT_THAT(names, ::testing::ElementsAreArray(wanted));
  }
  EXPECT_FALSE(natural_less("a.2", "a.2"));
  EXPECT_TRUE(natural_less("a", "a.2"));
}

}  // namespace
}  // namespace moescope::natural_order_test
