// The token map: a stretch of the trace from left to right, its layers or the experts of one layer from top to bottom,
// in as few cells as there are pixels. Tokens view. Pure functions: any thread.
#pragma once

#include <cstdint>

#include "core/figure/figure_builder.h"
#include "core/trace/selection.h"

namespace moescope {

// Tokens that a map shows.
struct TokenRange {
  std::uint64_t first = 0, count = 0;
  bool operator==(const TokenRange&) const = default;
};
// The range enlarged (factor > 1) or reduced about the token at `at`, 0..1 of its width, kept inside the trace and at
// least `fewest` tokens long.
[[nodiscard]] MOESCOPE_API TokenRange zoomed(TokenRange range, double at, double factor, std::uint64_t total,
                                             std::uint64_t fewest = 32);
// The range moved by a part of its width, kept inside the trace.
[[nodiscard]] MOESCOPE_API TokenRange panned(TokenRange range, double by, std::uint64_t total);

// Where the tokens of a map lie in a figure of this width, in pixels. Names of experts are wider than those of layers.
struct MapSpan {
  double x0 = 0, x1 = 0;
};
[[nodiscard]] MOESCOPE_API MapSpan token_map_span(double width, bool experts);
// Most cells that a figure of this size draws.
[[nodiscard]] MOESCOPE_API std::uint64_t token_map_columns(double width);
[[nodiscard]] MOESCOPE_API std::uint64_t token_map_rows(double height);

struct TokenMapOptions {
  TokenRange range;       // drawn; cells of the Result that lie beside it are left out
  std::uint32_t row = 0;  // of the view, marked where rows are layers
  TokenRange view;        // framed as the visible part; count 0 = none
};
// `map` is a Result of `token_map`. A click on a cell gives its first token.
[[nodiscard]] MOESCOPE_API Figure token_map_figure(const ResultPtr& map, const TokenMapOptions& options,
                                                   const Selection& selection, double width, double height);

}  // namespace moescope
