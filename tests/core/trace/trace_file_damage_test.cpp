// Trace files that are cut, lost, changed or contradict themselves.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "core/io/output_file.h"
#include "core/io/safetensors.h"
#include "tests/core/trace/random_trace.h"
#include "tests/core/trace/trace_file_fixture.h"

namespace moescope::trace_file_damage_test {
namespace {

using fixtures::random_trace;
using fixtures::TraceFile;
using ::testing::HasSubstr;

TEST_F(TraceFile, ATruncatedFileGivesItsWholeRowsAndSaysSo) {
  const Trace trace = random_trace(9, {.rows = 6, .segments = 1, .tokens_per_segment = 100});
  ASSERT_TRUE(write_trace(trace, path_));
  const auto file = read_safetensors(path_).value();
  const auto size = std::filesystem::file_size(path_);
  const TensorView& logits = *file.find("router_logits");
  const std::uint64_t per_row = logits.bytes.size() / 6;

  std::filesystem::resize_file(path_, logits.file_offset + 4 * per_row + 17);
  const auto four = read_trace(path_);
  ASSERT_TRUE(four) << four.error().text();
  EXPECT_EQ(four->rows().size(), 4U);
  EXPECT_EQ(four->segments[0]->rows, 4U);
  ASSERT_EQ(four->info->notes.size(), 1U);
  EXPECT_THAT(four->info->notes[0], HasSubstr("4 of 6 rows"));
  EXPECT_EQ(four->segments[0]->router_logits.size() * 4, 4 * per_row);
  EXPECT_EQ(four->segments[0]->used_at(3, 99), trace.segments[0]->used_at(3, 99));

  std::filesystem::resize_file(path_, logits.file_offset + 5);
  const auto without = read_trace(path_);
  ASSERT_TRUE(without) << without.error().text();
  EXPECT_EQ(without->rows().size(), 6U);
  EXPECT_FALSE(without->has_router_logits());
  EXPECT_THAT(without->info->notes[0], HasSubstr("router_logits"));

  std::filesystem::resize_file(path_, file.find("expert_ids")->file_offset + 1);
  EXPECT_THAT(read_trace(path_).error().what, HasSubstr("before the first whole row"));
  EXPECT_LT(logits.file_offset, size);
}

TEST_F(TraceFile, EveryTruncationIsATraceOrAnError) {
  ASSERT_TRUE(write_trace(random_trace(10, {.rows = 2, .experts = 4, .segments = 1, .tokens_per_segment = 5}), path_));
  const std::string whole = read_whole_file(path_, 1U << 20U).value();
  for (std::size_t n = 0; n < whole.size(); n += 23) {
    folder_.write("cut.routes.safetensors", std::string_view(whole).substr(0, n));
    const auto trace = read_trace(folder_.path() / "cut.routes.safetensors");
    if (!trace) continue;
    ASSERT_FALSE(trace->info->notes.empty()) << n;
    EXPECT_TRUE(check_ids(*trace));
  }
}

TEST_F(TraceFile, AFileThatShrinksWhileOpenIsAFaultOfTheTrace) {
  ASSERT_TRUE(write_trace(random_trace(11, {.tokens_per_segment = 5000}), path_));
  const auto trace = read_trace(path_).value();
  EXPECT_FALSE(trace.source_fault());
  std::filesystem::resize_file(path_, 5000);
  std::size_t filled = 0;
  for (std::size_t t = 0; t < trace.token_count(); ++t) filled += trace.segments[0]->filled(2, t);
  ASSERT_TRUE(trace.source_fault());
  EXPECT_EQ(trace.source_fault()->kind, ErrorKind::input);
  EXPECT_THAT(trace.source_fault()->where, HasSubstr("t.routes.safetensors"));
}

TEST_F(TraceFile, OneByteChangedAnywhereNeverBreaksTheReader) {
  const Trace trace = random_trace(12, {.rows = 2, .experts = 4, .segments = 1, .tokens_per_segment = 3});
  ASSERT_TRUE(write_trace(trace, path_));
  const std::string whole = read_whole_file(path_, 1U << 20U).value();
  for (std::size_t i = 0; i < whole.size(); i += 17) {
    std::string changed = whole;
    changed[i] = static_cast<char>(changed[i] ^ (1 << (i % 8)));
    folder_.write("t.routes.safetensors", changed);
    const auto read = read_trace(path_);
    if (!read) continue;
    for (std::size_t t = 0; t < read->token_count(); ++t) {
      EXPECT_LE(read->token_text(t).size(), read->text.size() + 16);
      for (std::size_t r = 0; r < read->rows().size(); ++r)
        EXPECT_LE(read->locate(t).segment->filled(r, 0), read->max_slots());
    }
  }
}

TEST_F(TraceFile, ContradictionsAreNamed) {
  const Part good = ids({0, 1, 2, 3}, 2, 2, 1);
  EXPECT_THAT(problem({part("positions", DType::i32, {1}, std::vector<std::int32_t>{0})}, metadata(1, 2)),
              HasSubstr("neither"));
  EXPECT_THAT(problem({good}, metadata(3, 4)), HasSubstr("2 rows where the metadata lists 3"));
  EXPECT_THAT(problem({good}, metadata(2, 3)), HasSubstr("row 1, token 1, slot 0 holds expert id 3"));
  EXPECT_THAT(problem({good}, metadata(2, 300)), HasSubstr("U8 cannot hold"));
  EXPECT_THAT(problem({good, part("positions", DType::i32, {3}, std::vector<std::int32_t>{0, 1, 2})}, metadata(2, 4)),
              HasSubstr("tokens"));
  EXPECT_THAT(problem({good, part("gate_weights", DType::f32, {2, 2, 2}, std::vector<float>(8))}, metadata(2, 4)),
              HasSubstr("shape"));
  EXPECT_THAT(problem({good, part("gate_weights", DType::i32, {2, 2, 1}, std::vector<float>(4))}, metadata(2, 4)),
              HasSubstr("type"));
  EXPECT_THAT(problem({good, part("router_logits", DType::f32, {2, 2, 3}, std::vector<float>(12))}, metadata(2, 4)),
              HasSubstr("[row, token, 4]"));
  EXPECT_THAT(problem({part("expert_ids", DType::u8, {1, 1, 250}, std::vector<std::uint8_t>(250))}, metadata(1, 4)),
              HasSubstr("250 slots"));
  EXPECT_THAT(problem({part("expert_ids", DType::f32, {1, 1, 1}, std::vector<float>(1))}, metadata(1, 4)),
              HasSubstr("type"));
  EXPECT_THAT(problem({good, part("text_spans", DType::i64, {2}, std::vector<std::int64_t>{0, 1})}, metadata(2, 4)),
              HasSubstr("shape"));
  const auto vocab = [&](std::int64_t end) {
    return std::vector<Part>{good, part("vocab.ids", DType::i32, {1}, std::vector<std::int32_t>{0}),
                             part("vocab.offsets", DType::i64, {2}, std::vector<std::int64_t>{0, end}),
                             part("vocab.bytes", DType::u8, {2}, std::vector<std::uint8_t>{65, 66})};
  };
  EXPECT_TRUE(read(vocab(2), metadata(2, 4)));
  EXPECT_THAT(problem(vocab(3), metadata(2, 4)), HasSubstr("not a range"));
  EXPECT_THAT(problem(vocab(-1), metadata(2, 4)), HasSubstr("not a range"));
}

}  // namespace
}  // namespace moescope::trace_file_damage_test
