// Generation with kept keys, values and states against running the whole text again.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>

#include "tests/plugins/torch_engine/engine_fixture.h"

namespace moescope::engine_generate_test {
namespace {

class EngineGenerate : public engine_test::EngineTest, public ::testing::WithParamInterface<const char*> {
 protected:
  [[nodiscard]] RunRequest request_of(const std::string& golden, std::vector<std::int32_t> ids) const {
    RunRequest request;
    request.checkpoint = std::string(MOESCOPE_TEST_DATA) + "/golden/" + golden;
    request.sequences = {{std::move(ids), "", {}, {}}};
    request.record.router_logits = true;
    request.record.output_logits = true;
    request.device = Device::cpu;
    return request;
  }
};

TEST_P(EngineGenerate, DecodingEqualsRunningTheWholeTextAtOnce) {
  RunRequest request = request_of(GetParam(), {1, 17, 5, 40, 9});
  request.generate = GenerateOptions{};
  request.generate->max_tokens = 9;
  const Trace decoded = run(request);
  ASSERT_EQ(summary_.generated.size(), 1U);
  const std::vector<std::int32_t> made = summary_.generated[0];
  ASSERT_EQ(made.size(), 9U);
  std::vector<std::int32_t> whole{1, 17, 5, 40, 9};
  whole.insert(whole.end(), made.begin(), made.end());
  const Trace once = run(request_of(GetParam(), whole));

  const Segment &a = *decoded.segments.at(0), &b = *once.segments.at(0);
  ASSERT_EQ(a.tokens, 14U);
  ASSERT_EQ(b.tokens, 14U);
  EXPECT_LT(largest_difference(output_logits(decoded), output_logits(once)), 1e-4);
  EXPECT_LT(largest_difference(floats(a.router_logits), floats(b.router_logits)), 2e-5);
  for (std::size_t row = 0; row < a.rows; ++row) {
    for (std::size_t t = 0; t < a.tokens; ++t) {
      for (std::size_t slot = 0; slot < a.slots; ++slot) EXPECT_EQ(a.id(row, t, slot), b.id(row, t, slot));
    }
  }
  // Greedy: each generated token has the largest logit after the one before it.
  const std::vector<float> logits = output_logits(once);
  const std::size_t vocabulary = logits.size() / 14;
  for (std::size_t t = 4; t + 1 < 14; ++t) {
    const auto begin = logits.begin() + static_cast<std::ptrdiff_t>(t * vocabulary);
    EXPECT_EQ(std::max_element(begin, begin + static_cast<std::ptrdiff_t>(vocabulary)) - begin, whole[t + 1]);
  }
  const std::vector<float> loss = floats(a.token_values.at("loss")), expected = floats(b.token_values.at("loss"));
  for (std::size_t t = 0; t + 1 < 14; ++t) EXPECT_NEAR(loss[t], expected[t], 1e-4) << t;
  EXPECT_TRUE(std::isnan(loss[13]));
  for (std::size_t t = 0; t < 14; ++t) {
    EXPECT_EQ(a.phases[t], t < 5 ? 0 : 1) << t;
    EXPECT_EQ(a.positions[t], static_cast<std::int32_t>(t));
  }
}

INSTANTIATE_TEST_SUITE_P(Families, EngineGenerate,
                         ::testing::Values("olmoe", "deepseek_v3", "gpt_oss", "jamba", "llama4_text", "glm4_moe"),
                         [](const auto& one) { return std::string(one.param); });

TEST_F(EngineGenerate, TheSameSeedDrawsTheSameTokensAndAnotherDoesNot) {
  RunRequest request = request_of("olmoe", {1, 17, 5});
  request.generate = GenerateOptions{.max_tokens = 20, .temperature = 1.5, .top_p = 0.95, .seed = 7, .stop = {}};
  static_cast<void>(run(request));
  const auto first = summary_.generated;
  static_cast<void>(run(request));
  EXPECT_EQ(summary_.generated, first);
  request.generate->seed = 8;
  static_cast<void>(run(request));
  EXPECT_NE(summary_.generated, first);
}

TEST_F(EngineGenerate, TheTraceSoFarIsInAFileWhileItRuns) {
  RunRequest request = request_of("olmoe", {1, 17, 5});
  request.sequences.push_back({{3, 4}, "", {}, {}});
  request.generate = GenerateOptions{.max_tokens = 40, .temperature = 1.0, .seed = 3, .stop = {}};
  const std::filesystem::path live = folder_ / "live.routes.safetensors";
  request.generate->live_trace = live.string();
  request.out = (folder_ / "whole.routes.safetensors").string();
  std::vector<Trace> seen;
  std::filesystem::file_time_type last{};
  WorkContext work;
  work.on_progress = [&](const ProgressReport&) {
    std::error_code error;
    const auto written = std::filesystem::last_write_time(live, error);
    if (error || written == last) return;
    last = written;
    seen.push_back(read_trace(live).value());
  };
  ASSERT_TRUE(engine_->run(request, work));
  EXPECT_FALSE(std::filesystem::exists(live));
  ASSERT_FALSE(seen.empty());
  const Trace whole = read_trace(request.out).value();
  // What was shown is the beginning of what came out, routes and phases alike.
  for (const Trace& part : seen) {
    const Segment &a = *part.segments.at(0), &b = *whole.segments.at(0);
    ASSERT_LE(a.tokens, b.tokens);
    for (std::size_t t = 0; t < a.tokens; ++t) {
      ASSERT_EQ(a.token_ids[t], b.token_ids[t]);
      ASSERT_EQ(a.phases[t], b.phases[t]);
      for (std::size_t row = 0; row < a.rows; ++row) ASSERT_EQ(a.id(row, t, 0), b.id(row, t, 0));
    }
  }
}

TEST_F(EngineGenerate, SeveralSequencesStopOnTheirOwn) {
  RunRequest request = request_of("olmoe", {1, 17, 5});
  request.sequences.push_back({{3, 3, 60, 2}, "", {}, {}});
  request.generate = GenerateOptions{};
  request.generate->max_tokens = 12;
  static_cast<void>(run(request));
  const auto free = summary_.generated;
  ASSERT_EQ(free.size(), 2U);
  // Stop after the third token of the first: it ends there, or earlier where that token came before.
  request.generate->stop = {free[0][2]};
  const Trace trace = run(request);
  ASSERT_LE(summary_.generated[0].size(), 3U);
  EXPECT_EQ(summary_.generated[0].back(), free[0][2]);
  EXPECT_EQ(trace.segments.at(0)->tokens, 7 + summary_.generated[0].size() + summary_.generated[1].size());
}

TEST_F(EngineGenerate, ImpossibleOptionsAreRefused) {
  RunRequest request = request_of("olmoe", {1, 17, 5});
  request.out = (folder_ / "never.routes.safetensors").string();
  for (const GenerateOptions& bad :
       {GenerateOptions{.max_tokens = 0, .stop = {}}, GenerateOptions{.temperature = -1.0, .stop = {}},
        GenerateOptions{.top_p = 0.0, .stop = {}}}) {
    request.generate = bad;
    const auto outcome = engine_->run(request, WorkContext{});
    ASSERT_FALSE(outcome.has_value());
    EXPECT_EQ(outcome.error().kind, ErrorKind::usage);
  }
  EXPECT_FALSE(std::filesystem::exists(request.out));
}

}  // namespace
}  // namespace moescope::engine_generate_test
