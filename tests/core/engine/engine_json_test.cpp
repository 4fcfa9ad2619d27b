#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "core/engine/engine.h"
#include "core/engine/worker_protocol.h"

namespace moescope::engine_json_test {
namespace {

RunRequest full_request() {
  RunRequest request;
  request.checkpoint = "/models/small";
  request.sequences = {{{1, 2, 3}, "abc", {{0, 1}, {1, 2}, {2, 3}}, {{"domain", "code"}}}, {{4}, "", {}, {}}};
  request.compute_type = ComputeType::bfloat16;
  request.device = Device::cpu;
  request.threads = 3;
  request.record.router_logits = true;
  request.record.sampled_outputs = 5;
  OverrideLogitsHook override_hook;
  override_hook.layer = 2;
  override_hook.bias = {{1, 0.5}, {12, -2.0}};
  override_hook.mask = {3};
  override_hook.force = {4, 5};
  request.hooks = {ReplaceRouterHook{1, "top_p", {{"p", 0.3}}},
                   override_hook,
                   ExpertHook{ExpertHook::Kind::swap, 0, 1, 2, 0.0},
                   ExpertHook{ExpertHook::Kind::scale, -1, 1, 0, 0.5},
                   ExpertHook{},
                   CapacityHook{-1, 1.25},
                   SkipLayerHook{3}};
  request.out = "/tmp/a.routes.safetensors";
  request.name = "a";
  request.source = "prompt";
  return request;
}

TEST(EngineJson, ARequestSurvivesTheRoundTrip) {
  const nlohmann::json json = to_json(full_request());
  const auto back = run_request_from_json(nlohmann::json::parse(json.dump()));
  ASSERT_TRUE(back.has_value()) << back.error().text();
  EXPECT_EQ(to_json(*back), json);
  EXPECT_EQ(back->sequences[0].tags.at("domain"), "code");
  EXPECT_EQ(back->hooks.size(), 7U);
}

TEST(EngineJson, ASummaryWithoutLossSurvivesTheRoundTrip) {
  RunSummary summary{"a", 10, 2, 0.5, std::numeric_limits<double>::quiet_NaN(), "cpu", "float32", 99, {"note"}};
  const auto back = run_summary_from_json(nlohmann::json::parse(to_json(summary).dump()));
  ASSERT_TRUE(back.has_value());
  EXPECT_TRUE(std::isnan(back->mean_loss));
  EXPECT_EQ(back->notes, summary.notes);
}

TEST(EngineJson, WhatDoesNotParseIsAnErrorNotACrash) {
  for (const char* text :
       {"{}", "[]", R"({"checkpoint": 3})", R"({"checkpoint": "a", "sequences": [{"ids": "x"}]})",
        R"({"checkpoint": "a", "hooks": [{"kind": "moon"}]})", R"({"checkpoint": "a", "device": "tpu"})",
        R"({"checkpoint": "a", "hooks": [{"kind": "override_logits", "bias": {"x": 1}}]})"}) {
    const auto parsed = run_request_from_json(nlohmann::json::parse(text));
    ASSERT_FALSE(parsed.has_value()) << text;
    EXPECT_EQ(parsed.error().kind, ErrorKind::usage);
  }
}

TEST(EngineJson, ErrorsCrossThePipeWhole) {
  const Error error{ErrorKind::device, "what", "where", "advice"};
  const Error back = error_from_json(error_to_json(error));
  EXPECT_EQ(back.kind, error.kind);
  EXPECT_EQ(back.text(), error.text());
  EXPECT_EQ(error_from_json(nlohmann::json::array()).kind, ErrorKind::module);
}

TEST(RecordOptions, SizeOfATokenCountsWhatIsAskedFor) {
  RecordOptions plain;
  const std::uint64_t base = plain.bytes_per_token(6, 2, 16, 2000);
  EXPECT_EQ(base, 6 * 2 * 1 + 6 * 4 + 12 + 16 + 6 * 2 * 4 + 4U);
  plain.router_logits = true;
  EXPECT_EQ(plain.bytes_per_token(6, 2, 16, 2000), base + 6 * 16 * 4);
  plain.output_logits = true;
  EXPECT_EQ(plain.bytes_per_token(6, 2, 16, 2000), base + 6 * 16 * 4 + 8000);
}

}  // namespace
}  // namespace moescope::engine_json_test
