#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <fstream>
#include <map>
#include <nlohmann/json.hpp>

#include "core/model/tokenizer.h"
#include "tests/core/io/gguf_bytes.h"
#include "tests/core/io/temporary_folder.h"

// GGUF vocabularies made from the tokenizer.json files of the golden data must give the golden ids, texts and places.
namespace moescope::gguf_vocabulary_test {
namespace {

using fixtures::GgufBytes;
using fixtures::TemporaryFolder;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

nlohmann::json data(const std::string& name) {
  std::ifstream stream(std::string(MOESCOPE_TEST_DATA) + "/tokenizers/" + name);
  return nlohmann::json::parse(stream);
}

// A merge as "a b", whichever way the file writes it.
std::string merge_text(const nlohmann::json& merge) {
  return merge.is_string() ? merge.get<std::string>() : merge[0].get<std::string>() + " " + merge[1].get<std::string>();
}

struct Table {
  std::vector<std::string> tokens, merges;
  std::vector<std::int32_t> types;
};

Table table_of(const nlohmann::json& json) {
  Table out;
  const auto& vocabulary = json["model"]["vocab"];
  out.tokens.resize(vocabulary.size());
  for (const auto& [text, id] : vocabulary.items()) out.tokens[id.get<std::size_t>()] = text;
  out.types.assign(out.tokens.size(), 1);
  for (const auto& added : json["added_tokens"]) {
    const auto id = added["id"].get<std::size_t>();
    if (id >= out.tokens.size()) {
      out.tokens.resize(id + 1);
      out.types.resize(id + 1, 1);
    }
    out.tokens[id] = added["content"];
    out.types[id] = added["special"] ? 3 : 4;
  }
  for (const auto& merge : json["model"]["merges"]) out.merges.push_back(merge_text(merge));
  return out;
}

GgufBytes byte_level(const std::string& name, const char* pre) {
  const Table table = table_of(data(name + ".tokenizer.json"));
  GgufBytes out;
  out.add("tokenizer.ggml.model", "gpt2");
  out.add("tokenizer.ggml.pre", pre);
  out.add("tokenizer.ggml.tokens", table.tokens);
  out.add("tokenizer.ggml.merges", table.merges);
  out.add_numbers("tokenizer.ggml.token_type", GgufBytes::i32, table.types);
  out.add("tokenizer.ggml.bos_token_id", std::uint32_t{271});
  out.add("tokenizer.ggml.add_bos_token", true);
  return out;
}

// Scores as SentencePiece gives them: the earlier a merge makes a piece, the higher its score.
GgufBytes scored() {
  Table table = table_of(data("llama2.tokenizer.json"));
  std::map<std::string, float> scores;
  for (std::size_t rank = 0; rank < table.merges.size(); ++rank) {
    std::string piece = table.merges[rank];
    piece.erase(piece.find(' '), 1);
    scores.emplace(piece, -static_cast<float>(rank));
  }
  std::vector<float> numbers;
  for (std::size_t id = 0; id < table.tokens.size(); ++id) {
    if (table.tokens[id].rfind("<0x", 0) == 0) table.types[id] = 6;
    const auto found = scores.find(table.tokens[id]);
    numbers.push_back(found == scores.end() ? -1000.0F : found->second);
  }
  table.types[0] = 2;
  GgufBytes out;
  out.add("tokenizer.ggml.model", "llama");
  out.add("tokenizer.ggml.tokens", table.tokens);
  out.add_numbers("tokenizer.ggml.scores", GgufBytes::f32, numbers);
  out.add_numbers("tokenizer.ggml.token_type", GgufBytes::i32, table.types);
  out.add("tokenizer.ggml.bos_token_id", std::uint32_t{1});
  out.add("tokenizer.ggml.eos_token_id", std::uint32_t{2});
  out.add("tokenizer.ggml.unknown_token_id", std::uint32_t{0});
  return out;
}

std::pair<std::uint64_t, std::uint64_t> bytes_of_characters(const std::string& text, std::size_t first,
                                                            std::size_t last) {
  std::vector<std::size_t> starts;
  for (std::size_t i = 0; i < text.size(); ++i) {
    if ((static_cast<unsigned char>(text[i]) & 0xC0U) != 0x80U) starts.push_back(i);
  }
  starts.push_back(text.size());
  return {starts.at(first), starts.at(last)};
}

struct Style {
  std::string name;
  const char* pre;
};

class GgufVocabulary : public ::testing::TestWithParam<Style> {};

TEST_P(GgufVocabulary, GivesIdsTokensTextAndPlacesOfTheReference) {
  const TemporaryFolder folder;
  const bool scores = GetParam().name == "llama2";
  const GgufBytes bytes = scores ? scored() : byte_level(GetParam().name, GetParam().pre);
  const auto loaded = load_tokenizer(folder.write("v.gguf", bytes.bytes()));
  ASSERT_TRUE(loaded) << loaded.error().text();
  const Tokenizer& tokenizer = **loaded;
  std::size_t compared = 0;
  const nlohmann::json cases = data("expected.json").at(GetParam().name);
  for (const nlohmann::json& c : cases) {
    const auto text = c.at("text").get<std::string>();
    // GGUF does not say that this token takes the spaces around it.
    if (text.find("<tool>") != std::string::npos) continue;
    SCOPED_TRACE(text);
    ++compared;
    EXPECT_EQ(tokenizer.encode(text, false)->ids, c.at("ids").get<std::vector<std::int32_t>>());
    const auto full = tokenizer.encode(text, true);
    ASSERT_TRUE(full);
    EXPECT_EQ(full->ids, c.at("ids_with_special").get<std::vector<std::int32_t>>());
    EXPECT_EQ(full->tokens, c.at("tokens").get<std::vector<std::string>>());
    EXPECT_EQ(tokenizer.decode(full->ids, false), c.at("decoded_keep_special").get<std::string>());
    EXPECT_EQ(tokenizer.decode(full->ids, true), c.at("decoded_skip_special").get<std::string>());
    const auto offsets = c.at("offsets_chars").get<std::vector<std::pair<std::size_t, std::size_t>>>();
    ASSERT_EQ(full->bytes.size(), offsets.size());
    for (std::size_t i = 0; i < offsets.size(); ++i) {
      if (offsets[i] == std::pair<std::size_t, std::size_t>(0, 0)) continue;
      EXPECT_EQ(full->bytes[i], bytes_of_characters(text, offsets[i].first, offsets[i].second)) << full->tokens[i];
    }
  }
  EXPECT_GE(compared, 9U);
}

INSTANTIATE_TEST_SUITE_P(Styles, GgufVocabulary,
                         ::testing::Values(Style{"gpt2", "gpt-2"}, Style{"qwen", "qwen2"}, Style{"llama2", ""},
                                           Style{"o200k", "gpt-4o"}),
                         [](const auto& style) { return style.param.name; });

GgufBytes pieces(const std::vector<std::string>& tokens, const std::vector<float>& scores,
                 const std::vector<std::int32_t>& types) {
  GgufBytes out;
  out.add("tokenizer.ggml.model", "llama");
  out.add("tokenizer.ggml.tokens", tokens);
  out.add_numbers("tokenizer.ggml.scores", GgufBytes::f32, scores);
  if (!types.empty()) out.add_numbers("tokenizer.ggml.token_type", GgufBytes::i32, types);
  out.add("tokenizer.ggml.add_space_prefix", false);
  return out;
}

class GgufPieces : public ::testing::Test {
 protected:
  std::vector<std::int32_t> ids(const GgufBytes& bytes, const std::string& text) const {
    const auto tokenizer = load_tokenizer(folder_.write("v.gguf", bytes.bytes()));
    if (!tokenizer) {
      ADD_FAILURE() << tokenizer.error().text();
      return {};
    }
    return (*tokenizer)->encode(text, false)->ids;
  }
  std::string problem(const GgufBytes& bytes) const {
    const auto tokenizer = load_tokenizer(folder_.write("v.gguf", bytes.bytes()));
    if (tokenizer) {
      ADD_FAILURE() << "was accepted";
      return {};
    }
    EXPECT_EQ(tokenizer.error().kind, ErrorKind::input);
    EXPECT_THAT(tokenizer.error().where, HasSubstr("v.gguf"));
    return tokenizer.error().what;
  }
  TemporaryFolder folder_;
};

TEST_F(GgufPieces, TheHighestScoreMergesFirstAndTheLeftmostOnTies) {
  // "abc": ab or bc first.
  EXPECT_THAT(ids(pieces({"a", "b", "c", "ab", "bc"}, {0, 0, 0, 1, 2}, {}), "abc"), ElementsAre(0, 4));
  EXPECT_THAT(ids(pieces({"a", "b", "c", "ab", "bc"}, {0, 0, 0, 2, 2}, {}), "abc"), ElementsAre(3, 2));
  EXPECT_THAT(ids(pieces({"a", "aa"}, {0, 0}, {}), "aaaaa"), ElementsAre(1, 1, 0));
}

TEST_F(GgufPieces, CharactersOutsideTheVocabularyMayStillMerge) {
  // Neither x nor y is a piece, xy is.
  EXPECT_THAT(ids(pieces({"xy", "a"}, {1, 0}, {}), "axy"), ElementsAre(1, 0));
}

TEST_F(GgufPieces, UnknownCharactersBecomeTheirBytesOrTheUnknownToken) {
  std::vector<std::string> tokens;
  std::vector<std::int32_t> types;
  for (int byte = 0; byte < 256; ++byte) {
    char name[8];
    std::snprintf(name, sizeof name, "<0x%02X>", byte);
    tokens.emplace_back(name);
    types.push_back(6);
  }
  EXPECT_THAT(ids(pieces(tokens, std::vector<float>(256), types), "é"), ElementsAre(0xC3, 0xA9));
  GgufBytes small = pieces({"<unk>", "a"}, {0, 0}, {2, 1});
  small.add("tokenizer.ggml.unknown_token_id", std::uint32_t{0});
  EXPECT_THAT(ids(small, "aéa"), ElementsAre(1, 0, 1));
  EXPECT_THAT(ids(pieces({"a"}, {0}, {}), "aé"), ElementsAre(0));
}

TEST_F(GgufPieces, ControlAndUnusedPiecesAreNotMadeByMerging) {
  EXPECT_THAT(ids(pieces({"a", "b", "ab"}, {0, 0, 9}, {1, 1, 5}), "ab"), ElementsAre(0, 1));
  // A control piece is found as it is written.
  EXPECT_THAT(ids(pieces({"a", "<s>", "<", "s", ">"}, {0, 0, 0, 0, 0}, {1, 3, 1, 1, 1}), "a<s>a"),
              ElementsAre(0, 1, 0));
}

TEST_F(GgufPieces, ALongWordIsMergedInTime) {
  const std::string text(200'000, 'a');
  EXPECT_EQ(ids(pieces({"a", "aa", "aaaa"}, {0, 1, 2}, {}), text).size(), 50'000U);
}

TEST_F(GgufPieces, BrokenVocabulariesAreRefused) {
  EXPECT_THAT(problem(GgufBytes()), HasSubstr("no vocabulary"));
  EXPECT_THAT(problem(pieces({}, {}, {})), HasSubstr("no list of tokens"));
  EXPECT_THAT(problem(pieces({"a", "b"}, {0}, {})), HasSubstr("scores"));
  EXPECT_THAT(problem(pieces({"a"}, {std::nanf("")}, {})), HasSubstr("not a number"));
  EXPECT_THAT(problem(pieces({"a"}, {0}, {1, 1})), HasSubstr("types"));
  EXPECT_THAT(problem(pieces({"\xFF"}, {0}, {})), HasSubstr("UTF-8"));
  GgufBytes outside = pieces({"a"}, {0}, {});
  outside.add("tokenizer.ggml.bos_token_id", std::uint32_t{1});
  EXPECT_THAT(problem(outside), HasSubstr("does not have"));
  EXPECT_THAT(problem(byte_level("gpt2", "something-new")), HasSubstr("something-new"));
  GgufBytes other;
  other.add("tokenizer.ggml.model", "bert");
  other.add("tokenizer.ggml.tokens", std::vector<std::string>{"a"});
  EXPECT_THAT(problem(other), HasSubstr("bert"));
  GgufBytes merges;
  merges.add("tokenizer.ggml.model", "gpt2");
  merges.add("tokenizer.ggml.pre", "gpt-2");
  merges.add("tokenizer.ggml.tokens", std::vector<std::string>{"a"});
  EXPECT_THAT(problem(merges), HasSubstr("no list of merges"));
  merges.add("tokenizer.ggml.merges", std::vector<std::string>{"a b"});
  EXPECT_THAT(problem(merges), HasSubstr("vocabulary lacks"));
}

TEST_F(GgufPieces, NoneMeansThatThereIsNoVocabulary) {
  GgufBytes none;
  none.add("tokenizer.ggml.model", "none");
  EXPECT_THAT(problem(none), HasSubstr("no vocabulary"));
}

}  // namespace
}  // namespace moescope::gguf_vocabulary_test
