#include "core/figure/token_strip_figure.h"

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <limits>
#include <set>

#include "core/figure/number_format.h"
#include "core/figure/result_access.h"
#include "core/figure/row_labels.h"
#include "core/figure/utf8.h"

namespace moescope {
namespace {

constexpr double label_width = 44;

std::uint64_t first_token(const Result& routes) {
  const auto& params = routes.provenance.params;
  if (!params.is_object() || !params.contains("first") || !params.at("first").is_number_integer()) return 0;
  return static_cast<std::uint64_t>(std::max<std::int64_t>(0, params.at("first").get<std::int64_t>()));
}

// Expert number of a cell, or -1.
int expert_at(const Matrix& expert, std::size_t row, std::size_t column) {
  if (!present(expert, row, column)) return -1;
  const double v = expert.at(row, column);
  return v >= 0 && v < 65536 ? static_cast<int>(v) : -1;
}

struct Range {
  double low = 0, high = 1;
  [[nodiscard]] double of(double v) const { return high > low ? (v - low) / (high - low) : 1; }
};

// Weights of rank 1 start at 1/k, so their map starts at the least weight there is, printed beside it.
Range weight_range(const Matrix& weight) {
  Range r{std::numeric_limits<double>::infinity(), -std::numeric_limits<double>::infinity()};
  for (const double v : weight.values) {
    if (!std::isfinite(v)) continue;
    r.low = std::min(r.low, v);
    r.high = std::max(r.high, v);
  }
  if (r.high < r.low) return {};
  return r;
}

std::string cell_words(const Matrix& expert, const Matrix* weight, const Matrix* margin, std::size_t r, std::size_t c,
                       const std::string& token) {
  const int e = expert_at(expert, r, c);
  std::string out = token + "\n" + expert.row_names[r] + "·";
  out += e < 0 ? absence_words(cell_absence(expert, r, c)) : (e < 10 ? "E0" : "E") + std::to_string(e);
  if (weight != nullptr && present(*weight, r, c)) out += ", weight " + format_number(weight->at(r, c), 2);
  if (margin != nullptr && present(*margin, r, c)) out += ", margin " + format_number(margin->at(r, c), 2);
  return out;
}

bool same_shape(const Matrix* a, const Matrix& b) {
  return a != nullptr && a->rows() == b.rows() && a->columns() == b.columns();
}

bool is_selected(const Selection& selection, std::size_t row, int expert) {
  return std::any_of(selection.experts.begin(), selection.experts.end(),
                     [&](const ExpertRef& s) { return s.row == row && static_cast<int>(s.expert) == expert; });
}

std::set<std::size_t> selected_rows(const Selection& selection) {
  std::set<std::size_t> rows;
  for (const ExpertRef& expert : selection.experts) rows.insert(expert.row);
  return rows;
}

void draw_minimap(FigureBuilder& b, const TokenStripOptions& options, std::uint64_t first, std::size_t columns,
                  double y) {
  const double x0 = label_width;
  const double x1 = b.width() - 12;
  const double all = static_cast<double>(std::max<std::uint64_t>(options.all_tokens, first + columns));
  const auto x_of = [&](double token) { return x0 + (x1 - x0) * token / all; };
  b.rect({x0, y, x1 - x0, 9}, Paint::of(ColorRole::raised), layer::grid);
  double last = -10;
  for (const std::uint64_t token : options.marks) {
    if (token >= options.all_tokens) continue;
    const double x = x_of(static_cast<double>(token));
    if (x - last < 1) continue;  // never more ticks than pixels
    last = x;
    b.rect({x, y, 1.5, 9}, Paint::of(ColorRole::accent));
  }
  RectMark& frame =
      b.rect({x_of(static_cast<double>(first)), y - 2,
              std::max(3.0, x_of(static_cast<double>(first + columns)) - x_of(static_cast<double>(first))), 13},
             Paint::of(ColorRole::none), layer::ring,
             b.pick(std::monostate{}, "Visible part\ntokens " + format_count(static_cast<double>(first)) + " to " +
                                          format_count(static_cast<double>(first + columns) - 1)));
  frame.stroke = Paint::of(ColorRole::text_1);
  frame.stroke_width = 1.5;
  frame.radius = 2;
}

}  // namespace

Figure token_strip_figure(const ResultPtr& routes, const TokenStripOptions& options, const Selection& selection,
                          double width, double height, std::size_t* shown) {
  if (shown != nullptr) *shown = 0;
  const Matrix* expert = routes ? find_matrix(*routes, "expert") : nullptr;
  if (expert == nullptr || expert->rows() == 0 || expert->columns() == 0)
    return message_figure("No tokens to show. Clear the filter or choose another trace.", width, height, routes);
  const Matrix* weight = find_matrix(*routes, "weight");
  const Matrix* margin = find_matrix(*routes, "margin");
  if (!same_shape(weight, *expert)) weight = nullptr;
  if (!same_shape(margin, *expert)) margin = nullptr;
  FigureBuilder b(width, height);
  const std::uint64_t first = first_token(*routes);
  const Range range = weight != nullptr ? weight_range(*weight) : Range{};
  const bool minimap = options.all_tokens > 0 && height >= 70;
  const double y0 = 22;
  const double y1 = height - (minimap ? 20 : 4);
  const double row_height = std::clamp((y1 - y0) / static_cast<double>(expert->rows()), 2.0, 22.0);
  const double gap = row_height >= 8 ? 1 : 0;
  const double number = text_width("000", FontRole::mono_small) + 4;
  const bool numbers = row_height >= 12;
  double x = label_width;
  std::size_t columns = 0;
  for (std::size_t c = 0; c < expert->columns(); ++c) {
    const std::string& bytes = c < options.texts.size() ? options.texts[c] : expert->column_names[c];
    const std::string words = visible_token(bytes);
    const double wide = std::max(number, text_width(words, FontRole::mono) + 10);
    if (x + wide > width - 10) break;
    ++columns;
    const std::uint64_t token = first + c;
    const bool chosen = selection.token && *selection.token == token;
    const int token_pick = b.pick(token, words + "  token " + format_count(static_cast<double>(token)));
    if (chosen) {
      b.chip({x + wide / 2, 14}, words, Anchor::middle, FontRole::mono, token_pick);
    } else {
      b.text({x + wide / 2 - gap, 14}, words, FontRole::mono, Paint::of(ColorRole::text_1), Anchor::middle, token_pick);
    }
    for (std::size_t r = 0; r < expert->rows(); ++r) {
      const Box box{x, y0 + static_cast<double>(r) * row_height, wide - 1, row_height - gap};
      if (box.y + box.height > y1 + 0.5) break;
      const int pick = b.pick(token, cell_words(*expert, weight, margin, r, c, words));
      const int e = expert_at(*expert, r, c);
      if (e < 0) {
        b.hatch(box, pick);
        continue;
      }
      const bool kept =
          options.rows.empty() || std::find(options.rows.begin(), options.rows.end(), r) != options.rows.end();
      const bool shaded = kept && weight != nullptr && present(*weight, r, c);
      Paint fill = shaded ? Paint::of_magnitude(range.of(weight->at(r, c))) : Paint::of(ColorRole::raised);
      b.rect(box, fill, layer::data, pick);
      if (numbers) {
        Paint ink = Paint::of(kept ? ColorRole::text_1 : ColorRole::text_3);
        if (shaded) {
          ink = fill;
          ink.kind = Paint::Kind::on_magnitude;
        }
        b.text({box.x + box.width / 2, box.y + box.height / 2 + 3.5}, (e < 10 ? "0" : "") + std::to_string(e),
               FontRole::tick, ink, Anchor::middle, pick);
      }
      if (is_selected(selection, r, e)) b.selection_ring({box.x + 0.5, box.y + 0.5, box.width - 1, box.height - 1});
    }
    x += wide;
  }
  draw_row_labels(b, expert->row_names, selected_rows(selection), label_width - 14, y0, row_height);
  if (minimap) draw_minimap(b, options, first, columns, height - 13);
  if (shown != nullptr) *shown = columns;
  std::string caption = "Tokens " + format_count(static_cast<double>(first)) + " to " +
                        format_count(static_cast<double>(first + columns) - 1) +
                        ": the expert of each layer at the chosen rank";
  if (weight != nullptr)
    caption += ", shade = gate weight " + format_number(range.low, 2) + " to " + format_number(range.high, 2);
  return std::move(b).finish("Token strip", caption + "." + n_sentence(*routes), routes);
}

Figure token_overview_figure(const ResultPtr& routes, const TokenOverviewOptions& options, const Selection& selection,
                             double width, double height) {
  const Matrix* expert = routes ? find_matrix(*routes, "expert") : nullptr;
  if (expert == nullptr || expert->rows() == 0 || expert->columns() == 0)
    return message_figure("No tokens to show.", width, height, routes);
  const Matrix* weight = find_matrix(*routes, "weight");
  if (!same_shape(weight, *expert)) weight = nullptr;
  const Range range = weight != nullptr ? weight_range(*weight) : Range{};
  FigureBuilder b(width, height);
  const std::uint64_t first = first_token(*routes);
  const double x1 = width - 10;
  const double y0 = 6;
  const double y1 = height - (options.sections.empty() ? 6 : 20);
  const double step = (x1 - label_width) / static_cast<double>(expert->columns());
  const double row_height = std::max(1.0, (y1 - y0) / static_cast<double>(expert->rows()));
  const double gap = row_height >= 8 ? 1.5 : 0;
  // Never more columns than pixels: the tokens of one pixel are drawn as the first of them.
  const auto stride = static_cast<std::size_t>(std::max(1.0, std::ceil(1 / step)));
  const double seam = step >= 4 ? -0.8 : 0.3;
  for (std::size_t c = 0; c < expert->columns(); c += stride) {
    const double x = label_width + static_cast<double>(c) * step;
    const double wide = std::min(step * static_cast<double>(stride) + seam, x1 - x);
    const int pick =
        b.pick(first + c, expert->column_names[c] + "  token " + format_count(static_cast<double>(first + c)));
    for (std::size_t r = 0; r < expert->rows(); ++r) {
      const int e = expert_at(*expert, r, c);
      Paint fill = Paint::of(ColorRole::line);
      if (e >= 0 && r == options.row) {
        const auto i = static_cast<std::size_t>(e);
        fill = Paint::of_category(i < options.categories.size() ? options.categories[i] : category_count);
      } else if (e >= 0 && weight != nullptr && present(*weight, r, c)) {
        fill = Paint::of_magnitude(range.of(weight->at(r, c)));
      } else if (e >= 0) {
        fill = Paint::of(ColorRole::neutral_bar);
      }
      b.rect({x, y0 + static_cast<double>(r) * row_height, wide, row_height - gap}, fill, layer::data, pick);
    }
  }
  std::set<std::size_t> labelled = selected_rows(selection);
  if (labelled.empty()) labelled = {options.row};
  draw_row_labels(b, expert->row_names, labelled, label_width - 14, y0, row_height);
  const auto frame = [&](std::size_t from, std::size_t count) {
    RectMark& mark = b.rect({label_width + static_cast<double>(from) * step - 1, y0 - 3,
                             std::max(4.0, static_cast<double>(count) * step + 2), y1 - y0 + 5},
                            Paint::of(ColorRole::none), layer::ring);
    mark.stroke = Paint::of(ColorRole::text_1);
    mark.stroke_width = 2;
    mark.radius = 2;
  };
  if (selection.token && *selection.token >= first && *selection.token < first + expert->columns())
    frame(static_cast<std::size_t>(*selection.token - first), 1);
  if (options.view_count > 0) frame(options.view_first, std::min(options.view_count, expert->columns()));
  double last = -100;
  for (const auto& [column, name] : options.sections) {
    if (column >= expert->columns()) continue;
    const double x = label_width + static_cast<double>(column) * step;
    b.line({{x, y0}, {x, height - 6}}, Paint::of(ColorRole::text_3), 1, layer::over_data);
    if (x < last || x + 24 > x1) continue;
    const std::string words = fit_text(name, FontRole::axis, x1 - x - 6);
    b.text({x + 4, height - 6}, words, FontRole::axis, Paint::of(ColorRole::text_2));
    last = x + text_width(words, FontRole::axis) + 8;
  }
  return std::move(b).finish("Layers by tokens",
                             "One layer by its experts, the others by gate weight." + n_sentence(*routes), routes);
}

}  // namespace moescope
