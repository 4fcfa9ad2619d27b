#include "core/model/chat_format.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <set>

namespace moescope::chat_format_test {
namespace {

TEST(ChatFormat, RawLeavesTheTextAlone) {
  EXPECT_EQ(wrap("raw", "hi {text}\n").value(), "hi {text}\n");
  EXPECT_TRUE(find_chat_format("raw")->tokenizer_template);
}

TEST(ChatFormat, FormatsEndWhereTheAnswerBegins) {
  EXPECT_EQ(wrap("chatml", "hi").value(), "<|im_start|>user\nhi<|im_end|>\n<|im_start|>assistant\n");
  EXPECT_EQ(wrap("llama2", "hi").value(), "<s>[INST] hi [/INST]");
  EXPECT_EQ(wrap("olmo", "hi").value(), "<|endoftext|><|user|>\nhi\n<|assistant|>\n");
}

TEST(ChatFormat, NamesAreUniqueAndExplained) {
  std::set<std::string> names;
  for (const ChatFormat& format : chat_formats()) {
    EXPECT_TRUE(names.insert(format.name).second);
    EXPECT_FALSE(format.title.empty());
    EXPECT_FALSE(format.help.empty());
  }
}

TEST(ChatFormat, AnUnknownOneListsTheKnown) {
  const auto wrapped = wrap("alpaca", "hi");
  ASSERT_FALSE(wrapped.has_value());
  EXPECT_EQ(wrapped.error().kind, ErrorKind::usage);
  EXPECT_THAT(wrapped.error().text(), testing::AllOf(testing::HasSubstr("alpaca"), testing::HasSubstr("raw, chatml")));
}

}  // namespace
}  // namespace moescope::chat_format_test
