#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "tests/app/cli/program.h"

namespace moescope::test {
namespace {

using testing::HasSubstr;

const std::string gpt2 = std::string(MOESCOPE_TEST_DATA) + "/tokenizers/gpt2.tokenizer.json";

TEST(CliTokenize, GivesIdsTokensAndPlacesAsJson) {
  const Outcome outcome = run_cli({"tokenize", gpt2, "--text", "hello world", "--json"});
  ASSERT_EQ(outcome.code, 0) << outcome.err;
  const auto json = nlohmann::json::parse(outcome.out);
  EXPECT_EQ(json["ids"], nlohmann::json({271, 259, 264}));
  EXPECT_EQ(json["bytes"], nlohmann::json({{0, 0}, {0, 5}, {5, 11}}));
  const Outcome plain = run_cli({"tokenize", gpt2, "--text", "hello world", "--no-special"});
  EXPECT_THAT(plain.out, HasSubstr("259"));
  EXPECT_THAT(plain.out, testing::Not(HasSubstr("271")));
}

TEST(CliTokenize, WrapsInAChatFormatWithoutTheTemplateTwice) {
  const Outcome outcome = run_cli({"tokenize", gpt2, "--text", "hello", "--format", "olmo", "--json"});
  ASSERT_EQ(outcome.code, 0) << outcome.err;
  const auto json = nlohmann::json::parse(outcome.out);
  EXPECT_EQ(json["text"], "<|endoftext|><|user|>\nhello\n<|assistant|>\n");
  EXPECT_EQ(json["ids"][0], 271);
  EXPECT_NE(json["ids"][1], 271);
  EXPECT_EQ(run_cli({"tokenize", gpt2, "--text", "hello", "--format", "alpaca"}).code, 1);
}

TEST(CliTokenize, DetokenizeIsTheWayBack) {
  const Outcome outcome = run_cli({"detokenize", gpt2, "--ids", "271,259,264", "--skip-special"});
  EXPECT_EQ(outcome.code, 0);
  EXPECT_EQ(outcome.out, "hello world\n");
  EXPECT_EQ(run_cli({"detokenize", gpt2, "--ids", "271,x"}).code, 1);
  EXPECT_EQ(run_cli({"detokenize", gpt2, "--ids", "99999"}).code, 1);
}

TEST(CliTokenize, AFileThatIsNoTokenizerIsBadInput) {
  const TemporaryFolder folder;
  write_text(folder.file("tokenizer.json"), "{\"model\": {\"type\": \"Unigram\"}}");
  const Outcome outcome = run_cli({"tokenize", folder.path().string(), "--text", "a"});
  EXPECT_EQ(outcome.code, 2);
  EXPECT_THAT(outcome.err, HasSubstr("Unigram"));
}

}  // namespace
}  // namespace moescope::test
