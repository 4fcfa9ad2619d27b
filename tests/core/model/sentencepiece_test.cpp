#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>
#include <sstream>

#include "core/model/tokenizer.h"
#include "tests/core/io/temporary_folder.h"

// The models were trained with spm_train of SentencePiece 0.1.97; ids and texts are what its spm_encode and spm_decode
// print. pieces_bpe.model has byte pieces, two user-defined pieces and a control piece <|tool|>.
namespace moescope::sentencepiece_test {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using Ids = std::vector<std::int32_t>;
using fixtures::TemporaryFolder;

std::filesystem::path model_file(const std::string& name) {
  return std::filesystem::path(MOESCOPE_TEST_DATA) / "tokenizers" / name;
}

std::shared_ptr<const Tokenizer> load(const std::filesystem::path& file) {
  auto tokenizer = load_tokenizer(file);
  if (!tokenizer) {
    ADD_FAILURE() << tokenizer.error().text();
    return nullptr;
  }
  return *tokenizer;
}

std::string bytes_of(const std::filesystem::path& file) {
  std::ifstream in(file, std::ios::binary);
  std::stringstream out;
  out << in.rdbuf();
  return out.str();
}

TEST(SentencePiece, BytePairsGiveIdsAndTextOfTheLibrary) {
  const auto tokenizer = load(model_file("pieces_bpe.model"));
  ASSERT_TRUE(tokenizer);
  const std::vector<std::pair<std::string, Ids>> cases{
      {"hello world", {279, 320}},
      {"the  quick 日本 x😀y", {301, 379, 341, 285, 404, 379, 386, 246, 165, 158, 134, 401}},
      {" leading and trailing ",
       {379, 379, 384, 380, 385, 394, 396, 393, 390, 379, 385, 393, 394, 269, 382, 385, 396, 384, 396, 393, 390, 379}},
      {"naïve café Größe 日本語", {352, 300, 379, 77, 382, 201, 188, 201, 165, 380, 287}},
      {"hello<mask>world    tab\tend", {279, 4, 392, 317, 5, 383, 385, 407, 15, 289, 394}}};
  for (const auto& [text, ids] : cases) {
    const auto encoding = tokenizer->encode(text, false);
    ASSERT_TRUE(encoding) << encoding.error().text();
    EXPECT_EQ(encoding->ids, ids) << text;
    EXPECT_EQ(tokenizer->decode(ids, false), text);
  }
  EXPECT_THAT(tokenizer->description(), HasSubstr("SentencePiece BPE"));
}

TEST(SentencePiece, UnigramGivesIdsAndTextOfTheLibrary) {
  const auto tokenizer = load(model_file("pieces_unigram.model"));
  ASSERT_TRUE(tokenizer);
  const auto encoding = tokenizer->encode("the  quick 日本 x😀y", false);
  ASSERT_TRUE(encoding);
  EXPECT_THAT(encoding->ids, ElementsAre(14, 26, 4, 49, 48, 4, 65, 0, 51));
  EXPECT_EQ(tokenizer->decode(Ids{6, 18}, false), "hello world");
}

TEST(SentencePiece, EachTokenKnowsItsPlaceInTheText) {
  const auto tokenizer = load(model_file("pieces_bpe.model"));
  ASSERT_TRUE(tokenizer);
  // ▁the ▁ ▁quick ▁日 本 ▁ x <0xF0> <0x9F> <0x98> <0x80> y; the emoji has bytes 20 to 23.
  const auto encoding = tokenizer->encode("the  quick 日本 x😀y", true);
  ASSERT_TRUE(encoding);
  using Range = std::pair<std::uint64_t, std::uint64_t>;
  EXPECT_THAT(encoding->bytes, ElementsAre(Range(0, 0), Range(0, 3), Range(3, 4), Range(4, 10), Range(10, 14),
                                           Range(14, 17), Range(17, 18), Range(18, 19), Range(19, 23), Range(19, 23),
                                           Range(19, 23), Range(19, 23), Range(23, 24)));
  EXPECT_EQ(encoding->ids.front(), 1);
  EXPECT_EQ(encoding->tokens[1], "▁the");
}

TEST(SentencePiece, IllFormedTextIsReplacedAndKeepsItsPlace) {
  const auto tokenizer = load(model_file("pieces_bpe.model"));
  ASSERT_TRUE(tokenizer);
  const auto encoding = tokenizer->encode("a\xFF", false);
  ASSERT_TRUE(encoding);
  EXPECT_EQ(tokenizer->decode(encoding->ids, false), "a\uFFFD");
  EXPECT_EQ(encoding->bytes.back(), (std::pair<std::uint64_t, std::uint64_t>(1, 2)));
  EXPECT_TRUE(tokenizer->encode("", false)->ids.empty());
}

TEST(SentencePiece, ControlPiecesInTheTextAreFoundAndCanBeSkipped) {
  const auto tokenizer = load(model_file("pieces_bpe.model"));
  ASSERT_TRUE(tokenizer);
  const auto encoding = tokenizer->encode("<s>hello<|tool|>world", false);
  ASSERT_TRUE(encoding);
  EXPECT_THAT(encoding->ids, ElementsAre(1, 279, 3, 320));
  EXPECT_EQ(tokenizer->decode(encoding->ids, true), "hello world");
  EXPECT_THAT(tokenizer->decode(encoding->ids, false), HasSubstr("<|tool|>"));
  // User-defined pieces are text, not control.
  EXPECT_EQ(tokenizer->decode(Ids{279, 4}, true), "hello<mask>");
  EXPECT_EQ(tokenizer->token_bytes(279), " hello");
  EXPECT_EQ(tokenizer->token_bytes(246), "\xF0");
  EXPECT_EQ(tokenizer->token_text(99999), "");
  EXPECT_EQ(tokenizer->token_text(-1), "");
}

TEST(SentencePiece, TheConfigurationBesideSaysWhichSpecialTokensAreAdded) {
  const TemporaryFolder folder;
  folder.write("tokenizer.model", bytes_of(model_file("pieces_bpe.model")));
  EXPECT_EQ(find_tokenizer(folder.path()), folder.path() / "tokenizer.model");
  EXPECT_THAT(load(folder.path() / "tokenizer.model")->encode("hello", true)->ids, ElementsAre(1, 279));
  folder.write("tokenizer_config.json", R"({"add_bos_token": false, "add_eos_token": true})");
  EXPECT_THAT(load(folder.path() / "tokenizer.model")->encode("hello", true)->ids, ElementsAre(279, 2));
  EXPECT_THAT(load(folder.path() / "tokenizer.model")->encode("hello", false)->ids, ElementsAre(279));
}

TEST(SentencePiece, CutAndBentModelsAreErrorsOrTokenizers) {
  const TemporaryFolder folder;
  const std::string whole = bytes_of(model_file("pieces_unigram.model"));
  const auto try_it = [&](const std::string& bytes) {
    const auto tokenizer = load_tokenizer(folder.write("t.model", bytes));
    if (!tokenizer) {
      EXPECT_EQ(tokenizer.error().kind, ErrorKind::input);
      return;
    }
    const auto encoding = (*tokenizer)->encode("hello world 日本", true);
    if (!encoding) return;
    EXPECT_EQ(encoding->bytes.size(), encoding->ids.size());
    EXPECT_LE((*tokenizer)->decode(encoding->ids, true).size(), (*tokenizer)->decode(encoding->ids, false).size());
  };
  for (std::size_t size = 0; size < whole.size(); size += 3) try_it(whole.substr(0, size));
  for (std::size_t at = 0; at < whole.size(); ++at) {
    std::string bent = whole;
    bent[at] = static_cast<char>(bent[at] ^ (1 << at % 8));
    try_it(bent);
  }
}

TEST(SentencePiece, ATableThatPointsOutsideItselfIsRefused) {
  const TemporaryFolder folder;
  const auto field = [](char tag, const std::string& body) {
    std::string out{tag};
    std::size_t size = body.size();
    for (; size >= 128; size >>= 7U) out.push_back(static_cast<char>((size & 127U) | 128U));
    return out + static_cast<char>(size) + body;
  };
  const auto model = [&](const std::string& table) {
    return folder.write("t.model", bytes_of(model_file("pieces_unigram.model")) + field(0x1A, field(0x12, table)));
  };
  const auto table = [](std::uint32_t first_unit, const std::string& texts) {
    std::string units(1024, '\0');
    std::memcpy(units.data(), &first_unit, 4);
    return std::string("\0\x04\0\0", 4) + units + texts;
  };
  EXPECT_FALSE(load_tokenizer(model("abc")));
  EXPECT_FALSE(load_tokenizer(model(table(0, "no zero at the end"))));
  EXPECT_FALSE(load_tokenizer(model(table(0x7FFFFC00U, std::string(1, '\0')))));
  EXPECT_FALSE(load_tokenizer(model(table(0x100U, std::string()))));
  const auto value_outside = [&] {
    std::string out = table(0x100U | (1U << 10U), std::string(1, '\0'));
    const std::uint32_t value = 0x80000000U | 500U;
    std::memcpy(out.data() + 8, &value, 4);
    return out;
  }();
  EXPECT_FALSE(load_tokenizer(model(value_outside)));
  EXPECT_TRUE(load_tokenizer(model(table(0, std::string(1, '\0')))));
}

}  // namespace
}  // namespace moescope::sentencepiece_test
