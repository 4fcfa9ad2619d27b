#include "app/desktop/arguments.h"

#include <gtest/gtest.h>

namespace moescope::arguments_test {
namespace {

TEST(Arguments, FilesAndOptionsInAnyOrder) {
  const auto a = parse_arguments({"a.safetensors", "--size", "800x600", "--theme=light", "b", "--view", "tokens"});
  ASSERT_TRUE(a);
  EXPECT_EQ(a->files, (QStringList{"a.safetensors", "b"}));
  EXPECT_EQ(a->size, QSize(800, 600));
  EXPECT_EQ(a->theme, "light");
  EXPECT_EQ(a->view, "tokens");
}

TEST(Arguments, EverythingAfterTwoDashesIsAFile) {
  const auto a = parse_arguments({"--", "--odd-name"});
  ASSERT_TRUE(a);
  EXPECT_EQ(a->files, QStringList{"--odd-name"});
}

TEST(Arguments, WrongOnesAreUsageErrorsThatNameThem) {
  for (const QStringList& words : std::vector<QStringList>{
           {"--nonsense"}, {"--size", "big"}, {"--size", "10x10"}, {"--theme", "purple"}, {"--view"}}) {
    const auto a = parse_arguments(words);
    ASSERT_FALSE(a) << words.join(' ').toStdString();
    EXPECT_EQ(a.error().kind, ErrorKind::usage);
    EXPECT_FALSE(a.error().what.empty());
  }
}

}  // namespace
}  // namespace moescope::arguments_test
