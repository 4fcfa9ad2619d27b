#include "core/figure/series_figure.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "core/figure/histogram_figure.h"
#include "core/figure/layer_bars_figure.h"
#include "core/figure/row_series_figures.h"
#include "tests/core/figure/figure_fixture.h"

namespace moescope::series_figure_test {
namespace {

constexpr double nan = std::numeric_limits<double>::quiet_NaN();

TEST(SeriesFigure, AGapInTheDataIsAGapInTheLine) {
  auto result = std::make_shared<Result>();
  Series s;
  s.name = "loss";
  s.x = {0, 1, 2, 3, 4};
  s.y = {3, 2.5, nan, 2.2, 2.1};
  result->series = {s};
  const Figure figure = series_figure(result, {}, 400, 200);
  int lines = 0;
  int circles = 0;
  for (const Mark& mark : figure.marks) {
    const auto* line = std::get_if<LineMark>(&mark.shape);
    if (line != nullptr && mark.layer == layer::data) ++lines;
    circles += std::holds_alternative<CircleMark>(mark.shape) ? 1 : 0;
  }
  EXPECT_EQ(lines, 2);
  EXPECT_EQ(circles, 4);
}

TEST(SeriesFigure, ManyLinesHaveLabelsThatDoNotTouch) {
  auto result = std::make_shared<Result>();
  for (int i = 0; i < 8; ++i) {
    Series s;
    s.name = s.title = "domain " + std::to_string(i);
    for (int x = 0; x < 12; ++x) {
      s.x.push_back(x * 100);
      s.y.push_back(0.3 + 0.001 * i + 0.01 * x);
      s.low.push_back(s.y.back() - 0.01);
      s.high.push_back(s.y.back() + 0.01);
    }
    result->series.push_back(s);
  }
  SeriesOptions options;
  options.coloured = true;
  options.format = TickFormat::percent;
  options.x_title = "training step";
  const Figure figure = series_figure(result, options, 640, 300);
  EXPECT_EQ(test::mark_outside(figure), "");
  EXPECT_EQ(test::overlapping_texts(figure), "");
  test::keep_svg(figure, "series");
}

TEST(SeriesFigure, NumbersStandBesideAReferenceLineAndNotOnIt) {
  auto result = std::make_shared<Result>();
  Series s;
  s.name = "entropy";
  Series even;
  even.name = "even";
  even.role = Series::Role::reference;
  for (int x = 0; x < 6; ++x) {
    s.x.push_back(x);
    s.y.push_back(2.45 + 0.05 * x);
    even.x.push_back(x);
    even.y.push_back(2.77);
  }
  result->series = {s, even};
  SeriesOptions options;
  options.value_labels = true;
  const Figure figure = series_figure(result, options, 560, 220);
  double line_y = 0;
  for (const Mark& mark : figure.marks) {
    const auto* line = std::get_if<LineMark>(&mark.shape);
    if (line != nullptr && !line->dash.empty() && line->points.size() == 6) line_y = line->points[0].y;
  }
  ASSERT_GT(line_y, 0);
  int numbers = 0;
  for (const Mark& mark : figure.marks) {
    const auto* text = std::get_if<TextMark>(&mark.shape);
    if (text == nullptr || text->text.rfind("2.", 0) != 0 || text->text.size() != 4) continue;
    ++numbers;
    EXPECT_FALSE(text->at.y > line_y && text->at.y - 8 < line_y) << text->text;
  }
  EXPECT_GE(numbers, 5);
}

TEST(SeriesFigure, ASeriesWithBrokenArraysIsNotDrawn) {
  auto result = std::make_shared<Result>();
  Series s;
  s.name = "bad";
  s.x = {1, 2, 3};
  s.y = {1};
  result->series = {s};
  EXPECT_TRUE(series_figure(result, {}, 300, 200).picks.empty());
  EXPECT_TRUE(series_figure(nullptr, {}, 300, 200).picks.empty());
}

TEST(EntropyFigure, DrawsQuartilesAsWhiskers) {
  auto result = std::make_shared<Result>();
  Series s;
  s.name = "entropy";
  s.title = "routing entropy";
  s.y_axis = "H / ln E";
  for (int r = 0; r < 6; ++r) {
    s.x.push_back(r);
    s.y.push_back(0.5 + 0.05 * r);
    s.low.push_back(0.4);
    s.high.push_back(0.9);
  }
  result->series = {s};
  Selection selection;
  selection.experts = {{3, 4}};
  const Figure figure = entropy_figure(result, false, selection, 560, 220);
  std::size_t rows = 0;
  for (const Pick& pick : figure.picks) rows += std::holds_alternative<std::int32_t>(pick.what) ? 1 : 0;
  EXPECT_EQ(rows, 6U);
  EXPECT_EQ(test::overlapping_texts(figure), "");
  test::keep_svg(figure, "entropy");
}

TEST(HistogramFigure, BarsHaveTheHeightsOfTheirCounts) {
  HistogramOptions options;
  options.title = "Margin of layer 3";
  options.x_title = "margin, logits";
  options.mark = 0.25;
  options.mark_title = "fragile below";
  const std::vector<double> counts = {10, 40, 20, 0, 5};
  const Figure figure = histogram_figure(nullptr, {0, 0.2, 0.4, 0.6, 0.8, 1}, counts, options, 420, 200);
  std::vector<double> heights;
  for (const Mark& mark : figure.marks)
    if (const auto* rect = std::get_if<RectMark>(&mark.shape); rect != nullptr && mark.pick >= 0)
      heights.push_back(rect->height);
  ASSERT_EQ(heights.size(), 5U);
  for (std::size_t i = 0; i < 5; ++i) EXPECT_NEAR(heights[i] / heights[1], counts[i] / 40, 1e-9);
  EXPECT_EQ(test::mark_outside(figure), "");
  EXPECT_EQ(test::overlapping_texts(figure), "");
  test::keep_svg(figure, "histogram");
}

TEST(LayerBarsFigure, BarsStandBesideTicksOfAllTokens) {
  const ResultPtr filtered = test::load_result(6, 16, 2);
  const ResultPtr all = test::load_result(6, 16);
  Selection selection;
  selection.experts = {{3, 4}};
  LayerBarsOptions options;
  options.row = 3;
  options.category = 1;
  options.filter_name = "code";
  const Figure figure = layer_bars_figure(filtered, all, options, selection, 880, 170);
  std::size_t bars = 0;
  for (const Mark& mark : figure.marks) {
    const auto* rect = std::get_if<RectMark>(&mark.shape);
    bars += rect != nullptr && mark.pick >= 0 && mark.layer == layer::data ? 1 : 0;
  }
  EXPECT_EQ(bars, 16U);
  EXPECT_EQ(test::mark_outside(figure), "");
  EXPECT_EQ(test::overlapping_texts(figure), "");
  test::keep_svg(figure, "layer_bars");
  options.row = 0;
  EXPECT_NE(layer_bars_figure(filtered, all, options, {}, 880, 170).title.find("outside filter"), std::string::npos);
}

TEST(LayerBarsFigure, HoldsManyExperts) {
  for (const double width : {300.0, 880.0}) {
    const Figure figure = layer_bars_figure(test::load_result(2, 256), nullptr, {}, {}, width, 170);
    EXPECT_EQ(test::mark_outside(figure), "");
    EXPECT_EQ(test::overlapping_texts(figure), "");
  }
}

}  // namespace
}  // namespace moescope::series_figure_test
