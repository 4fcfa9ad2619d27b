#include "core/trace/trace_hash.h"

#include <fmt/format.h>

#include "core/base/hash.h"
#include "core/trace/trace_metadata.h"

namespace moescope {
namespace {

class TraceHasher {
 public:
  template <typename T>
  void column(std::string_view name, const Column<T>& column) {
    bytes(name, std::as_bytes(column.values));
  }
  void column(std::string_view name, const FloatColumn& column) {
    bytes(fmt::format("{}/{}", name, static_cast<int>(column.type)), column.bytes);
  }
  // Name and length first, so that no two different traces give the same stream of bytes.
  void bytes(std::string_view name, std::span<const std::byte> data) {
    if (data.empty()) return;
    hasher_.add(fmt::format("{}:{};", name, data.size()));
    hasher_.add(data);
  }
  void text(std::string_view name, std::string_view data) {
    bytes(name, std::as_bytes(std::span(data.data(), data.size())));
  }
  [[nodiscard]] std::string hex() const { return hasher_.hex(); }

 private:
  Hasher hasher_;
};

void add_segment(TraceHasher& hasher, const Segment& s) {
  hasher.text("segment", fmt::format("{} {} {} {}", s.rows, s.tokens, s.slots, s.logit_width));
  hasher.column("ids8", s.ids8);
  hasher.column("ids16", s.ids16);
  hasher.column("used", s.used);
  hasher.column("gate_weights", s.gate_weights);
  hasher.column("router_logits", s.router_logits);
  hasher.column("selection_scores", s.selection_scores);
  hasher.column("output_logits", s.output_logits);
  hasher.column("token_ids", s.token_ids);
  hasher.column("sequence_ids", s.sequence_ids);
  hasher.column("positions", s.positions);
  hasher.column("steps", s.steps);
  hasher.column("ranks", s.ranks);
  hasher.column("epochs", s.epochs);
  hasher.column("phases", s.phases);
  hasher.column("streams", s.streams);
  hasher.column("text_spans", s.text_spans);
  for (const auto& [name, tag] : s.tags) {
    hasher.column("tags." + name, tag.codes);
    hasher.column("tags." + name, tag.numbers);
  }
  for (const auto& [name, values] : s.slot_values) hasher.column("slot." + name, values);
  for (const auto& [name, values] : s.row_values) hasher.column("row." + name, values);
  for (const auto& [name, values] : s.token_values) hasher.column("token." + name, values);
}

}  // namespace

std::string hash_trace(const Trace& trace) {
  TraceHasher hasher;
  hasher.text("info", trace_metadata_text(*trace.info));
  for (const auto& segment : trace.segments) add_segment(hasher, *segment);
  hasher.text("counts", fmt::format("{} {} {}", trace.counts.steps, trace.counts.rows, trace.counts.emax));
  hasher.column("counts", trace.counts.values);
  hasher.column("placement", trace.placement.values);
  hasher.column("text", trace.text);
  for (const auto& [id, bytes] : trace.vocabulary) hasher.text(fmt::format("vocab {}", id), bytes);
  return hasher.hex();
}

}  // namespace moescope
