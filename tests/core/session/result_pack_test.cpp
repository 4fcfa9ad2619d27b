#include "core/session/result_pack.h"

#include <gtest/gtest.h>

#include <limits>

namespace moescope::result_pack_test {
namespace {

Result some_result() {
  Result result;
  result.title = "Expert load";
  result.provenance.analysis = "expert_load";
  Matrix matrix;
  matrix.name = "share";
  for (int r = 0; r < 20; ++r) matrix.row_names.push_back("L" + std::to_string(r));
  for (int c = 0; c < 64; ++c) matrix.column_names.push_back("E" + std::to_string(c));
  for (int i = 0; i < 20 * 64; ++i) matrix.values.push_back(i / 7.0);
  matrix.values[5] = std::numeric_limits<double>::quiet_NaN();
  result.matrices.push_back(matrix);
  return result;
}

TEST(ResultPack, ComesBackAsItWas) {
  const Result result = some_result();
  const auto packed = pack_result(result);
  ASSERT_TRUE(packed);
  const auto again = unpack_result(*packed);
  ASSERT_TRUE(again) << again.error().text();
  EXPECT_EQ(result_to_json(*again), result_to_json(result));
}

TEST(ResultPack, DamagedBytesAreAnErrorAtEveryPlace) {
  const std::string packed = *pack_result(some_result());
  EXPECT_FALSE(unpack_result(""));
  EXPECT_FALSE(unpack_result("not compressed at all"));
  EXPECT_FALSE(unpack_result(packed.substr(0, packed.size() / 2)));
  for (std::size_t i = 0; i < packed.size(); i += 97) {
    std::string broken = packed;
    broken[i] = static_cast<char>(broken[i] ^ 0x40);
    const auto unpacked = unpack_result(broken);  // an error or a Result, never a crash
    static_cast<void>(unpacked);
  }
}

}  // namespace
}  // namespace moescope::result_pack_test
