#include "core/trace/trace_file.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <array>
#include <cmath>
#include <fstream>

#include "core/io/output_file.h"
#include "core/io/safetensors.h"
#include "core/io/safetensors_writer.h"
#include "core/trace/trace_builder.h"
#include "tests/core/io/temporary_folder.h"
#include "tests/core/trace/random_trace.h"

namespace moescope {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using testing::random_trace;
using testing::TemporaryFolder;

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

template <typename T>
std::span<const std::byte> bytes_of(const std::vector<T>& values) {
  return std::as_bytes(std::span(values));
}

// Files made tensor by tensor, as another program would.
class TraceFile : public ::testing::Test {
 protected:
  struct Part {
    std::string name;
    DType type;
    std::vector<std::uint64_t> shape;
    std::vector<std::byte> bytes;
  };
  template <typename T>
  static Part part(std::string name, DType type, std::vector<std::uint64_t> shape, const std::vector<T>& values) {
    const auto bytes = bytes_of(values);
    return {std::move(name), type, std::move(shape), {bytes.begin(), bytes.end()}};
  }
  static std::string metadata(int rows, int experts, const std::string& more = {}) {
    std::string out = R"({"version":1,"rows":[)";
    for (int i = 0; i < rows; ++i) out += (i ? "," : "") + (R"({"experts":)" + std::to_string(experts)) + "}";
    return out + "]" + more + "}";
  }
  Expected<Trace> read(const std::vector<Part>& parts, const std::string& json) const {
    std::vector<TensorSpec> specs;
    for (const Part& p : parts) specs.push_back({p.name, p.type, p.shape});
    auto writer = SafetensorsWriter::create(path_, specs, {{"moescope", json}}).value();
    for (const Part& p : parts) EXPECT_TRUE(writer.write(p.name, p.bytes));
    EXPECT_TRUE(writer.finish());
    return read_trace(path_);
  }
  std::string problem(const std::vector<Part>& parts, const std::string& json) const {
    const auto trace = read(parts, json);
    if (trace) {
      ADD_FAILURE() << "was accepted";
      return {};
    }
    EXPECT_EQ(trace.error().kind, ErrorKind::input);
    EXPECT_THAT(trace.error().where, HasSubstr("t.routes.safetensors"));
    EXPECT_FALSE(trace.error().advice.empty());
    return trace.error().what;
  }
  static Part ids(const std::vector<std::uint8_t>& values, std::uint64_t rows, std::uint64_t tokens,
                  std::uint64_t slots) {
    return part("expert_ids", DType::u8, {rows, tokens, slots}, values);
  }

  TemporaryFolder folder_;
  std::filesystem::path path_ = folder_.path() / "t.routes.safetensors";
};

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
  folder_.write("t.routes.safetensors", testing::safetensors_bytes(header, std::string("\2\x2A\0\0\0", 5)));
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

TEST_F(TraceFile, MetadataIsChecked) {
  const Part good = ids({0}, 1, 1, 1);
  EXPECT_THAT(problem({good}, R"({"version":2,"rows":[{"experts":4}]})"), HasSubstr("version 2"));
  EXPECT_THAT(problem({good}, R"({"rows":[{"experts":4}]})"), HasSubstr("'version' is missing"));
  EXPECT_THAT(problem({good}, metadata(1, 4, R"(,"requires":["sparse_ids"])")), HasSubstr("'sparse_ids'"));
  EXPECT_TRUE(read({good}, metadata(1, 4, R"(,"requires":["expert_ids","tags.domain"])")));
  EXPECT_THAT(problem({good}, R"({"version":1})"), HasSubstr("'rows'"));
  EXPECT_THAT(problem({good}, R"({"version":1,"rows":[{}]})"), HasSubstr("rows[0].experts"));
  EXPECT_THAT(problem({good}, R"({"version":1,"rows":[{"experts":65536}]})"), HasSubstr("rows[0].experts"));
  EXPECT_THAT(problem({good}, R"({"version":1,"rows":[5]})"), HasSubstr("rows[0]"));
  EXPECT_THAT(problem({good}, metadata(1, 4, R"(,"id_space":"other")")), HasSubstr("id_space"));
  EXPECT_THAT(problem({good}, metadata(1, 4, R"(,"tags":{"domain":"code"})")), HasSubstr("tags.domain"));
  EXPECT_THAT(problem({good}, "{"), HasSubstr("JSON"));
  folder_.write("t.routes.safetensors", testing::safetensors_bytes("{}"));
  EXPECT_THAT(read_trace(path_).error().what, HasSubstr("not a trace"));
  EXPECT_FALSE(looks_like_trace(path_));
}

TEST_F(TraceFile, MetadataComesBack) {
  TraceBuilder builder(TraceBuilder::plain_rows(2, 4, 2), 2);
  TraceInfo& info = builder.info();
  info.rows[1] = {.layer = 7,
                  .block = "mtp",
                  .site = "attention",
                  .stream = "s",
                  .experts = 3,
                  .k = 1,
                  .shared = 2,
                  .null_experts = 1,
                  .rule = "r"};
  info.rank_order = false;
  info.expert_choice = true;
  info.weight_kind = "softmax";
  info.compute_type = "float32";
  info.model_family = "olmoe";
  info.config_hash = "abc";
  info.source_tool = "test \xFF";
  info.source_notes = "n";
  info.approximate = "top-1 only";
  builder.token();
  builder.route(0, {1, 0});
  ASSERT_TRUE(write_trace(builder.build("x"), path_));
  const auto trace = read_trace(path_);
  ASSERT_TRUE(trace) << trace.error().text();
  const TraceInfo& back = *trace->info;
  EXPECT_EQ(back.rows[1].layer, 7);
  EXPECT_EQ(back.rows[1].block, "mtp");
  EXPECT_EQ(back.rows[1].site, "attention");
  EXPECT_EQ(back.rows[1].stream, "s");
  EXPECT_EQ(back.rows[1].experts, 3U);
  EXPECT_EQ(back.rows[1].shared, 2U);
  EXPECT_EQ(back.rows[1].null_experts, 1U);
  EXPECT_EQ(back.rows[1].rule, "r");
  EXPECT_FALSE(back.rank_order);
  EXPECT_TRUE(back.expert_choice);
  EXPECT_EQ(back.weight_kind, "softmax");
  EXPECT_EQ(back.model_family, "olmoe");
  EXPECT_EQ(back.config_hash, "abc");
  EXPECT_EQ(back.source_tool, "test \xEF\xBF\xBD");
  EXPECT_EQ(back.approximate, "top-1 only");
  EXPECT_TRUE(looks_like_trace(path_));
}

TEST_F(TraceFile, HashFollowsTheBytes) {
  ASSERT_TRUE(write_trace(random_trace(1), path_));
  const std::string first = read_trace(path_)->content_hash;
  EXPECT_EQ(first, read_trace(path_)->content_hash);
  ASSERT_TRUE(write_trace(random_trace(2), path_));
  EXPECT_NE(first, read_trace(path_)->content_hash);
}

}  // namespace
}  // namespace moescope
