#include "core/trace/filter_values.h"

namespace moescope {

using Op = FilterOp;

bool holds(const FilterComparison& c, double value) {
  switch (c.op) {
    case Op::equal:
      return value == c.numbers[0];
    case Op::not_equal:
      return value != c.numbers[0];
    case Op::less:
      return value < c.numbers[0];
    case Op::less_equal:
      return value <= c.numbers[0];
    case Op::greater:
      return value > c.numbers[0];
    case Op::greater_equal:
      return value >= c.numbers[0];
    case Op::in_range:
      return value >= c.numbers[0] && value <= c.numbers[1];
    case Op::in_set:
      return std::find(c.numbers.begin(), c.numbers.end(), value) != c.numbers.end();
    case Op::contains:
      return false;
  }
  return false;
}

bool holds(const FilterComparison& c, std::string_view text) {
  switch (c.op) {
    case Op::equal:
      return text == c.strings[0];
    case Op::not_equal:
      return text != c.strings[0];
    case Op::in_set:
      return std::find(c.strings.begin(), c.strings.end(), text) != c.strings.end();
    case Op::contains:
      return text.find(c.strings[0]) != std::string_view::npos;
    default:
      return false;
  }
}

std::set<std::string> tags_of(const Trace& trace) {
  std::set<std::string> out;
  for (const auto& segment : trace.segments) {
    for (const auto& [name, column] : segment->tags) out.insert(name);
  }
  return out;
}

std::set<std::string> token_values_of(const Trace& trace) {
  std::set<std::string> out;
  for (const auto& segment : trace.segments) {
    for (const auto& [name, column] : segment->token_values) out.insert(name);
  }
  return out;
}

bool has_text(const Trace& trace) {
  return (recorded(trace, &Segment::text_spans) && !trace.text.empty()) ||
         (recorded(trace, &Segment::token_ids) && !trace.vocabulary.empty());
}

}  // namespace moescope
