#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <cstdlib>
#include <filesystem>

#include "core/analysis/analysis.h"
#include "tests/core/import/import_fixture.h"

namespace moescope::bigmoeonedge_test {
namespace {

using fixtures::ids_at;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

const char* const small =
    "# route_trace v1\n"
    "# model=/data/Tiny-Q4.gguf arch=qwen3moe n_layer=2 n_expert=8 n_expert_used=2\n"
    "# layer=0 expert_bytes=100 dense_bytes=200\n"
    "turn,phase,step,layer,slot,expert,weight,residency,expert_bytes,dropped\n"
    "0,0,0,0,0,3,0.75,0,100,0\n"
    "0,0,0,0,1,7,0.25,1,100,0\n"
    "0,0,1,0,0,1,nan,2,100,1\n"
    "0,0,1,0,1,2,nan,0,100,0\n"
    "0,0,1,1,0,6,0.5,0,100,0\n"
    "0,0,1,1,1,0,0.5,0,100,0\n"
    "0,1,2,0,0,4,0.6,0,100,0\n"
    "0,1,2,0,1,5,0.4,0,100,0\n"
    "0,1,2,1,0,2,0.9,0,100,0\n"
    "0,1,2,1,1,3,0.1,0,100,0\n";

TEST(BigMoeOnEdge, KeepsRoutesWeightsPhasesAndResidency) {
  const fixtures::ImportFolder folder;
  const Trace trace = folder.import("x.csv", small);
  ASSERT_EQ(trace.token_count(), 3U);
  ASSERT_EQ(trace.rows().size(), 2U);
  EXPECT_EQ(trace.rows()[0].experts, 8U);
  EXPECT_EQ(trace.rows()[0].k, 2U);
  EXPECT_THAT(ids_at(trace, 0, 0), ElementsAre(3, 7));
  EXPECT_THAT(ids_at(trace, 1, 0), ElementsAre());
  EXPECT_EQ(trace.segments[0]->used_at(1, 0), used_code::not_recorded);
  EXPECT_THAT(ids_at(trace, 1, 2), ElementsAre(2, 3));
  EXPECT_THAT(trace.token_label(2), ::testing::MatchesRegex(" [0-9]+"));  // no text: its position
  EXPECT_THAT(fixtures::weights_at(trace, 0, 0), ElementsAre(0.75F, 0.25F));
  EXPECT_TRUE(std::isnan(fixtures::weights_at(trace, 0, 1)[0]));
  EXPECT_THAT(trace.segments[0]->phases.values, ElementsAre(0, 0, 1));
  EXPECT_THAT(trace.segments[0]->positions.values, ElementsAre(0, 1, 2));
  EXPECT_EQ(trace.segments[0]->slot_values.at("residency").at(1), 1.0F);
  EXPECT_EQ(trace.segments[0]->slot_values.at("dropped").at(2), 1.0F);
  EXPECT_TRUE(trace.info->rank_order);
  EXPECT_EQ(trace.info->model_name, "Tiny-Q4.gguf");
  EXPECT_TRUE(trace.segments[0]->token_ids.empty());
}

TEST(BigMoeOnEdge, ReadsUpToABrokenLineAndSaysWhere) {
  const fixtures::ImportFolder folder;
  const Trace trace = folder.import("x.csv", std::string(small) + "0,1,3,0,0,");
  EXPECT_EQ(trace.token_count(), 3U);
  EXPECT_THAT(fixtures::notes_of(trace), HasSubstr("Line 15 of x.csv"));
}

TEST(BigMoeOnEdge, RecordedRunOfQwen3) {
  const char* const given = std::getenv("MOESCOPE_ROUTE_CSV");
  const std::filesystem::path path = given != nullptr ? given : "";
  if (path.empty() || !std::filesystem::exists(path)) GTEST_SKIP() << "set MOESCOPE_ROUTE_CSV to the recorded run";
  const auto trace = import_trace({path}, {});
  ASSERT_TRUE(trace) << trace.error().text();
  EXPECT_EQ(trace->rows().size(), 48U);
  EXPECT_EQ(trace->rows()[0].experts, 128U);
  EXPECT_EQ(trace->max_slots(), 6U);
  EXPECT_EQ(trace->token_count(), 156U);
  EXPECT_TRUE(trace->has_gate_weights());
  std::size_t recorded = 0;
  for (std::size_t t = 0; t < 156; ++t) {
    const bool filled = trace->locate(t).segment->filled(47, trace->locate(t).token) > 0;
    recorded += filled ? 1U : 0U;
    EXPECT_EQ(filled, t >= 27) << t;
  }
  EXPECT_EQ(recorded, 129U);
  EXPECT_EQ(trace->token_text(0), "");
  const auto affinity = run_analysis("affinity", *trace, {}, {{"row", 46}});
  ASSERT_TRUE(affinity) << affinity.error().text();
  const Series* const strength = affinity->find_series("strength");
  ASSERT_NE(strength, nullptr);
  ASSERT_FALSE(strength->n.empty());
  EXPECT_EQ(strength->n.back(), 129.0);
}

}  // namespace
}  // namespace moescope::bigmoeonedge_test
