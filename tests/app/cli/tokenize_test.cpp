#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "tests/app/cli/program.h"

namespace moescope::test::tokenize_test {
namespace {

using testing::HasSubstr;

const std::string gpt2 = std::string(MOESCOPE_TEST_DATA) + "/tokenizers/gpt2.tokenizer.json";

TEST(CliTokenize, GivesIdsTokensAndPlacesAsJson) {
  const Outcome outcome = run_cli({"tokenize", "--tokenizer", gpt2, "--text", "hello wörld", "--special", "--json"});
  ASSERT_EQ(outcome.code, 0) << outcome.err;
  const auto json = nlohmann::json::parse(outcome.out);
  EXPECT_EQ(json["ids"][0], 271);
  EXPECT_EQ(json["ids"][1], 259);
  EXPECT_EQ(json["offsets"][1], nlohmann::json({0, 5}));
  EXPECT_EQ(json["offsets"].back()[1], 11);  // characters
  EXPECT_EQ(json["bytes"].back()[1], 12);
  EXPECT_EQ(json["offsets"][0], nlohmann::json({0, 0}));
  const Outcome plain = run_cli({"tokenize", "--tokenizer", gpt2, "--text", "hello world"});
  EXPECT_THAT(plain.out, HasSubstr("264"));
  EXPECT_THAT(plain.out, HasSubstr("259"));
  EXPECT_THAT(plain.out, testing::Not(HasSubstr("271")));
}

TEST(CliTokenize, WrapsInAChatFormatWithoutTheTemplateTwice) {
  const Outcome outcome = run_cli({"tokenize", "--tokenizer", gpt2, "--text", "hello", "--format", "olmo", "--json"});
  ASSERT_EQ(outcome.code, 0) << outcome.err;
  const auto json = nlohmann::json::parse(outcome.out);
  EXPECT_EQ(json["text"], "<|endoftext|><|user|>\nhello\n<|assistant|>\n");
  EXPECT_EQ(json["ids"][0], 271);
  EXPECT_NE(json["ids"][1], 271);
  EXPECT_EQ(run_cli({"tokenize", "--tokenizer", gpt2, "--text", "hello", "--format", "alpaca"}).code, 1);
}

TEST(CliTokenize, DetokenizeIsTheWayBack) {
  const Outcome outcome = run_cli({"detokenize", "--tokenizer", gpt2, "--ids", "271,259,264", "--skip-special"});
  EXPECT_EQ(outcome.code, 0);
  EXPECT_EQ(outcome.out, "hello world\n");
  EXPECT_EQ(run_cli({"detokenize", "--tokenizer", gpt2, "--ids", "271,x"}).code, 1);
  EXPECT_EQ(run_cli({"detokenize", "--tokenizer", gpt2, "--ids", "99999"}).code, 1);
}

TEST(CliTokenize, AFileThatIsNoTokenizerIsBadInput) {
  const TemporaryFolder folder;
  write_text(folder.file("tokenizer.json"), "{\"model\": {\"type\": \"Unigram\"}}");
  const Outcome outcome = run_cli({"tokenize", "--checkpoint", folder.path().string(), "--text", "a"});
  EXPECT_EQ(outcome.code, 2);
  EXPECT_THAT(outcome.err, HasSubstr("Unigram"));
}

TEST(CliTokenize, SentencePieceModelsAreTokenizersToo) {
  const std::string model = std::string(MOESCOPE_TEST_DATA) + "/tokenizers/pieces_bpe.model";
  const Outcome outcome = run_cli({"tokenize", "--tokenizer", model, "--text", "hello world", "--json"});
  ASSERT_EQ(outcome.code, 0) << outcome.err;
  EXPECT_EQ(nlohmann::json::parse(outcome.out)["ids"], nlohmann::json({279, 320}));
  EXPECT_EQ(run_cli({"detokenize", "--tokenizer", model, "--ids", "279,320"}).out, "hello world\n");
}

TEST(CliTokenize, OneSourceMustBeNamed) {
  EXPECT_EQ(run_cli({"tokenize", "--text", "a"}).code, 1);
  EXPECT_EQ(run_cli({"tokenize", "--tokenizer", gpt2, "--checkpoint", gpt2, "--text", "a"}).code, 1);
}

}  // namespace
}  // namespace moescope::test::tokenize_test
