// Trace: a columnar record of one run of one model. Made by readers, the trace file and engines; read by analyses,
// views and reports. A Trace is a list of immutable segments, so copies are cheap snapshots that any thread may read;
// a live run appends whole segments and hands out a new snapshot.
// Axes: row = a router in execution order (dense layers have none); token = recorded order; slot = 0..slots-1.
// What a source does not know is an empty column, never zeros (see resources/help/trace-file.md).
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "core/base/error.h"
#include "core/base/export.h"
#include "core/io/tensor_view.h"

namespace moescope {

// One router of the model.
struct RouterRow {
  int layer = 0;                   // absolute layer of the model
  std::string block = "decoder";   // encoder | decoder | mtp
  std::string site = "mlp";        // mlp | attention
  std::string stream;              // name of the token stream it sees; empty = all
  std::uint32_t experts = 0;       // E, null experts included
  std::uint32_t k = 0;             // experts chosen per token, 0 = varies or not known
  std::uint32_t shared = 0;        // shared experts, always on, never in the ids
  std::uint32_t null_experts = 0;  // the last ids of E that compute nothing
  std::string rule;                // the router rule in words
};

// Values of the `used` column above the number of filled slots.
namespace used_code {
inline constexpr std::uint8_t max_filled = 249;
inline constexpr std::uint8_t dropped = 250;
inline constexpr std::uint8_t not_recorded = 251;
inline constexpr std::uint8_t cached_prefix = 252;
inline constexpr std::uint8_t skipped_layer = 253;
inline constexpr std::uint8_t other_stream = 254;
}  // namespace used_code

// What the trace says about itself: the JSON of the file's metadata.
struct TraceInfo {
  std::vector<RouterRow> rows;
  bool physical_ids = false;
  bool rank_order = true;
  bool expert_choice = false;
  std::string weight_kind;   // "softmax, not renormalised", … empty = not known
  std::string compute_type;  // "float32", "bfloat16", … empty = not known
  std::string model_name, model_family, config_hash;
  std::string source_tool, source_file, source_hash, source_notes;
  std::map<std::string, std::vector<std::string>> tag_names;  // tag -> names of its codes
  std::optional<std::string> approximate;                     // why, if the routes are
  std::vector<std::string> notes;                             // what the reader found odd, shown to the user
  std::vector<std::string> unknown_tensors;                   // kept in the file, listed, not understood
  std::vector<std::string> stream_names;                      // of the codes in Segment::streams
  // JSON object of the fields that are not understood, each where it was found ("model" and "rows" keep theirs inside);
  // written again with the trace. Empty = none.
  std::string unknown_fields;
};

// A read-only array and whatever keeps its memory alive (a mapped file or a heap block). Empty = not recorded.
template <typename T>
struct Column {
  std::span<const T> values;
  std::shared_ptr<const void> owner;

  [[nodiscard]] bool empty() const { return values.empty(); }
  [[nodiscard]] std::size_t size() const { return values.size(); }
  const T& operator[](std::size_t i) const { return values[i]; }

  // Takes over a vector.
  static Column own(std::vector<T> data) {
    auto block = std::make_shared<const std::vector<T>>(std::move(data));
    return Column{std::span<const T>(*block), block};
  }
};

// Numbers in whichever type the file has them; at() widens to float. Narrow types keep mapped files mapped.
struct FloatColumn {
  enum class Type : std::uint8_t { f32, f16, bf16, u8, u16, i32 };
  Type type = Type::f32;
  std::span<const std::byte> bytes;
  std::shared_ptr<const void> owner;

  [[nodiscard]] bool empty() const { return bytes.empty(); }
  [[nodiscard]] std::size_t element_bytes() const {
    return type == Type::u8 ? 1 : type == Type::f32 || type == Type::i32 ? 4 : 2;
  }
  [[nodiscard]] std::size_t size() const { return bytes.size() / element_bytes(); }
  [[nodiscard]] MOESCOPE_API float at(std::size_t i) const;
  // Widens values [begin, begin + out.size()) into `out`.
  MOESCOPE_API void read(std::size_t begin, std::span<float> out) const;
  [[nodiscard]] MOESCOPE_API static FloatColumn own(std::vector<float> data);
};

// A tag of tokens: a code per token into names (all ones = untagged), or one number per token.
struct TagColumn {
  std::vector<std::string> names;  // empty for numeric tags
  Column<std::int32_t> codes;      // -1 = untagged
  Column<float> numbers;           // NaN = untagged
};

// A run of tokens. `tokens` is the second axis of every [row, token, …] column.
struct Segment {
  std::size_t rows = 0;
  std::size_t tokens = 0;
  std::size_t slots = 0;        // 0 when only counts are known
  std::size_t logit_width = 0;  // Emax of router_logits and selection_scores
  Column<std::uint8_t> ids8;    // [row, token, slot]; exactly one of ids8, ids16 is filled, or neither
  Column<std::uint16_t> ids16;  // all ones = unfilled slot (see `used`)
  Column<std::uint8_t> used;    // [row, token]; empty = see used_at()
  // [row]; 1 where all ones is an expert of the row (E = 256 in ids8) and, without `used`, only a token whose slots are
  // all ones is unfilled. Empty = nowhere.
  std::vector<std::uint8_t> all_ones_is_expert;
  FloatColumn gate_weights;      // [row, token, slot]; NaN = not recorded
  FloatColumn router_logits;     // [row, token, logit_width], NaN-padded
  FloatColumn selection_scores;  // same shape
  FloatColumn output_logits;     // [token, vocabulary]
  Column<std::int32_t> token_ids, sequence_ids, positions, steps, ranks, epochs;  // [token]
  Column<std::uint8_t> phases, streams;                                           // [token]
  Column<std::int64_t> text_spans;                  // [token, 2] byte range in Trace::text
  std::map<std::string, TagColumn> tags;            // [token]
  std::map<std::string, FloatColumn> slot_values;   // "output_norm": [row, token, slot]
  std::map<std::string, FloatColumn> row_values;    // "margin": [row, token]
  std::map<std::string, FloatColumn> token_values;  // "loss": [token]

  [[nodiscard]] bool has_ids() const { return !ids8.empty() || !ids16.empty(); }
  // Expert in a slot; the caller checks the slot against used_at(). Ids of a mapped file are not all checked when it is
  // opened (that would read every page), so an id may be E or more: never index a table of E entries with it. Either
  // use id_below() and a table of E + 1 entries whose last one collects the bad ids, or call check_ids() first.
  [[nodiscard]] std::uint32_t id(std::size_t row, std::size_t token, std::size_t slot) const {
    const std::size_t i = (row * tokens + token) * slots + slot;
    return ids8.empty() ? ids16[i] : ids8[i];
  }
  // id(), but at most `experts`.
  [[nodiscard]] std::uint32_t id_below(std::uint32_t experts, std::size_t row, std::size_t token,
                                       std::size_t slot) const {
    const std::uint32_t expert = id(row, token, slot);
    return expert < experts ? expert : experts;
  }
  // Filled slots of a token at a row (0..slots), or one of used_code. Without a `used` column: leading slots that are
  // not all ones, and not_recorded when there is none. Never more than `slots`, whatever a file says.
  [[nodiscard]] MOESCOPE_API std::uint8_t used_at(std::size_t row, std::size_t token) const;
  // Number of filled slots: used_at(), with every code counted as 0.
  [[nodiscard]] std::size_t filled(std::size_t row, std::size_t token) const {
    const std::uint8_t n = used_at(row, token);
    return n <= used_code::max_filled ? n : 0;
  }
};

// Counts per expert, for sources that only count: [step, row, emax].
struct ExpertCounts {
  std::size_t steps = 0, rows = 0, emax = 0;
  Column<std::int64_t> values;
  [[nodiscard]] bool empty() const { return values.empty(); }
};

// Which logical expert a physical id stands for: [epoch, row, physical id]. For traces with physical ids.
struct PlacementMap {
  std::size_t epochs = 0, rows = 0, physical = 0;
  Column<std::int32_t> values;
  [[nodiscard]] bool empty() const { return values.empty(); }
};

// The snapshot itself.
struct Trace {
  std::string name;          // shown to the user
  std::string path;          // of its file, as it was named when opened; empty = in memory only
  std::string content_hash;  // of the file or the run; the key of cached Results
  std::shared_ptr<const TraceInfo> info;
  std::vector<std::shared_ptr<const Segment>> segments;
  ExpertCounts counts;
  Column<std::uint8_t> text;                       // UTF-8 of all sequences
  std::map<std::int32_t, std::string> vocabulary;  // bytes of the token ids used
  std::function<std::optional<Error>()> fault;     // set for mapped files: tells whether the file was lost meanwhile
  PlacementMap placement;                          // physical_to_logical
  std::vector<TensorView> unknown;                 // tensors of the file that are not understood, kept for writing

  [[nodiscard]] const std::vector<RouterRow>& rows() const { return info->rows; }
  [[nodiscard]] MOESCOPE_API std::size_t token_count() const;
  [[nodiscard]] MOESCOPE_API bool has_ids() const;
  [[nodiscard]] MOESCOPE_API bool has_router_logits() const;
  [[nodiscard]] MOESCOPE_API bool has_gate_weights() const;
  [[nodiscard]] MOESCOPE_API bool has_token_value(const std::string& name) const;
  [[nodiscard]] MOESCOPE_API std::size_t max_slots() const;
  // Segment and offset in it of a token of the whole trace.
  struct Place {
    const Segment* segment = nullptr;
    std::size_t token = 0;
  };
  [[nodiscard]] MOESCOPE_API Place locate(std::size_t token) const;
  // Bytes of a token: from the text where spans are known, else from the vocabulary, else "#id".
  [[nodiscard]] MOESCOPE_API std::string token_text(std::size_t token) const;
  // The same for pictures of text, where a token of a trace without text and ids is called by its position: " 17".
  [[nodiscard]] MOESCOPE_API std::string token_label(std::size_t token) const;
  // The error of a file that was lost while mapped, if any; analyses ask before they return.
  [[nodiscard]] std::optional<Error> source_fault() const { return fault ? fault() : std::nullopt; }
};

// Reads every id of `row` (all rows if empty) once. Error (input) naming row, token and slot of the first filled slot
// whose id is not an expert of its row (a physical one where ids are physical).
[[nodiscard]] MOESCOPE_API Expected<void> check_ids(const Trace& trace, std::optional<std::size_t> row = std::nullopt);

}  // namespace moescope
