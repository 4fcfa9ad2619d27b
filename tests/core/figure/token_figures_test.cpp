#include <gtest/gtest.h>

#include <algorithm>
#include <set>

#include "core/figure/expert_card_figures.h"
#include "core/figure/token_map_figure.h"
#include "core/figure/token_strip_figure.h"
#include "core/figure/utf8.h"
#include "tests/core/figure/figure_fixture.h"

namespace moescope::token_figures_test {
namespace {

TEST(TokenStripFigure, ColumnsAreAsWideAsTheirTokenAndPickTheTokenOfTheTrace) {
  std::size_t shown = 0;
  const Figure figure = token_strip_figure(test::routes_result(6, 60, 100), {}, {}, 880, 140, &shown);
  EXPECT_GT(shown, 10U);
  EXPECT_LT(shown, 60U);
  std::set<std::uint64_t> tokens;
  for (const Pick& pick : figure.picks)
    if (const auto* token = std::get_if<std::uint64_t>(&pick.what)) tokens.insert(*token);
  EXPECT_EQ(tokens.size(), shown);
  EXPECT_EQ(*tokens.begin(), 100U);
  EXPECT_EQ(test::mark_outside(figure), "");
  EXPECT_EQ(test::overlapping_texts(figure), "");
}

TEST(TokenStripFigure, CellsWhereTheSelectedExpertFiresAreRinged) {
  Selection selection;
  selection.experts = {{2, 8}};  // (token + 6) mod 16 = 8: columns 2, 18, …
  selection.token = 104;
  TokenStripOptions options;
  options.all_tokens = 2000;
  options.marks = {5, 102, 118, 700, 701, 1999};
  std::size_t shown = 0;
  const ResultPtr routes = test::routes_result(6, 60, 100);
  const Figure figure = token_strip_figure(routes, options, selection, 880, 150, &shown);
  std::size_t expected = 0;
  for (std::size_t c = 0; c < shown; ++c) expected += routes->matrices[0].at(2, c) == 8 ? 1 : 0;
  const auto rings = std::count_if(figure.marks.begin(), figure.marks.end(), [](const Mark& m) {
    const auto* r = std::get_if<RectMark>(&m.shape);
    return r != nullptr && r->stroke.role == ColorRole::text_1 && r->stroke_width == 2;
  });
  EXPECT_EQ(static_cast<std::size_t>(rings), expected);
  EXPECT_EQ(test::mark_outside(figure), "");
  EXPECT_EQ(test::xml_problem(figure_to_svg(figure, Theme::dark, true)), "");
  test::keep_svg(figure, "token_strip");
}

TEST(TokenStripFigure, WhatWasNotRecordedIsHatched) {
  const Figure figure = token_strip_figure(test::routes_result(6, 20, 0), {}, {}, 880, 140);
  const auto hatched = std::count_if(figure.marks.begin(), figure.marks.end(), [](const Mark& m) {
    const auto* r = std::get_if<RectMark>(&m.shape);
    return r != nullptr && r->hatched;
  });
  EXPECT_EQ(hatched, 1);
}

TEST(TokenOverviewFigure, DrawsNeverMoreColumnsThanPixels) {
  TokenOverviewOptions options;
  options.row = 3;
  options.categories = {0, 1, 2, 3, 4, 5};
  options.sections = {{0, "prose"}, {400, "code"}, {402, "json"}, {4000, "french"}};
  const Figure figure = token_overview_figure(test::routes_result(6, 5000, 0), options, {}, 900, 110);
  std::size_t rects = 0;
  for (const Mark& mark : figure.marks) rects += std::holds_alternative<RectMark>(mark.shape) ? 1 : 0;
  EXPECT_LE(rects, 6U * 900U);
  EXPECT_EQ(test::mark_outside(figure), "");
  EXPECT_EQ(test::overlapping_texts(figure), "");
  Selection selection;
  selection.token = 50;
  test::keep_svg(token_overview_figure(test::routes_result(6, 230, 0), options, selection, 1300, 110),
                 "token_overview");
}

// token_map of `columns` cells of 100 tokens from token 1000 on, as layers or as experts.
ResultPtr map_result(std::size_t rows, std::size_t columns, bool experts) {
  auto result = std::make_shared<Result>();
  Matrix shown{experts ? "share" : "max_over_mean", "", "", "", "token"};
  for (std::size_t r = 0; r < rows; ++r) shown.row_names.push_back((experts ? "E0" : "L") + std::to_string(r));
  for (std::size_t c = 0; c < columns; ++c) shown.column_names.push_back(std::to_string(1000 + c * 100) + "-…");
  for (std::size_t i = 0; i < rows * columns; ++i) {
    shown.values.push_back(experts ? static_cast<double>(i % 7) / 40 : 1 + static_cast<double>(i % 5) / 4);
    shown.n.push_back(100);
    shown.absence.push_back(i == 3 ? Absence::not_recorded : Absence::present);
  }
  Matrix other = shown;
  other.name = experts ? "count" : "busiest";
  result->title = "Layers by tokens";
  result->matrices = {shown, other};
  result->scalars = {{"first_token", "", "", "", {1000, 0, 0, 0}}, {"tokens_per_cell", "", "", "", {100, 0, 0, 0}}};
  return result;
}

TEST(TokenMapFigure, CellsLieWhereTheirTokensAreAndPickThem) {
  for (const bool experts : {false, true}) {
    TokenMapOptions options;
    options.range = {1050, 2000};
    options.view = {1200, 30};
    Selection selection;
    selection.token = 2500;
    const Figure figure = token_map_figure(map_result(6, 40, experts), options, selection, 900, 150);
    EXPECT_EQ(test::mark_outside(figure), "");
    EXPECT_EQ(test::overlapping_texts(figure), "");
    const MapSpan span = token_map_span(900, experts);
    // Token 2050 is the middle of the range, in the cell of 2000.
    const Pick* pick = figure.pick_at({(span.x0 + span.x1) / 2, 60});
    ASSERT_NE(pick, nullptr);
    EXPECT_EQ(std::get<std::uint64_t>(pick->what), 2000U);
    EXPECT_NE(pick->tooltip.find(experts ? "of the slots" : "× the mean"), std::string::npos);
    std::set<std::uint64_t> tokens;
    for (const Pick& each : figure.picks) tokens.insert(std::get<std::uint64_t>(each.what));
    EXPECT_EQ(tokens.size(), 21U) << "only cells of the range, the first from where the range begins";
    EXPECT_EQ(*tokens.begin(), 1050U);
    test::keep_svg(figure, experts ? "token_map_experts" : "token_map_layers");
  }
}

TEST(TokenMapFigure, ZoomKeepsTheTokenUnderThePointerAndStaysInTheTrace) {
  const TokenRange half = zoomed({0, 1000}, 0.5, 0.5, 1000);
  EXPECT_EQ(half, (TokenRange{250, 500}));
  EXPECT_EQ(zoomed(half, 0, 0.5, 1000), (TokenRange{250, 250}));
  EXPECT_EQ(zoomed(half, 1, 4, 1000), (TokenRange{0, 1000}));
  EXPECT_EQ(zoomed({0, 40}, 0.5, 0.01, 1000).count, 32U);
  EXPECT_EQ(zoomed({0, 10}, 0.5, 0.01, 10), (TokenRange{0, 10}));
  EXPECT_EQ(panned(half, 0.5, 1000), (TokenRange{500, 500}));
  EXPECT_EQ(panned(half, 9, 1000), (TokenRange{500, 500}));
  EXPECT_EQ(panned(half, -9, 1000), (TokenRange{0, 500}));
  EXPECT_EQ(panned({7, 5000}, 0, 1000), (TokenRange{0, 1000}));
}

TEST(DomainProfileFigure, BarsAreSortedKeepTheColourOfTheirDomainAndCarryIntervals) {
  DomainProfileOptions options;
  options.expert = 4;
  const Figure figure = domain_profile_figure(test::profile_result(), options, 270, 150);
  std::vector<int> colours;
  for (const Mark& mark : figure.marks)
    if (const auto* r = std::get_if<RectMark>(&mark.shape); r != nullptr && r->fill.kind == Paint::Kind::category)
      colours.push_back(r->fill.category);
  EXPECT_EQ(colours, (std::vector<int>{1, 0, 3, 4, 5, 2}));
  EXPECT_NE(figure.picks.front().tooltip.find("36.8"), std::string::npos);
  EXPECT_EQ(test::mark_outside(figure), "");
  EXPECT_EQ(test::overlapping_texts(figure), "");
  test::keep_svg(figure, "profile");
}

TEST(TopTokensFigure, ShowsAsManyRowsAsFitAndNoMarkupGetsOut) {
  const Figure figure = top_tokens_figure(test::tokens_result(), 270, 100);
  EXPECT_EQ(figure.picks.size(), 5U);
  EXPECT_EQ(top_tokens_figure(test::tokens_result(), 270, 45).picks.size(), 2U);
  const std::string svg = figure_to_svg(figure, Theme::light, true);
  EXPECT_EQ(svg.find("<script"), std::string::npos);
  EXPECT_EQ(test::xml_problem(svg), "");
  EXPECT_EQ(test::mark_outside(figure), "");
  EXPECT_EQ(test::overlapping_texts(figure), "");
  test::keep_svg(figure, "top_tokens");
}

TEST(TopTokensFigure, TheWidestTokenIsShownWhole) {
  auto result = std::make_shared<Result>(*test::tokens_result());
  for (const char* token : {" the", " delta", "ing", " with the"}) {
    auto& rows = result->tables[0].rows;
    rows.erase(rows.begin() + 1, rows.end());
    rows[0][0] = std::string(token);
    bool found = false;
    for (const Mark& mark : top_tokens_figure(result, 720, 100).marks)
      if (const auto* text = std::get_if<TextMark>(&mark.shape)) found |= text->text == visible_token(token);
    EXPECT_TRUE(found) << token;
  }
}

TEST(BeforeAfterFigure, EachSideSumsToOne) {
  const ResultPtr affinity = test::affinity_result(16);  // row 2 -> 3
  const Figure figure = before_after_figure(affinity, affinity, {{3, 4}, "L3"}, 270, 130);
  const Matrix& count = affinity->matrices[0];
  double best = 0;
  double sum = 0;
  for (std::size_t i = 0; i < 16; ++i) {
    best = std::max(best, count.at(i, 4));
    sum += count.at(i, 4);
  }
  char expected[16];
  (void)std::snprintf(expected, sizeof expected, "%.2f", best / sum);
  bool found = false;
  for (const Mark& mark : figure.marks)
    if (const auto* text = std::get_if<TextMark>(&mark.shape)) found |= text->text == std::string(expected).substr(1);
  EXPECT_TRUE(found) << expected;
  EXPECT_EQ(test::mark_outside(figure), "");
  EXPECT_EQ(test::overlapping_texts(figure), "");
  test::keep_svg(figure, "before_after");
  EXPECT_EQ(test::mark_outside(before_after_figure(nullptr, affinity, {{2, 4}, "L2"}, 270, 130)), "");
}

}  // namespace
}  // namespace moescope::token_figures_test
