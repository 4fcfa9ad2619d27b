// The Weights view on a checkpoint without a trace: what is shown, searched, selected; and the filter's completion.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <QLineEdit>
#include <QTableView>
#include <QTest>

#include "core/trace/selection.h"
#include "core/trace/trace_file.h"
#include "views/common/figure_painter.h"
#include "views/common/figure_widget.h"
#include "views/shell/error_bar.h"
#include "views/shell/filter_completion.h"
#include "views/weights/tensor_model.h"
#include "views_fixture.h"

namespace moescope {
namespace {

using testing::ElementsAre;

// A window on the smallest checkpoint of the tests' data.
class WeightsTest : public testing::Test {
 protected:
  void SetUp() override {
    f.window->show();
    must("source.open", {{"path", MOESCOPE_SOURCE_DIR "/tests/data/golden/olmoe"}});
    f.settle();
  }
  void must(const std::string& id, const nlohmann::json& arguments) {
    const auto done = f.run(id, arguments);
    EXPECT_TRUE(done) << done.error().text();
  }
  // Main figure of the page, as it is drawn.
  const Figure& shown() {
    f.settle();
    FigureWidget* widget = f.window->view()->main_figure();
    (void)widget->grab();
    return *widget->figure();
  }
  WindowFixture f{1, false};
};

TEST_F(WeightsTest, ACheckpointAloneShowsItsWeightsAndATraceBringsTheFormerViewBack) {
  EXPECT_EQ(f.window->current_view(), QStringLiteral("weights"));
  EXPECT_FALSE(shown().picks.empty()) << "parameters by part";
  const std::string trace = f.file("planted.routes.safetensors").toStdString();
  ASSERT_TRUE(write_trace(planted_trace(48), trace));
  must("source.open", {{"path", trace}});
  f.settle();
  EXPECT_EQ(f.window->current_view(), QStringLiteral("experts"));
}

TEST_F(WeightsTest, TheSearchKeepsTensorsWithAllWords) {
  must("option.set", {{"name", "weights.page"}, {"value", "tensors"}});
  f.settle();
  auto* table = f.window->view()->findChild<QTableView*>();
  auto* model = dynamic_cast<TensorModel*>(table->model());
  ASSERT_NE(model, nullptr);
  const int all = model->rowCount();
  EXPECT_EQ(static_cast<std::size_t>(all), f.bench->active_checkpoint()->checkpoint->tensors().size());
  auto* search = f.window->view()->findChild<QLineEdit*>();
  QTest::keyClicks(search, QStringLiteral("LAYERS.1. experts down"));
  EXPECT_LT(model->rowCount(), all);
  EXPECT_GT(model->rowCount(), 0);
  for (int r = 0; r < model->rowCount(); ++r) {
    const QString name = model->data(model->index(r, 0), Qt::DisplayRole).toString();
    EXPECT_TRUE(name.contains(QStringLiteral("layers.1.")) && name.contains(QStringLiteral("down")))
        << name.toStdString();
  }
  search->clear();
  EXPECT_EQ(model->rowCount(), all);
  model->sort(4, Qt::DescendingOrder);
  const auto bytes = [&](int r) {
    return model->data(model->index(r, 4), Qt::DisplayRole).toString().remove(QLatin1Char(',')).toLongLong();
  };
  for (int r = 1; r < all; ++r) EXPECT_GE(bytes(r - 1), bytes(r));
}

TEST_F(WeightsTest, AnExpertIsSelectedWithoutATraceAndItsLayerIsShown) {
  must("option.set", {{"name", "weights.page"}, {"value", "experts"}});
  const Figure before = shown();
  EXPECT_TRUE(before.source->matrix("cosine"));
  must("select.expert", {{"row", 1}, {"expert", 2}});
  const Figure& after = shown();
  EXPECT_NE(after.source, before.source) << "the router rows of the other layer";
  ASSERT_FALSE(after.picks.empty());
  const auto* expert = std::get_if<ExpertRef>(&after.picks.front().what);
  ASSERT_NE(expert, nullptr);
  EXPECT_EQ(expert->row, 1U);
  must("option.set", {{"name", "weights.compare"}, {"value", "cka"}});
  EXPECT_TRUE(shown().source->matrix("cka"));
  QTest::mouseClick(f.window->view()->main_figure(), Qt::LeftButton, Qt::NoModifier,
                    pick_bounds(shown(), 0).center().toPoint());
  EXPECT_EQ(f.bench->selection().experts.size(), 1U);
  EXPECT_TRUE(f.window->errors().log().empty());
}

std::vector<FilterTerm> some_terms() {
  return {{"domain", "tag", {"code", "prose"}},
          {"noise level", "number", {}},
          {"position", "number", {}},
          {"loss", "number", {}},
          {"uses", "function", {}},
          {"layer", "number", {"0", "1"}}};
}

QStringList next(const char* before) {
  return complete_filter(QString::fromUtf8(before), some_terms(), 3).words;
}

QString typed(const char* before, const char* word) {
  const QString text = QString::fromUtf8(before);
  const FilterCompletion completion = complete_filter(text, some_terms(), 3);
  return text.left(completion.from) + insertion_of(completion, QString::fromUtf8(word), some_terms());
}

TEST(FilterCompletionTest, WhatTheGrammarAllowsNextIsOffered) {
  const auto is = [](const char* text) { return QString::fromUtf8(text); };
  EXPECT_THAT(next("do"), ElementsAre(is("domain")));
  EXPECT_THAT(next("domain == \"code\" && l"), ElementsAre(is("loss"), is("layer")));
  EXPECT_THAT(next("domain "), ElementsAre(is("=="), is("!="), is("in"), is("contains")));
  EXPECT_THAT(next("domain =="), ElementsAre(is("code"), is("prose")));
  EXPECT_THAT(next("domain == \"p"), ElementsAre(is("prose")));
  EXPECT_THAT(next("domain in "), ElementsAre(is("{")));
  EXPECT_THAT(next("domain in {\"code\", "), ElementsAre(is("code"), is("prose")));
  EXPECT_THAT(next("domain in {\"code\" "), ElementsAre(is(","), is("}")));
  EXPECT_THAT(next("domain in {\"code\"} "), ElementsAre(is("&&"), is("||")));
  EXPECT_THAT(next("!(loss > 3 "), ElementsAre(is("&&"), is("||")));
  EXPECT_THAT(next("uses("), ElementsAre(is("0"), is("1"), is("2")));
  EXPECT_THAT(next("uses(2, {1, 5}) && po"), ElementsAre(is("position")));
  EXPECT_TRUE(next("loss > ").isEmpty()) << "any number will do";
  EXPECT_TRUE(next("domain ==== ").isEmpty());
}

TEST(FilterCompletionTest, WhatIsInsertedIsAFilterAgain) {
  EXPECT_EQ(typed("po", "position"), QStringLiteral("position "));
  EXPECT_EQ(typed("u", "uses"), QStringLiteral("uses("));
  EXPECT_EQ(typed("", "noise level"), QStringLiteral("\"noise level\" "));
  EXPECT_EQ(typed("domain == \"co", "code"), QStringLiteral("domain == \"code\""));
  EXPECT_EQ(typed("domain in {\"code\", pr", "prose"), QStringLiteral("domain in {\"code\", \"prose\""));
  EXPECT_EQ(typed("\"noise level\" > 0.5 ", "&&"), QStringLiteral("\"noise level\" > 0.5 && "));
}

}  // namespace
}  // namespace moescope
