// Every golden checkpoint of every family and storage: ids, gate weights, router logits and output logits, with all
// weights resident and streamed layer by layer.
#include <gtest/gtest.h>

#include <cmath>

#include "core/model/checkpoint.h"
#include "tests/plugins/torch_engine/engine_fixture.h"

namespace moescope::engine_families_test {
namespace {

struct GoldenCase {
  std::string folder;
  bool streamed = false;
  bool gguf = false;
};

std::vector<GoldenCase> golden_cases() {
  std::vector<GoldenCase> out;
  for (const char* folder :
       {"dbrx", "deepseek_v2", "deepseek_v2_yarn", "deepseek_v3", "deepseek_v3_fp8", "glm4_moe", "gpt_oss",
        "gpt_oss_mxfp4", "granitemoe", "jamba", "llama4_text", "mixtral", "mixtral_bf16_sharded", "olmoe", "phimoe",
        "qwen2_moe", "qwen3_moe", "qwen3_moe_fused_v5"}) {
    out.push_back({folder, false});
    out.push_back({folder, true});
  }
  for (const char* folder : {"deepseek_v2", "deepseek_v2_yarn", "deepseek_v3", "glm4_moe", "granitemoe", "mixtral",
                             "olmoe", "qwen2_moe", "qwen3_moe"}) {
    out.push_back({folder, false, true});
    out.push_back({folder, true, true});
  }
  return out;
}

class EngineFamilies : public engine_test::EngineTest, public ::testing::WithParamInterface<GoldenCase> {};

TEST_P(EngineFamilies, GiveTheReferencesRoutingAndLogits) {
  const std::string folder = std::string(MOESCOPE_TEST_DATA) + "/golden/" + GetParam().folder;
  const auto expected = read_safetensors(folder + "/expected.safetensors");
  ASSERT_TRUE(expected.has_value());
  const auto values = [&](const std::string& name) { return engine_test::values_of<float>(*expected->find(name)); };
  const auto wide = engine_test::values_of<std::int64_t>(*expected->find("input_ids"));
  RunRequest request;
  request.checkpoint = GetParam().gguf ? folder + "/model.gguf" : folder;
  request.sequences = {{{wide.begin(), wide.end()}, "", {}, {}}};
  request.record.router_logits = true;
  request.record.output_logits = true;
  request.device = Device::cpu;
  request.memory_limit = GetParam().streamed ? 1 : std::uint64_t{1} << 32U;
  const Trace trace = run(request);
  ASSERT_EQ(trace.segments.size(), 1U);
  ASSERT_FALSE(summary_.notes.empty());
  EXPECT_NE(summary_.notes.back().find(GetParam().streamed ? "streamed" : "stay in memory"), std::string::npos);

  const Segment& segment = *trace.segments[0];
  const std::size_t tokens = wide.size();
  const auto weights = floats(segment.gate_weights), logits = floats(segment.router_logits);
  std::size_t rows = 0;
  for (int layer = 0; layer < 64; ++layer) {
    const std::string name = "layer." + std::to_string(layer);
    if (!expected->find(name + ".topk_ids")) continue;
    ASSERT_LT(rows, segment.rows);
    EXPECT_EQ(trace.info->rows[rows].layer, layer);
    const auto ids = engine_test::values_of<std::int64_t>(*expected->find(name + ".topk_ids"));
    const auto gold_weights = values(name + ".topk_weights"), gold_logits = values(name + ".router_logits");
    const std::size_t k = ids.size() / tokens, experts = gold_logits.size() / tokens;
    ASSERT_EQ(segment.slots, k);
    for (std::size_t t = 0; t < tokens; ++t) {
      for (std::size_t j = 0; j < k; ++j) {
        EXPECT_EQ(segment.id(rows, t, j), static_cast<std::uint32_t>(ids[t * k + j])) << name << " token " << t;
        EXPECT_NEAR(weights[(rows * tokens + t) * k + j], gold_weights[t * k + j], 1e-5) << name << " token " << t;
      }
      for (std::size_t e = 0; e < experts; ++e) {
        EXPECT_NEAR(logits[(rows * tokens + t) * segment.logit_width + e], gold_logits[t * experts + e], 1e-5)
            << name << " token " << t << " expert " << e;
      }
    }
    ++rows;
  }
  EXPECT_EQ(rows, segment.rows);
  EXPECT_LT(largest_difference(output_logits(trace), values("logits")), 1e-4);
}

INSTANTIATE_TEST_SUITE_P(Golden, EngineFamilies, ::testing::ValuesIn(golden_cases()), [](const auto& one) {
  return one.param.folder + (one.param.gguf ? "_gguf" : "") + (one.param.streamed ? "_streamed" : "_resident");
});

}  // namespace
}  // namespace moescope::engine_families_test
