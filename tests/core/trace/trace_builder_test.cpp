#include "core/trace/trace_builder.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <array>
#include <cmath>

namespace moescope::trace_builder_test {
namespace {

using ::testing::ElementsAre;

Trace small() {
  TraceBuilder builder(TraceBuilder::plain_rows(2, 4, 2), 2);
  builder.token({.id = 7, .sequence = 0, .position = 0}, "ab");
  builder.route(0, {3, 1}, {0.75F, 0.25F});
  builder.route(1, {2}, {1.0F});
  builder.router_logits(0, std::array{0.F, 1.F, 2.F, 3.F});
  builder.tag("domain", "code");
  builder.token_value("loss", 1.5F);
  builder.token({.id = 8, .sequence = 0, .position = 1}, "é");
  builder.unrouted(0, used_code::dropped);
  builder.row_value("margin", 1, 0.5F);
  builder.end_segment();
  builder.token({.id = 9, .sequence = 1, .position = 0});
  builder.route(1, {0, 3});
  builder.tag("domain", "prose");
  return builder.build("small");
}

TEST(TraceBuilder, TransposesTokensToColumnsOfRows) {
  const Trace trace = small();
  ASSERT_EQ(trace.segments.size(), 2U);
  EXPECT_EQ(trace.token_count(), 3U);
  const Segment& first = *trace.segments[0];
  EXPECT_EQ(first.id(0, 0, 0), 3U);
  EXPECT_EQ(first.id(0, 0, 1), 1U);
  EXPECT_EQ(first.id(1, 0, 0), 2U);
  EXPECT_EQ(first.used_at(0, 0), 2);
  EXPECT_EQ(first.used_at(1, 0), 1);
  EXPECT_EQ(first.used_at(0, 1), used_code::dropped);
  EXPECT_EQ(first.used_at(1, 1), used_code::not_recorded);
  EXPECT_EQ(first.gate_weights.at(0), 0.75F);
  EXPECT_TRUE(std::isnan(first.gate_weights.at(2)));
  EXPECT_EQ(first.router_logits.at(3), 3.0F);
  EXPECT_TRUE(std::isnan(first.router_logits.at(4)));
  EXPECT_TRUE(std::isnan(first.row_values.at("margin").at(0)));
  EXPECT_EQ(first.row_values.at("margin").at(3), 0.5F);
  const Segment& second = *trace.segments[1];
  EXPECT_TRUE(second.gate_weights.empty());
  EXPECT_TRUE(second.used.empty());
  EXPECT_EQ(second.used_at(0, 0), used_code::not_recorded);
  EXPECT_EQ(second.used_at(1, 0), 2);
}

TEST(TraceBuilder, TextTagsAndFactsFollowTheirTokens) {
  const Trace trace = small();
  EXPECT_EQ(trace.token_text(0), "ab");
  EXPECT_EQ(trace.token_text(1), "é");
  EXPECT_EQ(trace.token_text(2), "#9");
  EXPECT_EQ(trace.token_label(2), "#9");
  EXPECT_THAT(trace.segments[0]->tags.at("domain").codes.values, ElementsAre(0, -1));
  EXPECT_THAT(trace.segments[1]->tags.at("domain").codes.values, ElementsAre(1));
  EXPECT_THAT(trace.segments[0]->tags.at("domain").names, ElementsAre("code", "prose"));
  EXPECT_THAT(trace.segments[0]->positions.values, ElementsAre(0, 1));
  EXPECT_TRUE(trace.segments[0]->steps.empty());
}

TEST(TraceBuilder, HashNamesTheContent) {
  EXPECT_EQ(small().content_hash, small().content_hash);
  TraceBuilder builder(TraceBuilder::plain_rows(2, 4, 2), 2);
  builder.token();
  builder.route(0, {0, 1});
  const std::string before = builder.build("a").content_hash;
  builder.token();
  EXPECT_NE(before, builder.build("a").content_hash);
}

TEST(Segment, UsedNeverSpeaksOfMoreSlotsThanThereAre) {
  Segment segment;
  segment.rows = segment.tokens = 1;
  segment.slots = 2;
  segment.ids8 = Column<std::uint8_t>::own({1, 2});
  segment.used = Column<std::uint8_t>::own({200});
  EXPECT_EQ(segment.used_at(0, 0), 2);
  EXPECT_EQ(segment.filled(0, 0), 2U);
}

TEST(Segment, AllOnesIsAnExpertWhereTheRowSaysSo) {
  Segment segment;
  segment.rows = 1;
  segment.tokens = 2;
  segment.slots = 2;
  segment.ids8 = Column<std::uint8_t>::own({4, 255, 255, 255});
  EXPECT_EQ(segment.used_at(0, 0), 1);
  segment.all_ones_is_expert = {1};
  EXPECT_EQ(segment.used_at(0, 0), 2);
  EXPECT_EQ(segment.used_at(0, 1), used_code::not_recorded);
}

TEST(CheckIds, NamesTheBadSlotAndIdBelowCatchesIt) {
  Trace trace = small();
  EXPECT_TRUE(check_ids(trace));
  auto bad = std::make_shared<Segment>(*trace.segments[1]);
  bad->ids8 = Column<std::uint8_t>::own({255, 255, 0, 77});
  trace.segments[1] = bad;
  EXPECT_EQ(bad->id_below(4, 1, 0, 1), 4U);
  EXPECT_TRUE(check_ids(trace, 0));
  const auto checked = check_ids(trace);
  ASSERT_FALSE(checked);
  EXPECT_EQ(checked.error().where, "small, row 1, token 2, slot 1");
}

TEST(FloatColumn, WidensEveryType) {
  const std::array<std::uint16_t, 4> halves{0x3C00, 0xC000, 0x0001, 0x7C00};
  FloatColumn column{FloatColumn::Type::f16, std::as_bytes(std::span(halves)), nullptr};
  EXPECT_EQ(column.at(0), 1.0F);
  EXPECT_EQ(column.at(1), -2.0F);
  EXPECT_EQ(column.at(2), std::ldexp(1.0F, -24));
  EXPECT_TRUE(std::isinf(column.at(3)));
  column.type = FloatColumn::Type::bf16;
  EXPECT_EQ(column.at(1), -2.0F * 1.0F);
  column.type = FloatColumn::Type::u16;
  EXPECT_EQ(column.at(0), 15360.0F);
  column.type = FloatColumn::Type::u8;
  EXPECT_EQ(column.size(), 8U);
  EXPECT_EQ(column.at(1), 60.0F);
  column.type = FloatColumn::Type::i32;
  EXPECT_EQ(column.size(), 2U);
  EXPECT_EQ(column.at(0), static_cast<float>(0xC0003C00 - 4294967296.0));
}

}  // namespace
}  // namespace moescope::trace_builder_test
