#include "core/figure/experts_figure.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>

#include "tests/core/figure/figure_fixture.h"

namespace moescope::experts_figure_test {
namespace {

using Measure = ExpertsOptions::Measure;
using Sort = ExpertsOptions::Sort;

const Pick* pick_of(const Figure& figure, ExpertRef expert) {
  for (const Pick& pick : figure.picks)
    if (const auto* ref = std::get_if<ExpertRef>(&pick.what); ref != nullptr && *ref == expert) return &pick;
  return nullptr;
}

TEST(ExpertsFigure, EveryExpertOfACountedRowIsOneCellWithATooltip) {
  const Figure figure = experts_figure(test::load_result(6, 16, 2), {}, {}, 860, 440);
  for (std::uint32_t r = 0; r < 6; ++r) {
    for (std::uint32_t e = 0; e < 16; ++e) EXPECT_EQ(pick_of(figure, {r, e}) != nullptr, r >= 2) << r << " " << e;
  }
  const Pick* pick = pick_of(figure, {2, 3});
  ASSERT_NE(pick, nullptr);
  EXPECT_EQ(pick->tooltip.substr(0, pick->tooltip.find(' ')), "L2·E03");
  EXPECT_NE(pick->tooltip.find("lift "), std::string::npos);
  EXPECT_NE(pick->tooltip.find("of 25,044"), std::string::npos);
  const auto box = figure.bounds_of(*pick);
  ASSERT_TRUE(box);
  EXPECT_EQ(figure.pick_at({box->x + box->width / 2, box->y + 2}), pick);
}

TEST(ExpertsFigure, SortedByLoadTheFirstCellOfEachRowIsItsMostLoadedExpert) {
  const ResultPtr load = test::load_result(4, 16);
  ExpertsOptions options;
  options.sort = Sort::load;
  const Figure figure = experts_figure(load, options, {}, 860, 440);
  const Matrix& share = load->matrices[1];
  for (std::uint32_t r = 0; r < 4; ++r) {
    std::uint32_t best = 0;
    for (std::uint32_t e = 1; e < 16; ++e)
      if (share.at(r, e) > share.at(r, best)) best = e;
    const auto first = figure.bounds_of(*pick_of(figure, {r, best}));
    for (std::uint32_t e = 0; e < 16; ++e) EXPECT_GE(figure.bounds_of(*pick_of(figure, {r, e}))->x, first->x);
  }
}

TEST(ExpertsFigure, TheLargestShareHasTheTopOfTheMapAndLiftOneTheMiddle) {
  const ResultPtr load = test::load_result(3, 16);
  const Figure figure = experts_figure(load, {}, {}, 860, 440);
  const Matrix& share = load->matrices[1];
  const double high = *std::max_element(share.values.begin(), share.values.end());
  for (const Mark& mark : figure.marks) {
    const auto* rect = std::get_if<RectMark>(&mark.shape);
    if (rect == nullptr || mark.pick < 0 || rect->fill.kind != Paint::Kind::magnitude) continue;
    const auto ref = std::get<ExpertRef>(figure.picks[static_cast<std::size_t>(mark.pick)].what);
    EXPECT_NEAR(rect->fill.value, share.at(ref.row, ref.expert) / high, 1e-12);
  }
}

TEST(ExpertsFigure, ASelectedExpertHasARingAndAChipOnItsLayer) {
  Selection selection;
  selection.experts = {{2, 5}};
  const Figure plain = experts_figure(test::load_result(6, 16), {}, {}, 860, 440);
  const Figure figure = experts_figure(test::load_result(6, 16), {}, selection, 860, 440);
  const auto count = [](const Figure& f, auto wanted) { return std::count_if(f.marks.begin(), f.marks.end(), wanted); };
  const auto ring = [](const Mark& m) {
    const auto* r = std::get_if<RectMark>(&m.shape);
    return r != nullptr && r->stroke.role == ColorRole::text_1 && r->stroke_width == 2;
  };
  const auto chip = [](const Mark& m) {
    const auto* t = std::get_if<TextMark>(&m.shape);
    return t != nullptr && t->fill.role == ColorRole::text_on_accent && (t->text == "L2" || t->text == "E05");
  };
  EXPECT_EQ(count(plain, ring), 0);
  EXPECT_EQ(count(figure, ring), 1);
  EXPECT_EQ(count(plain, chip), 0);
  EXPECT_EQ(count(figure, chip), 2);
}

TEST(ExpertsFigure, RowsOutsideTheFilterAreHatchedAndSaySo) {
  const Figure figure = experts_figure(test::load_result(6, 16, 2), {}, {}, 860, 440);
  int hatched = 0;
  int words = 0;
  for (const Mark& mark : figure.marks) {
    if (const auto* r = std::get_if<RectMark>(&mark.shape)) hatched += r->hatched ? 1 : 0;
    if (const auto* t = std::get_if<TextMark>(&mark.shape)) words += t->text == "outside filter" ? 1 : 0;
  }
  EXPECT_EQ(hatched, 2);
  EXPECT_EQ(words, 2);
}

TEST(ExpertsFigure, MarksStayInsideAndTextsApartAtEverySize) {
  Selection selection;
  selection.experts = {{1, 3}, {0, 11}};
  for (const auto& [rows, experts] : {std::pair<std::size_t, std::size_t>{6, 16}, {1, 4}, {16, 64}, {61, 256}}) {
    const ResultPtr load = test::load_result(rows, experts, rows > 4 ? 2 : 0);
    for (const Sort sort : {Sort::index, Sort::load}) {
      for (const Measure measure : {Measure::count, Measure::share, Measure::lift}) {
        for (const auto& [w, h] : {std::pair{860.0, 440.0}, {1400.0, 800.0}, {480.0, 300.0}, {240.0, 160.0}}) {
          const Figure figure = experts_figure(load, {measure, sort, true}, selection, w, h);
          EXPECT_EQ(test::mark_outside(figure), "") << rows << "x" << experts << " in " << w << "x" << h;
          if (w < 480) continue;
          EXPECT_EQ(test::overlapping_texts(figure), "") << rows << "x" << experts << " in " << w << "x" << h;
        }
      }
    }
  }
}

TEST(ExpertsFigure, SvgIsWellFormed) {
  Selection selection;
  selection.experts = {{3, 4}};
  const ResultPtr load = test::load_result(6, 16, 2);
  const Figure by_load = experts_figure(load, {Measure::share, Sort::load, true}, selection, 880, 440);
  test::keep_svg(by_load, "experts_load");
  test::keep_svg(experts_figure(test::load_result(6, 16), {Measure::lift, Sort::index, true}, selection, 880, 440),
                 "experts_lift");
  test::keep_svg(experts_figure(test::load_result(61, 256), {Measure::share, Sort::index, true}, selection, 880, 560),
                 "experts_big");
  test::keep_svg(experts_figure(test::load_result(16, 64), {Measure::share, Sort::load, true}, selection, 880, 560),
                 "experts_64");
  for (const Theme theme : {Theme::dark, Theme::light}) {
    for (const bool standalone : {true, false})
      EXPECT_EQ(test::xml_problem(figure_to_svg(by_load, theme, standalone)), "");
  }
}

TEST(ExpertsFigure, AResultWithoutLoadOrWithBrokenArraysSaysSo) {
  EXPECT_FALSE(experts_figure(nullptr, {}, {}, 300, 200).title.empty());
  auto broken = std::make_shared<Result>(*test::load_result(3, 8));
  broken->matrices[1].values.pop_back();
  EXPECT_TRUE(experts_figure(broken, {}, {}, 300, 200).picks.empty());
}

}  // namespace
}  // namespace moescope::experts_figure_test
