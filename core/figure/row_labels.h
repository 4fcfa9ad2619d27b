// Names of rows left of a picture, as many as there is room for. Used by the figures of tokens; any thread.
#pragma once

#include <cstddef>
#include <set>
#include <string>
#include <vector>

#include "core/figure/figure_builder.h"

namespace moescope {

// Ends at x; row r is centred at y0 + (r + 0.5) · row_height. Chips of selected rows first, then every label that
// touches nothing placed before.
void draw_row_labels(FigureBuilder& b, const std::vector<std::string>& names, const std::set<std::size_t>& selected,
                     double x, double y0, double row_height);

}  // namespace moescope
