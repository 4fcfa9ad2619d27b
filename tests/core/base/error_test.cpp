#include "core/base/error.h"

#include <gtest/gtest.h>

namespace moescope::error_test {
namespace {

TEST(Error, TextNamesWhatWhereAndWhatToDo) {
  const Error error{ErrorKind::input, "the header is truncated", "a.safetensors, byte 8", "Copy the file again"};
  EXPECT_EQ(error.text(), "the header is truncated (a.safetensors, byte 8). Copy the file again");
}

TEST(Error, KindsHaveTheExitCodesOfTheManual) {
  EXPECT_EQ(exit_code(ErrorKind::usage), 1);
  EXPECT_EQ(exit_code(ErrorKind::input), 2);
  EXPECT_EQ(exit_code(ErrorKind::module), 3);
  EXPECT_EQ(exit_code(ErrorKind::device), 4);
  EXPECT_EQ(exit_code(ErrorKind::partial), 5);
  EXPECT_EQ(exit_code(ErrorKind::cancelled), 130);
}

TEST(Error, KindNamesComeBack) {
  for (const auto kind : {ErrorKind::usage, ErrorKind::input, ErrorKind::module, ErrorKind::device, ErrorKind::partial,
                          ErrorKind::cancelled, ErrorKind::internal}) {
    EXPECT_EQ(error_kind_from_name(error_kind_name(kind)), kind);
  }
}

}  // namespace
}  // namespace moescope::error_test
