#include <gtest/gtest.h>

#include <fstream>
#include <nlohmann/json.hpp>

#include "core/model/tokenizer.h"

namespace moescope::tokenizer_golden_test {
namespace {

std::string data(const std::string& name) {
  return std::string(MOESCOPE_TEST_DATA) + "/tokenizers/" + name;
}

// Byte range of a range of characters.
std::pair<std::uint64_t, std::uint64_t> bytes_of_characters(const std::string& text, std::size_t first,
                                                            std::size_t last) {
  std::vector<std::size_t> starts;
  for (std::size_t i = 0; i < text.size(); ++i) {
    if ((static_cast<unsigned char>(text[i]) & 0xC0U) != 0x80U) starts.push_back(i);
  }
  starts.push_back(text.size());
  return {starts.at(first), starts.at(last)};
}

class GoldenTokenizer : public testing::TestWithParam<std::string> {};

TEST_P(GoldenTokenizer, GivesIdsTokensTextAndPlacesOfTheReference) {
  const auto loaded = load_tokenizer(data(GetParam() + ".tokenizer.json"));
  ASSERT_TRUE(loaded.has_value()) << loaded.error().text();
  const Tokenizer& tokenizer = **loaded;
  std::ifstream stream(data("expected.json"));
  const nlohmann::json cases = nlohmann::json::parse(stream).at(GetParam());
  ASSERT_GE(cases.size(), 10U);
  for (const nlohmann::json& c : cases) {
    const auto text = c.at("text").get<std::string>();
    SCOPED_TRACE(text);
    const auto plain = tokenizer.encode(text, false);
    ASSERT_TRUE(plain.has_value()) << plain.error().text();
    EXPECT_EQ(plain->ids, c.at("ids").get<std::vector<std::int32_t>>());
    const auto full = tokenizer.encode(text, true);
    ASSERT_TRUE(full.has_value());
    EXPECT_EQ(full->ids, c.at("ids_with_special").get<std::vector<std::int32_t>>());
    EXPECT_EQ(full->tokens, c.at("tokens").get<std::vector<std::string>>());
    EXPECT_EQ(tokenizer.decode(full->ids, false), c.at("decoded_keep_special").get<std::string>());
    EXPECT_EQ(tokenizer.decode(full->ids, true), c.at("decoded_skip_special").get<std::string>());
    const auto offsets = c.at("offsets_chars").get<std::vector<std::pair<std::size_t, std::size_t>>>();
    ASSERT_EQ(full->bytes.size(), offsets.size());
    for (std::size_t i = 0; i < offsets.size(); ++i) {
      const auto expected = offsets[i] == std::pair<std::size_t, std::size_t>(0, 0)
                                ? std::pair<std::uint64_t, std::uint64_t>(0, 0)
                                : bytes_of_characters(text, offsets[i].first, offsets[i].second);
      EXPECT_EQ(full->bytes[i], expected) << "token " << i << " " << full->tokens[i];
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Styles, GoldenTokenizer, testing::Values("gpt2", "qwen", "llama2", "o200k"),
                         [](const auto& style) { return style.param; });

}  // namespace
}  // namespace moescope::tokenizer_golden_test
