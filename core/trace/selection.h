// Selection and Filter as values: what the user has picked out, and which tokens count. Held by the workbench, read by
// every view; analyses take a TokenMask. Plain data: any thread.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "core/base/error.h"
#include "core/base/export.h"
#include "core/base/ids.h"
#include "core/trace/trace.h"

namespace moescope {

// What is picked out; the same in every view.
struct Selection {
  std::vector<ExpertRef> experts;      // in the order of clicking; the last is the current one
  std::optional<LinkRef> link;         // a link of the affinity view
  std::optional<std::uint64_t> token;  // token of the whole trace
  [[nodiscard]] bool empty() const { return experts.empty() && !link && !token; }
  bool operator==(const Selection&) const = default;
};

// Which tokens count: one bit per token of a trace snapshot. Empty bits = all tokens.
struct TokenMask {
  std::vector<std::uint64_t> bits;
  std::size_t tokens = 0;
  std::size_t selected = 0;

  [[nodiscard]] bool all() const { return bits.empty(); }
  [[nodiscard]] bool test(std::size_t token) const {
    return bits.empty() || ((bits[token >> 6U] >> (token & 63U)) & 1U) != 0;
  }
};

// A filter: its text, and the rows it keeps if it names layers. `domain == "code" && position < 128 && layer in 2..5`.
// The grammar (resources/help/filter.md): comparisons of tag names, sequence, position, token, text, loss, phase, layer
// with ==, !=, <, <=, >, >=, `in a..b`, `in {a, b}`, `contains`; combined with &&, ||, ! and parentheses.
// Terms on `layer` choose rows and may only be joined to the rest by &&.
struct Filter {
  std::string text;                 // empty = everything
  std::vector<std::uint32_t> rows;  // empty = all rows
  [[nodiscard]] bool operator==(const Filter&) const = default;
};

// A filter applied to one trace.
struct AppliedFilter {
  Filter filter;
  TokenMask mask;
};

// Parses and evaluates `text` on a trace. Errors (usage): a column and what was expected there, an unknown tag with the
// tags there are. A term on something the trace did not record is an error that says so.
[[nodiscard]] MOESCOPE_API Expected<AppliedFilter> apply_filter(const Trace& trace, const std::string& text);

// Names that a filter on this trace may use, for completion: tags, then the built-in terms, with their values.
struct FilterTerm {
  std::string name;
  std::string kind;  // "tag", "number", "text", "function"
  std::vector<std::string> values;
};
[[nodiscard]] MOESCOPE_API std::vector<FilterTerm> filter_terms(const Trace& trace);

}  // namespace moescope
