// What stands beside the heat map of load: the mean share at each rank above it, the effective experts of each row at
// its right. Private to experts_figure. Pure functions: any thread.
#pragma once

#include <cstdint>
#include <vector>

#include "core/figure/figure_builder.h"
#include "core/trace/selection.h"

namespace moescope {

// One router row as it is drawn.
struct ExpertsRow {
  std::vector<std::uint32_t> order;  // experts from left to right, without cells past a ragged row's end
  bool drawn = true;
  Absence why = Absence::present;
  double y = 0, height = 0;
};

// Where the heat map is, in pixels.
struct ExpertsLayout {
  std::vector<ExpertsRow> rows;
  std::size_t widest = 0;                 // cells of the longest row
  double x0 = 0, x1 = 0, y0 = 0, y1 = 0;  // of all cells
  double top = 0;                         // height of the chart above; 0 = none
  double cell = 0, gap = 0;               // width of a column, and how much of it stays empty
  double uniform = -1;                    // the even share; negative where rows differ in their number of experts
};

// Mean share at each rank over the drawn rows, for rows sorted by load.
void draw_rank_means(FigureBuilder& b, const Matrix& share, const ExpertsLayout& at);
// Effective experts of each row on a scale from 0 to E; nothing when the Result does not have them for each row.
void draw_effective_experts(FigureBuilder& b, const Result& load, const Matrix& share, const ExpertsLayout& at,
                            const Selection& selection);

}  // namespace moescope
