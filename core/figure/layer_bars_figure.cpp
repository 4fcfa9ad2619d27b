#include "core/figure/layer_bars_figure.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <cstddef>

#include "core/figure/axis.h"
#include "core/figure/experts_figure.h"
#include "core/figure/number_format.h"
#include "core/figure/result_access.h"

namespace moescope {
namespace {

// What the bars, ticks and whiskers mean, from right to left; entries that do not fit are left out.
void draw_legend(FigureBuilder& b, double right, double left, const std::string& bars, Paint paint, bool ticks,
                 bool intervals) {
  double x = right;
  const auto entry = [&](const std::string& words) {
    const double wide = text_width(words, FontRole::axis);
    if (x - wide - 24 < left) return false;
    x -= wide;
    b.text({x, 13}, words, FontRole::axis, Paint::of(ColorRole::text_2));
    x -= 18;
    return true;
  };
  if (intervals && entry("95\u202F%, by sequence")) {
    b.whisker(x + 6, 15, 4, 3, Paint::of(ColorRole::text_2));
    x -= 12;
  }
  if (ticks && entry("all tokens")) {
    b.line({{x, 9.5}, {x + 13, 9.5}}, Paint::of(ColorRole::text_1), 2, layer::over_data);
    x -= 16;
  }
  if (entry(bars + ", share of slots")) b.rect({x + 2, 4.5, 10, 10}, paint);
}

}  // namespace

Figure layer_bars_figure(const ResultPtr& load, const ResultPtr& all, const LayerBarsOptions& options,
                         const Selection& selection, double width, double height) {
  const Matrix* share = load ? find_matrix(*load, "share") : nullptr;
  const std::size_t r = options.row;
  if (share == nullptr || r >= share->rows())
    return message_figure("Select a layer to see its experts.", width, height, load);
  const Matrix* whole = all && all != load ? find_matrix(*all, "share") : nullptr;
  if (whole != nullptr && (whole->rows() != share->rows() || whole->columns() != share->columns())) whole = nullptr;
  std::vector<std::uint32_t> order;
  for (std::size_t e = 0; e < share->columns(); ++e)
    if (present(*share, r, e)) order.push_back(static_cast<std::uint32_t>(e));
  if (order.empty())
    return message_figure(share->row_names[r] + " is " + absence_words(row_absence(*share, r)) + ".", width, height,
                          load);
  if (options.by_load)
    std::stable_sort(order.begin(), order.end(), [&](auto a, auto c) { return share->at(r, a) > share->at(r, c); });

  FigureBuilder b(width, height);
  const Paint paint = options.category >= 0 ? Paint::of_category(options.category) : Paint::of(ColorRole::neutral_bar);
  const double uniform = 1.0 / static_cast<double>(order.size());
  double high = uniform;
  bool intervals = false;
  for (const std::uint32_t e : order) {
    high = std::max(high, share->at(r, e));
    if (has_interval(*share, r, e)) {
      intervals = true;
      high = std::max(high, high_of(*share, r, e));
    }
    if (whole != nullptr && present(*whole, r, e)) high = std::max(high, whole->at(r, e));
  }
  const auto [x0, x1] = expert_columns(*share, width, true);
  const Scale y{0, nice_ceiling(high), std::max(40.0, height - 24), 28};
  draw_y_axis(b, y, x0, x1, TickFormat::percent, height > 180 ? 4 : 2);
  const double step = (x1 - x0) / static_cast<double>(order.size());
  const double bar = step > 10 ? std::min(step * 0.62, 44.0) : step * 0.85;
  const double label = text_width(share->column_names.back(), FontRole::mono_small);
  std::size_t stride = 1;
  while (static_cast<double>(stride) * step < label + 8) stride *= 2;
  std::vector<double> chips;
  for (const bool chosen : {true, false}) {  // chips first, so that labels can keep clear of them
    for (std::size_t i = 0; i < order.size(); ++i) {
      const std::uint32_t e = order[i];
      const double middle = x0 + (static_cast<double>(i) + 0.5) * step;
      const bool selected = std::find(selection.experts.begin(), selection.experts.end(), ExpertRef{options.row, e}) !=
                            selection.experts.end();
      const bool free =
          std::none_of(chips.begin(), chips.end(), [&](double at) { return std::abs(at - middle) < label + 16; });
      if (chosen && selected && free) {
        b.chip({middle, y.start + 16}, share->column_names[e], Anchor::middle);
        chips.push_back(middle);
      } else if (!chosen && !selected && free && i % stride == 0) {
        b.text({middle, y.start + 16}, share->column_names[e], FontRole::mono_small, Paint::of(ColorRole::text_2),
               Anchor::middle);
      }
      if (!chosen) continue;
      const double value = share->at(r, e);
      std::string words = fmt::format("{}·{}  rank {} of {}\n{} of slots", share->row_names[r], share->column_names[e],
                                      i + 1, order.size(), format_percent(value));
      if (!options.by_load)
        words = fmt::format("{}·{}\n{} of slots", share->row_names[r], share->column_names[e], format_percent(value));
      if (has_interval(*share, r, e))
        words += format_interval(low_of(*share, r, e) * 100, high_of(*share, r, e) * 100, 1);
      if (whole != nullptr && present(*whole, r, e)) words += "\nall tokens " + format_percent(whole->at(r, e));
      const int pick = b.pick(ExpertRef{options.row, e}, words);
      Paint fill = paint;
      if (!selection.experts.empty() && !selected && options.category >= 0) fill.alpha = 0.8;
      b.rect({middle - bar / 2, y(value), bar, y(0) - y(value)}, fill, layer::data, pick);
      if (has_interval(*share, r, e) && step > 7)
        b.whisker(middle, y(low_of(*share, r, e)), y(high_of(*share, r, e)), std::min(4.0, bar / 4),
                  Paint::of(ColorRole::text_2), pick);
      if (whole != nullptr && present(*whole, r, e) && step > 4)
        b.line({{middle - step * 0.4, y(whole->at(r, e))}, {middle + step * 0.4, y(whole->at(r, e))}},
               Paint::of(ColorRole::text_1), 2, layer::over_data, pick);
    }
  }
  b.dashed({x0, y(uniform)}, {x1, y(uniform)}, Paint::of(ColorRole::text_2));
  if (width - x1 > 60) b.text({x1 + 8, y(uniform) + 4}, "uniform", FontRole::axis, Paint::of(ColorRole::text_3));
  const std::string& filter = load->provenance.filter;
  const std::string bars = !options.filter_name.empty() ? options.filter_name
                           : filter.empty()             ? "all tokens"
                                                        : "filtered tokens";
  const std::string head =
      share->row_names[r] + (whole != nullptr ? ", " + bars + " against all tokens" : ", share of slots");
  b.text({8, 13}, fit_text(head, FontRole::head, width * 0.45), FontRole::head, Paint::of(ColorRole::text_1));
  draw_legend(b, x1, width * 0.46, bars, paint, whole != nullptr, intervals);
  std::string caption = head + ". The dashed line is the even share, " + format_percent(uniform, 2) + ".";
  return std::move(b).finish(head, caption + n_sentence(*load), load);
}

}  // namespace moescope
