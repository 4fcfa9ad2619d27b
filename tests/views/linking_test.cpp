// Selection is one for all views: what is clicked in one is marked in the others.
#include <gtest/gtest.h>

#include <QTest>
#include <algorithm>

#include "views/common/figure_painter.h"
#include "views/common/figure_widget.h"
#include "views_fixture.h"

namespace moescope {
namespace {

int pick_of(const Figure& figure, ExpertRef expert) {
  for (std::size_t i = 0; i < figure.picks.size(); ++i) {
    const auto* e = std::get_if<ExpertRef>(&figure.picks[i].what);
    if (e && *e == expert) return static_cast<int>(i);
  }
  return -1;
}

// Accent-filled rectangles: chips and marked bars.
int accents(const Figure& figure) {
  return static_cast<int>(std::count_if(figure.marks.begin(), figure.marks.end(), [](const Mark& mark) {
    const auto* rect = std::get_if<RectMark>(&mark.shape);
    return rect && rect->fill.kind == Paint::Kind::role && rect->fill.role == ColorRole::accent;
  }));
}

// The shown figure; a paint makes the widget build what it was last given.
const Figure& shown(WindowFixture& f) {
  f.settle();
  FigureWidget* widget = f.window->view()->main_figure();
  (void)widget->grab();
  return *widget->figure();
}

TEST(Linking, AClickOnACellSelectsItsExpertInEveryView) {
  WindowFixture f;
  const Figure before = shown(f);
  const ExpertRef expert{1, 3};
  const int pick = pick_of(before, expert);
  ASSERT_GE(pick, 0);
  QTest::mouseClick(f.window->view()->main_figure(), Qt::LeftButton, Qt::NoModifier,
                    pick_bounds(before, pick).center().toPoint());
  EXPECT_EQ(f.bench->selection().experts, std::vector<ExpertRef>{expert});
  EXPECT_GT(accents(shown(f)), accents(before)) << "the axis label of the selected row becomes a chip";

  ASSERT_TRUE(f.run("select.clear"));
  ASSERT_TRUE(f.run("view.show", {{"name", "affinity"}}));
  const int unmarked = accents(shown(f));
  ASSERT_TRUE(f.run("select.expert", {{"row", 1}, {"expert", 3}}));
  EXPECT_GT(accents(shown(f)), unmarked) << "the affinity matrix marks the expert";
}

TEST(Linking, ShiftAddsAndEscapeClears) {
  WindowFixture f;
  const Figure figure = shown(f);
  FigureWidget* widget = f.window->view()->main_figure();
  const auto click = [&](ExpertRef expert, Qt::KeyboardModifiers keys) {
    QTest::mouseClick(widget, Qt::LeftButton, keys, pick_bounds(figure, pick_of(figure, expert)).center().toPoint());
  };
  click({0, 1}, Qt::NoModifier);
  click({2, 5}, Qt::ShiftModifier);
  EXPECT_EQ(f.bench->selection().experts.size(), 2U);
  QTest::keyClick(widget, Qt::Key_Escape);
  EXPECT_TRUE(f.bench->selection().empty());
}

TEST(Linking, ArrowsAndEnterSelectFromTheKeyboard) {
  WindowFixture f;
  (void)shown(f);
  FigureWidget* widget = f.window->view()->main_figure();
  QTest::keyClick(widget, Qt::Key_Right);
  QTest::keyClick(widget, Qt::Key_Right);
  QTest::keyClick(widget, Qt::Key_Return);
  EXPECT_FALSE(f.bench->selection().experts.empty());
}

TEST(Linking, AFilterRecomputesTheFigure) {
  WindowFixture f;
  const ResultPtr all = shown(f).source;
  ASSERT_TRUE(f.run("filter.set", {{"text", "domain == \"code\""}}));
  const ResultPtr some = shown(f).source;
  ASSERT_NE(all, some);
  EXPECT_EQ(some->provenance.tokens, 120U);
  EXPECT_DOUBLE_EQ(some->matrix("share")->at(1, 3), 0.5) << "expert 3 is the first choice of every code token";
}

TEST(Linking, AViewThatDoesNotFollowKeepsItsSelection) {
  WindowFixture f;
  ASSERT_TRUE(f.run("select.expert", {{"row", 0}, {"expert", 1}}));
  f.window->view()->set_follows(false);
  ASSERT_TRUE(f.run("select.expert", {{"row", 2}, {"expert", 6}}));
  EXPECT_EQ(f.window->view()->shown_selection().experts, (std::vector<ExpertRef>{{0, 1}}));
  f.window->view()->set_follows(true);
  EXPECT_EQ(f.window->view()->shown_selection().experts, (std::vector<ExpertRef>{{2, 6}}));
}

}  // namespace
}  // namespace moescope
