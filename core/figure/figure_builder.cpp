#include "core/figure/figure_builder.h"

#include <algorithm>
#include <cmath>
#include <cstddef>

#include "core/figure/utf8.h"

namespace moescope {

FigureBuilder::FigureBuilder(double width, double height) {
  figure_.width = std::max(1.0, width);
  figure_.height = std::max(1.0, height);
}

int FigureBuilder::pick(decltype(Pick::what) what, std::string tooltip) {
  figure_.picks.push_back({what, std::move(tooltip)});
  return static_cast<int>(figure_.picks.size()) - 1;
}

template <typename Shape>
Shape& FigureBuilder::add(Shape shape, int on, int pick) {
  figure_.marks.push_back({std::move(shape), on, pick});
  return std::get<Shape>(figure_.marks.back().shape);
}

RectMark& FigureBuilder::rect(Box box, Paint fill, int on, int pick) {
  RectMark mark;
  mark.x = box.x;
  mark.y = box.y;
  mark.width = std::max(0.0, box.width);
  mark.height = std::max(0.0, box.height);
  mark.fill = fill;
  return add(mark, on, pick);
}

LineMark& FigureBuilder::line(std::vector<Point> points, Paint stroke, double width, int on, int pick) {
  LineMark mark;
  mark.points = std::move(points);
  mark.stroke = stroke;
  mark.width = width;
  return add(std::move(mark), on, pick);
}

LineMark& FigureBuilder::dashed(Point from, Point to, Paint stroke, int on, int pick) {
  LineMark& mark = line({from, to}, stroke, 1, on, pick);
  mark.dash = {3, 3};
  return mark;
}

LineMark& FigureBuilder::polygon(std::vector<Point> points, Paint fill, int on, int pick) {
  LineMark& mark = line(std::move(points), Paint::of(ColorRole::none), 0, on, pick);
  mark.closed = true;
  mark.fill = fill;
  return mark;
}

CurveMark& FigureBuilder::curve(Point from, Point to, Paint stroke, double width, int on, int pick) {
  CurveMark mark;
  const double middle = (from.x + to.x) / 2;
  mark.points = {from, Point{middle, from.y}, Point{middle, to.y}, to};
  mark.stroke = stroke;
  mark.width = width;
  return add(mark, on, pick);
}

CircleMark& FigureBuilder::circle(Point center, double radius, Paint fill, int on, int pick) {
  CircleMark mark;
  mark.center = center;
  mark.radius = radius;
  mark.fill = fill;
  return add(mark, on, pick);
}

TextMark& FigureBuilder::text(Point baseline, std::string words, FontRole font, Paint fill, Anchor anchor, int pick) {
  TextMark mark;
  mark.at = baseline;
  mark.text = std::move(words);
  mark.font = font;
  mark.fill = fill;
  mark.anchor = anchor;
  return add(std::move(mark), layer::text, pick);
}

void FigureBuilder::selection_ring(Box box, double radius) {
  const auto outline = [&](double out, ColorRole role, double stroke) {
    RectMark& mark = rect({box.x - out, box.y - out, box.width + 2 * out, box.height + 2 * out},
                          Paint::of(ColorRole::none), layer::ring);
    mark.stroke = Paint::of(role);
    mark.stroke_width = stroke;
    mark.radius = radius > 0 ? radius + out : 0;
  };
  outline(-0.5, ColorRole::panel, 1);
  outline(1, ColorRole::text_1, 2);
}

void FigureBuilder::chip(Point baseline, const std::string& label, Anchor anchor, FontRole font, int pick) {
  constexpr double pad = 6;
  const double size = font_size(font);
  const double wide = text_width(label, font) + 2 * pad;
  const double x = anchor == Anchor::start    ? baseline.x - pad
                   : anchor == Anchor::middle ? baseline.x - wide / 2
                                              : baseline.x - wide + pad;
  // Kept inside the figure, so that a chip on an outer label is never cut.
  const double left = std::clamp(x, 0.0, std::max(0.0, figure_.width - wide));
  rect({left, baseline.y - 0.86 * size - 2.5, wide, size + 7}, Paint::of(ColorRole::accent), layer::chip, pick).radius =
      3;
  TextMark mark;
  mark.at = {left + wide / 2, baseline.y};
  mark.text = label;
  mark.font = font;
  mark.fill = Paint::of(ColorRole::text_on_accent);
  mark.anchor = Anchor::middle;
  add(std::move(mark), layer::chip, pick);
}

void FigureBuilder::hatch(Box box, int pick) {
  RectMark& mark = rect(box, Paint::of(ColorRole::none), layer::data, pick);
  mark.hatched = true;
  mark.stroke = Paint::of(ColorRole::line);
  mark.stroke_width = 1;
}

void FigureBuilder::whisker(double x, double y_low, double y_high, double cap, Paint paint, int pick) {
  line({{x, y_low}, {x, y_high}}, paint, 1.2, layer::over_data, pick);
  for (const double y : {y_low, y_high}) line({{x - cap, y}, {x + cap, y}}, paint, 1.2, layer::over_data, pick);
}

void FigureBuilder::whisker_across(double y, double x_low, double x_high, double cap, Paint paint, int pick) {
  line({{x_low, y}, {x_high, y}}, paint, 1.2, layer::over_data, pick);
  for (const double x : {x_low, x_high}) line({{x, y - cap}, {x, y + cap}}, paint, 1.2, layer::over_data, pick);
}

Figure FigureBuilder::finish(std::string title, std::string caption, ResultPtr source) && {
  std::stable_sort(figure_.marks.begin(), figure_.marks.end(),
                   [](const Mark& a, const Mark& b) { return a.layer < b.layer; });
  figure_.title = std::move(title);
  figure_.caption = std::move(caption);
  figure_.source = std::move(source);
  return std::move(figure_);
}

std::string fit_text(const std::string& words, FontRole font, double width) {
  if (text_width(words, font) <= width) return words;
  std::u32string text = decode_utf8(words);
  while (!text.empty()) {
    text.pop_back();
    std::string shortened = encode_utf8(text) + "…";
    if (!text.empty() && text_width(shortened, font) <= width) return shortened;
  }
  return {};
}

Figure message_figure(const std::string& sentence, double width, double height, ResultPtr source) {
  FigureBuilder b(width, height);
  b.text({width / 2, height / 2}, fit_text(sentence, FontRole::ui, width - 32), FontRole::ui,
         Paint::of(ColorRole::text_2), Anchor::middle);
  return std::move(b).finish(sentence, sentence, std::move(source));
}

}  // namespace moescope
