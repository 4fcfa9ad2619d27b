#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "core/analysis/result.h"
#include "tests/app/cli/program.h"
#include "tests/app/cli/small_trace.h"

namespace moescope::test::analyze_test {
namespace {

using testing::AllOf;
using testing::HasSubstr;

class CliAnalyze : public SmallTraceTest {};

TEST_F(CliAnalyze, WritesAResultThatReadsBack) {
  const std::string out = folder_.file("load.json");
  const Outcome outcome = run_cli({"analyze", trace_, "--analysis", "expert_load", "--out", out});
  ASSERT_EQ(outcome.code, 0) << outcome.err;
  EXPECT_EQ(outcome.out, "");
  EXPECT_THAT(outcome.err, testing::Not(HasSubstr("\r")));
  const auto result = result_from_json(nlohmann::json::parse(read_text(out)));
  ASSERT_TRUE(result.has_value()) << result.error().text();
  const Matrix* count = result->matrix("count");
  ASSERT_NE(count, nullptr);
  EXPECT_EQ(count->at(0, 0), 30);
}

TEST_F(CliAnalyze, AFilterAndParametersReachTheAnalysis) {
  const std::string out = folder_.file("load.json");
  const Outcome outcome = run_cli({"analyze", trace_, "--analysis", "expert_load", "--param", "weighting=top1",
                                   "--tokens", "domain == \"code\"", "--out", out});
  ASSERT_EQ(outcome.code, 0) << outcome.err;
  const auto result = result_from_json(nlohmann::json::parse(read_text(out)));
  ASSERT_TRUE(result.has_value());
  EXPECT_EQ(result->matrix("count")->at(0, 0), 0);
  EXPECT_EQ(result->matrix("count")->at(0, 2), 30);
  EXPECT_EQ(result->provenance.filter, "domain == \"code\"");
}

TEST_F(CliAnalyze, WritesCsvToAFileOrToStandardOutput) {
  const std::string out = folder_.file("load.csv");
  ASSERT_EQ(run_cli({"analyze", trace_, "--analysis", "expert_load", "--out", out}).code, 0);
  const Outcome outcome = run_cli({"analyze", trace_, "--analysis", "expert_load"});
  EXPECT_EQ(outcome.code, 0);
  EXPECT_EQ(outcome.out, read_text(out));
  EXPECT_THAT(outcome.out, HasSubstr("E00"));
}

TEST_F(CliAnalyze, WrongRequestsAreWrongUsageAndWrongFilesBadInput) {
  EXPECT_EQ(run_cli({"analyze", trace_, "--analysis", "astrology"}).code, 1);
  EXPECT_EQ(run_cli({"analyze", trace_, "--analysis", "expert_load", "--param", "colour=red"}).code, 1);
  EXPECT_EQ(run_cli({"analyze", trace_, "--analysis", "expert_load", "--param", "weighting"}).code, 1);
  EXPECT_EQ(run_cli({"analyze", trace_, "--analysis", "expert_load", "--tokens", "domain =="}).code, 1);
  const Outcome suffix = run_cli({"analyze", trace_, "--analysis", "expert_load", "--out", folder_.file("load.xls")});
  EXPECT_EQ(suffix.code, 1);
  EXPECT_THAT(suffix.err, HasSubstr("Use .json or .csv"));
  const Outcome checkpoint =
      run_cli({"analyze", std::string(MOESCOPE_TEST_DATA) + "/golden/olmoe", "--analysis", "expert_load"});
  EXPECT_EQ(checkpoint.code, 2);
  EXPECT_THAT(checkpoint.err, HasSubstr("this is a checkpoint, not a trace"));
}

TEST(CliAnalyzeList, NamesEveryAnalysisWithItsParameters) {
  const Outcome outcome = run_cli({"analyze", "--list"});
  EXPECT_EQ(outcome.code, 0);
  EXPECT_THAT(outcome.out, AllOf(HasSubstr("expert_load"), HasSubstr("--param weighting")));
}

}  // namespace
}  // namespace moescope::test::analyze_test
