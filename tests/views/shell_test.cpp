#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <QLineEdit>
#include <QTest>
#include <fstream>

#include "views/shell/error_bar.h"
#include "views/shell/main_window.h"
#include "views/shell/palette.h"
#include "views/shell/query_box.h"
#include "views_fixture.h"

namespace moescope {
namespace {

using ::testing::HasSubstr;

// Different colours in a picture; a blank one has very few.
int colours_of(const QImage& image) {
  std::set<QRgb> seen;
  for (int y = 0; y < image.height(); y += 3)
    for (int x = 0; x < image.width(); x += 3) seen.insert(image.pixel(x, y));
  return static_cast<int>(seen.size());
}

TEST(Shell, StartPageShowsWhileNothingIsOpen) {
  WindowFixture f(0, false);
  f.window->show();
  f.settle();
  EXPECT_EQ(f.window->view(), nullptr);
  EXPECT_GT(colours_of(f.window->grab().toImage()), 20);
}

TEST(Shell, OpeningATraceShowsTheFirstViewDrawn) {
  WindowFixture f;
  ASSERT_NE(f.window->view(), nullptr);
  EXPECT_EQ(f.window->current_view(), QStringLiteral("experts"));
  EXPECT_GT(colours_of(f.window->view()->picture(1)), 30);
}

TEST(Shell, EveryViewDrawsThePlantedTraceInBothThemes) {
  WindowFixture f;
  for (const char* theme : {"light", "dark"}) {
    ASSERT_TRUE(f.run("option.set", {{"name", "theme"}, {"value", theme}}));
    for (const ViewSpec& spec : f.window->views()) {
      ASSERT_TRUE(f.run("view.show", {{"name", spec.name.toStdString()}}));
      f.settle();
      EXPECT_GT(colours_of(f.window->grab().toImage()), 30) << spec.name.toStdString() << ' ' << theme;
    }
  }
}

TEST(Shell, UnknownViewIsAnErrorThatListsTheViews) {
  WindowFixture f;
  const auto shown = f.run("view.show", {{"name", "towers"}});
  ASSERT_FALSE(shown);
  EXPECT_THAT(shown.error().advice, HasSubstr("experts"));
}

TEST(Shell, PaletteFindsCommandsExpertsAndTokens) {
  WindowFixture f;
  const auto commands = f.window->palette_box().entries(QStringLiteral("undo"));
  ASSERT_FALSE(commands.empty());
  EXPECT_TRUE(commands.front().title.contains(QStringLiteral("Undo"), Qt::CaseInsensitive));
  auto experts = f.window->palette_box().entries(QStringLiteral("L1 E3"));
  ASSERT_FALSE(experts.empty());
  EXPECT_EQ(experts.front().title, QStringLiteral("Select L1·E03"));
  experts.front().run();
  EXPECT_EQ(f.bench->selection().experts, (std::vector<ExpertRef>{{1, 3}}));
  const auto tokens = f.window->palette_box().entries(QStringLiteral("token 5"));
  ASSERT_FALSE(tokens.empty());
  tokens.front().run();
  EXPECT_EQ(f.bench->selection().token, 5U);
}

TEST(QueryBoxTest, CountsWhileTyping) {
  WindowFixture f(240);
  QLineEdit& edit = f.window->query().edit();
  edit.setText({});
  QTest::keyClicks(&edit, QStringLiteral("domain == \"code\""));
  EXPECT_TRUE(
      QTest::qWaitFor([&] { return f.window->query().verdict().startsWith(QStringLiteral("120 of")); }, 10'000));
  EXPECT_EQ(f.window->query().verdict(), QStringLiteral("120 of 240 tokens"));
  EXPECT_TRUE(f.bench->filter().mask.all()) << "typing alone changes nothing";
  QTest::keyClick(&edit, Qt::Key_Return);
  EXPECT_TRUE(f.bench->filter().mask.all()) << "tokens are filtered off the main thread";
  EXPECT_TRUE(QTest::qWaitFor([&] { return f.bench->filter().mask.selected == 120; }, 10'000));
}

TEST(QueryBoxTest, ABadFilterSaysWhatAndChangesNothing) {
  WindowFixture f(240);
  QLineEdit& edit = f.window->query().edit();
  edit.setText(QStringLiteral("domain == "));
  QTest::keyClick(&edit, Qt::Key_Return);
  EXPECT_TRUE(QTest::qWaitFor([&] { return f.window->query().has_error(); }, 10'000));
  EXPECT_FALSE(f.window->query().verdict().isEmpty());
  EXPECT_TRUE(f.bench->filter().filter.text.empty());
  EXPECT_TRUE(f.window->errors().log().empty()) << "a bad filter is shown where it was typed";
  QTest::keyClick(&edit, Qt::Key_Escape);
  EXPECT_FALSE(f.window->query().has_error());
}

TEST(Shell, ABadFileIsOneErrorAndTheNextCommandWorks) {
  WindowFixture f;
  const std::string path = f.file("bad.safetensors").toStdString();
  std::ofstream(path) << "not a file of tensors";
  EXPECT_TRUE(f.window->context().run("source.open", {{"path", path}})) << "it is read off the main thread";
  f.settle();
  ASSERT_EQ(f.window->errors().log().size(), 1U);
  EXPECT_FALSE(f.window->errors().log().front().error.what.empty());
  EXPECT_TRUE(f.window->errors().isVisible());
  EXPECT_TRUE(f.window->context().run("select.expert", {{"row", 0}, {"expert", 1}}));
}

}  // namespace
}  // namespace moescope
