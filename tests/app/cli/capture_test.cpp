#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <nlohmann/json.hpp>

#include "core/engine/engine.h"
#include "core/trace/trace_file.h"
#include "tests/app/cli/program.h"

namespace moescope::test::capture_test {
namespace {

using testing::AllOf;
using testing::HasSubstr;

const std::string golden = std::string(MOESCOPE_TEST_DATA) + "/golden/olmoe";

// Whether this build has the engine module.
bool has_engine() {
  for (const auto& entry : std::filesystem::recursive_directory_iterator(std::string(MOESCOPE_BINARY_DIR) + "/lib")) {
    if (entry.path().filename() == "libmoescope_torch_engine.so") return true;
  }
  return false;
}

TEST(CliCapture, SaysWhatItWillStoreAndRecordsATrace) {
  const TemporaryFolder folder;
  const std::string out = folder.file("t.routes.safetensors");
  const Outcome outcome =
      run_cli({"capture", golden, "--ids", "1,2,3,4,5", "--out", out, "--router-logits", "--device", "cpu", "--json"});
  EXPECT_THAT(outcome.err, AllOf(HasSubstr("Recording per token: 6 expert ids, 6 gate weights, 16 router logits"),
                                 HasSubstr("5 tokens in 1 sequence")));
  if (!has_engine()) {
    EXPECT_EQ(outcome.code, 3);
    EXPECT_THAT(outcome.err, HasSubstr("engine module"));
    return;
  }
  ASSERT_EQ(outcome.code, 0) << outcome.err;
  EXPECT_THAT(outcome.err, testing::Not(HasSubstr("\r")));
  EXPECT_EQ(nlohmann::json::parse(outcome.out)["tokens"], 5);
  const auto trace = read_trace(out);
  ASSERT_TRUE(trace.has_value()) << trace.error().text();
  EXPECT_EQ(trace->token_count(), 5U);
  EXPECT_TRUE(trace->has_router_logits());
}

TEST(CliCapture, AFileThatExistsIsReplacedOnlyWhenAsked) {
  const TemporaryFolder folder;
  const std::string out = folder.file("t.routes.safetensors");
  write_text(out, "precious");
  const Outcome refused = run_cli({"capture", golden, "--ids", "1,2", "--out", out, "--device", "cpu"});
  EXPECT_EQ(refused.code, 1);
  EXPECT_THAT(refused.err, AllOf(HasSubstr("exists already"), HasSubstr(out), HasSubstr("--force")));
  EXPECT_EQ(std::filesystem::file_size(out), 8U);
  if (!has_engine()) return;
  EXPECT_EQ(run_cli({"capture", golden, "--ids", "1,2", "--out", out, "--device", "cpu", "--force"}).code, 0);
  EXPECT_TRUE(read_trace(out).has_value());
}

TEST(CliCapture, TextIsCutIntoSequencesAndJsonLinesCarryTags) {
  if (!has_engine()) GTEST_SKIP() << "built without LibTorch";
  const TemporaryFolder folder;
  ASSERT_EQ(run_cli({"synth", "checkpoint", "--out", folder.file("model"), "--tokenizer",
                     std::string(MOESCOPE_TEST_DATA) + "/tokenizers/gpt2.tokenizer.json"})
                .code,
            0);
  write_text(folder.file("a.txt"), "hello world hello world");
  const std::string out = folder.file("t.routes.safetensors");
  Outcome outcome = run_cli({"capture", folder.file("model"), "--text", folder.file("a.txt"), "--sequence-length", "4",
                             "--out", out, "--device", "cpu"});
  ASSERT_EQ(outcome.code, 0) << outcome.err;
  EXPECT_THAT(outcome.err, HasSubstr("6 tokens in 2 sequences"));
  write_text(folder.file("a.jsonl"),
             "{\"text\": \"hello\", \"domain\": \"prose\"}\n{\"text\": \"world\", \"domain\": \"code\"}\n");
  outcome = run_cli(
      {"capture", folder.file("model"), "--jsonl", folder.file("a.jsonl"), "--out", out, "--device", "cpu", "--force"});
  ASSERT_EQ(outcome.code, 0) << outcome.err;
  const auto trace = read_trace(out);
  ASSERT_TRUE(trace.has_value());
  EXPECT_EQ(trace->info->tag_names.at("domain"), (std::vector<std::string>{"prose", "code"}));
}

TEST(CliCapture, CtrlCStopsARunAndLeavesNoTrace) {
  if (!has_engine()) GTEST_SKIP() << "built without LibTorch";
  const TemporaryFolder folder;
  ASSERT_EQ(run_cli({"synth", "checkpoint", "--layers", "24", "--hidden", "256", "--experts", "32", "--k", "8",
                     "--intermediate", "256", "--out", folder.file("model")})
                .code,
            0);
  std::string ids = "1";
  for (int i = 0; i < 4000; ++i) ids += ",2";
  RunOptions options;
  options.interrupt = std::chrono::milliseconds(1500);
  const Outcome outcome = run_cli(
      {"capture", folder.file("model"), "--ids", ids, "--device", "cpu", "--out", folder.file("t.routes.safetensors")},
      options);
  EXPECT_EQ(outcome.code, 130) << outcome.err;
  std::vector<std::string> left;
  for (const auto& entry : std::filesystem::directory_iterator(folder.path())) left.push_back(entry.path().filename());
  EXPECT_EQ(left, std::vector<std::string>{"model"});
}

TEST(CliCapture, WrongInputsAreToldBeforeAnythingRuns) {
  const TemporaryFolder folder;
  const std::string out = folder.file("t.routes.safetensors");
  EXPECT_EQ(run_cli({"capture", golden, "--out", out}).code, 1);
  EXPECT_EQ(run_cli({"capture", golden, "--ids", "1", "--prompt", "a", "--out", out}).code, 1);
  EXPECT_EQ(run_cli({"capture", golden, "--ids", "1,64", "--out", out}).code, 1);
  EXPECT_EQ(run_cli({"capture", golden, "--ids", "1", "--dtype", "int3", "--out", out}).code, 1);
  const Outcome text = run_cli({"capture", golden, "--prompt", "hello", "--out", out});
  EXPECT_EQ(text.code, 2);
  EXPECT_THAT(text.err, HasSubstr("no tokenizer"));
  EXPECT_EQ(run_cli({"capture", folder.file("absent"), "--ids", "1", "--out", out}).code, 2);
  write_text(folder.file("hooks.json"), "[{\"kind\": \"teleport\"}]");
  const Outcome hooks = run_cli({"capture", golden, "--ids", "1", "--hooks", folder.file("hooks.json"), "--out", out});
  EXPECT_NE(hooks.code, 0);
  EXPECT_THAT(hooks.err, HasSubstr("hooks.json"));
  EXPECT_FALSE(std::filesystem::exists(out));
}

TEST(CliGenerate, ContinuesAPromptAndRecordsBothPhases) {
  const TemporaryFolder folder;
  const std::string out = folder.file("g.routes.safetensors");
  const std::vector<std::string> call{"generate", golden,         "--ids", "1,2,3", "--max-tokens",
                                      "6",        "--keep-going", "--out", out,     "--json"};
  const Outcome outcome = run_cli(call);
  if (!has_engine()) {
    EXPECT_EQ(outcome.code, 3);
    return;
  }
  ASSERT_EQ(outcome.code, 0) << outcome.err;
  const auto summary = nlohmann::json::parse(outcome.out);
  EXPECT_EQ(summary.at("generated").at(0).size(), 6U);
  EXPECT_THAT(outcome.err, HasSubstr("9 tokens, 6 of them generated"));
  const auto trace = read_trace(out);
  ASSERT_TRUE(trace.has_value());
  const Segment& segment = *trace->segments.at(0);
  EXPECT_EQ(segment.phases[2], 0);
  EXPECT_EQ(segment.phases[3], 1);
  EXPECT_EQ(run_cli(call).code, 1);  // the file exists
}

TEST(CliWeights, OfACheckpointAreAnalysed) {
  const Outcome card = run_cli({"analyze", golden, "--analysis", "model_card"});
  ASSERT_EQ(card.code, 0) << card.err;
  EXPECT_THAT(card.out, HasSubstr("routed experts"));
  const Outcome wrong = run_cli({"analyze", golden, "--analysis", "expert_spectra", "--param", "layer=7"});
  EXPECT_EQ(wrong.code, 1);
  EXPECT_THAT(wrong.err, HasSubstr("layer 7 has no experts, or does not exist"));
}

}  // namespace
}  // namespace moescope::test::capture_test
