// Line chart of a Result's series: lines with markers and direct labels, null bands in grey, references dashed,
// intervals as whiskers. Used by every view and by reports; pure functions, any thread.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "core/figure/axis.h"
#include "core/figure/figure_builder.h"

namespace moescope {

struct SeriesOptions {
  std::vector<std::string> names;  // of the series to draw, in this order; empty = all of the Result
  TickFormat format = TickFormat::number;
  bool from_zero = true;                // the y axis begins at zero; bars and shares must
  bool value_labels = false;            // numbers beside the points, where they fit
  bool rows_on_x = false;               // points are router rows: picks are rows
  std::vector<std::string> row_names;   // of all rows of the trace, to find a point's row; empty = points are all rows
  bool coloured = false;                // categorical colours instead of text 1 and greys
  std::optional<std::size_t> marked;    // index of the point with the accent dot; a row's with rows_on_x
  std::string title, y_title, x_title;  // empty = from the Result
  std::map<std::string, std::string> labels;  // series name -> direct label instead of its title
};

// Series of a role null_band are drawn as bands from low to high, of role reference as dashed lines.
[[nodiscard]] MOESCOPE_API Figure series_figure(const ResultPtr& result, const SeriesOptions& options, double width,
                                                double height);

}  // namespace moescope
