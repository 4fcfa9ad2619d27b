#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <set>

#include "core/figure/affinity_links_figure.h"
#include "core/figure/affinity_matrix_figure.h"
#include "core/figure/matrix_order.h"
#include "core/figure/row_series_figures.h"
#include "tests/core/figure/figure_fixture.h"

namespace moescope::affinity_figures_test {
namespace {

using Measure = AffinityMatrixOptions::Measure;
using Order = AffinityMatrixOptions::Order;

Selection link_selection() {
  Selection selection;
  selection.link = LinkRef{{2, 5}, {3, 9}};
  selection.experts = {{2, 5}, {3, 9}};
  return selection;
}

TEST(AffinityMatrixFigure, EveryPairIsACellThatAnswersWithItsNumbers) {
  const ResultPtr affinity = test::affinity_result(16);
  const Figure figure = affinity_matrix_figure(affinity, {}, {}, 640, 640);
  std::set<LinkRef> seen;
  for (const Pick& pick : figure.picks)
    if (const auto* link = std::get_if<LinkRef>(&pick.what)) seen.insert(*link);
  EXPECT_EQ(seen.size(), 256U);
  EXPECT_TRUE(seen.count(LinkRef{{2, 15}, {3, 0}}));
  const auto it = std::find_if(figure.picks.begin(), figure.picks.end(), [](const Pick& p) {
    const auto* link = std::get_if<LinkRef>(&p.what);
    return link != nullptr && *link == LinkRef{{2, 1}, {3, 2}};
  });
  ASSERT_NE(it, figure.picks.end());
  EXPECT_NE(it->tooltip.find("E01 → E02"), std::string::npos);
  EXPECT_NE(it->tooltip.find("lift"), std::string::npos);
  EXPECT_NE(it->tooltip.find("n = "), std::string::npos);
}

TEST(AffinityMatrixFigure, ASelectedLinkHasACrossHairAndBothChips) {
  const Figure figure = affinity_matrix_figure(test::affinity_result(16), {}, link_selection(), 640, 640);
  std::multiset<std::string> chips;
  for (const Mark& mark : figure.marks)
    if (const auto* text = std::get_if<TextMark>(&mark.shape);
        text != nullptr && text->fill.role == ColorRole::text_on_accent)
      chips.insert(text->text);
  EXPECT_EQ(chips, (std::multiset<std::string>{"E05", "E09"}));
}

TEST(AffinityMatrixFigure, LiftCellsWithFewPairsExpectedAreGreyNotZero) {
  auto affinity = std::make_shared<Result>(*test::affinity_result(16));
  for (std::size_t j = 0; j < 16; ++j) affinity->matrices[0].values[j] = 0.1;  // expert 0 has next to no pairs
  const Figure figure = affinity_matrix_figure(affinity, {Measure::lift, Order::index, 5}, {}, 640, 640);
  int grey = 0;
  for (const Mark& mark : figure.marks) {
    const auto* rect = std::get_if<RectMark>(&mark.shape);
    if (rect != nullptr && mark.pick >= 0 && rect->fill.role == ColorRole::line) ++grey;
  }
  EXPECT_EQ(grey, 16);
}

TEST(AffinityMatrixFigure, StaysInsideAndLegibleAtEverySize) {
  for (const std::size_t experts : {4U, 16U, 64U, 200U}) {
    for (const Measure measure : {Measure::probability, Measure::lift, Measure::count}) {
      for (const Order order : {Order::index, Order::similarity}) {
        for (const double size : {260.0, 480.0, 640.0, 900.0}) {
          const Figure figure = affinity_matrix_figure(test::affinity_result(experts), {measure, order, 5},
                                                       link_selection(), size, size * 0.95);
          EXPECT_EQ(test::mark_outside(figure), "") << experts << " in " << size;
          if (size < 400) continue;
          EXPECT_EQ(test::overlapping_texts(figure), "") << experts << " in " << size;
        }
      }
    }
  }
  test::keep_svg(affinity_matrix_figure(test::affinity_result(64), {Measure::lift, Order::similarity, 5},
                                        link_selection(), 640, 680),
                 "affinity_lift");
  test::keep_svg(affinity_matrix_figure(test::affinity_result(16), {}, link_selection(), 640, 640), "affinity_p");
  EXPECT_EQ(test::xml_problem(figure_to_svg(
                affinity_matrix_figure(test::affinity_result(16), {}, link_selection(), 640, 640), Theme::dark, true)),
            "");
}

TEST(MatrixOrder, BringsRowsOfOneBlockTogether) {
  const ResultPtr affinity = test::affinity_result(16);
  const std::vector<std::size_t> order = order_by_similar_rows(affinity->matrices[0]);
  EXPECT_EQ(std::set<std::size_t>(order.begin(), order.end()).size(), 16U);
  int changes = 0;
  for (std::size_t i = 1; i < order.size(); ++i) changes += order[i] / 4 != order[i - 1] / 4 ? 1 : 0;
  EXPECT_EQ(changes, 3);
  const std::vector<std::size_t> columns = order_by_strongest_source(affinity->matrices[0], order);
  EXPECT_EQ(std::set<std::size_t>(columns.begin(), columns.end()).size(), 16U);
}

TEST(AffinityLinksFigure, LinksAndExpertsArePickableAndTheSelectionIsInAccent) {
  const ResultPtr affinity = test::affinity_result(16);
  Selection selection;
  selection.experts = {affinity->graphs[0].links[30].link.from};
  const Figure figure = affinity_links_figure(affinity, {}, selection, 720, 360);
  std::size_t curves = 0;
  std::size_t accented = 0;
  std::size_t expected = 0;
  for (const Graph::Link& link : affinity->graphs[0].links)
    expected += link.link.from == selection.experts[0] || link.link.to == selection.experts[0] ? 1 : 0;
  for (const Mark& mark : figure.marks) {
    const auto* curve = std::get_if<CurveMark>(&mark.shape);
    if (curve == nullptr) continue;
    ++curves;
    EXPECT_GE(mark.pick, 0);
    accented += curve->stroke.role == ColorRole::accent ? 1 : 0;
  }
  EXPECT_EQ(curves, affinity->graphs[0].links.size());
  EXPECT_EQ(accented, expected);
  EXPECT_EQ(test::mark_outside(figure), "");
  EXPECT_EQ(test::overlapping_texts(figure), "");
  test::keep_svg(figure, "links");
}

TEST(AffinityLinksFigure, ARangeOfRowsLeavesTheOthersOut) {
  AffinityLinksOptions options;
  options.first_row = 2;
  options.last_row = 4;
  const Figure figure = affinity_links_figure(test::affinity_result(64), options, link_selection(), 720, 360);
  for (const Pick& pick : figure.picks) {
    const auto* e = std::get_if<ExpertRef>(&pick.what);
    EXPECT_TRUE(e == nullptr || (e->row >= 2 && e->row <= 4));
  }
  test::keep_svg(figure, "links_64");
}

TEST(AffinityStrengthFigure, ShowsTheNullBandAndMarksTheSelectedRow) {
  const Figure figure = affinity_strength_figure(test::affinity_result(16), false, link_selection(), 720, 260);
  int bands = 0;
  int accents = 0;
  for (const Mark& mark : figure.marks) {
    if (const auto* line = std::get_if<LineMark>(&mark.shape)) bands += line->fill.role == ColorRole::null_band ? 1 : 0;
    if (const auto* circle = std::get_if<CircleMark>(&mark.shape))
      accents += circle->fill.role == ColorRole::accent ? 1 : 0;
  }
  EXPECT_EQ(bands, 1);
  EXPECT_EQ(accents, 1);
  EXPECT_EQ(test::mark_outside(figure), "");
  EXPECT_EQ(test::overlapping_texts(figure), "");
  EXPECT_NE(figure.caption.find("n = 2,040 tokens"), std::string::npos);
  test::keep_svg(figure, "strength");
}

}  // namespace
}  // namespace moescope::affinity_figures_test
