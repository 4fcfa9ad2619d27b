// What filters know of a trace: its tags, its values per token, which columns it recorded; and what a comparison means
// for one value. Used by the evaluator and by filter_terms(); any thread.
#pragma once

#include <algorithm>
#include <set>
#include <string>
#include <string_view>

#include "core/trace/filter_parser.h"
#include "core/trace/trace.h"

namespace moescope {

// Whole-number columns by the name that filters use. Negative values stand for "not recorded".
struct NumberColumn {
  const char* name;
  Column<std::int32_t> Segment::*column;
};
inline constexpr NumberColumn number_columns[] = {{"sequence", &Segment::sequence_ids},
                                                  {"position", &Segment::positions},
                                                  {"id", &Segment::token_ids},
                                                  {"step", &Segment::steps},
                                                  {"rank", &Segment::ranks},
                                                  {"epoch", &Segment::epochs}};
inline constexpr const char* phase_names[] = {"prefill", "decode"};

// Whether a value passes a comparison. The evaluator has checked that the literals are of the value's kind.
[[nodiscard]] bool holds(const FilterComparison& c, double value);
[[nodiscard]] bool holds(const FilterComparison& c, std::string_view text);

// Names of tags and of values per token that any segment has.
[[nodiscard]] std::set<std::string> tags_of(const Trace& trace);
[[nodiscard]] std::set<std::string> token_values_of(const Trace& trace);
// Whether texts of tokens are known.
[[nodiscard]] bool has_text(const Trace& trace);

// Whether any segment has a column.
template <typename T>
[[nodiscard]] bool recorded(const Trace& trace, Column<T> Segment::*column) {
  return std::any_of(trace.segments.begin(), trace.segments.end(),
                     [&](const auto& s) { return !((*s).*column).empty(); });
}

}  // namespace moescope
