// What the legend says: experts of a layer by use, or the domains. Main thread only.
#pragma once

#include <vector>

#include "core/analysis/result.h"
#include "views/common/view.h"
#include "views/tokens/legend_panel.h"
#include "views/tokens/token_colors.h"

namespace moescope {

// As many experts as the categorical set tells apart.
inline constexpr std::size_t coloured_experts = 6;
inline constexpr int other_category = 1000;  // grey

// Experts of a row by a Result of expert_load, most used first; those that were never used are left out.
[[nodiscard]] std::vector<std::size_t> experts_by_use(const ResultPtr& load, std::uint32_t row);
// [expert] -> colour: the first of `order` get one each, the others grey.
[[nodiscard]] std::vector<int> expert_categories(const std::vector<std::size_t>& order, std::size_t experts);

// Fills the panel for a colouring. `load` may be null while it is being computed.
void fill_legend(LegendPanel& panel, ViewContext& context, const Trace& trace, const TokenColoring& coloring,
                 const ResultPtr& load, const Selection& selection);

}  // namespace moescope
