// Axis: a scale with nice ticks, and the pieces that figures share: frame of ticks and grid, and colour bars.
// Pure values: any thread.
#pragma once

#include <string>
#include <vector>

#include "core/base/export.h"
#include "core/figure/figure_builder.h"

namespace moescope {

// Ticks at 1, 2 or 5 times a power of ten inside [low, high], about `target` of them; one tick when low == high.
[[nodiscard]] MOESCOPE_API std::vector<double> nice_ticks(double low, double high, int target = 4);
// Smallest nice number (1, 1.5, 2, 2.5, 3, 4, 5, 6, 8 times a power of ten) at or above a positive value; 1 for others.
[[nodiscard]] MOESCOPE_API double nice_ceiling(double value);

// A linear scale from data to pixels.
struct Scale {
  double low = 0, high = 1;     // data
  double start = 0, end = 100;  // pixels; end < start for upright axes
  [[nodiscard]] double operator()(double value) const {
    return high == low ? start : start + (value - low) / (high - low) * (end - start);
  }
};

// How numbers of an axis are written. A fraction becomes per cent; the unit stands at the last tick only.
enum class TickFormat : unsigned char { number, percent, count };
[[nodiscard]] MOESCOPE_API std::string format_tick(double value, TickFormat format, bool with_unit);

// Grid lines with numbers left of x0, across to x1.
MOESCOPE_API void draw_y_axis(FigureBuilder& b, const Scale& y, double x0, double x1, TickFormat format,
                              int target = 4);
// Numbers below y with small ticks.
MOESCOPE_API void draw_x_axis(FigureBuilder& b, const Scale& x, double y, TickFormat format, int target = 4);

// A horizontal colour bar with ticks below, its title at the left and, where `mark` lies in the range, a triangle
// above. `lift` bars run from -2 to 2 in log2 and are labelled 0.25 to 4; `diverging` ones run from -high to high in
// the same colours.
struct ColourBar {
  Box box;
  bool lift = false, diverging = false;
  double high = 1;  // data value at the right end
  double low = 0;   // and at the left end of a magnitude bar
  TickFormat format = TickFormat::percent;
  std::string title;
  double mark = -1;        // data value of the triangle; negative = none
  std::string mark_title;  // "uniform"
};
MOESCOPE_API void draw_colour_bar(FigureBuilder& b, const ColourBar& bar);

}  // namespace moescope
