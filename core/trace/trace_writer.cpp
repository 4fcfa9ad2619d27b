#include <fmt/format.h>

#include <algorithm>
#include <cstring>
#include <optional>
#include <utility>

#include "core/io/safetensors.h"
#include "core/io/safetensors_writer.h"
#include "core/trace/trace_file.h"
#include "core/trace/trace_layout.h"
#include "core/trace/trace_metadata.h"

namespace moescope {
namespace {

constexpr std::byte absent{0xFF};

template <typename T>
std::span<const std::byte> bytes_of(const std::vector<T>& values) {
  return std::as_bytes(std::span(values));
}

}  // namespace

struct TraceWriter::State {
  std::filesystem::path path;
  Trace head;
  std::size_t tokens = 0;  // stated
  std::size_t done = 0;    // appended
  IdLayout ids;
  std::optional<SafetensorsWriter> writer;
  std::map<std::string, LayoutColumn> declared;                       // without bytes
  std::vector<std::pair<std::string, std::vector<std::byte>>> fixed;  // tensors of the head

  Expected<void> begin(const std::vector<LayoutColumn>& columns);
  [[nodiscard]] std::vector<TensorSpec> specs(const std::vector<LayoutColumn>& columns, std::size_t count);
  Expected<void> write_fixed();
  Expected<void> write_column(const LayoutColumn& to, const LayoutColumn* from, std::size_t count);
  Expected<void> shorten();
  [[nodiscard]] Unexpected refuse(std::string what) const {
    return fail(ErrorKind::usage, std::move(what), path.string(), "Write a trace of one kind of segment");
  }
};

// The head's tensors come first, then the columns. `fixed` is filled on the way.
std::vector<TensorSpec> TraceWriter::State::specs(const std::vector<LayoutColumn>& columns, std::size_t count) {
  std::vector<TensorSpec> out;
  fixed.clear();
  const auto add = [&](std::string name, DType type, std::vector<std::uint64_t> shape,
                       std::span<const std::byte> bytes) {
    fixed.emplace_back(name, std::vector<std::byte>(bytes.begin(), bytes.end()));
    out.push_back(TensorSpec{std::move(name), type, std::move(shape)});
  };
  if (!head.text.empty()) add("text", DType::u8, {head.text.size()}, std::as_bytes(head.text.values));
  if (!head.vocabulary.empty()) {
    std::vector<std::int32_t> token_ids;
    std::vector<std::int64_t> offsets{0};
    std::string bytes;
    for (const auto& [id, text] : head.vocabulary) {
      token_ids.push_back(id);
      bytes += text;
      offsets.push_back(static_cast<std::int64_t>(bytes.size()));
    }
    add("vocab.ids", DType::i32, {token_ids.size()}, bytes_of(token_ids));
    add("vocab.offsets", DType::i64, {offsets.size()}, bytes_of(offsets));
    add("vocab.bytes", DType::u8, {bytes.size()}, std::as_bytes(std::span(bytes.data(), bytes.size())));
  }
  if (!head.counts.empty()) {
    add("expert_counts", DType::i64, {head.counts.steps, head.counts.rows, head.counts.emax},
        std::as_bytes(head.counts.values.values));
  }
  if (!head.placement.empty()) {
    add("physical_to_logical", DType::i32, {head.placement.epochs, head.placement.rows, head.placement.physical},
        std::as_bytes(head.placement.values.values));
  }
  for (const TensorView& tensor : head.unknown) add(tensor.name, tensor.type, tensor.shape, tensor.bytes);
  for (const LayoutColumn& column : columns) {
    std::vector<std::uint64_t> shape;
    if (column.by_row) shape.push_back(head.rows().size());
    shape.push_back(count);
    shape.insert(shape.end(), column.tail.begin(), column.tail.end());
    out.push_back(TensorSpec{column.name, column.type, std::move(shape)});
  }
  return out;
}

Expected<void> TraceWriter::State::write_fixed() {
  for (const auto& [name, bytes] : fixed) {
    if (auto written = writer->write(name, bytes); !written) return written;
  }
  fixed.clear();
  return {};
}

Expected<void> TraceWriter::State::begin(const std::vector<LayoutColumn>& columns) {
  auto made = SafetensorsWriter::create(path, specs(columns, tokens), {{"moescope", trace_metadata_text(*head.info)}},
                                        TensorAlignment::by_filler);
  if (!made) return fail(made.error());
  writer.emplace(std::move(*made));
  declared.clear();
  for (LayoutColumn column : columns) {
    column.bytes = {};
    column.owner.reset();
    declared.emplace(column.name, std::move(column));
  }
  return write_fixed();
}

// Writes `count` tokens of a column behind those done; what `from` lacks is absent.
Expected<void> TraceWriter::State::write_column(const LayoutColumn& to, const LayoutColumn* from, std::size_t count) {
  const std::size_t rows = to.by_row ? head.rows().size() : 1;
  const std::size_t to_item = to.item_bytes();
  std::vector<std::byte> filled;
  for (std::size_t row = 0; row < rows; ++row) {
    std::span<const std::byte> piece;
    if (from != nullptr && from->type == to.type && from->item_bytes() == to_item) {
      piece = from->bytes.subspan(row * count * to_item, count * to_item);
    } else {
      filled.assign(count * to_item, to.name == "used" ? std::byte{used_code::not_recorded} : absent);
      const std::size_t from_item = from == nullptr ? 0 : from->item_bytes();
      for (std::size_t t = 0; from_item != 0 && t < count; ++t) {
        std::memcpy(filled.data() + t * to_item, from->bytes.data() + (row * count + t) * from_item, from_item);
      }
      piece = filled;
    }
    if (auto written = writer->write_at(to.name, (row * tokens + done) * to_item, piece); !written) return written;
  }
  return {};
}

TraceWriter::TraceWriter(std::unique_ptr<State> state) : state_(std::move(state)) {}
TraceWriter::~TraceWriter() = default;
TraceWriter::TraceWriter(TraceWriter&&) noexcept = default;
TraceWriter& TraceWriter::operator=(TraceWriter&&) noexcept = default;

Expected<TraceWriter> TraceWriter::create(const std::filesystem::path& path, Trace head, std::size_t tokens) {
  auto state = std::make_unique<State>();
  head.segments.clear();
  const std::uint32_t widest = widest_row(head);
  if (widest > trace_expert_limit) {
    return fail(ErrorKind::usage,
                fmt::format("{} experts are more than the {} of the format", widest, trace_expert_limit), path.string(),
                "Write fewer rows or experts");
  }
  state->ids.type = widest <= 256 ? DType::u8 : DType::u16;
  state->path = path;
  state->head = std::move(head);
  state->tokens = tokens;
  return TraceWriter(std::move(state));
}

std::size_t TraceWriter::tokens_written() const {
  return state_->done;
}

Expected<void> TraceWriter::append(const Segment& segment) {
  State& s = *state_;
  if (segment.tokens == 0) return {};
  if (segment.rows != s.head.rows().size()) return s.refuse("a segment has other rows than the trace");
  if (segment.tokens > s.tokens - s.done) {
    return s.refuse(fmt::format("more tokens came than the {} stated", s.tokens));
  }
  auto columns = columns_of(segment, *s.head.info, s.ids);
  if (!s.writer) {
    if (auto begun = s.begin(columns); !begun) return begun;
  }
  std::map<std::string, const LayoutColumn*> had;
  for (LayoutColumn& column : columns) {
    const auto to = s.declared.find(column.name);
    if (to == s.declared.end()) return s.refuse(fmt::format("only a later segment has '{}'", column.name));
    if (column.type != to->second.type && to->second.type == DType::f32) column = widened_column(column);
    // Fewer slots are padded; anything else must agree.
    const bool fits = column.type == to->second.type && column.by_row == to->second.by_row &&
                      (column.tail == to->second.tail ||
                       (column.by_row && column.tail.size() == 1 && column.item_bytes() < to->second.item_bytes()));
    if (!fits) return s.refuse(fmt::format("segments disagree on the type or shape of '{}'", column.name));
    had.emplace(column.name, &column);
  }
  for (const auto& [name, to] : s.declared) {
    const auto from = had.find(name);
    if (auto written = s.write_column(to, from == had.end() ? nullptr : from->second, segment.tokens); !written) {
      return written;
    }
  }
  s.done += segment.tokens;
  return {};
}

// Fewer tokens came than stated: the tokens of every row move together, into a new file.
Expected<void> TraceWriter::State::shorten() {
  const auto long_file = read_safetensors(writer->part_path());
  if (!long_file) return fail(long_file.error());
  writer.reset();  // the name goes, the mapping keeps the bytes
  std::vector<LayoutColumn> columns;
  for (const TensorView& tensor : long_file->tensors) {
    const auto column = declared.find(tensor.name);
    if (column != declared.end()) columns.push_back(column->second);
  }
  const std::size_t stated = std::exchange(tokens, done);
  if (auto begun = begin(columns); !begun) return begun;
  for (const LayoutColumn& column : columns) {
    const std::size_t item = column.item_bytes();
    const std::size_t rows = column.by_row ? head.rows().size() : 1;
    const auto all = long_file->find(column.name)->bytes;
    for (std::size_t row = 0; row < rows; ++row) {
      if (auto written = writer->write(column.name, all.subspan(row * stated * item, done * item)); !written)
        return written;
    }
  }
  if (auto lost = long_file->fault()) return fail(*lost);
  return {};
}

Expected<void> TraceWriter::finish() {
  State& s = *state_;
  if (!s.writer) {
    if (auto begun = s.begin({}); !begun) return begun;
  } else if (s.done < s.tokens) {
    if (auto shortened = s.shorten(); !shortened) return shortened;
  }
  auto finished = s.writer->finish();
  s.writer.reset();
  return finished;
}

Expected<void> write_trace(const Trace& trace, const std::filesystem::path& path) {
  auto writer = TraceWriter::create(path, trace, trace.token_count());
  if (!writer) return fail(writer.error());
  TraceWriter::State& s = *writer->state_;
  // All segments are known, so `used` is written only where the ids alone would not do, and every column of any
  // segment is declared.
  s.ids.with_used = widest_row(trace) == 256 || std::any_of(trace.segments.begin(), trace.segments.end(),
                                                            [](const auto& segment) { return !segment->used.empty(); });
  std::vector<LayoutColumn> all;
  for (const auto& segment : trace.segments) {
    if (segment->rows != trace.rows().size()) return s.refuse("a segment has other rows than the trace");
    for (LayoutColumn& column : columns_of(*segment, *trace.info, s.ids)) {
      const auto same = std::find_if(all.begin(), all.end(), [&](const auto& c) { return c.name == column.name; });
      if (same == all.end()) {
        all.push_back(std::move(column));
      } else {
        if (same->type != column.type) same->type = DType::f32;
        if (column.tail.size() == 1 && same->tail.size() == 1) same->tail[0] = std::max(same->tail[0], column.tail[0]);
      }
    }
  }
  if (auto begun = s.begin(all); !begun) return begun;
  for (const auto& segment : trace.segments) {
    if (auto appended = writer->append(*segment); !appended) return appended;
  }
  return writer->finish();
}

}  // namespace moescope
