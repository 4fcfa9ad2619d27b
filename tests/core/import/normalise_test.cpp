// Each trap of foreign traces, by itself.
#include "core/trace/import/normalise.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>

#include "core/trace/import/formats/format_tools.h"
#include "tests/core/import/import_fixture.h"

namespace moescope::normalise_test {
namespace {

using fixtures::ids_at;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

// A source of [token, layer, slot] ids.
RawTrace source(std::uint64_t tokens, std::uint64_t layers, std::uint64_t k, std::vector<std::int32_t> ids) {
  RawTrace raw;
  raw.layers.resize(layers);
  for (std::size_t l = 0; l < layers; ++l) raw.layers[l].layer = static_cast<int>(l);
  raw.order = RawOrder::ranked;
  RawPiece piece;
  piece.tokens = tokens;
  auto block = std::make_shared<const std::vector<std::int32_t>>(std::move(ids));
  TensorView view;
  view.type = DType::i32;
  view.shape = {tokens, layers, k};
  view.bytes = std::as_bytes(std::span<const std::int32_t>(*block));
  view.owner = block;
  piece.ids = grid_of(view, RawAxes::token_layer_item);
  raw.pieces.push_back(std::move(piece));
  return raw;
}

Trace normal(RawTrace raw, const NormaliseOptions& options = {}) {
  auto made = normalise(std::move(raw), options);
  if (!made) {
    ADD_FAILURE() << made.error().text();
    Trace none;
    none.info = std::make_shared<const TraceInfo>();
    return none;
  }
  Trace out = made->head();
  if (made->tokens() == 0) return out;
  auto segment = made->segment(0, made->tokens());
  if (!segment) ADD_FAILURE() << segment.error().text();
  out.segments.push_back(segment.value_or(std::make_shared<const Segment>()));
  return out;
}

ModelFacts model(std::vector<bool> moe, std::uint32_t experts, std::uint32_t k, std::uint32_t shared = 0) {
  ModelFacts facts;
  facts.name = "toy";
  facts.moe = std::move(moe);
  facts.experts = experts;
  facts.k = k;
  facts.shared = shared;
  return facts;
}

TEST(Normalise, ArraysOfFewerTokensThanTheIdsAreNamed) {
  const std::vector<float> two{0.5F, 0.25F};
  RawTrace raw = source(3, 1, 1, {0, 1, 2});
  raw.pieces[0].weights.layers = {RawPlane{DType::f32, std::as_bytes(std::span(two)), 0, 4, 4, 1, nullptr}};
  EXPECT_EQ(raw.pieces[0].weights.layers[0].whole_tokens(), 2U);
  const auto made = normalise(raw, {});
  ASSERT_FALSE(made);
  EXPECT_THAT(made.error().text(), HasSubstr("its gate weights have 2 tokens where 3 were recorded"));

  raw = source(3, 1, 1, {0, 1, 2});
  raw.pieces[0].positions = {0, 1};
  EXPECT_THAT(normalise(raw, {}).error().text(), HasSubstr("its positions are 2 where 3 tokens were recorded"));
}

TEST(Normalise, WholeTokensAreThoseWithinTheBytes) {
  const std::vector<std::byte> bytes(10);
  const auto tokens = [&](std::size_t offset, std::size_t token_stride, std::size_t item_stride, std::size_t width) {
    return RawPlane{DType::u16, bytes, offset, token_stride, item_stride, width, nullptr}.whole_tokens();
  };
  EXPECT_EQ(tokens(0, 2, 2, 1), 5U);
  EXPECT_EQ(tokens(0, 4, 2, 2), 2U);
  EXPECT_EQ(tokens(1, 4, 2, 2), 2U);
  EXPECT_EQ(tokens(2, 2, 6, 2), 1U);  // items lie further apart than tokens
  EXPECT_EQ(tokens(9, 2, 2, 1), 0U);
  EXPECT_EQ(tokens(100, 2, 2, 1), 0U);
}

TEST(Normalise, DenseLayersOfZerosAreNoRouters) {
  const Trace trace = normal(source(2, 3, 2, {0, 0, 1, 2, 3, 0, /**/ 0, 0, 2, 1, 0, 3}));
  ASSERT_EQ(trace.rows().size(), 2U);
  EXPECT_EQ(trace.rows()[0].layer, 1);
  EXPECT_EQ(trace.rows()[1].layer, 2);
  EXPECT_THAT(ids_at(trace, 1, 1), ElementsAre(0, 3));
  EXPECT_THAT(fixtures::notes_of(trace), HasSubstr("Layers 0 hold expert 0 in every slot"));
}

TEST(Normalise, DenseLayersOfMinusOneAreNoRouters) {
  const Trace trace = normal(source(1, 2, 2, {-1, -1, 4, 2}));
  ASSERT_EQ(trace.rows().size(), 1U);
  EXPECT_EQ(trace.rows()[0].layer, 1);
}

TEST(Normalise, DenseLayersOfOneExpertNeedTheModel) {
  const auto ids = std::vector<std::int32_t>{0, 3, /**/ 0, 1, /**/ 0, 2};
  const Trace without = normal(source(3, 2, 1, ids));
  EXPECT_EQ(without.rows().size(), 2U);
  EXPECT_THAT(fixtures::notes_of(without), HasSubstr("config.json would tell"));
  NormaliseOptions options;
  options.model = model({false, true}, 4, 1);
  const Trace with = normal(source(3, 2, 1, ids), options);
  ASSERT_EQ(with.rows().size(), 1U);
  EXPECT_EQ(with.rows()[0].layer, 1);
}

TEST(Normalise, RoutersOnlyGetTheirLayersFromTheModel) {
  NormaliseOptions options;
  options.model = model({false, true, false, true}, 4, 2);
  const Trace trace = normal(source(1, 2, 2, {1, 2, 3, 0}), options);
  ASSERT_EQ(trace.rows().size(), 2U);
  EXPECT_EQ(trace.rows()[0].layer, 1);
  EXPECT_EQ(trace.rows()[1].layer, 3);
}

TEST(Normalise, AnotherModelIsRefused) {
  NormaliseOptions options;
  options.model = model({true, true, true}, 4, 2);
  const auto made = normalise(source(1, 2, 2, {1, 2, 3, 0}), options);
  ASSERT_FALSE(made);
  EXPECT_THAT(made.error().text(), HasSubstr("2 layers; the model has 3"));
}

TEST(Normalise, RowsAreMatchedToTokensByTheirNumber) {
  RawTrace raw = source(3, 1, 2, {1, 2, 3, 0, 2, 1});
  raw.pieces[0].sequence_tokens = {10, 11, 12, 13};  // the last was sampled, never run
  const Trace trace = normal(std::move(raw));
  EXPECT_THAT(trace.segments[0]->token_ids.values, ElementsAre(10, 11, 12));
  EXPECT_THAT(trace.segments[0]->positions.values, ElementsAre(0, 1, 2));
  EXPECT_THAT(fixtures::notes_of(trace), HasSubstr("never run"));
}

TEST(Normalise, AStatedStartIsUsedOnlyIfTheRowsFit) {
  RawTrace raw = source(2, 1, 2, {1, 2, 3, 0});
  raw.pieces[0].sequence_tokens = {10, 11, 12, 13, 14};
  raw.pieces[0].first_position = 2;
  Trace trace = normal(std::move(raw));
  EXPECT_THAT(trace.segments[0]->token_ids.values, ElementsAre(12, 13));
  EXPECT_THAT(trace.segments[0]->positions.values, ElementsAre(2, 3));
  raw = source(4, 1, 2, {1, 2, 3, 0, 1, 0, 2, 3});  // the server ignored the start
  raw.pieces[0].sequence_tokens = {10, 11, 12, 13, 14};
  raw.pieces[0].first_position = 2;
  trace = normal(std::move(raw));
  EXPECT_THAT(trace.segments[0]->token_ids.values, ElementsAre(10, 11, 12, 13));
}

TEST(Normalise, TokensThatMatchNothingAreLeftOutAndSaidSo) {
  RawTrace raw = source(2, 1, 2, {1, 2, 3, 0});
  raw.pieces[0].sequence_tokens = {1, 2, 3, 4, 5, 6, 7};
  const Trace trace = normal(std::move(raw));
  EXPECT_TRUE(trace.segments[0]->token_ids.empty());
  EXPECT_THAT(fixtures::notes_of(trace), HasSubstr("do not match"));
}

TEST(Normalise, PhysicalIdsBecomeLogicalByTheirMap) {
  RawTrace raw = source(2, 1, 2, {5, 0, 2, 3});
  raw.physical_ids = true;
  raw.placement = PlacementMap{1, 1, 6, Column<std::int32_t>::own({3, 2, 1, 0, 3, 2})};
  const Trace trace = normal(std::move(raw));
  EXPECT_FALSE(trace.info->physical_ids);
  EXPECT_EQ(trace.rows()[0].experts, 4U);
  EXPECT_THAT(ids_at(trace, 0, 0), ElementsAre(2, 3));
  EXPECT_THAT(ids_at(trace, 0, 1), ElementsAre(1, 0));
  EXPECT_EQ(trace.segments[0]->slot_values.at("physical_id").at(0), 5.0F);
  EXPECT_EQ(trace.placement.physical, 6U);
}

TEST(Normalise, PhysicalIdsWithoutAMapStayPhysical) {
  RawTrace raw = source(1, 1, 2, {5, 0});
  raw.physical_ids = true;
  const Trace trace = normal(std::move(raw));
  EXPECT_TRUE(trace.info->physical_ids);
  EXPECT_THAT(ids_at(trace, 0, 0), ElementsAre(5, 0));
}

TEST(Normalise, AscendingIdsAreNotTakenAsRanked) {
  std::vector<std::int32_t> ids;
  for (std::int32_t t = 0; t < 40; ++t) ids.insert(ids.end(), {t % 3, 3 + t % 5, 9});
  const Trace sorted = normal(source(40, 1, 3, ids));
  EXPECT_FALSE(sorted.info->rank_order);
  EXPECT_THAT(fixtures::notes_of(sorted), HasSubstr("sorted"));
  std::swap(ids[0], ids[1]);
  EXPECT_TRUE(normal(source(40, 1, 3, ids)).info->rank_order);
}

TEST(Normalise, UnknownOrderStaysUnknownUnlessWeightsFall) {
  RawTrace raw = source(2, 1, 2, {5, 0, 1, 2});
  raw.order = RawOrder::not_told;
  EXPECT_FALSE(normal(std::move(raw)).info->rank_order);
  std::vector<std::int32_t> ids;
  std::vector<float> weights;
  for (std::int32_t t = 0; t < 40; ++t) {
    ids.insert(ids.end(), {4, t % 3});
    weights.insert(weights.end(), {0.7F, 0.3F});
  }
  raw = source(40, 1, 2, ids);
  raw.order = RawOrder::not_told;
  raw.pieces[0].weights.layers.push_back(plane_of(own_tensor(weights, DType::f32, {40, 2})));
  EXPECT_TRUE(normal(std::move(raw)).info->rank_order);
}

TEST(Normalise, MinusOneIsAnUnfilledSlotAndTrailingSlotsGo) {
  const Trace trace = normal(source(2, 1, 4, {3, 1, -1, -1, /**/ 2, 0, -1, -1}));
  EXPECT_EQ(trace.max_slots(), 2U);
  EXPECT_EQ(trace.rows()[0].k, 2U);
  EXPECT_THAT(ids_at(trace, 0, 1), ElementsAre(2, 0));
}

TEST(Normalise, FillersOf255AreLeftOutWhereIdsAreFarBelow) {
  RawTrace raw;
  raw.layers.resize(1);
  raw.order = RawOrder::ranked;
  auto block = std::make_shared<const std::vector<std::uint8_t>>(std::vector<std::uint8_t>{3, 1, 255, 7, 2, 255});
  TensorView view;
  view.type = DType::u8;
  view.shape = {2, 1, 3};
  view.bytes = std::as_bytes(std::span<const std::uint8_t>(*block));
  view.owner = block;
  raw.pieces.emplace_back();
  raw.pieces[0].tokens = 2;
  raw.pieces[0].ids = grid_of(view, RawAxes::token_layer_item);
  const Trace trace = normal(std::move(raw));
  EXPECT_EQ(trace.rows()[0].experts, 8U);
  EXPECT_EQ(trace.max_slots(), 2U);
  EXPECT_THAT(ids_at(trace, 0, 0), ElementsAre(3, 1));
  EXPECT_THAT(fixtures::notes_of(trace), HasSubstr("255"));
}

TEST(Normalise, FusedSharedExpertsAreNoChoice) {
  NormaliseOptions options;
  options.model = model({true}, 8, 2, 1);
  const Trace trace = normal(source(1, 1, 3, {5, 1, 8}), options);
  EXPECT_THAT(ids_at(trace, 0, 0), ElementsAre(5, 1));
  EXPECT_EQ(trace.rows()[0].shared, 1U);
  EXPECT_EQ(trace.rows()[0].experts, 8U);
}

TEST(Normalise, RowsWithAnExpertTwiceAreNotRecorded) {
  const Trace trace = normal(source(2, 1, 2, {5, 5, 1, 2}));
  EXPECT_EQ(trace.segments[0]->used_at(0, 0), used_code::not_recorded);
  EXPECT_THAT(ids_at(trace, 0, 1), ElementsAre(1, 2));
  EXPECT_THAT(fixtures::notes_of(trace), HasSubstr("1 token rows name an expert twice"));
}

TEST(Normalise, RunTimeKIsTrustedOverTheConfig) {
  NormaliseOptions options;
  options.model = model({true}, 8, 4);
  const Trace trace = normal(source(1, 1, 2, {5, 1}), options);
  EXPECT_EQ(trace.rows()[0].k, 2U);
  EXPECT_THAT(fixtures::notes_of(trace), HasSubstr("the trace is trusted"));
}

TEST(Normalise, ARecorderWithFewerSlotsThanTheModelIsApproximate) {
  NormaliseOptions options;
  options.model = model({true}, 16, 4);
  RawTrace raw = source(1, 1, 2, {5, 1});
  raw.slots_written = 2;
  const Trace trace = normal(std::move(raw), options);
  ASSERT_TRUE(trace.info->approximate);
  EXPECT_THAT(*trace.info->approximate, HasSubstr("2 of the 4"));
}

RawTrace logits(std::vector<float> values, std::uint64_t experts) {
  RawTrace raw;
  raw.layers.resize(1);
  raw.pieces.emplace_back();
  raw.pieces[0].tokens = values.size() / experts;
  TensorView view = own_tensor(values, DType::f32, {raw.pieces[0].tokens, experts});
  raw.pieces[0].logits.layers.push_back(plane_of(view));
  return raw;
}

TEST(Normalise, ProbabilitiesPosingAsLogitsAreSeen) {
  NormaliseOptions options;
  options.k = 2;
  const Trace trace = normal(logits({0.5F, 0.2F, 0.2F, 0.1F, 0.1F, 0.2F, 0.3F, 0.4F}, 4), options);
  EXPECT_THAT(fixtures::notes_of(trace), HasSubstr("probabilities"));
  EXPECT_FLOAT_EQ(trace.segments[0]->router_logits.at(0), std::log(0.5F));
  EXPECT_THAT(ids_at(trace, 0, 0), ElementsAre(0, 1));  // a tie goes to the lower id
  EXPECT_THAT(ids_at(trace, 0, 1), ElementsAre(3, 2));
  const Trace raw = normal(logits({0.5F, -0.2F, 0.2F, 0.1F}, 4), options);
  EXPECT_FLOAT_EQ(raw.segments[0]->router_logits.at(0), 0.5F);
}

TEST(Normalise, LogitsAloneNeedKAndAreApproximateWithoutTheRule) {
  const auto without = normalise(logits({0.5F, -0.2F, 0.2F, 0.1F}, 4), {});
  ASSERT_FALSE(without);
  EXPECT_THAT(without.error().text(), HasSubstr("--top-k"));
  NormaliseOptions options;
  options.k = 1;
  EXPECT_TRUE(normal(logits({0.5F, -0.2F, 0.2F, 0.1F}, 4), options).info->approximate);
  options.model = model({true}, 4, 1);
  EXPECT_FALSE(normal(logits({0.5F, -0.2F, 0.2F, 0.1F}, 4), options).info->approximate);
  options.model->selection_bias = true;
  EXPECT_TRUE(normal(logits({0.5F, -0.2F, 0.2F, 0.1F}, 4), options).info->approximate);
}

TEST(Normalise, CountsFromPhysicalPlacesAreAddedPerExpert) {
  RawTrace raw;
  raw.layers.resize(2);
  raw.layers[1].layer = 1;
  raw.counts = RawCounts{3, 3, {0, 0, 0, 4, 5, 6, /**/ 0, 0, 0, 0, 0, 0, /**/ 0, 0, 0, 1, 0, 0}, true};
  raw.placement = PlacementMap{1, 2, 3, Column<std::int32_t>::own({0, 1, 1, 1, 0, 1})};
  const Trace trace = normal(std::move(raw));
  ASSERT_EQ(trace.rows().size(), 1U);  // the first layer counted nothing: dense
  EXPECT_EQ(trace.rows()[0].layer, 1);
  EXPECT_EQ(trace.counts.steps, 2U);
  EXPECT_THAT(fixtures::counts_at(trace, 0), ElementsAre(5, 11));
}

TEST(Normalise, CountsOnlyGiveNoIds) {
  RawTrace raw;
  raw.layers.resize(1);
  raw.counts = RawCounts{1, 2, {3, 9}, false};
  const Trace trace = normal(std::move(raw));
  EXPECT_FALSE(trace.has_ids());
  EXPECT_EQ(trace.token_count(), 0U);
  EXPECT_THAT(fixtures::counts_at(trace, 0), ElementsAre(3, 9));
}

TEST(Normalise, AnIdBeyondTheToldExpertsIsRefusedWithItsPlace) {
  NormaliseOptions options;
  options.experts = 4;
  const auto made = normalise(source(2, 1, 2, {1, 2, 3, 9}), options);
  ASSERT_TRUE(made);
  const auto segment = made->segment(0, 2);
  ASSERT_FALSE(segment);
  EXPECT_THAT(segment.error().text(), HasSubstr("id 9"));
  EXPECT_THAT(segment.error().where, HasSubstr("token 1"));
}

TEST(Normalise, NothingRecordedIsRefused) {
  RawTrace raw;
  raw.layers.resize(2);
  EXPECT_FALSE(normalise(std::move(raw), {}));
}

}  // namespace
}  // namespace moescope::normalise_test
