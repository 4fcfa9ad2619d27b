// A trace as NumPy arrays: the columns of a trace file with plain types, −1 for what is not recorded.
//   expert_ids i32 [row, token, slot]; gate_weights f32 same; router_logits f32 [row, token, expert];
//   token_ids, sequence_ids, positions i32 [token]; expert_counts i64 [step, row, expert];
//   layer, experts i32 [row]
#include <fmt/format.h>

#include <limits>

#include "core/io/npz.h"
#include "core/trace/export/exporters.h"

namespace moescope {
namespace {

constexpr std::size_t tile_tokens = 4096;

class Arrays {
 public:
  Arrays(const Trace& trace, NpzWriter& out, const WorkContext& work) : trace_(trace), out_(out), work_(work) {}

  // Numbers [row, token, width] row by row; `value` gives those of a token in one segment, absent ones filled.
  template <typename T, typename Fill>
  Expected<void> by_row(const char* name, DType type, std::size_t width, Fill fill) {
    const std::size_t rows = trace_.rows().size();
    const std::vector<std::uint64_t> shape{rows, trace_.token_count(), width};
    if (auto ok = out_.begin(name, type, shape); !ok) return ok;
    std::vector<T> tile;
    for (std::size_t r = 0; r < rows; ++r) {
      for (const auto& segment : trace_.segments) {
        for (std::size_t first = 0; first < segment->tokens; first += tile_tokens) {
          if (work_.cancelled()) return fail(ErrorKind::cancelled, "the export was stopped");
          const std::size_t count = std::min(tile_tokens, segment->tokens - first);
          tile.assign(count * width, fill.absent);
          for (std::size_t t = 0; t < count; ++t)
            fill(*segment, r, first + t, std::span(tile).subspan(t * width, width));
          if (auto ok = out_.write(std::as_bytes(std::span<const T>(tile))); !ok) return ok;
        }
      }
    }
    return {};
  }

  // A fact of every token; segments without it hold −1.
  Expected<void> by_token(const char* name, Column<std::int32_t> Segment::*column) {
    bool any = false;
    for (const auto& segment : trace_.segments) any = any || !((*segment).*column).empty();
    if (!any) return {};
    const std::vector<std::uint64_t> shape{trace_.token_count()};
    if (auto ok = out_.begin(name, DType::i32, shape); !ok) return ok;
    for (const auto& segment : trace_.segments) {
      const auto& values = (*segment).*column;
      const std::vector<std::int32_t> absent(values.empty() ? segment->tokens : 0, -1);
      const std::span<const std::int32_t> from = values.empty() ? std::span<const std::int32_t>(absent) : values.values;
      if (auto ok = out_.write(std::as_bytes(from)); !ok) return ok;
    }
    return {};
  }

  template <typename T>
  Expected<void> whole(const char* name, DType type, const std::vector<std::uint64_t>& shape,
                       std::span<const T> values) {
    if (auto ok = out_.begin(name, type, shape); !ok) return ok;
    return out_.write(std::as_bytes(values));
  }

 private:
  const Trace& trace_;
  NpzWriter& out_;
  const WorkContext& work_;
};

struct Ids {
  std::int32_t absent = -1;
  void operator()(const Segment& segment, std::size_t row, std::size_t token, std::span<std::int32_t> to) const {
    for (std::size_t s = 0; s < segment.filled(row, token); ++s)
      to[s] = static_cast<std::int32_t>(segment.id(row, token, s));
  }
};

// Numbers of a column [row, token, width of the segment].
struct Numbers {
  float absent = std::numeric_limits<float>::quiet_NaN();
  FloatColumn Segment::*column;
  std::size_t Segment::*width;
  void operator()(const Segment& segment, std::size_t row, std::size_t token, std::span<float> to) const {
    const FloatColumn& values = segment.*column;
    const std::size_t n = segment.*width;
    if (!values.empty()) values.read((row * segment.tokens + token) * n, to.first(n));
  }
};

}  // namespace

Expected<void> export_npz(const Trace& trace, const std::filesystem::path& out, std::vector<std::string>& notes,
                          const WorkContext& work) {
  auto writer = NpzWriter::create(out);
  if (!writer) return fail(writer.error());
  Arrays arrays(trace, *writer, work);
  std::vector<std::int32_t> layers, experts;
  for (const RouterRow& row : trace.rows()) {
    layers.push_back(row.layer);
    experts.push_back(static_cast<std::int32_t>(row.experts));
  }
  std::size_t logits = 0;
  for (const auto& segment : trace.segments) logits = std::max(logits, segment->logit_width);
  const std::vector<std::uint64_t> rows{layers.size()};
  auto ok = arrays.whole<std::int32_t>("layer", DType::i32, rows, layers);
  if (ok) ok = arrays.whole<std::int32_t>("experts", DType::i32, rows, experts);
  if (ok && trace.has_ids()) ok = arrays.by_row<std::int32_t>("expert_ids", DType::i32, trace.max_slots(), Ids{});
  if (ok && trace.has_gate_weights()) {
    ok =
        arrays.by_row<float>("gate_weights", DType::f32, trace.max_slots(),
                             Numbers{std::numeric_limits<float>::quiet_NaN(), &Segment::gate_weights, &Segment::slots});
  }
  if (ok && trace.has_router_logits()) {
    ok = arrays.by_row<float>(
        "router_logits", DType::f32, logits,
        Numbers{std::numeric_limits<float>::quiet_NaN(), &Segment::router_logits, &Segment::logit_width});
  }
  if (ok) ok = arrays.by_token("token_ids", &Segment::token_ids);
  if (ok) ok = arrays.by_token("sequence_ids", &Segment::sequence_ids);
  if (ok) ok = arrays.by_token("positions", &Segment::positions);
  if (ok && !trace.counts.empty()) {
    ok = arrays.whole<std::int64_t>("expert_counts", DType::i64,
                                    {trace.counts.steps, trace.counts.rows, trace.counts.emax},
                                    trace.counts.values.values);
  }
  if (!ok) return ok;
  notes.emplace_back("Tags, text and the source's own statements are not in this format.");
  return writer->finish();
}

}  // namespace moescope
