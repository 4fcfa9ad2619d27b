#include "core/analysis/analysis.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/core/analysis/planted.h"

namespace moescope::analysis_test {
namespace {

Trace small_trace() {
  return planted::make_trace(planted::uniform_plan(2, 4, 2, 100, 1));
}

TEST(RunAnalysis, UnknownNamesAndParametersSayWhatThereIs) {
  const auto unknown = run_analysis("expert_lod", small_trace(), {}, nullptr);
  ASSERT_FALSE(unknown);
  EXPECT_EQ(unknown.error().kind, ErrorKind::usage);
  EXPECT_THAT(unknown.error().advice, testing::HasSubstr("expert_load"));
  const auto parameter = run_analysis("expert_load", small_trace(), {}, {{"weight", "slots"}});
  ASSERT_FALSE(parameter);
  EXPECT_THAT(parameter.error().advice, testing::HasSubstr("weighting"));
  const auto value = run_analysis("expert_load", small_trace(), {}, {{"weighting", "all"}});
  ASSERT_FALSE(value);
  EXPECT_THAT(value.error().advice, testing::HasSubstr("slots, top1, gate"));
  EXPECT_FALSE(run_analysis("expert_load", small_trace(), {}, {{"weighting", 3}}));
  EXPECT_FALSE(run_analysis("expert_load", small_trace(), {}, nlohmann::json::array({1})));
}

TEST(RunAnalysis, ProvenanceIsEnoughToComputeItAgain) {
  AppliedFilter filter = planted::keep_tokens(100, [](std::size_t t) { return t < 10; });
  filter.filter.text = "domain == 'it''s'";
  const Result result = planted::run("expert_load", small_trace(), {{"weighting", "top1"}}, filter);
  EXPECT_EQ(result.provenance.analysis, "expert_load");
  EXPECT_EQ(result.provenance.params, nlohmann::json({{"weighting", "top1"}}));
  EXPECT_EQ(result.provenance.tokens, 10U);
  EXPECT_EQ(result.provenance.compute_type, "float32");
  EXPECT_EQ(result.provenance.command_line,
            "moescope-cli analyze planted.routes.safetensors --analysis expert_load --param weighting=top1 "
            "--tokens 'domain == '\\''it'\\'''\\''s'\\''' --out expert_load.json");
}

TEST(RunAnalysis, DefaultsStayOutOfTheCommandLineButAreInTheParameters) {
  const Result result = planted::run("expert_load", small_trace());
  EXPECT_EQ(result.provenance.params["weighting"], "slots");
  EXPECT_EQ(result.provenance.command_line,
            "moescope-cli analyze planted.routes.safetensors --analysis expert_load --out expert_load.json");
}

TEST(RunAnalysis, TheCommandNamesTheFileAndNotTheName) {
  Trace trace = small_trace();
  trace.path = "/tmp/my runs/a.routes.safetensors";
  EXPECT_EQ(planted::run("expert_load", trace).provenance.command_line,
            "moescope-cli analyze '/tmp/my runs/a.routes.safetensors' --analysis expert_load --out expert_load.json");
}

TEST(RunAnalysis, ALostFileIsItsError) {
  Trace trace = small_trace();
  trace.fault = [] { return Error{ErrorKind::input, "the file shrank", "x", "Open it again"}; };
  const auto result = run_analysis("expert_load", trace, {}, nullptr);
  ASSERT_FALSE(result);
  EXPECT_EQ(result.error().what, "the file shrank");
}

TEST(RunAnalysis, ASegmentOfAWrongShapeIsRefused) {
  Trace trace = small_trace();
  auto segment = std::make_shared<Segment>(*trace.segments[0]);
  segment->tokens += 1;
  trace.segments = {segment};
  EXPECT_FALSE(run_analysis("expert_load", trace, {}, nullptr));
}

TEST(RunAnalysis, AFilterOfAnotherTraceIsRefused) {
  const AppliedFilter filter = planted::keep_tokens(99, [](std::size_t) { return true; });
  EXPECT_FALSE(run_analysis("expert_load", small_trace(), filter, nullptr));
}

TEST(RunAnalysis, MissingDataIsNamed) {
  Trace trace = small_trace();
  auto segment = std::make_shared<Segment>(*trace.segments[0]);
  segment->ids8 = {};
  trace.segments = {segment};
  const auto result = run_analysis("expert_load", trace, {}, nullptr);
  ASSERT_FALSE(result);
  EXPECT_THAT(result.error().what, testing::HasSubstr("neither expert ids nor counts"));
}

TEST(RunAnalysis, ACancelledRunIsCancelled) {
  WorkContext work;
  work.cancel.cancel();
  for (const AnalysisSpec& spec : analyses()) {
    const auto result = run_analysis(spec.name, small_trace(), {}, nullptr, work);
    ASSERT_FALSE(result) << spec.name;
    if (!spec.unavailable(small_trace()).empty()) continue;
    EXPECT_EQ(result.error().kind, ErrorKind::cancelled) << spec.name;
  }
}

// Where somebody watches, long traces are shown in parts; each says that it is one, and the last word is the same.
TEST(RunAnalysis, PartsOfALongTraceAreItsFirstTokensAndSaySo) {
  constexpr std::size_t tokens = 220'000;
  planted::Plan plan = planted::uniform_plan(2, 6, 1, tokens, 3);
  plan.sequences = planted::sequences_of(tokens, 1000);
  const Trace trace = planted::make_trace(plan);
  const auto parts_of = [&](const char* analysis, const nlohmann::json& params, Result& whole) {
    std::vector<Result> parts;
    auto made = run_analysis(analysis, trace, {}, params, {}, [&](Result part) { parts.push_back(std::move(part)); });
    EXPECT_TRUE(made);
    if (made) whole = std::move(*made);
    for (const Result& part : parts) {
      EXPECT_THAT(part.caveats.front(), testing::StartsWith("Still counting"));
      EXPECT_EQ(part.provenance.analysis, analysis);
    }
    return parts;
  };
  Result load;
  const auto loads = parts_of("expert_load", nullptr, load);
  ASSERT_EQ(loads.size(), 1U);
  EXPECT_EQ(loads[0].matrix("count")->values, load.matrix("count")->values) << "only the intervals are missing";
  EXPECT_TRUE(loads[0].matrix("share")->low.empty());
  EXPECT_FALSE(load.matrix("share")->low.empty());

  Result affinity;
  const auto pairs = parts_of("affinity", {{"null_draws", 20}}, affinity);
  ASSERT_EQ(pairs.size(), 3U) << "an eighth, a half, all without the null";
  for (std::size_t part = 0; part < 2; ++part) {
    const std::size_t end = tokens / (part == 0 ? 8 : 2) / 64 * 64;
    std::vector<double> truth(36);
    for (std::size_t t = 0; t < end; ++t) ++truth[plan.routes[0][t][0] * 6 + plan.routes[1][t][0]];
    EXPECT_EQ(pairs[part].matrix("count")->values, truth);
    EXPECT_THAT(pairs[part].caveats.front(), testing::HasSubstr(part == 0 ? "12 %" : "50 %"));
  }
  EXPECT_EQ(pairs[2].matrix("count")->values, affinity.matrix("count")->values);
  // Nobody watches, or the trace is short: no parts.
  EXPECT_TRUE(run_analysis("expert_load", small_trace(), {}, nullptr, {}, [](const Result&) { ADD_FAILURE(); }));
}

}  // namespace
}  // namespace moescope::analysis_test
