// Bars over bins of a number. Pure function: any thread.
#pragma once

#include <string>
#include <vector>

#include "core/figure/axis.h"
#include "core/figure/figure_builder.h"

namespace moescope {

struct HistogramOptions {
  std::string title, x_title, unit;
  TickFormat format = TickFormat::number;  // of the x axis
  double mark = -1e300;                    // x of a dashed line, "uniform" or "mean"; below the first edge = none
  std::string mark_title;
};

// `edges` has one more value than `counts`, ascending. Bars begin at zero; bin widths may differ, heights are counts.
[[nodiscard]] MOESCOPE_API Figure histogram_figure(const ResultPtr& source, const std::vector<double>& edges,
                                                   const std::vector<double>& counts, const HistogramOptions& options,
                                                   double width, double height);

}  // namespace moescope
