#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "core/trace/trace_builder.h"
#include "core/trace/trace_file.h"
#include "tests/app/broken_inputs/broken_inputs.h"
#include "tests/app/cli/program.h"
#include "tests/app/cli/small_trace.h"

namespace moescope::test::info_test {
namespace {

using testing::AllOf;
using testing::Contains;
using testing::HasSubstr;
using testing::Not;

const std::string golden = std::string(MOESCOPE_TEST_DATA) + "/golden/olmoe";

TEST(CliInfo, SaysWhatACheckpointIs) {
  const Outcome outcome = run_cli({"info", golden});
  ASSERT_EQ(outcome.code, 0) << outcome.err;
  EXPECT_EQ(outcome.err, "");
  EXPECT_THAT(outcome.out, AllOf(HasSubstr("olmoe"), HasSubstr("softmax over all experts, then the best 3"),
                                 HasSubstr("8 per layer, 3 chosen per token"), HasSubstr("F32"), HasSubstr("per token"),
                                 HasSubstr("none; runs take token ids")));
  const auto json = nlohmann::json::parse(run_cli({"info", golden, "--json"}).out);
  EXPECT_EQ(json["kind"], "checkpoint");
  EXPECT_EQ(json["parameters_total"].get<std::uint64_t>() * 4, json["bytes"].get<std::uint64_t>());
  EXPECT_EQ(json["layers"].size(), 2U);
}

TEST(CliInfo, SaysWhatATraceKnowsAndDoesNot) {
  const TemporaryFolder folder;
  const std::string file = folder.file("small.routes.safetensors");
  write_small_trace(file);
  const Outcome outcome = run_cli({"info", file});
  ASSERT_EQ(outcome.code, 0) << outcome.err;
  EXPECT_THAT(outcome.out, AllOf(HasSubstr("which experts each token used"), HasSubstr("domain: prose, code"),
                                 HasSubstr("60 in 6 sequences")));
  const auto json = nlohmann::json::parse(run_cli({"info", file, "--json"}).out);
  EXPECT_EQ(json["kind"], "trace");
  EXPECT_EQ(json["tokens"], 60);
  EXPECT_THAT(json["known"].get<std::vector<std::string>>(), Contains("gate weights"));
  EXPECT_THAT(json["not_recorded"].get<std::vector<std::string>>(), Contains("router logits"));
  EXPECT_THAT(json["analyses"].get<std::vector<std::string>>(), Contains("expert_load"));
}

TEST(CliInfo, AnUnknownFileIsRefusedWithWhatWasLookedFor) {
  const TemporaryFolder folder;
  write_text(folder.file("notes.txt"), "hello");
  const Outcome outcome = run_cli({"info", folder.file("notes.txt")});
  EXPECT_EQ(outcome.code, 2);
  EXPECT_THAT(outcome.err, AllOf(HasSubstr("notes.txt"), HasSubstr("Looked for a checkpoint folder")));
  EXPECT_EQ(run_cli({"info", folder.file("absent")}).code, 2);
}

TEST(CliInfo, EachOfTenBrokenInputsGivesOneClearErrorAndExitCodeTwo) {
  const TemporaryFolder folder;
  const std::vector<BrokenInput> inputs = make_broken_inputs(folder.path());
  ASSERT_EQ(inputs.size(), 10U);
  for (const BrokenInput& input : inputs) {
    SCOPED_TRACE(input.name);
    const Outcome outcome = run_cli({"info", input.path.string()});
    EXPECT_EQ(outcome.code, 2);
    EXPECT_EQ(outcome.out, "");
    EXPECT_THAT(outcome.err, AllOf(HasSubstr(input.expected), HasSubstr(input.path.string())));
    // One error: what and where on the first line, what to do on the second.
    EXPECT_EQ(outcome.err.find("moescope-cli: "), 0U);
    EXPECT_EQ(outcome.err.find("moescope-cli: ", 1), std::string::npos);
    EXPECT_THAT(outcome.err, testing::MatchesRegex("[^\n]+\n  [^\n]+\\.\n")) << outcome.err;
    EXPECT_THAT(outcome.err, Not(HasSubstr("defect")));
  }
}

}  // namespace
}  // namespace moescope::test::info_test
