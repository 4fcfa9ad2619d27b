#include "core/figure/expert_card_figures.h"

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <numeric>
#include <optional>

#include "core/figure/affinity_matrix_figure.h"
#include "core/figure/axis.h"
#include "core/figure/number_format.h"
#include "core/figure/result_access.h"
#include "core/figure/utf8.h"

namespace moescope {
namespace {

// ".28", as probabilities are written in narrow places.
std::string short_share(double share) {
  std::string out = format_number(share, 2);
  if (out.rfind("0.", 0) == 0) out.erase(0, 1);
  return out;
}

struct Neighbour {
  std::optional<std::uint32_t> expert;  // none = all the others together
  double share = 0, pairs = 0;
};

// The three strongest of `pairs` and the rest.
std::vector<Neighbour> strongest(const std::vector<double>& pairs, double& total) {
  total = std::accumulate(pairs.begin(), pairs.end(), 0.0);
  std::vector<Neighbour> out;
  if (total <= 0) return out;
  std::vector<std::uint32_t> order(pairs.size());
  std::iota(order.begin(), order.end(), 0U);
  std::stable_sort(order.begin(), order.end(), [&](auto a, auto b) { return pairs[a] > pairs[b]; });
  double rest = total;
  for (std::size_t i = 0; i < std::min<std::size_t>(3, order.size()) && pairs[order[i]] > 0; ++i) {
    rest -= pairs[order[i]];
    out.push_back({order[i], pairs[order[i]] / total, pairs[order[i]]});
  }
  if (rest > 0.5) out.push_back({std::nullopt, rest / total, rest});
  return out;
}

// One side: bands from the labels to the box in the middle.
void draw_side(FigureBuilder& b, const std::vector<Neighbour>& side, std::uint32_t row, bool left, Box box, double top,
               double bottom) {
  const double gap = 8;
  const double tall = bottom - top - gap * static_cast<double>(std::max<std::size_t>(1, side.size()) - 1);
  const double outer = left ? 74 : b.width() - 74;
  const double inner = left ? box.x : box.x + box.width;
  const double inner_tall = box.height - 6;
  double y = top;
  double inner_y = box.y + 3;
  for (const Neighbour& n : side) {
    const double thick = std::max(1.0, n.share * tall);
    const double inner_thick = n.share * inner_tall;
    const double label_y = std::clamp(y + thick / 2 + 4, 12.0, b.height() - 4);
    decltype(Pick::what) what;
    if (n.expert) what = ExpertRef{row, *n.expert};
    const std::string name = n.expert ? expert_name(*n.expert) : "other";
    const int pick = b.pick(what, name + (left ? " before" : " after") + "\n" + format_percent(n.share) +
                                      " of pairs\nn = " + format_count(n.pairs));
    const double middle = (outer + inner) / 2;
    // A band between two cubic edges, flattened.
    std::vector<Point> outline;
    const auto edge = [&](double from, double to, bool forward) {
      for (int i = 0; i <= 16; ++i) {
        const double t = forward ? i / 16.0 : 1 - i / 16.0;
        const double s = 1 - t;
        outline.push_back({s * s * s * outer + 3 * s * s * t * middle + 3 * s * t * t * middle + t * t * t * inner,
                           (s * s * s + 3 * s * s * t) * from + (3 * s * t * t + t * t * t) * to});
      }
    };
    edge(y, inner_y, true);
    edge(y + thick, inner_y + inner_thick, false);
    b.polygon(std::move(outline), Paint::of(n.expert ? ColorRole::neutral_bar : ColorRole::line, n.expert ? 0.9 : 1),
              layer::data, pick);
    const ColorRole ink = n.expert ? ColorRole::text_1 : ColorRole::text_3;
    b.text({left ? 0 : b.width(), label_y}, name, FontRole::mono_small, Paint::of(ink),
           left ? Anchor::start : Anchor::end, pick);
    b.text({left ? outer - 6 : outer + 6, label_y}, short_share(n.share), FontRole::mono_small,
           Paint::of(ColorRole::text_2), left ? Anchor::end : Anchor::start, pick);
    y += thick + gap;
    inner_y += inner_thick;
  }
}

}  // namespace

Figure domain_profile_figure(const ResultPtr& profile, const DomainProfileOptions& options, double width,
                             double height) {
  const Matrix* share = profile ? find_matrix(*profile, "share") : nullptr;
  if (share == nullptr || options.expert >= share->rows() || share->columns() == 0)
    return message_figure("This trace has no tags to compare.", width, height, profile);
  const Matrix* lift = find_matrix(*profile, "lift");
  const std::size_t e = options.expert;
  std::vector<std::size_t> order(share->columns());
  std::iota(order.begin(), order.end(), 0);
  const auto value = [&](std::size_t c) { return present(*share, e, c) ? share->at(e, c) : -1.0; };
  if (options.by_size)
    std::stable_sort(order.begin(), order.end(), [&](auto a, auto c) { return value(a) > value(c); });
  const double uniform = 1.0 / static_cast<double>(share->rows());
  double high = uniform;
  double label = 30;
  for (const std::size_t c : order) {
    high = std::max({high, value(c), has_interval(*share, e, c) ? high_of(*share, e, c) : 0.0});
    label = std::max(label, text_width(share->column_names[c], FontRole::ui_small));
  }
  FigureBuilder b(width, height);
  label = std::min(label, width * 0.35);
  const Scale x{0, nice_ceiling(high), label + 12, width - 48};
  const double bottom = height - 18;
  const double step = std::min(22.0, (bottom - 4) / static_cast<double>(order.size()));
  const double bar = std::min(14.0, step * 0.68);
  double y = 4;
  for (const std::size_t c : order) {
    const double middle = y + step / 2;
    y += step;
    const bool labelled = step >= 12;
    std::string words = share->column_names[c] + "\n";
    if (value(c) < 0) {
      const int pick = b.pick(std::monostate{}, words + absence_words(cell_absence(*share, e, c)));
      b.hatch({x(0), middle - bar / 2, x.end - x.start, bar}, pick);
      if (labelled)
        b.text({0, middle + 4}, fit_text(share->column_names[c], FontRole::ui_small, label), FontRole::ui_small,
               Paint::of(ColorRole::text_3));
      continue;
    }
    words += format_percent(value(c)) + " of its slots";
    if (has_interval(*share, e, c))
      words += format_interval(low_of(*share, e, c) * 100, high_of(*share, e, c) * 100, 1);
    if (lift != nullptr && e < lift->rows() && c < lift->columns() && present(*lift, e, c))
      words += ", lift " + format_number(lift->at(e, c), 2);
    if (std::isfinite(cell_n(*share, e, c))) words += "\nn = " + format_count(cell_n(*share, e, c));
    const int pick = b.pick(std::monostate{}, words);
    b.rect({x(0), middle - bar / 2, x(value(c)) - x(0), bar}, Paint::of_category(static_cast<int>(c)), layer::data,
           pick);
    if (has_interval(*share, e, c))
      b.whisker_across(middle, x(low_of(*share, e, c)), x(high_of(*share, e, c)), std::min(4.0, bar / 2 - 1),
                       Paint::of(ColorRole::text_1), pick);
    if (!labelled) continue;
    b.text({0, middle + 4}, fit_text(share->column_names[c], FontRole::ui_small, label), FontRole::ui_small,
           Paint::of(ColorRole::text_1), Anchor::start, pick);
    b.text({width, middle + 4}, format_number(value(c) * 100, 1), FontRole::mono_small, Paint::of(ColorRole::text_1),
           Anchor::end, pick);
  }
  b.dashed({x(uniform), 2}, {x(uniform), y + 2}, Paint::of(ColorRole::text_2), layer::over_data,
           b.pick(std::monostate{}, "Even share\n" + format_percent(uniform, 2)));
  draw_x_axis(b, x, y + 1, TickFormat::percent, width < 320 ? 3 : 4);
  const std::string title = "Share of each " + (share->column_axis.empty() ? std::string("tag") : share->column_axis) +
                            "'s slots, " + share->row_names[e];
  return std::move(b).finish(
      title, title + ". Dashed: the even share, " + format_percent(uniform, 2) + "." + n_sentence(*profile), profile);
}

Figure top_tokens_figure(const ResultPtr& tokens, double width, double height) {
  const Table* table = tokens ? find_table(*tokens, "tokens") : nullptr;
  if (table == nullptr || table->rows.empty())
    return message_figure("No token was routed here.", width, height, tokens);
  const std::size_t text_column = find_column(*table, "token");
  const std::size_t count_column = find_column(*table, "count");
  const std::size_t share_column = find_column(*table, "share_of_occurrences");
  FigureBuilder b(width, height);
  constexpr double step = 20;
  const auto rows = std::min(table->rows.size(), static_cast<std::size_t>(std::max(1.0, height / step)));
  double most = 0;
  double label = 30;
  for (std::size_t r = 0; r < rows; ++r) {
    const double count = number_at(*table, r, count_column);
    if (std::isfinite(count)) most = std::max(most, count);
    label = std::max(label, text_width(visible_token(text_at(*table, r, text_column), 16), FontRole::mono) + 10);
  }
  label = std::min(label, width * 0.36);
  const double x0 = label + 10;
  const double x1 = std::max(x0 + 10, width - 104);
  for (std::size_t r = 0; r < rows; ++r) {
    const double middle = (static_cast<double>(r) + 0.5) * step;
    const double count = number_at(*table, r, count_column);
    const double share = number_at(*table, r, share_column);
    const std::string token = visible_token(text_at(*table, r, text_column), 16);
    std::string words = token + "\n" + format_count(count) + " times";
    if (std::isfinite(share)) words += ", " + format_percent(share) + " of the token's uses";
    const int pick = b.pick(std::monostate{}, words);
    // The column was made for its widest token; a rounding error must not shorten it.
    const std::string shown = fit_text(token, FontRole::mono, label - 10 + 0.01);
    b.rect({0, middle - 8, text_width(shown, FontRole::mono) + 10, 16}, Paint::of(ColorRole::raised), layer::band, pick)
        .radius = 3;
    b.text({5, middle + 4}, shown, FontRole::mono, Paint::of(ColorRole::text_1), Anchor::start, pick);
    if (most > 0 && std::isfinite(count))
      b.rect({x0, middle - 5, (x1 - x0) * count / most, 10}, Paint::of(ColorRole::neutral_bar), layer::data, pick);
    b.text({width - 50, middle + 4}, format_count(count), FontRole::mono, Paint::of(ColorRole::text_1), Anchor::end,
           pick);
    if (std::isfinite(share))
      b.text({width, middle + 4}, format_percent(share, 0), FontRole::mono, Paint::of(ColorRole::text_2), Anchor::end,
             pick);
  }
  const std::string title = tokens->title.empty() ? "Top tokens" : tokens->title;
  return std::move(b).finish(title, title + ": count, and share of the token's uses." + n_sentence(*tokens), tokens);
}

Figure before_after_figure(const ResultPtr& before, const ResultPtr& after, const BeforeAfterOptions& options,
                           double width, double height) {
  const std::size_t e = options.expert.expert;
  std::vector<double> in;
  std::vector<double> out;
  std::uint32_t in_row = 0;
  std::uint32_t out_row = 0;
  if (const Matrix* count = before ? find_matrix(*before, "count") : nullptr;
      count != nullptr && e < count->columns()) {
    in_row = affinity_rows(*before).from;
    for (std::size_t i = 0; i < count->rows(); ++i) in.push_back(present(*count, i, e) ? count->at(i, e) : 0);
  }
  if (const Matrix* count = after ? find_matrix(*after, "count") : nullptr; count != nullptr && e < count->rows()) {
    out_row = affinity_rows(*after).to;
    for (std::size_t j = 0; j < count->columns(); ++j) out.push_back(present(*count, e, j) ? count->at(e, j) : 0);
  }
  double in_total = 0;
  double out_total = 0;
  const std::vector<Neighbour> sources = strongest(in, in_total);
  const std::vector<Neighbour> targets = strongest(out, out_total);
  if (sources.empty() && targets.empty())
    return message_figure("No neighbouring layer was recorded.", width, height, after ? after : before);
  FigureBuilder b(width, height);
  const double tall = std::min(height - 8, 56.0);
  const Box box{width / 2 - 22, (height - tall) / 2, 44, tall};
  draw_side(b, sources, in_row, true, box, 6, height - 6);
  draw_side(b, targets, out_row, false, box, 6, height - 6);
  const std::string name = expert_name(options.expert.expert);
  const int pick = b.pick(options.expert, options.row_name + "·" + name);
  b.rect(box, Paint::of(ColorRole::accent), layer::over_data, pick).radius = 3;
  for (const auto& [words, dy] : {std::pair<std::string, double>{options.row_name, -4}, {name, 11}}) {
    b.text({width / 2, height / 2 + dy}, words, FontRole::mono_small, Paint::of(ColorRole::text_on_accent),
           Anchor::middle, pick);
  }
  const std::string title = "Before and after " + options.row_name + "·" + name;
  std::string caption = title + ": shares of its pairs";
  if (in_total > 0) caption += ", n = " + format_count(in_total) + " before";
  if (out_total > 0) caption += ", n = " + format_count(out_total) + " after";
  return std::move(b).finish(title, caption + ".", after ? after : before);
}

}  // namespace moescope
