#include "core/trace/filter_evaluator.h"

#include <fmt/format.h>

#include <array>
#include <cmath>

#include "core/trace/filter_values.h"
#include "core/trace/token_uses.h"

namespace moescope {
namespace {

using Bits = std::vector<std::uint64_t>;
using Op = FilterOp;

// The literals as the column's type has them: 0.1 in a filter equals 0.1 in a float column.
FilterComparison as_floats(FilterComparison c) {
  for (double& number : c.numbers) number = static_cast<double>(static_cast<float>(number));
  return c;
}

// Bytes of a token as Trace::token_text() gives them, without a copy; empty when not known.
std::string_view text_of(const Trace& trace, const Segment& s, std::size_t t) {
  if (!s.text_spans.empty()) {
    const std::int64_t begin = s.text_spans[2 * t];
    const std::int64_t end = s.text_spans[2 * t + 1];
    if (begin >= 0 && end >= begin && static_cast<std::size_t>(end) <= trace.text.size()) {
      return {reinterpret_cast<const char*>(trace.text.values.data()) + begin, static_cast<std::size_t>(end - begin)};
    }
  }
  if (s.token_ids.empty()) return {};
  const auto found = trace.vocabulary.find(s.token_ids[t]);
  return found == trace.vocabulary.end() ? std::string_view{} : std::string_view(found->second);
}

// Evaluates comparisons column by column into one bit per token.
class Evaluator {
 public:
  explicit Evaluator(const Trace& trace) : trace_(trace), tokens_(trace.token_count()) {}

  // Depth is bounded by the parser.
  Expected<Bits> run(const FilterNode& node) {
    switch (node.kind) {
      case FilterNode::Kind::all:
        return all();
      case FilterNode::Kind::comparison:
        return comparison(node.comparison);
      case FilterNode::Kind::uses:
        return uses(node.comparison);
      case FilterNode::Kind::not_of: {
        auto bits = run(node.children[0]);
        if (!bits) return bits;
        for (std::uint64_t& word : *bits) word = ~word;
        clear_tail(*bits);
        return bits;
      }
      case FilterNode::Kind::and_of:
      case FilterNode::Kind::or_of:
        break;
    }
    auto bits = run(node.children[0]);
    for (std::size_t i = 1; bits && i < node.children.size(); ++i) {
      auto next = run(node.children[i]);
      if (!next) return next;
      for (std::size_t w = 0; w < bits->size(); ++w) {
        (*bits)[w] = node.kind == FilterNode::Kind::and_of ? (*bits)[w] & (*next)[w] : (*bits)[w] | (*next)[w];
      }
    }
    return bits;
  }

  [[nodiscard]] Bits all() const {
    Bits bits((tokens_ + 63) / 64, ~std::uint64_t{0});
    clear_tail(bits);
    return bits;
  }

 private:
  void clear_tail(Bits& bits) const {
    if (tokens_ % 64 != 0) bits.back() &= (std::uint64_t{1} << (tokens_ % 64)) - 1;
  }

  // One bit per token from `test_of(segment)`, which gives a test of a token of that segment.
  template <typename F>
  Bits each(F test_of) const {
    Bits bits((tokens_ + 63) / 64);
    std::size_t at = 0;
    for (const auto& segment : trace_.segments) {
      auto test = test_of(*segment);
      for (std::size_t t = 0; t < segment->tokens; ++t, ++at) {
        bits[at >> 6U] |= static_cast<std::uint64_t>(test(t)) << (at & 63U);
      }
    }
    return bits;
  }

  Expected<void> need_numbers(const FilterComparison& c) const {
    if (!c.numbers.empty()) return {};
    return filter_problem(c.column, fmt::format("'{}' is a number and was compared with a text", c.name),
                          "Compare it with a number, without quotes");
  }
  Expected<void> need_texts(const FilterComparison& c) const {
    const bool op_fits = c.op == Op::equal || c.op == Op::not_equal || c.op == Op::in_set || c.op == Op::contains;
    if (!c.strings.empty() && op_fits) return {};
    return filter_problem(c.column, fmt::format("'{}' is a text", c.name),
                          "Compare it with ==, !=, contains or in {…} and a text in quotes");
  }
  [[nodiscard]] Unexpected not_recorded(const FilterComparison& c) const {
    return filter_problem(c.column, fmt::format("this trace did not record '{}'", c.name), "Leave this term out");
  }

  Expected<Bits> comparison(const FilterComparison& c) {
    const auto tags = tags_of(trace_);
    // What the trace calls its own tag wins over a built-in term of that name.
    if (tags.contains(c.name)) return tag(c, c.name);
    if (c.name.starts_with("tags.") && tags.contains(c.name.substr(5))) return tag(c, c.name.substr(5));
    if (c.name == "token") return token_index(c);
    if (c.name == "text") return text(c);
    if (c.name == "phase") return phase(c);
    if (c.name == "stream") return stream(c);
    if (c.name == "loss") return token_value(c, "loss");
    if (c.name.starts_with("token.")) return token_value(c, c.name.substr(6));
    for (const NumberColumn& column : number_columns) {
      if (c.name == column.name) return number(c, column.column);
    }
    std::string known =
        tags.empty() ? "This trace has no tags" : fmt::format("Tags of this trace: {}", fmt::join(tags, ", "));
    known += "; terms of every trace: sequence, position, token, id, text, loss, phase, layer, uses(row, expert)";
    return filter_problem(c.column, fmt::format("there is no tag or term '{}'", c.name), std::move(known));
  }

  // Tokens with any of the experts at the row.
  Expected<Bits> uses(const FilterComparison& c) const {
    if (!trace_.has_ids()) return not_recorded(c);
    const auto& rows = trace_.rows();
    if (c.numbers[0] >= static_cast<double>(rows.size())) {
      return filter_problem(c.column, fmt::format("there is no router row {}", c.numbers[0]),
                            fmt::format("Rows are 0 to {}", rows.size() - 1));
    }
    const auto row = static_cast<std::uint32_t>(c.numbers[0]);
    Bits bits((tokens_ + 63) / 64);
    for (std::size_t i = 1; i < c.numbers.size(); ++i) {
      if (c.numbers[i] >= rows[row].experts) {
        return filter_problem(c.column, fmt::format("router row {} has no expert {}", row, c.numbers[i]),
                              fmt::format("Its experts are 0 to {}", rows[row].experts - 1));
      }
      const Bits one = tokens_using(trace_, row, static_cast<std::uint32_t>(c.numbers[i]));
      for (std::size_t w = 0; w < bits.size(); ++w) bits[w] |= one[w];
    }
    return bits;
  }

  Expected<Bits> token_index(const FilterComparison& c) const {
    if (auto ok = need_numbers(c); !ok) return fail(ok.error());
    double index = -1;
    return each([&](const Segment&) { return [&](std::size_t) { return holds(c, ++index); }; });
  }

  Expected<Bits> number(const FilterComparison& c, Column<std::int32_t> Segment::*column) const {
    if (!recorded(trace_, column)) return not_recorded(c);
    if (auto ok = need_numbers(c); !ok) return fail(ok.error());
    return each([&](const Segment& s) {
      return
          [&c, &values = s.*column](std::size_t t) { return !values.empty() && values[t] >= 0 && holds(c, values[t]); };
    });
  }

  Expected<Bits> token_value(const FilterComparison& stated, const std::string& name) const {
    if (!token_values_of(trace_).contains(name)) return not_recorded(stated);
    if (auto ok = need_numbers(stated); !ok) return fail(ok.error());
    const FilterComparison c = as_floats(stated);
    return each([&](const Segment& s) {
      const auto found = s.token_values.find(name);
      const FloatColumn* const column = found == s.token_values.end() ? nullptr : &found->second;
      return [&c, column](std::size_t t) {
        const float value = column == nullptr ? std::nanf("") : column->at(t);
        return !std::isnan(value) && holds(c, static_cast<double>(value));
      };
    });
  }

  Expected<Bits> text(const FilterComparison& c) const {
    if (!has_text(trace_)) return not_recorded(c);
    if (auto ok = need_texts(c); !ok) return fail(ok.error());
    return each([&](const Segment& s) {
      return [&](std::size_t t) {
        const std::string_view bytes = text_of(trace_, s, t);
        return !bytes.empty() && holds(c, bytes);
      };
    });
  }

  // Codes with names: by number or by name.
  Expected<Bits> coded(const FilterComparison& c, Column<std::uint8_t> Segment::*column,
                       std::span<const std::string> names) const {
    if (!recorded(trace_, column)) return not_recorded(c);
    if (c.numbers.empty()) {
      if (auto ok = need_texts(c); !ok) return fail(ok.error());
    }
    std::array<bool, 256> wanted{};  // 255 is "not recorded"
    for (std::size_t code = 0; code < 255; ++code) {
      wanted[code] =
          c.numbers.empty() ? code < names.size() && holds(c, names[code]) : holds(c, static_cast<double>(code));
    }
    return each([&](const Segment& s) {
      return [&wanted, &codes = s.*column](std::size_t t) { return !codes.empty() && wanted[codes[t]]; };
    });
  }
  Expected<Bits> phase(const FilterComparison& c) const {
    static const std::vector<std::string> names(std::begin(phase_names), std::end(phase_names));
    return coded(c, &Segment::phases, names);
  }
  Expected<Bits> stream(const FilterComparison& c) const {
    return coded(c, &Segment::streams, trace_.info->stream_names);
  }

  Expected<Bits> tag(const FilterComparison& c, const std::string& name) const {
    bool texts = false;
    std::set<std::string> values;
    for (const auto& segment : trace_.segments) {
      const auto found = segment->tags.find(name);
      if (found == segment->tags.end() || found->second.codes.empty()) continue;
      texts = true;
      values.insert(found->second.names.begin(), found->second.names.end());
    }
    if (!texts) return tag_number(as_floats(c), name);
    if (auto ok = need_texts(c); !ok) return fail(ok.error());
    for (const std::string& wanted : c.strings) {
      if (c.op == Op::contains || values.contains(wanted)) continue;
      return filter_problem(c.column, fmt::format("the tag '{}' has no value \"{}\"", name, wanted),
                            fmt::format("Its values: {}", fmt::join(values, ", ")));
    }
    return each([&](const Segment& s) {
      const auto found = s.tags.find(name);
      const TagColumn* const column = found == s.tags.end() ? nullptr : &found->second;
      std::vector<bool> wanted(column == nullptr ? 0 : column->names.size());
      for (std::size_t code = 0; code < wanted.size(); ++code) wanted[code] = holds(c, column->names[code]);
      return [column, wanted = std::move(wanted)](std::size_t t) {
        if (column == nullptr || column->codes.empty()) return false;
        const std::int32_t code = column->codes[t];
        return code >= 0 && static_cast<std::size_t>(code) < wanted.size() && wanted[static_cast<std::size_t>(code)];
      };
    });
  }

  Expected<Bits> tag_number(const FilterComparison& c, const std::string& name) const {
    if (auto ok = need_numbers(c); !ok) return fail(ok.error());
    return each([&](const Segment& s) {
      const auto found = s.tags.find(name);
      const Column<float>* const column = found == s.tags.end() ? nullptr : &found->second.numbers;
      return [&c, column](std::size_t t) {
        return column != nullptr && !column->empty() && !std::isnan((*column)[t]) &&
               holds(c, static_cast<double>((*column)[t]));
      };
    });
  }

  const Trace& trace_;
  std::size_t tokens_;
};

}  // namespace

Expected<std::vector<std::uint64_t>> evaluate_filter(const Trace& trace, const FilterNode& filter) {
  return Evaluator(trace).run(filter);
}

}  // namespace moescope
