// Formats that are torch files: SGLang's recorder, REAP, EPLB weights, router logits, moe-lrc.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/core/import/import_fixture.h"
#include "tests/core/import/torch_bytes.h"

namespace moescope::torch_formats_test {
namespace {

using fixtures::counts_at;
using fixtures::ids_at;
using fixtures::ImportFolder;
using fixtures::notes_of;
using fixtures::TorchBytes;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

using T = TorchBytes;

TEST(SglangRecorder, StatGivesCountsWithoutDenseLayersAndEmptySteps) {
  TorchBytes torch;
  const auto counts =
      torch.tensor<std::int32_t>("IntStorage", {3, 2, 4}, {0, 0, 0, 0, 1, 2, 3, 4, /**/ 0, 0, 0, 0, 5, 0, 0, 1, /**/
                                                           0, 0, 0, 0, 0, 0, 0, 0});
  const ImportFolder folder;
  const Trace trace = folder.import(
      "anything.bin", torch.file(T::dict({{T::text("rank"), T::number(0)},
                                          {T::text("logical_count"), counts},
                                          {T::text("average_utilization_rate_over_window"), T::none()}})));
  ASSERT_EQ(trace.rows().size(), 1U);
  EXPECT_EQ(trace.rows()[0].layer, 1);
  EXPECT_EQ(trace.counts.steps, 2U);
  EXPECT_THAT(counts_at(trace, 0), ElementsAre(6, 2, 3, 5));
  EXPECT_FALSE(trace.has_ids());
  EXPECT_THAT(notes_of(trace), HasSubstr("circular"));
}

TEST(SglangRecorder, OlderStatIsATable) {
  TorchBytes torch;
  const auto counts = torch.tensor<std::int32_t>("IntStorage", {2, 2}, {1, 2, 3, 4});
  const ImportFolder folder;
  EXPECT_THAT(counts_at(folder.import("a.pt", torch.file(T::dict({{T::text("logical_count"), counts}}))), 1),
              ElementsAre(3, 4));
}

// Two layers (the first dense), three physical places of two experts.
std::string pass_file(std::int32_t rank, std::int32_t add) {
  TorchBytes torch;
  const auto map = torch.tensor<std::int64_t>("LongStorage", {2, 3}, {0, 1, 1, 0, 1, 0});
  const auto counts = torch.tensor<std::int32_t>("IntStorage", {2, 3}, {0, 0, 0, 1 + add, 2, 3});
  return torch.file(T::dict({{T::text("records"), T::list({T::dict({{T::text("forward_pass_id"), T::number(7)},
                                                                    {T::text("rank"), T::number(rank)},
                                                                    {T::text("gatherer_key"), T::text("primary")},
                                                                    {T::text("global_physical_count"), counts}})})},
                             {T::text("last_physical_to_logical_map"), map}}));
}

TEST(SglangRecorder, PerPassOfSeveralRanksIsAddedUpPerLogicalExpert) {
  const ImportFolder folder;
  const auto trace =
      import_trace({folder.write("r_0.pt", pass_file(0, 0)), folder.write("r_1.pt", pass_file(1, 10))}, {});
  ASSERT_TRUE(trace) << trace.error().text();
  ASSERT_EQ(trace->rows().size(), 1U);
  EXPECT_EQ(trace->counts.steps, 1U);
  EXPECT_THAT(counts_at(*trace, 0), ElementsAre(1 + 3 + 11 + 3, 4));
  EXPECT_FALSE(trace->info->physical_ids);
}

std::string token_file(std::int32_t rank) {
  TorchBytes torch;
  const auto map = torch.tensor<std::int64_t>("LongStorage", {2, 4}, {0, 1, 2, 3, 3, 2, 1, 0});
  std::vector<std::int32_t> first(2 * 3 * 8, -1), second(2 * 1 * 8, -1);
  const auto at = [](std::size_t layer, std::size_t token, std::size_t slot, std::size_t tokens) {
    return (layer * tokens + token) * 8 + slot;
  };
  for (std::size_t t = 0; t < 3; ++t) {
    first[at(1, t, 0, 3)] = static_cast<std::int32_t>(t);
    first[at(1, t, 1, 3)] = 3;
  }
  second[at(1, 0, 0, 1)] = 2;
  second[at(1, 0, 1, 1)] = 0;
  const auto extend = torch.tensor("IntStorage", {2, 3, 8}, first);
  const auto decode = torch.tensor("IntStorage", {2, 1, 8}, second);
  const auto numbers = [](std::vector<std::int32_t> values) {
    std::vector<T::Item> items;
    for (const std::int32_t v : values) items.push_back(T::number(v));
    return T::list(items);
  };
  const auto record = [&](std::int32_t pass, std::int32_t mode, const T::Item& ids, const T::Item& positions,
                          const T::Item& lengths, const T::Item& routes) {
    return T::dict({{T::text("forward_pass_id"), T::number(pass)},
                    {T::text("rank"), T::number(rank)},
                    {T::text("forward_mode"), T::number(mode)},
                    {T::text("input_ids"), ids},
                    {T::text("positions"), positions},
                    {T::text("extend_seq_lens"), lengths},
                    {T::text("topk_ids_of_layer"), routes},
                    {T::text("misc_objects"), T::list({})}});
  };
  return torch.file(T::dict(
      {{T::text("records"), T::list({record(1, 1, numbers({11, 12, 21}), numbers({0, 1, 0}), numbers({2, 1}), extend),
                                     record(2, 2, numbers({13}), numbers({2}), T::none(), decode)})},
       {T::text("last_physical_to_logical_map"), map}}));
}

TEST(SglangRecorder, PerTokenGivesRoutesSequencesAndPhases) {
  const ImportFolder folder;
  const Trace trace = folder.import("x.pt", token_file(0));
  ASSERT_EQ(trace.rows().size(), 1U);
  EXPECT_EQ(trace.rows()[0].layer, 1);
  EXPECT_EQ(trace.rows()[0].experts, 4U);
  EXPECT_EQ(trace.max_slots(), 2U);
  ASSERT_EQ(trace.token_count(), 4U);
  EXPECT_THAT(ids_at(trace, 0, 0), ElementsAre(3, 0));  // places 0 and 3
  EXPECT_THAT(ids_at(trace, 0, 3), ElementsAre(1, 3));
  EXPECT_THAT(trace.segments[0]->token_ids.values, ElementsAre(11, 12, 21, 13));
  EXPECT_THAT(trace.segments[0]->sequence_ids.values, ElementsAre(0, 0, 1, 0));
  EXPECT_THAT(trace.segments[0]->phases.values, ElementsAre(0, 0, 0, 1));
  EXPECT_THAT(trace.segments[0]->steps.values, ElementsAre(1, 1, 1, 2));
}

TEST(SglangRecorder, PerTokenOfTwoRanksFollowEachOther) {
  const ImportFolder folder;
  const auto trace = import_trace({folder.write("r_0.pt", token_file(0)), folder.write("r_1.pt", token_file(1))}, {});
  ASSERT_TRUE(trace) << trace.error().text();
  EXPECT_EQ(trace->token_count(), 8U);
  EXPECT_THAT(trace->segments[0]->ranks.values, ElementsAre(0, 0, 0, 0, 1, 1, 1, 1));
  EXPECT_EQ(trace->segments[0]->sequence_ids[4], 2);
}

TEST(SglangRecorder, TheSameFileGivenTwiceIsReadOnce) {
  const ImportFolder folder;
  const auto trace = import_trace({folder.write("a.pt", token_file(0)), folder.write("b.pt", token_file(0))}, {});
  ASSERT_TRUE(trace) << trace.error().text();
  EXPECT_EQ(trace->token_count(), 4U);
  EXPECT_THAT(notes_of(*trace), HasSubstr("read once"));
}

TEST(Reap, FrequenciesAreCounts) {
  TorchBytes torch;
  const auto a = torch.tensor<std::int64_t>("LongStorage", {3}, {5, 6, 7});
  const auto b = torch.tensor<std::int64_t>("LongStorage", {3}, {1, 0, 2});
  const ImportFolder folder;
  const Trace trace =
      folder.import("o.pt", torch.file(T::dict({{T::number(2), T::dict({{T::text("expert_frequency"), a}})},
                                                {T::number(5), T::dict({{T::text("expert_frequency"), b}})}})));
  ASSERT_EQ(trace.rows().size(), 2U);
  EXPECT_EQ(trace.rows()[1].layer, 5);
  EXPECT_THAT(counts_at(trace, 0), ElementsAre(5, 6, 7));
}

TEST(EplbWeights, TensorsAndFractionsAreLoads) {
  TorchBytes torch;
  const auto whole = torch.tensor<std::int64_t>("LongStorage", {2, 3}, {90, 132, 40, 20, 107, 104});
  const ImportFolder folder;
  const Trace trace = folder.import("w.pt", torch.file(whole));
  EXPECT_THAT(counts_at(trace, 1), ElementsAre(20, 107, 104));
  TorchBytes other;
  const auto fractions = other.tensor<float>("FloatStorage", {1, 2}, {0.5F, 0.25F});
  ImportOptions options;
  options.format = "eplb-weights";
  const Trace scaled = folder.import("f.pt", other.file(fractions), options);
  EXPECT_THAT(counts_at(scaled, 0), ElementsAre(1'000'000'000, 500'000'000));
  EXPECT_TRUE(scaled.info->approximate);
}

TEST(RouterLogits, AListOfTensorsIsAListOfLayers) {
  TorchBytes torch;
  const auto a = torch.tensor<float>("FloatStorage", {2, 4}, {1, -1, 0, 3, 2, 1, 0, -5});
  const auto b = torch.tensor<float>("FloatStorage", {2, 4}, {-1, -2, 5, 4, 9, 8, 7, 6});
  const ImportFolder folder;
  ImportOptions options;
  options.k = 2;
  const Trace trace = folder.import("l.pt", torch.file(T::list({a, b})), options);
  ASSERT_EQ(trace.rows().size(), 2U);
  EXPECT_THAT(ids_at(trace, 0, 0), ElementsAre(3, 0));
  EXPECT_THAT(ids_at(trace, 1, 1), ElementsAre(0, 1));
  EXPECT_TRUE(trace.has_router_logits());
  EXPECT_TRUE(trace.info->rank_order);
}

TEST(MoeLrc, RawLogitsOfALayer) {
  std::vector<std::uint16_t> values(512 * 4);
  for (std::size_t t = 0; t < 512; ++t) values[t * 4 + t % 4] = 0x3F80, values[t * 4 + (t + 1) % 4] = 0xBF80;
  TorchBytes torch;
  const auto tensor = torch.tensor("BFloat16Storage", {1, 512, 4}, values);
  const ImportFolder folder;
  ImportOptions options;
  options.k = 1;
  const Trace trace = folder.import("olmoe_07_code.pt", torch.file(tensor), options);
  ASSERT_EQ(trace.rows().size(), 1U);
  EXPECT_EQ(trace.rows()[0].layer, 7);
  EXPECT_EQ(trace.token_count(), 512U);
  EXPECT_THAT(ids_at(trace, 0, 5), ElementsAre(1));
  EXPECT_THAT(trace.info->tag_names.at("dataset"), ElementsAre("code"));
}

}  // namespace
}  // namespace moescope::torch_formats_test
