// What columns of a trace file mean, from files made tensor by tensor.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>

#include "tests/core/trace/trace_file_fixture.h"

namespace moescope::trace_file_columns_test {
namespace {

using fixtures::TraceFile;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

TEST_F(TraceFile, SignedIdsAreNarrowed) {
  const std::vector<std::int64_t> wide{0, 3, 1, -1, -1, -1};
  const std::vector<std::int16_t> narrow(wide.begin(), wide.end());
  const std::vector<std::int32_t> middle(wide.begin(), wide.end());
  const std::vector<Part> kinds{part("expert_ids", DType::i64, {1, 3, 2}, wide),
                                part("expert_ids", DType::i16, {1, 3, 2}, narrow),
                                part("expert_ids", DType::i32, {1, 3, 2}, middle)};
  for (const Part& kind : kinds) {
    for (const int experts : {4, 255, 256, 1000}) {
      const auto trace = read({kind}, metadata(1, experts));
      ASSERT_TRUE(trace) << trace.error().text();
      const Segment& segment = *trace->segments[0];
      EXPECT_EQ(segment.ids8.empty(), experts > 255);
      EXPECT_EQ(segment.id(0, 0, 1), 3U);
      EXPECT_EQ(segment.used_at(0, 0), 2);
      EXPECT_EQ(segment.used_at(0, 1), 1);
      EXPECT_EQ(segment.used_at(0, 2), used_code::not_recorded);
    }
    EXPECT_THAT(problem({kind}, metadata(1, 3)), HasSubstr("row 0, token 0, slot 1"));
  }
}

TEST_F(TraceFile, AllOnesWithoutUsedIsNotRecorded) {
  const auto few = read({ids({1, 255, 255, 255}, 1, 2, 2)}, metadata(1, 200));
  EXPECT_EQ(few->segments[0]->used_at(0, 0), 1);
  EXPECT_EQ(few->segments[0]->used_at(0, 1), used_code::not_recorded);
  // With 256 experts all ones is an expert, unless the whole row of slots is.
  const auto full = read({ids({1, 255, 255, 255}, 1, 2, 2)}, metadata(1, 256));
  EXPECT_EQ(full->segments[0]->used_at(0, 0), 2);
  EXPECT_EQ(full->segments[0]->used_at(0, 1), used_code::not_recorded);
  const auto used =
      read({ids({1, 255, 255, 255}, 1, 2, 2), part("used", DType::u8, {1, 2}, std::vector<std::uint8_t>{1, 252})},
           metadata(1, 256));
  EXPECT_EQ(used->segments[0]->used_at(0, 0), 1);
  EXPECT_EQ(used->segments[0]->used_at(0, 1), used_code::cached_prefix);
}

TEST_F(TraceFile, HalfColumnsAreReadInPlace) {
  const auto trace = read(
      {ids({0, 1}, 1, 2, 1), part("gate_weights", DType::f16, {1, 2, 1}, std::vector<std::uint16_t>{0x3C00, 0x7E00}),
       part("router_logits", DType::bf16, {1, 2, 2}, std::vector<std::uint16_t>{0x3F80, 0xC000, 0, 0x7FC0}),
       part("slot.dropped", DType::u8, {1, 2, 1}, std::vector<std::uint8_t>{0, 1}),
       part("token.loss", DType::f64, {2}, std::vector<double>{0.5, 2.0})},
      metadata(1, 2));
  ASSERT_TRUE(trace) << trace.error().text();
  const Segment& segment = *trace->segments[0];
  EXPECT_EQ(segment.gate_weights.type, FloatColumn::Type::f16);
  EXPECT_EQ(segment.gate_weights.at(0), 1.0F);
  EXPECT_TRUE(std::isnan(segment.gate_weights.at(1)));
  EXPECT_EQ(segment.router_logits.at(1), -2.0F);
  EXPECT_EQ(segment.slot_values.at("dropped").at(1), 1.0F);
  EXPECT_EQ(segment.token_values.at("loss").at(1), 2.0F);
}

TEST_F(TraceFile, UnalignedTensorsAreCopied) {
  std::string header = R"({"__metadata__":{"moescope":"{\"version\":1,\"rows\":[{\"experts\":4}]}"},)";
  header += R"("expert_ids":{"dtype":"U8","shape":[1,1,1],"data_offsets":[0,1]},)";
  header += R"("positions":{"dtype":"I32","shape":[1],"data_offsets":[1,5]}})";
  header.resize((header.size() + 7) / 8 * 8, ' ');
  folder_.write("t.routes.safetensors", fixtures::safetensors_bytes(header, std::string("\2\x2A\0\0\0", 5)));
  const auto trace = read_trace(path_);
  ASSERT_TRUE(trace) << trace.error().text();
  EXPECT_EQ(trace->segments[0]->positions[0], 42);
}

TEST_F(TraceFile, CountsAloneAreATrace) {
  const auto trace =
      read({part("expert_counts", DType::i64, {2, 1, 3}, std::vector<std::int64_t>{1, 2, 3, 4, 5, 6})}, metadata(1, 3));
  ASSERT_TRUE(trace) << trace.error().text();
  EXPECT_TRUE(trace->segments.empty());
  EXPECT_EQ(trace->counts.steps, 2U);
  EXPECT_EQ(trace->counts.values[5], 6);
  ASSERT_TRUE(write_trace(*trace, path_));
  EXPECT_EQ(read_trace(path_)->counts.values[5], 6);
}

TEST_F(TraceFile, PhysicalIdsMayExceedTheLogicalExperts) {
  const auto map = part("physical_to_logical", DType::i32, {1, 1, 3}, std::vector<std::int32_t>{0, 1, 0});
  const auto trace = read({ids({2, 1}, 1, 2, 1), map}, metadata(1, 2, R"(,"id_space":"physical")"));
  ASSERT_TRUE(trace) << trace.error().text();
  EXPECT_TRUE(trace->info->physical_ids);
  EXPECT_EQ(trace->placement.values[2], 0);
  EXPECT_TRUE(check_ids(*trace));
  ASSERT_TRUE(write_trace(*trace, path_));
  EXPECT_EQ(read_trace(path_)->placement.physical, 3U);
  EXPECT_THAT(problem({ids({3, 1}, 1, 2, 1), map}, metadata(1, 2, R"(,"id_space":"physical")")),
              HasSubstr("expert id 3"));
}

TEST_F(TraceFile, TagsMayHaveMoreCodesThanNames) {
  const auto trace =
      read({ids({0, 1, 0}, 1, 3, 1), part("tags.domain", DType::u8, {3}, std::vector<std::uint8_t>{0, 2, 255})},
           metadata(1, 2, R"(,"tags":{"domain":["code"]})"));
  ASSERT_TRUE(trace) << trace.error().text();
  const TagColumn& tag = trace->segments[0]->tags.at("domain");
  EXPECT_THAT(tag.codes.values, ElementsAre(0, 2, -1));
  EXPECT_THAT(tag.names, ElementsAre("code", "#1", "#2"));
  EXPECT_THAT(problem({ids({0}, 1, 1, 1), part("tags.x", DType::i32, {1}, std::vector<std::int32_t>{2'000'000'000})},
                      metadata(1, 2)),
              HasSubstr("has no name"));
}

}  // namespace
}  // namespace moescope::trace_file_columns_test
