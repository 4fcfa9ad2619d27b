#include "core/workbench/prompt_format.h"

#include <gtest/gtest.h>

#include <set>

namespace moescope {
namespace {

TEST(PromptFormat, RawIsTheTextItself) {
  EXPECT_EQ(format_prompt("raw", "a {} b"), "a {} b");
}

TEST(PromptFormat, ChatFormatsWrapTheTextOnce) {
  EXPECT_EQ(format_prompt("tulu", "Hi {}"), "<|user|>\nHi {}\n<|assistant|>\n");
  EXPECT_EQ(format_prompt("inst", "Hi"), "[INST] Hi [/INST]");
}

TEST(PromptFormat, NothingTypedStaysNothing) {
  EXPECT_EQ(format_prompt("chatml", ""), "");
}

TEST(PromptFormat, NamesAreUniqueAndEachHasOnePlaceForTheText) {
  std::set<std::string> names;
  for (const PromptFormat& format : prompt_formats()) {
    EXPECT_TRUE(names.insert(format.name).second) << format.name;
    const std::size_t place = format.pattern.find("{}");
    ASSERT_NE(place, std::string::npos) << format.name;
    EXPECT_EQ(format.pattern.find("{}", place + 2), std::string::npos) << format.name;
    EXPECT_EQ(find_prompt_format(format.name), &format);
  }
  EXPECT_EQ(find_prompt_format("none such"), nullptr);
}

}  // namespace
}  // namespace moescope
