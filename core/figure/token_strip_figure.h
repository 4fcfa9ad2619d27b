// Tokens as columns and rows of routers below them: each cell holds the expert at the chosen rank, shaded by its gate
// weight. Two sizes: a readable strip with columns as wide as their token, and an overview with many narrow columns.
// Experts and Tokens views. Pure functions: any thread.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "core/figure/figure_builder.h"
#include "core/trace/selection.h"

namespace moescope {

struct TokenStripOptions {
  std::vector<std::string> texts;    // bytes of each token; empty = the column names of the Result
  std::vector<std::uint32_t> rows;   // rows that a filter keeps; empty = all. The others are drawn without colour
  std::uint64_t all_tokens = 0;      // length of the whole trace, for the minimap; 0 = no minimap
  std::vector<std::uint64_t> marks;  // tokens of the whole trace to tick in the minimap: where the selection fires
};

// `routes` is a Result of `token_routes` (matrices expert, weight and margin [row × token]); its first token is taken
// from the parameters. Columns that do not fit are left out, never squeezed; `shown` tells how many were drawn.
// Cells where a selected expert fires are ringed; the selected token's column is framed.
[[nodiscard]] MOESCOPE_API Figure token_strip_figure(const ResultPtr& routes, const TokenStripOptions& options,
                                                     const Selection& selection, double width, double height,
                                                     std::size_t* shown = nullptr);

// The overview: every token of `routes` as a narrow column; the row of the current selection (or `row`) by its experts
// in categorical colours, the others by gate weight. `categories` maps an expert of that row to its colour.
struct TokenOverviewOptions {
  std::uint32_t row = 0;
  std::vector<int> categories;                                // [expert] -> category; others are grey
  std::vector<std::pair<std::size_t, std::string>> sections;  // (first column, name): documents or tags
  std::size_t view_first = 0, view_count = 0;                 // columns framed as the visible part; 0 = none
};
[[nodiscard]] MOESCOPE_API Figure token_overview_figure(const ResultPtr& routes, const TokenOverviewOptions& options,
                                                        const Selection& selection, double width, double height);

}  // namespace moescope
