// The filter grammar as a tree: what resources/help/filter.md says, without any trace. Used by apply_filter(); any
// thread.
//   filter     = or ; or = and { "||" and } ; and = unary { "&&" unary }
//   unary      = "!" unary | "(" or ")" | uses | comparison
//   uses       = "uses" "(" number "," ( number | "{" number { "," number } "}" ) ")"
//   comparison = name ( "==" | "!=" | "<" | "<=" | ">" | ">=" ) value
//              | name "in" value ".." value | name "in" "{" value { "," value } "}" | name "contains" string
//   value      = number | string ; name = word | string
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "core/base/error.h"

namespace moescope {

enum class FilterOp { equal, not_equal, less, less_equal, greater, greater_equal, in_range, in_set, contains };

struct FilterComparison {
  std::string name;
  FilterOp op = FilterOp::equal;
  std::vector<double> numbers;       // in_range: two, both ends included; in_set: any number
  std::vector<std::string> strings;  // exactly one of the two lists is filled
  std::size_t column = 0;            // of the name, counted in characters from 1
};

struct FilterNode {
  enum class Kind { all, comparison, uses, not_of, and_of, or_of };
  Kind kind = Kind::all;
  FilterComparison comparison;  // of uses: the row, then its experts
  std::vector<FilterNode> children;
  std::size_t column = 0;
};

// An empty text is Kind::all. Errors (usage): the column, what stands there and what was expected; too long or too
// deep.
[[nodiscard]] Expected<FilterNode> parse_filter(std::string_view text);

// The error of a place in a filter.
[[nodiscard]] Unexpected filter_problem(std::size_t column, std::string what, std::string advice);

}  // namespace moescope
