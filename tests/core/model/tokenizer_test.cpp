// Components, hostile files and hostile text, on small tokenizers written here.
#include "core/model/tokenizer.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>

namespace moescope::tokenizer_test {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;
using testing::ElementsAre;
using testing::HasSubstr;

json model(const std::vector<std::string>& tokens, const json& merges = json::array()) {
  json vocab = json::object();
  for (std::size_t i = 0; i < tokens.size(); ++i) vocab[tokens[i]] = i;
  return {{"type", "BPE"}, {"vocab", vocab}, {"merges", merges}};
}

json file_of(const json& bpe) {
  return {{"version", "1.0"}, {"added_tokens", json::array()}, {"model", bpe}};
}

Expected<std::shared_ptr<const Tokenizer>> load_text(const std::string& text) {
  const fs::path file = fs::path(testing::TempDir()) / ("tokenizer_" + std::to_string(getpid()) + ".json");
  std::ofstream(file, std::ios::binary) << text;
  auto loaded = load_tokenizer(file);
  fs::remove(file);
  return loaded;
}

Expected<std::shared_ptr<const Tokenizer>> load(const json& file) {
  return load_text(file.dump());
}

std::vector<std::string> tokens_of(const json& file, const std::string& text) {
  const auto loaded = load(file);
  EXPECT_TRUE(loaded.has_value()) << loaded.error().text();
  if (!loaded) return {};
  auto encoding = (*loaded)->encode(text, false);
  EXPECT_TRUE(encoding.has_value());
  return encoding ? encoding->tokens : std::vector<std::string>{};
}

TEST(Tokenizer, MergesByRankThenLeftmost) {
  const json file = file_of(model({"a", "b", "c", "ab", "bc", "abc", "aa"}, {"b c", "a b", "a a", {"ab", "c"}}));
  EXPECT_THAT(tokens_of(file, "abc"), ElementsAre("a", "bc"));
  EXPECT_THAT(tokens_of(file, "aaa"), ElementsAre("aa", "a"));
}

TEST(Tokenizer, UnknownCharactersFuseOrVanishAsTheFileSays) {
  json bpe = model({"a", "<unk>"});
  EXPECT_THAT(tokens_of(file_of(bpe), "axya"), ElementsAre("a", "a"));
  bpe["unk_token"] = "<unk>";
  EXPECT_THAT(tokens_of(file_of(bpe), "axya"), ElementsAre("a", "<unk>", "<unk>", "a"));
  bpe["fuse_unk"] = true;
  EXPECT_THAT(tokens_of(file_of(bpe), "axya"), ElementsAre("a", "<unk>", "a"));
}

TEST(Tokenizer, SplitBehavioursCutAsNamed) {
  const auto words = [](const std::string& behaviour, bool invert) {
    // Each word is one token through ignore_merges, so tokens show the cuts.
    json bpe = model({"a", "b", "-", "a-", "-b", "--", "a--", "--b", "a-b"});
    bpe["ignore_merges"] = true;
    json file = file_of(bpe);
    file["pre_tokenizer"] = {
        {"type", "Split"}, {"pattern", {{"String", "-"}}}, {"behavior", behaviour}, {"invert", invert}};
    return tokens_of(file, "a--b");
  };
  EXPECT_THAT(words("Isolated", false), ElementsAre("a", "-", "-", "b"));
  EXPECT_THAT(words("Removed", false), ElementsAre("a", "b"));
  EXPECT_THAT(words("Removed", true), ElementsAre("-", "-"));
  EXPECT_THAT(words("MergedWithPrevious", false), ElementsAre("a-", "-", "b"));
  EXPECT_THAT(words("MergedWithNext", false), ElementsAre("a", "-", "-b"));
  EXPECT_THAT(words("Contiguous", false), ElementsAre("a", "--", "b"));
}

TEST(Tokenizer, DigitsStandAloneOrInRuns) {
  json bpe = model({"a", "1", "2", "12"}, {"1 2"});
  json file = file_of(bpe);
  file["pre_tokenizer"] = {{"type", "Digits"}, {"individual_digits", true}};
  EXPECT_THAT(tokens_of(file, "a12"), ElementsAre("a", "1", "2"));
  file["pre_tokenizer"]["individual_digits"] = false;
  EXPECT_THAT(tokens_of(file, "a12"), ElementsAre("a", "12"));
}

TEST(Tokenizer, MetaspacePrependsToTheFirstPieceOnlyWhenAsked) {
  json bpe = model({"\u2581", "a", "\u2581a", "<s>"}, json::array({json::array({"\u2581", "a"})}));
  json file = file_of(bpe);
  file["added_tokens"] = {{{"id", 3}, {"content", "<s>"}, {"special", true}, {"normalized", false}}};
  file["pre_tokenizer"] = {
      {"type", "Metaspace"}, {"replacement", "\u2581"}, {"prepend_scheme", "first"}, {"split", false}};
  EXPECT_THAT(tokens_of(file, "a<s>a"), ElementsAre("\u2581a", "<s>", "a"));
  file["pre_tokenizer"]["prepend_scheme"] = "always";
  EXPECT_THAT(tokens_of(file, "a<s>a"), ElementsAre("\u2581a", "<s>", "\u2581a"));
  file["pre_tokenizer"]["prepend_scheme"] = "never";
  EXPECT_THAT(tokens_of(file, "a<s>a"), ElementsAre("a", "<s>", "a"));
}

TEST(Tokenizer, AddedTokensTakeTheLongestAndRespectWordsAndSpace) {
  json file = file_of(model({"a", "b", " "}));
  file["added_tokens"] = {{{"id", 10}, {"content", "<x>"}, {"normalized", false}},
                          {{"id", 11}, {"content", "<x><y>"}, {"normalized", false}},
                          {{"id", 12}, {"content", "ab"}, {"single_word", true}, {"normalized", false}},
                          {{"id", 13}, {"content", "<l>"}, {"lstrip", true}, {"normalized", false}}};
  EXPECT_THAT(tokens_of(file, "a<x><y><x>"), ElementsAre("a", "<x><y>", "<x>"));
  EXPECT_THAT(tokens_of(file, "ab aab"), ElementsAre("ab", " ", "a", "a", "b"));
  EXPECT_THAT(tokens_of(file, "a  <l> "), ElementsAre("a", "  <l>", " "));
}

TEST(Tokenizer, NormalisedAddedTokensMatchAfterNormalisation) {
  json file = file_of(model({"a", "\u00e9"}));
  file["normalizer"] = {{"type", "NFC"}};
  file["added_tokens"] = {{{"id", 5}, {"content", "<e\u0301>"}, {"normalized", true}}};
  EXPECT_THAT(tokens_of(file, "a<\u00e9>"), ElementsAre("a", "<\u00e9>"));
}

TEST(Tokenizer, PlacesPointIntoTheTextBeforeNormalisation) {
  json file = file_of(model({"x", "y", "--", "-"}));
  file["normalizer"] = {{"type", "Replace"}, {"pattern", {{"Regex", "\u2014+"}}}, {"content", "-"}};
  const auto loaded = load(file);
  ASSERT_TRUE(loaded.has_value());
  const auto encoding = (*loaded)->encode("x\u2014\u2014y", false);
  ASSERT_TRUE(encoding.has_value());
  EXPECT_THAT(encoding->tokens, ElementsAre("x", "-", "y"));
  EXPECT_EQ(encoding->bytes[1], (std::pair<std::uint64_t, std::uint64_t>(1, 7)));
  EXPECT_EQ(encoding->bytes[2], (std::pair<std::uint64_t, std::uint64_t>(7, 8)));
}

TEST(Tokenizer, IllFormedTextBecomesReplacementCharactersInPlace) {
  const auto loaded = load(file_of(model({"a", "b", "\uFFFD"})));
  ASSERT_TRUE(loaded.has_value());
  const auto encoding = (*loaded)->encode(std::string("a\xF0\x9F\x80") + "b\xFF", false);
  ASSERT_TRUE(encoding.has_value());
  EXPECT_THAT(encoding->tokens, ElementsAre("a", "\uFFFD", "b", "\uFFFD"));
  EXPECT_EQ(encoding->bytes[1], (std::pair<std::uint64_t, std::uint64_t>(1, 4)));
  EXPECT_EQ(encoding->bytes[3], (std::pair<std::uint64_t, std::uint64_t>(5, 6)));
}

TEST(Tokenizer, HalfCharactersDecodeToReplacementCharactersAndRawBytes) {
  const auto loaded = load_tokenizer(fs::path(MOESCOPE_TEST_DATA) / "tokenizers/gpt2.tokenizer.json");
  ASSERT_TRUE(loaded.has_value());
  const auto encoding = (*loaded)->encode("\u00e9", false);
  ASSERT_EQ(encoding->ids.size(), 2U);
  EXPECT_EQ((*loaded)->token_bytes(encoding->ids[0]), "\xC3");
  EXPECT_EQ((*loaded)->decode(std::vector<std::int32_t>{encoding->ids[0]}, false), "\uFFFD");
  EXPECT_EQ((*loaded)->decode(encoding->ids, false), "\u00e9");
}

TEST(Tokenizer, IdsOutOfRangeAreNoTokens) {
  const auto loaded = load(file_of(model({"a"})));
  ASSERT_TRUE(loaded.has_value());
  EXPECT_EQ((*loaded)->token_bytes(-1), "");
  EXPECT_EQ((*loaded)->token_text(2147483647), "");
  EXPECT_EQ((*loaded)->decode(std::vector<std::int32_t>{-5, 0, 99}, false), "a");
}

TEST(Tokenizer, ALongTextWithoutWordsIsOneHeapOfMerges) {
  json bpe = model({"a", "aa", "aaaa"}, {"a a", "aa aa"});
  const auto loaded = load(file_of(bpe));
  ASSERT_TRUE(loaded.has_value());
  const auto encoding = (*loaded)->encode(std::string(1'000'003, 'a'), false);
  ASSERT_TRUE(encoding.has_value());
  EXPECT_EQ(encoding->ids.size(), 250'002U);
  EXPECT_EQ(encoding->bytes.back(), (std::pair<std::uint64_t, std::uint64_t>(1'000'002, 1'000'003)));
}

TEST(Tokenizer, ARegularExpressionThatExplodesGivesUpWithAnError) {
  json file = file_of(model({"a"}));
  file["pre_tokenizer"] = {{"type", "Split"},
                           {"pattern", {{"Regex", "(a+a+)+$b|(?:a|aa)+$x"}}},
                           {"behavior", "Isolated"},
                           {"invert", false}};
  const auto loaded = load(file);
  ASSERT_TRUE(loaded.has_value());
  const auto encoding = (*loaded)->encode(std::string(5000, 'a'), false);
  ASSERT_FALSE(encoding.has_value());
  EXPECT_THAT(encoding.error().text(), HasSubstr("regular expression gave up"));
}

TEST(Tokenizer, BadFilesAreRefusedByName) {
  const auto error = [](const json& file) {
    const auto loaded = load(file);
    return loaded ? std::string("loaded") : loaded.error().text();
  };
  json file = file_of(model({"a", "b"}, {"a b"}));
  EXPECT_THAT(error(file), HasSubstr("a merge needs the token \"ab\""));
  file["model"]["merges"] = {"ab"};
  EXPECT_THAT(error(file), HasSubstr("model.merges[0]"));
  file = file_of(model({"a"}));
  file["model"]["type"] = "Unigram";
  EXPECT_THAT(error(file), HasSubstr("the tokenizer's model is \"Unigram\""));
  file = file_of(model({"a"}));
  file["model"]["vocab"]["b"] = 0;
  EXPECT_THAT(error(file), HasSubstr("two tokens have the id 0"));
  file["model"]["vocab"]["b"] = -3;
  EXPECT_THAT(error(file), HasSubstr("the id of the token \"b\" is -3"));
  file["model"]["vocab"]["b"] = 1e20;
  EXPECT_THAT(error(file), HasSubstr("the id of the token \"b\""));
  file = file_of(model({"a"}));
  file["normalizer"] = {{"type", "Lowercase"}};
  EXPECT_THAT(error(file), HasSubstr("the normalizer \"Lowercase\" is not supported"));
  file = file_of(model({"a"}));
  file["pre_tokenizer"] = {
      {"type", "Split"}, {"pattern", {{"Regex", "(unclosed"}}}, {"behavior", "Isolated"}, {"invert", false}};
  EXPECT_THAT(error(file), HasSubstr("does not compile"));
  file = file_of(model({"a"}));
  file["added_tokens"] = {{{"id", -1}, {"content", "x"}}};
  EXPECT_THAT(error(file), HasSubstr("added_tokens[0]"));
  file["added_tokens"] = 3;
  EXPECT_THAT(error(file), HasSubstr("added_tokens is not a list"));
  EXPECT_THAT(error(json::object()), HasSubstr("no \"model\""));
  file = file_of(model({"a"}));
  json deep = {{"type", "NFC"}};
  for (int i = 0; i < 20; ++i) deep = {{"type", "Sequence"}, {"normalizers", {deep}}};
  file["normalizer"] = deep;
  EXPECT_THAT(error(file), HasSubstr("nest too deeply"));
}

TEST(Tokenizer, DeeplyNestedJsonIsRefusedBeforeItIsParsed) {
  const auto loaded = load_text(std::string(200'000, '['));
  ASSERT_FALSE(loaded.has_value());
  EXPECT_THAT(loaded.error().text(), HasSubstr("nests"));
}

}  // namespace
}  // namespace moescope::tokenizer_test
