#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <QMouseEvent>
#include <QScrollBar>
#include <QTest>
#include <QWheelEvent>

#include "core/trace/trace_builder.h"
#include "views/tokens/token_colors.h"
#include "views/tokens/token_flow.h"
#include "views/tokens/token_lines.h"
#include "views/tokens/token_map.h"
#include "views/tokens/token_search.h"
#include "views_fixture.h"

namespace moescope {
namespace {

TokenLines laid_out(const Trace& trace, const AppliedFilter& filter, int cells) {
  TokenLines lines;
  lines.start(std::make_shared<const Trace>(trace), filter, cells);
  while (lines.advance(17)) {
  }
  return lines;
}

TEST(TokenLines, EveryTokenIsOnExactlyOneLine) {
  const Trace trace = planted_trace(500);
  const TokenLines lines = laid_out(trace, {}, 40);
  std::uint64_t next = 0;
  for (const TokenLine& line : lines.lines()) {
    EXPECT_EQ(line.first, next);
    int cells = 0;
    for (std::uint64_t t = line.first; t < line.first + line.count; ++t) cells += token_cells(trace.token_text(t));
    EXPECT_LE(cells, 40);
    next = line.first + line.count;
  }
  EXPECT_EQ(next, trace.token_count());
  EXPECT_EQ(lines.line_of(0), 0U);
  EXPECT_EQ(lines.line_of(499), lines.lines().size() - 1);
}

TEST(TokenLines, AWordOfSeveralTokensGoesToTheNextLineWhole) {
  TraceBuilder builder(TraceBuilder::plain_rows(1, 4, 1), 1);
  for (const char* piece : {"The", " quick", " experi", "men", "tal", " fox"}) {
    builder.token({}, piece);
    builder.route(0, {0});
  }
  const TokenLines lines = laid_out(builder.build("words"), {}, 20);
  ASSERT_EQ(lines.lines().size(), 2U);
  EXPECT_EQ(lines.lines()[0].count, 2U);
  EXPECT_EQ(lines.lines()[1].first, 2U);
  EXPECT_EQ(lines.lines()[1].number, 0U);
}

TEST(TokenLines, SequencesWithoutAKeptTokenAreLeftOut) {
  const Trace trace = planted_trace(240);
  const auto filter = apply_filter(trace, "sequence == 3");
  ASSERT_TRUE(filter) << filter.error().text();
  const TokenLines lines = laid_out(trace, *filter, 60);
  EXPECT_EQ(lines.tokens_shown(), 24U);
  EXPECT_EQ(lines.lines().front().first, 72U);
  EXPECT_FALSE(lines.line_of(0).has_value());
}

TEST(TokenLines, CellsCountTabsAndWideCharacters) {
  EXPECT_EQ(token_cells("abc"), 3);
  EXPECT_EQ(token_cells("\t"), 4);
  EXPECT_EQ(token_cells("é"), 1);
  EXPECT_EQ(token_cells("漢"), 2);
  EXPECT_EQ(token_cells(""), 1);
}

TEST(TokenSearch, FindsAcrossTokenBordersAndIgnoresCase) {
  const Trace trace = planted_trace(240);
  const auto hits = find_in_tokens(trace, {}, "HARBOUR sky", 1000, {});
  ASSERT_FALSE(hits.empty());
  EXPECT_EQ(hits.front().first, 1U);
  EXPECT_EQ(hits.front().count, 2U);
  EXPECT_TRUE(find_in_tokens(trace, {}, "nowhere", 10, {}).empty());
  EXPECT_EQ(find_in_tokens(trace, {}, "plan", 3, {}).size(), 3U);
}

TEST(TokenColors, ReadsExpertWeightLossAndDomainOfAToken) {
  const Trace trace = planted_trace(240);
  EXPECT_EQ(token_expert(trace, 30, 1, 1), 3U) << "token 30 is code";
  EXPECT_FALSE(token_expert(trace, 30, 1, 3).has_value()) << "top-2 has no third";
  EXPECT_FLOAT_EQ(static_cast<float>(token_weight(trace, 30, 1, 2)), 0.3F);
  EXPECT_GE(token_loss(trace, 30), 1.0);
  EXPECT_EQ(token_tag(trace, 30, "domain"), "code");
  EXPECT_TRUE(token_uses(trace, 30, {1, 3}));
}

TEST(TokensViewTest, DraggingOverTokensMakesThemTheFilter) {
  WindowFixture f;
  ASSERT_TRUE(f.run("view.show", {{"name", "tokens"}}));
  f.settle();
  auto* flow = static_cast<TokenFlow*>(f.window->view()->findChild<QWidget*>(QStringLiteral("token_flow")));
  ASSERT_NE(flow, nullptr);
  EXPECT_TRUE(QTest::qWaitFor([&] { return flow->laid_out(); }, 10'000));
  const QPoint from(140, 20);
  const QPoint to(420, 20);
  const auto first = flow->token_at(from), last = flow->token_at(to);
  ASSERT_TRUE(first && last);
  QTest::mousePress(flow->viewport(), Qt::LeftButton, Qt::NoModifier, from);
  QMouseEvent move(QEvent::MouseMove, to, flow->viewport()->mapToGlobal(to), Qt::NoButton, Qt::LeftButton,
                   Qt::NoModifier);
  QCoreApplication::sendEvent(flow->viewport(), &move);
  QTest::mouseRelease(flow->viewport(), Qt::LeftButton, Qt::NoModifier, to);
  f.settle();
  EXPECT_EQ(f.bench->filter().mask.selected, *last - *first + 1);
}

TEST(TokensViewTest, TheMapShowsTheWholeTraceZoomsAndMoves) {
  WindowFixture f(4'000);
  ASSERT_TRUE(f.run("view.show", {{"name", "tokens"}}));
  f.settle();
  auto* map = static_cast<TokenMap*>(f.window->view()->findChild<QWidget*>(QStringLiteral("token_map")));
  ASSERT_NE(map, nullptr);
  EXPECT_EQ(map->range(), (TokenRange{0, 4'000}));
  EXPECT_FALSE(map->grab().isNull());
  ASSERT_NE(map->figure(), nullptr);
  ASSERT_NE(map->figure()->source, nullptr);
  EXPECT_EQ(map->figure()->source->provenance.analysis, "token_map");
  QWheelEvent wheel(QPointF(map->width() - 28, 40), map->mapToGlobal(QPointF(map->width() - 28, 40)), {}, {0, 960},
                    Qt::NoButton, Qt::NoModifier, Qt::NoScrollPhase, false);
  QCoreApplication::sendEvent(map, &wheel);
  // One pixel of the whole map is a few tokens.
  EXPECT_NEAR(static_cast<double>(map->range().first + map->range().count), 4'000, 2 * 4'000.0 / map->width())
      << "the end stays under the pointer";
  EXPECT_LT(map->range().count, 1'000U);
  f.settle();
  EXPECT_FALSE(map->grab().isNull());
  EXPECT_EQ(map->figure()->source->provenance.analysis, "token_routes") << "every token has a column";
  const TokenRange before = map->range();
  const QPoint from(400, 40), to(600, 40);
  QTest::mousePress(map, Qt::LeftButton, Qt::NoModifier, from);
  QMouseEvent move(QEvent::MouseMove, to, map->mapToGlobal(to), Qt::NoButton, Qt::LeftButton, Qt::NoModifier);
  QCoreApplication::sendEvent(map, &move);
  QTest::mouseRelease(map, Qt::LeftButton, Qt::NoModifier, to);
  EXPECT_LT(map->range().first, before.first);
  EXPECT_FALSE(f.bench->selection().token.has_value()) << "a drag does not select";
  ASSERT_TRUE(f.run("option.set", {{"name", "tokens.map"}, {"value", "experts"}}));
  ASSERT_TRUE(f.run("option.set", {{"name", "tokens.range"}, {"value", {1'000, 2'000}}}));
  f.settle();
  EXPECT_EQ(map->range(), (TokenRange{1'000, 2'000}));
  EXPECT_FALSE(map->grab().isNull());
  EXPECT_EQ(map->figure()->source->provenance.params.at("row"), 0);
  QTest::mouseClick(map, Qt::LeftButton, Qt::NoModifier, {map->width() / 2, 40});
  ASSERT_TRUE(f.bench->selection().token.has_value());
  EXPECT_NEAR(static_cast<double>(*f.bench->selection().token), 2'000, 90);
  QTest::keyClick(map, Qt::Key_0);
  EXPECT_EQ(map->range(), (TokenRange{0, 4'000}));
}

TEST(TokensViewTest, AMillionTokensScrollWithoutBeingLaidOutFirst) {
  const auto trace = std::make_shared<const Trace>(planted_trace(200'000));
  WindowFixture f;
  TokenFlow flow(f.window->context(), nullptr);
  flow.resize(900, 600);
  flow.set_trace(trace, {});
  flow.show();
  EXPECT_FALSE(flow.grab().isNull());
  EXPECT_GT(flow.tokens_shown(), 0U);
  EXPECT_TRUE(QTest::qWaitFor([&] { return flow.laid_out(); }, 60'000));
  EXPECT_EQ(flow.tokens_shown(), 200'000U);
  flow.scroll_to(199'999);
  EXPECT_GT(flow.verticalScrollBar()->value(), 0);
}

}  // namespace
}  // namespace moescope
