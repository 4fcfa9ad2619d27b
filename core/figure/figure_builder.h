// FigureBuilder: what every figure is put together with. Keeps the layers, the picks and the marks that mean the same
// in every view: selection ring, accent chip, hatch, null band. Used by the builders in this folder on any thread.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "core/figure/figure.h"

namespace moescope {

// Paint order within a figure.
namespace layer {
inline constexpr int grid = 0, band = 1, data = 2, over_data = 3, text = 4, ring = 5, chip = 6;
}

class MOESCOPE_API FigureBuilder {
 public:
  FigureBuilder(double width, double height);

  // A new pick; give its index to the marks that stand for the same thing.
  int pick(decltype(Pick::what) what, std::string tooltip);

  RectMark& rect(Box box, Paint fill, int on = layer::data, int pick = -1);
  LineMark& line(std::vector<Point> points, Paint stroke, double width = 1, int on = layer::data, int pick = -1);
  LineMark& dashed(Point from, Point to, Paint stroke, int on = layer::over_data, int pick = -1);
  LineMark& polygon(std::vector<Point> points, Paint fill, int on = layer::data, int pick = -1);
  CurveMark& curve(Point from, Point to, Paint stroke, double width, int on = layer::data, int pick = -1);
  CircleMark& circle(Point center, double radius, Paint fill, int on = layer::over_data, int pick = -1);
  TextMark& text(Point baseline, std::string words, FontRole font, Paint fill, Anchor anchor = Anchor::start,
                 int pick = -1);

  // Selected: a 2 px ring in text 1 with a 1 px gap of panel colour round the box.
  void selection_ring(Box box, double radius = 0);
  // Selected: an accent chip with the label. The baseline is that of the axis label it stands for.
  void chip(Point baseline, const std::string& label, Anchor anchor, FontRole font = FontRole::mono_small,
            int pick = -1);
  // Absent: 45° hatch in `line`.
  void hatch(Box box, int pick = -1);
  // An upright whisker for an interval.
  void whisker(double x, double y_low, double y_high, double cap, Paint paint, int pick = -1);
  void whisker_across(double y, double x_low, double x_high, double cap, Paint paint, int pick = -1);

  [[nodiscard]] double width() const { return figure_.width; }
  [[nodiscard]] double height() const { return figure_.height; }
  [[nodiscard]] Figure finish(std::string title, std::string caption, ResultPtr source) &&;

 private:
  template <typename Shape>
  Shape& add(Shape shape, int on, int pick);
  Figure figure_;
};

// Text shortened with "…" until it fits `width` pixels; empty when not even that fits.
[[nodiscard]] MOESCOPE_API std::string fit_text(const std::string& words, FontRole font, double width);
// A figure of this size that only says a sentence, for empty states.
[[nodiscard]] MOESCOPE_API Figure message_figure(const std::string& sentence, double width, double height,
                                                 ResultPtr source = nullptr);

}  // namespace moescope
