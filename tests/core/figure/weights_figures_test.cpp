// Figures of weights: what is picked, what is marked, what stays blank.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>

#include "core/figure/expert_matrix_figure.h"
#include "core/figure/expert_weights_figures.h"
#include "core/figure/model_card_figures.h"
#include "core/figure/number_format.h"
#include "tests/core/figure/figure_fixture.h"

namespace moescope::weights_figures_test {
namespace {

std::vector<std::string> names(const char* letter, std::size_t n) {
  std::vector<std::string> out;
  for (std::size_t i = 0; i < n; ++i) out.push_back(letter + std::string(i < 10 ? "0" : "") + std::to_string(i));
  return out;
}

// Cosines −0.5 to 0.5 with ones on the diagonal, and a norm per expert.
ResultPtr router_result(std::size_t experts) {
  auto result = std::make_shared<Result>();
  Matrix m{.name = "cosine", .title = "Cosine of router rows", .row_names = names("E", experts)};
  m.column_names = m.row_names;
  for (std::size_t i = 0; i < experts; ++i)
    for (std::size_t j = 0; j < experts; ++j)
      m.values.push_back(i == j ? 1 : 0.5 * std::sin(static_cast<double>(i * j)));
  Series norm{.name = "norm", .title = "Norm of router rows", .y_axis = "L2 norm"};
  norm.x_names = m.row_names;
  for (std::size_t e = 0; e < experts; ++e) norm.x.push_back(static_cast<double>(e)), norm.y.push_back(1 + 0.1 * e);
  result->matrices.push_back(std::move(m));
  result->series.push_back(std::move(norm));
  return result;
}

int picks_of(const Figure& figure, ExpertRef expert) {
  return static_cast<int>(std::count_if(figure.picks.begin(), figure.picks.end(), [&](const Pick& pick) {
    const auto* e = std::get_if<ExpertRef>(&pick.what);
    return e != nullptr && *e == expert;
  }));
}

void expect_tidy(const Figure& figure) {
  EXPECT_EQ(test::overlapping_texts(figure), "");
  EXPECT_EQ(test::mark_outside(figure), "");
  EXPECT_EQ(test::xml_problem(figure_to_svg(figure, Theme::dark, true)), "");
  EXPECT_FALSE(figure.title.empty());
}

TEST(ExpertMatrixFigure, CellsPickTheirRowsExpertAndTheDiagonalIsBlank) {
  for (const std::size_t experts : {4U, 16U, 128U}) {
    ExpertMatrixOptions options{"cosine", "cosine", true, false, 5, "L7", "norm"};
    const Figure figure = expert_matrix_figure(router_result(experts), options, {{{5, 3}}, {}, {}}, 640, 680);
    // A cell beside every other expert, and the bar above.
    EXPECT_EQ(picks_of(figure, {5, 3}), static_cast<int>(experts));
    expect_tidy(figure);
    const bool chip = std::any_of(figure.marks.begin(), figure.marks.end(), [](const Mark& mark) {
      const auto* rect = std::get_if<RectMark>(&mark.shape);
      return rect != nullptr && rect->fill.kind == Paint::Kind::role && rect->fill.role == ColorRole::accent;
    });
    EXPECT_TRUE(chip) << "the selected expert's labels are chips";
  }
}

TEST(ExpertMatrixFigure, WithoutARouterRowNothingCanBeSelected) {
  ExpertMatrixOptions options{"cosine", "cosine", true, true, std::nullopt, "L7", ""};
  const Figure figure = expert_matrix_figure(router_result(8), options, {}, 400, 420);
  for (const Pick& pick : figure.picks) EXPECT_TRUE(std::holds_alternative<std::monostate>(pick.what));
  EXPECT_EQ(expert_matrix_figure(nullptr, options, {}, 400, 420).picks.size(), 0U);
}

TEST(ExpertNormsFigure, RowsAreTheTracesAndEveryCellSaysItsNorm) {
  auto result = std::make_shared<Result>();
  Matrix m{.name = "norm", .title = "Norm", .row_names = {"L1", "L2", "L40"}, .column_names = names("E", 20)};
  for (std::size_t i = 0; i < 60; ++i) m.values.push_back(0.1 + 0.001 * static_cast<double>(i));
  m.absence.assign(60, Absence::present);
  m.absence[59] = Absence::not_recorded;
  result->matrices.push_back(std::move(m));
  const Figure figure = expert_norms_figure(result, {{0, std::nullopt, 2}, 2}, {{{2, 4}}, {}, {}}, 700, 260);
  EXPECT_EQ(picks_of(figure, {2, 4}), 1);
  EXPECT_EQ(picks_of(figure, {1, 4}), 0) << "a layer without a router row cannot be selected";
  EXPECT_EQ(figure.picks.size(), 59U);
  EXPECT_NE(figure.picks[44].tooltip.find("L40·E04"), std::string::npos) << figure.picks[44].tooltip;
  expect_tidy(figure);
}

TEST(ExpertSpectraFigure, ALinePerExpertAndBarsOfTheStableRank) {
  auto result = std::make_shared<Result>();
  Matrix m{.name = "singular_values", .title = "Singular values", .row_names = names("E", 6)};
  for (int c = 1; c <= 40; ++c) m.column_names.push_back(std::to_string(c));
  for (std::size_t e = 0; e < 6; ++e)
    for (int c = 0; c < 40; ++c) m.values.push_back((2 + 0.1 * static_cast<double>(e)) * std::exp(-0.15 * c));
  Series rank{.name = "stable_rank", .title = "Stable rank", .y_axis = "stable rank", .formula = "f"};
  rank.x_names = m.row_names;
  for (int e = 0; e < 6; ++e) rank.x.push_back(e), rank.y.push_back(3 + e);
  result->matrices.push_back(std::move(m));
  result->series.push_back(std::move(rank));
  const LayerExpertsOptions options{1, "L3"};
  const Figure lines = expert_spectra_figure(result, options, {{{1, 2}}, {}, {}}, 700, 230);
  for (std::uint32_t e = 0; e < 6; ++e) EXPECT_EQ(picks_of(lines, {1, e}), 1);
  expect_tidy(lines);
  const Figure bars = expert_bars_figure(result, "stable_rank", options, {{{1, 2}}, {}, {}}, 700, 180);
  for (std::uint32_t e = 0; e < 6; ++e) EXPECT_EQ(picks_of(bars, {1, e}), 1);
  expect_tidy(bars);
  expect_tidy(expert_bars_figure(result, "nothing", options, {}, 700, 180));
}

TEST(LayerMapFigure, LayersThatAreAlikeShareALine) {
  auto result = std::make_shared<Result>();
  Table layers{"layers", "Layers", {}, {}};
  for (const char* name : {"layer", "mixer", "sees", "kind", "experts", "per token", "shared", "width", "router"})
    layers.columns.push_back({name, ""});
  for (std::int64_t l = 0; l < 61; ++l) {
    const bool moe = l >= 3;
    const auto cell = [&](std::int64_t n) { return moe ? Table::Cell(n) : Table::Cell(); };
    layers.rows.push_back({l, "latent attention", "all before", moe ? "experts" : "dense", cell(256), cell(8), cell(1),
                           std::int64_t{moe ? 2048 : 18432}, moe ? Table::Cell("sigmoid") : Table::Cell()});
  }
  result->tables.push_back(std::move(layers));
  const Figure figure = layer_map_figure(result, 800, 100);
  EXPECT_EQ(figure.picks.size(), 61U);
  const auto says = [&](const std::string& words) {
    return std::any_of(figure.marks.begin(), figure.marks.end(), [&](const Mark& mark) {
      const auto* text = std::get_if<TextMark>(&mark.shape);
      return text != nullptr && text->text.find(words) != std::string::npos;
    });
  };
  EXPECT_TRUE(says("3 layers: 0 to 2"));
  EXPECT_TRUE(says("58 layers: 3 to 60"));
  EXPECT_TRUE(says("256 experts, 8 per token, 1 shared, width 2,048"));
  expect_tidy(figure);
}

TEST(NumberFormat, QuantitiesAndBytesHaveThreeDigits) {
  EXPECT_EQ(format_quantity(6'919'161'856), "6.92\u202FB");
  EXPECT_EQ(format_quantity(640), "640");
  EXPECT_EQ(format_quantity(999'700), "1.00\u202FM");
  EXPECT_EQ(format_bytes(13'838'323'712), "13.8\u202FGB");
  EXPECT_EQ(format_bytes(0), "0\u202FB");
}

}  // namespace
}  // namespace moescope::weights_figures_test
