#include "core/trace/trace_file.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <array>
#include <cmath>

#include "core/io/safetensors.h"
#include "core/trace/trace_builder.h"
#include "tests/core/trace/random_trace.h"
#include "tests/core/trace/trace_file_fixture.h"

namespace moescope::trace_file_test {
namespace {

using fixtures::random_trace;
using fixtures::TraceFile;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

bool same_number(float a, float b) {
  return a == b || (std::isnan(a) && std::isnan(b));
}

// Everything that a reader of either trace can see of every token.
void expect_same(const Trace& a, const Trace& b) {
  ASSERT_EQ(a.token_count(), b.token_count());
  ASSERT_EQ(a.rows().size(), b.rows().size());
  EXPECT_EQ(a.vocabulary, b.vocabulary);
  EXPECT_EQ(a.info->tag_names, b.info->tag_names);
  EXPECT_EQ(a.info->stream_names, b.info->stream_names);
  for (std::size_t t = 0; t < a.token_count(); ++t) {
    const auto [sa, ta] = a.locate(t);
    const auto [sb, tb] = b.locate(t);
    EXPECT_EQ(a.token_text(t), b.token_text(t));
    EXPECT_EQ(sa->token_ids[ta], sb->token_ids[tb]);
    EXPECT_EQ(sa->sequence_ids[ta], sb->sequence_ids[tb]);
    EXPECT_EQ(sa->positions[ta], sb->positions[tb]);
    EXPECT_EQ(sa->steps[ta], sb->steps[tb]);
    EXPECT_EQ(sa->phases[ta], sb->phases[tb]);
    EXPECT_EQ(sa->streams[ta], sb->streams[tb]);
    EXPECT_EQ(sa->tags.at("domain").codes[ta], sb->tags.at("domain").codes[tb]);
    EXPECT_TRUE(same_number(sa->tags.at("noise").numbers[ta], sb->tags.at("noise").numbers[tb]));
    EXPECT_TRUE(same_number(sa->token_values.at("loss").at(ta), sb->token_values.at("loss").at(tb)));
    for (std::size_t r = 0; r < a.rows().size(); ++r) {
      ASSERT_EQ(sa->used_at(r, ta), sb->used_at(r, tb)) << r << " " << t;
      const std::size_t ca = r * sa->tokens + ta;
      const std::size_t cb = r * sb->tokens + tb;
      EXPECT_TRUE(same_number(sa->row_values.at("margin").at(ca), sb->row_values.at("margin").at(cb)));
      for (std::size_t s = 0; s < sa->filled(r, ta); ++s) {
        EXPECT_EQ(sa->id(r, ta, s), sb->id(r, tb, s));
        EXPECT_TRUE(same_number(sa->gate_weights.at(ca * sa->slots + s), sb->gate_weights.at(cb * sb->slots + s)));
        EXPECT_TRUE(same_number(sa->slot_values.at("output_norm").at(ca * sa->slots + s),
                                sb->slot_values.at("output_norm").at(cb * sb->slots + s)));
      }
      for (std::size_t e = 0; e < a.rows()[r].experts; ++e) {
        EXPECT_TRUE(same_number(sa->router_logits.at(ca * sa->logit_width + e),
                                sb->router_logits.at(cb * sb->logit_width + e)));
      }
    }
  }
}
TEST_F(TraceFile, EveryColumnComesBack) {
  for (const std::uint32_t experts : {4U, 16U, 255U, 256U, 300U}) {
    const Trace trace = random_trace(experts, {.experts = experts, .segments = 3});
    ASSERT_TRUE(write_trace(trace, path_));
    const auto back = read_trace(path_);
    ASSERT_TRUE(back) << back.error().text();
    EXPECT_EQ(back->name, "t");
    EXPECT_EQ(back->info->model_name, "random");
    EXPECT_EQ(back->rows()[2].layer, 4);
    EXPECT_EQ(back->segments.size(), 1U);
    EXPECT_TRUE(back->info->unknown_tensors.empty());
    expect_same(trace, *back);
    EXPECT_TRUE(check_ids(*back));
  }
}

TEST_F(TraceFile, TensorsBeginAt64BytesAndColumnsStayMapped) {
  ASSERT_TRUE(write_trace(random_trace(5), path_));
  const auto file = read_safetensors(path_);
  for (const TensorView& tensor : file->tensors) {
    if (tensor.name.starts_with("pad.")) continue;
    EXPECT_EQ(tensor.file_offset % 64, 0U) << tensor.name;
  }
  const auto trace = read_trace(path_);
  const auto mapped = std::static_pointer_cast<const MappedFile>(trace->segments[0]->ids8.owner);
  EXPECT_EQ(trace->segments[0]->gate_weights.owner, mapped);
  EXPECT_EQ(trace->segments[0]->positions.owner, mapped);
}

TEST_F(TraceFile, UsedIsWrittenOnlyWhereIdsDoNotSay) {
  ASSERT_TRUE(write_trace(random_trace(6, {.experts = 16, .ragged = false}), path_));
  EXPECT_EQ(read_safetensors(path_)->find("used"), nullptr);
  ASSERT_TRUE(write_trace(random_trace(6, {.experts = 256, .ragged = false}), path_));
  EXPECT_NE(read_safetensors(path_)->find("used"), nullptr);
}

TEST_F(TraceFile, WriterAppendsSegmentsAndShortensWhenFewerCame) {
  const Trace trace = random_trace(7, {.segments = 3});
  for (const std::size_t stated : {trace.token_count(), trace.token_count() + 100}) {
    auto writer = TraceWriter::create(path_, trace, stated);
    ASSERT_TRUE(writer) << writer.error().text();
    for (const auto& segment : trace.segments) {
      const auto appended = writer->append(*segment);
      ASSERT_TRUE(appended) << appended.error().text();
    }
    EXPECT_EQ(writer->tokens_written(), trace.token_count());
    const auto finished = writer->finish();
    ASSERT_TRUE(finished) << finished.error().text();
    const auto back = read_trace(path_);
    ASSERT_TRUE(back) << back.error().text();
    expect_same(trace, *back);
    EXPECT_FALSE(std::filesystem::exists(path_.string() + ".part"));
  }
}

TEST_F(TraceFile, WriterRefusesWhatDoesNotFitAndLeavesNothing) {
  const Trace trace = random_trace(8);
  {
    auto writer = TraceWriter::create(path_, trace, 40).value();
    ASSERT_TRUE(writer.append(*trace.segments[0]));
    EXPECT_EQ(writer.append(*trace.segments[1]).error().kind, ErrorKind::usage);  // more tokens than stated
    auto other = *trace.segments[1];
    other.tokens = 1;
    other.rows = 2;
    EXPECT_EQ(writer.append(other).error().kind, ErrorKind::usage);
  }
  EXPECT_TRUE(std::filesystem::is_empty(folder_.path()));
}

TEST_F(TraceFile, ColumnsThatOneSegmentLacksAreAbsentThere) {
  TraceBuilder builder(TraceBuilder::plain_rows(1, 4, 1), 1);
  builder.token({.id = 5});
  builder.route(0, {3}, {0.5F});
  builder.token_value("loss", 2.0F);
  builder.tag("domain", "code");
  builder.end_segment();
  builder.token();
  builder.route(0, {2});
  ASSERT_TRUE(write_trace(builder.build("x"), path_));
  const auto back = read_trace(path_);
  ASSERT_TRUE(back) << back.error().text();
  const Segment& segment = *back->segments[0];
  EXPECT_EQ(segment.id(0, 1, 0), 2U);
  EXPECT_TRUE(std::isnan(segment.gate_weights.at(1)));
  EXPECT_TRUE(std::isnan(segment.token_values.at("loss").at(1)));
  EXPECT_THAT(segment.token_ids.values, ElementsAre(5, -1));
  EXPECT_THAT(segment.tags.at("domain").codes.values, ElementsAre(0, -1));
}

TEST_F(TraceFile, UnknownTensorsAreKeptAndListed) {
  const auto trace = read({ids({0, 1}, 1, 2, 1), part("future", DType::f4, {4}, std::vector<std::uint8_t>{1, 2}),
                           part("slot.odd", DType::c64, {1, 2, 1}, std::vector<double>{1, 2})},
                          metadata(1, 2));
  ASSERT_TRUE(trace) << trace.error().text();
  EXPECT_THAT(trace->info->unknown_tensors, ::testing::UnorderedElementsAre("future", "slot.odd"));
  const auto copy = folder_.path() / "copy.routes.safetensors";
  ASSERT_TRUE(write_trace(*trace, copy));
  EXPECT_EQ(std::to_integer<int>(read_safetensors(copy)->find("future")->bytes[1]), 2);
}

TEST_F(TraceFile, HashFollowsTheBytes) {
  ASSERT_TRUE(write_trace(random_trace(1), path_));
  const std::string first = read_trace(path_)->content_hash;
  EXPECT_EQ(first, read_trace(path_)->content_hash);
  ASSERT_TRUE(write_trace(random_trace(2), path_));
  EXPECT_NE(first, read_trace(path_)->content_hash);
}

}  // namespace
}  // namespace moescope::trace_file_test
