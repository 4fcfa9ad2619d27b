#include "core/trace/trace_layout.h"

#include <algorithm>
#include <limits>

#include "core/trace/trace_columns.h"

namespace moescope {
namespace {

DType type_of(FloatColumn::Type type) {
  switch (type) {
    case FloatColumn::Type::f32:
      return DType::f32;
    case FloatColumn::Type::f16:
      return DType::f16;
    case FloatColumn::Type::bf16:
      return DType::bf16;
    case FloatColumn::Type::u8:
      return DType::u8;
    case FloatColumn::Type::u16:
      return DType::u16;
    case FloatColumn::Type::i32:
      return DType::i32;
  }
  return DType::f32;
}

class ColumnList {
 public:
  explicit ColumnList(const Segment& segment) : segment_(segment) {}

  template <typename T>
  void add(std::string name, DType type, bool by_row, std::vector<std::uint64_t> tail, const Column<T>& column) {
    if (column.empty()) return;
    columns_.push_back({std::move(name), type, by_row, std::move(tail), std::as_bytes(column.values), column.owner});
  }
  void add(std::string name, bool by_row, std::vector<std::uint64_t> tail, const FloatColumn& column) {
    if (column.empty()) return;
    columns_.push_back({std::move(name), type_of(column.type), by_row, std::move(tail), column.bytes, column.owner});
  }

  void add_tag(const std::string& name, const TagColumn& tag, std::size_t names) {
    if (!tag.numbers.empty()) add("tags." + name, DType::f32, false, {}, tag.numbers);
    if (tag.codes.empty()) return;
    if (names <= std::numeric_limits<std::uint8_t>::max()) {
      add("tags." + name, DType::u8, false, {}, narrowed<std::uint8_t>(tag.codes));
    } else if (names <= std::numeric_limits<std::uint16_t>::max()) {
      add("tags." + name, DType::u16, false, {}, narrowed<std::uint16_t>(tag.codes));
    } else {
      add("tags." + name, DType::i32, false, {}, tag.codes);
    }
  }

  void add_ids(const IdLayout& layout) {
    if (!segment_.has_ids()) return;
    if (layout.with_used) add("used", DType::u8, true, {}, segment_.used.empty() ? derived_used() : segment_.used);
    const std::vector<std::uint64_t> tail{segment_.slots};
    if (layout.type == DType::u8) {
      add("expert_ids", DType::u8, true, tail,
          segment_.ids8.empty() ? narrowed<std::uint8_t>(segment_.ids16) : segment_.ids8);
    } else {
      add("expert_ids", DType::u16, true, tail, segment_.ids16.empty() ? widened() : segment_.ids16);
    }
  }

  std::vector<LayoutColumn> take() { return std::move(columns_); }

 private:
  // All ones stays all ones.
  template <typename To, typename From>
  static Column<To> narrowed(const Column<From>& from) {
    std::vector<To> out(from.size());
    std::transform(from.values.begin(), from.values.end(), out.begin(), [](From v) { return static_cast<To>(v); });
    return Column<To>::own(std::move(out));
  }
  // One-byte ids in two bytes: what is not filled becomes all ones there too.
  [[nodiscard]] Column<std::uint16_t> widened() const {
    std::vector<std::uint16_t> out(segment_.ids8.size(), 0xFFFF);
    for (std::size_t r = 0; r < segment_.rows; ++r) {
      for (std::size_t t = 0; t < segment_.tokens; ++t) {
        const std::size_t at = (r * segment_.tokens + t) * segment_.slots;
        for (std::size_t s = 0; s < segment_.filled(r, t); ++s) out[at + s] = segment_.ids8[at + s];
      }
    }
    return Column<std::uint16_t>::own(std::move(out));
  }
  [[nodiscard]] Column<std::uint8_t> derived_used() const {
    std::vector<std::uint8_t> out(segment_.rows * segment_.tokens);
    for (std::size_t r = 0; r < segment_.rows; ++r) {
      for (std::size_t t = 0; t < segment_.tokens; ++t) out[r * segment_.tokens + t] = segment_.used_at(r, t);
    }
    return Column<std::uint8_t>::own(std::move(out));
  }

  const Segment& segment_;
  std::vector<LayoutColumn> columns_;
};

}  // namespace

std::size_t LayoutColumn::item_bytes() const {
  return static_cast<std::size_t>(byte_size(type, tail).value_or(0));
}

std::vector<LayoutColumn> columns_of(const Segment& segment, const TraceInfo& info, const IdLayout& ids) {
  const Segment& s = segment;
  ColumnList list(s);
  list.add("text_spans", DType::i64, false, {2}, s.text_spans);
  list.add("token_ids", DType::i32, false, {}, s.token_ids);
  list.add("sequence_ids", DType::i32, false, {}, s.sequence_ids);
  list.add("positions", DType::i32, false, {}, s.positions);
  list.add("steps", DType::i32, false, {}, s.steps);
  list.add("ranks", DType::i32, false, {}, s.ranks);
  list.add("epochs", DType::i32, false, {}, s.epochs);
  list.add("phases", DType::u8, false, {}, s.phases);
  list.add("streams", DType::u8, false, {}, s.streams);
  for (const auto& [name, tag] : s.tags) {
    const auto names = info.tag_names.find(name);
    list.add_tag(name, tag, names == info.tag_names.end() ? tag.names.size() : names->second.size());
  }
  for (const auto& [name, values] : s.token_values) list.add("token." + name, false, {}, values);
  list.add_ids(ids);
  const std::vector<std::uint64_t> slots{s.slots};
  const std::vector<std::uint64_t> logits{s.logit_width};
  list.add("gate_weights", true, slots, s.gate_weights);
  for (const auto& [name, values] : s.row_values) list.add("row." + name, true, {}, values);
  for (const auto& [name, values] : s.slot_values) list.add("slot." + name, true, slots, values);
  list.add("router_logits", true, logits, s.router_logits);
  list.add("selection_scores", true, logits, s.selection_scores);
  if (s.tokens > 0) list.add("output_logits", false, {s.output_logits.size() / s.tokens}, s.output_logits);
  return list.take();
}

LayoutColumn widened_column(const LayoutColumn& column) {
  TensorView view;
  view.type = column.type;
  view.bytes = column.bytes;
  LayoutColumn out = column;
  const auto numbers = float_column_of(view);
  if (!numbers) return out;
  std::vector<float> floats(numbers->size());
  numbers->read(0, floats);
  const auto owned = FloatColumn::own(std::move(floats));
  out.type = DType::f32;
  out.bytes = owned.bytes;
  out.owner = owned.owner;
  return out;
}

std::uint32_t widest_row(const Trace& trace) {
  std::uint32_t widest = 0;
  for (const RouterRow& row : trace.rows()) widest = std::max(widest, row.experts);
  return trace.info->physical_ids ? std::max(widest, static_cast<std::uint32_t>(trace.placement.physical)) : widest;
}

}  // namespace moescope
