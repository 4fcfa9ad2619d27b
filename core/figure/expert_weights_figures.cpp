#include "core/figure/expert_weights_figures.h"

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <limits>
#include <tuple>
#include <utility>

#include "core/figure/axis.h"
#include "core/figure/number_format.h"
#include "core/figure/result_access.h"

namespace moescope {
namespace {

// Smallest and largest present value; low > high when there is none.
std::pair<double, double> value_range(const Matrix& m) {
  double low = std::numeric_limits<double>::infinity(), high = -low;
  for (std::size_t r = 0; r < m.rows(); ++r) {
    for (std::size_t c = 0; c < m.columns(); ++c) {
      if (!present(m, r, c)) continue;
      low = std::min(low, m.at(r, c));
      high = std::max(high, m.at(r, c));
    }
  }
  return {low, high};
}

bool is_chosen(const Selection& selection, std::optional<std::uint32_t> row, std::size_t expert) {
  return row && std::any_of(selection.experts.begin(), selection.experts.end(),
                            [&](const ExpertRef& e) { return e.row == *row && e.expert == expert; });
}

int expert_pick(FigureBuilder& b, std::optional<std::uint32_t> row, std::size_t expert, std::string words) {
  if (!row) return b.pick(std::monostate{}, std::move(words));
  return b.pick(ExpertRef{*row, static_cast<std::uint32_t>(expert)}, std::move(words));
}

// Labels that have room: chips of the chosen first, then every n-th of the others.
class SparseLabels {
 public:
  explicit SparseLabels(double reach) : reach_(reach) {}
  [[nodiscard]] bool take(double at, double extra = 0) {
    if (std::any_of(taken_.begin(), taken_.end(), [&](double t) { return std::abs(t - at) < reach_ + extra; }))
      return false;
    taken_.push_back(at);
    return true;
  }

 private:
  double reach_;
  std::vector<double> taken_;
};

class ExpertNormsPainter {
 public:
  ExpertNormsPainter(const ResultPtr& norms, const Matrix& matrix, const ExpertNormsOptions& options,
                     const Selection& selection, double width, double height)
      : norms_(norms), matrix_(matrix), options_(options), selection_(selection), b_(width, height) {
    std::tie(low_, high_) = value_range(matrix);
    double label = 0;
    for (const std::string& name : matrix.row_names) label = std::max(label, text_width(name, FontRole::mono_small));
    x0_ = std::max(34.0, label + 22);
    x1_ = width - 12;
    y0_ = 26;
    y1_ = std::max(y0_ + 10, height - 58);
    wide_ = (x1_ - x0_) / static_cast<double>(matrix.columns());
    tall_ = std::min(36.0, (y1_ - y0_) / static_cast<double>(matrix.rows()));
    y1_ = y0_ + tall_ * static_cast<double>(matrix.rows());
    const double smaller = std::min(wide_, tall_);
    gap_ = smaller >= 14 ? 2 : smaller >= 8 ? 1 : -0.4;
  }

  Figure paint() && {
    for (std::size_t r = 0; r < matrix_.rows(); ++r) paint_row(r);
    paint_labels();
    ColourBar bar;
    bar.low = low_;
    bar.high = high_;
    bar.format = TickFormat::number;
    bar.title = "root mean square";
    const double wide = std::clamp(x1_ - x0_ - 120, 40.0, 240.0);
    bar.box = {x1_ - wide - 8, y1_ + 28, wide, 10};
    draw_colour_bar(b_, bar);
    b_.text({8, 14}, fit_text(matrix_.title + ", all layers", FontRole::head, b_.width() - 16), FontRole::head,
            Paint::of(ColorRole::text_1));
    return std::move(b_).finish(matrix_.title,
                                matrix_.title + ", " + matrix_.formula + ". Colours span " + format_short(low_) +
                                    " to " + format_short(high_) + ".",
                                norms_);
  }

 private:
  std::optional<std::uint32_t> row_of(std::size_t r) const {
    return r < options_.rows.size() ? options_.rows[r] : std::nullopt;
  }
  Box cell_box(std::size_t r, std::size_t c) const {
    const double left = std::round(x0_ + static_cast<double>(c) * wide_);
    const double top = std::round(y0_ + static_cast<double>(r) * tall_);
    return {left, top, std::round(x0_ + static_cast<double>(c + 1) * wide_) - left - gap_,
            std::round(y0_ + static_cast<double>(r + 1) * tall_) - top - gap_};
  }

  void paint_row(std::size_t r) {
    double mean = 0, n = 0;
    for (std::size_t c = 0; c < matrix_.columns(); ++c)
      if (present(matrix_, r, c)) mean += matrix_.at(r, c), n += 1;
    mean = n > 0 ? mean / n : 0;
    for (std::size_t c = 0; c < matrix_.columns(); ++c) {
      const std::string name = matrix_.row_names[r] + "·" + matrix_.column_names[c];
      if (!present(matrix_, r, c)) {
        b_.hatch(cell_box(r, c));
        continue;
      }
      const double value = matrix_.at(r, c);
      std::string words = name + "\nnorm " + format_short(value, 4);
      if (mean > 0) words += ", " + format_short(value / mean, 3) + " times the layer's mean";
      const int pick = expert_pick(b_, row_of(r), c, std::move(words));
      const Paint fill = Paint::of_magnitude(high_ > low_ ? (value - low_) / (high_ - low_) : 0.5);
      b_.rect(cell_box(r, c), fill, layer::data, pick);
      if (is_chosen(selection_, row_of(r), c)) b_.selection_ring(cell_box(r, c));
    }
  }

  void paint_labels() {
    SparseLabels down(14);
    const auto y_of = [&](std::size_t r) { return y0_ + (static_cast<double>(r) + 0.5) * tall_ - gap_ / 2 + 4; };
    if (options_.shown && *options_.shown < matrix_.rows() && down.take(y_of(*options_.shown)))
      b_.chip({x0_ - 12, y_of(*options_.shown)}, matrix_.row_names[*options_.shown], Anchor::end);
    for (std::size_t r = 0; r < matrix_.rows(); ++r)
      if (r != options_.shown && down.take(y_of(r)))
        b_.text({x0_ - 12, y_of(r)}, matrix_.row_names[r], FontRole::mono_small, Paint::of(ColorRole::text_2),
                Anchor::end);
    const double label = text_width(matrix_.column_names.back(), FontRole::mono_small);
    std::size_t stride = 1;
    while (static_cast<double>(stride) * wide_ < label + 8) stride *= 2;
    for (std::size_t c = 0; c < matrix_.columns(); c += stride)
      b_.text({x0_ + (static_cast<double>(c) + 0.5) * wide_ - gap_ / 2, y1_ + 13}, matrix_.column_names[c],
              FontRole::mono_small, Paint::of(ColorRole::text_2), Anchor::middle);
  }

  ResultPtr norms_;
  const Matrix& matrix_;
  const ExpertNormsOptions& options_;
  const Selection& selection_;
  FigureBuilder b_;
  double low_ = 0, high_ = 0, x0_ = 0, x1_ = 0, y0_ = 0, y1_ = 0, wide_ = 0, tall_ = 0, gap_ = 0;
};

// Ticks of a logarithmic axis: 1, 2 and 5 in each decade, only whole decades where there are many.
std::vector<double> decade_ticks(double low, double high) {
  std::vector<double> out;
  const bool wide = high / low > 300;
  for (double power = std::pow(10, std::floor(std::log10(low))); power <= high; power *= 10)
    for (const double m : {1.0, 2.0, 5.0})
      if (m * power >= low && m * power <= high && (!wide || m < 2)) out.push_back(m * power);
  return out;
}

}  // namespace

Figure expert_norms_figure(const ResultPtr& norms, const ExpertNormsOptions& options, const Selection& selection,
                           double width, double height) {
  const Matrix* matrix = norms ? find_matrix(*norms, "norm") : nullptr;
  if (matrix == nullptr || matrix->rows() == 0 || matrix->columns() == 0)
    return message_figure("No layer of this model has experts.", width, height, norms);
  return ExpertNormsPainter(norms, *matrix, options, selection, width, height).paint();
}

Figure expert_spectra_figure(const ResultPtr& spectra, const LayerExpertsOptions& options, const Selection& selection,
                             double width, double height) {
  const Matrix* m = spectra ? find_matrix(*spectra, "singular_values") : nullptr;
  if (m == nullptr || m->rows() == 0 || m->columns() == 0)
    return message_figure("No singular values were computed.", width, height, spectra);
  FigureBuilder b(width, height);
  const auto [low, high] = value_range(*m);
  const bool logarithmic = low > 0 && high / low > 30;
  const auto at_value = [&](double v) { return logarithmic ? std::log10(v) : v; };
  const double top = 30, bottom = std::max(top + 20, height - 38);
  const Scale y{logarithmic ? std::log10(low) : 0.0, logarithmic ? std::log10(high) : nice_ceiling(high), bottom, top};
  const Scale x{1, std::max(2.0, static_cast<double>(m->columns())), 50, width - 16};
  const std::vector<double> ticks = logarithmic ? decade_ticks(low, high) : nice_ticks(0, y.high, height > 160 ? 4 : 2);
  for (const double tick : ticks) {
    b.line({{x.start, y(at_value(tick))}, {x.end, y(at_value(tick))}}, Paint::of(ColorRole::grid), 1, layer::grid);
    b.text({x.start - 8, y(at_value(tick)) + 3.5}, format_short(tick), FontRole::tick, Paint::of(ColorRole::text_2),
           Anchor::end);
  }
  draw_x_axis(b, x, bottom, TickFormat::count, static_cast<int>(std::clamp(width / 90, 2.0, 8.0)));
  const Series* stable = find_line(*spectra, "stable_rank");
  for (const bool chosen : {false, true}) {  // the selected ones over the others
    for (std::size_t e = 0; e < m->rows(); ++e) {
      if (is_chosen(selection, options.row, e) != chosen) continue;
      std::string words = options.layer_name + "·" + m->row_names[e];
      if (present(*m, e, 0)) words += "\nlargest singular value " + format_short(m->at(e, 0), 4);
      if (stable != nullptr && stable->y.size() == m->rows()) words += ", stable rank " + format_short(stable->y[e], 3);
      std::vector<Point> points;
      for (std::size_t c = 0; c < m->columns(); ++c)
        if (present(*m, e, c) && (!logarithmic || m->at(e, c) > 0))
          points.push_back({x(static_cast<double>(c + 1)), y(at_value(m->at(e, c)))});
      if (points.empty()) continue;
      const Point last = points.back();
      b.line(std::move(points), chosen ? Paint::of(ColorRole::accent) : Paint::of(ColorRole::neutral_bar, 0.45),
             chosen ? 2 : 1, chosen ? layer::over_data : layer::data, expert_pick(b, options.row, e, std::move(words)));
      if (chosen) b.chip({last.x - 6, std::max(top + 12, last.y - 8)}, m->row_names[e], Anchor::end);
    }
  }
  const std::string title = m->title + " of each expert, " + options.layer_name;
  b.text({8, 14}, fit_text(title, FontRole::head, width - 16), FontRole::head, Paint::of(ColorRole::text_1));
  b.text({(x.start + x.end) / 2, height - 6}, logarithmic ? "rank; values on a log scale" : "rank", FontRole::axis,
         Paint::of(ColorRole::text_2), Anchor::middle);
  return std::move(b).finish(title,
                             title + ", " + format_count(static_cast<double>(m->rows())) + " experts, the largest " +
                                 format_count(static_cast<double>(m->columns())) + " values.",
                             spectra);
}

Figure expert_bars_figure(const ResultPtr& result, const std::string& name, const LayerExpertsOptions& options,
                          const Selection& selection, double width, double height) {
  const Series* series = result ? find_line(*result, name) : nullptr;
  if (series == nullptr || series->y.empty() || series->x_names.size() != series->y.size())
    return message_figure("There is nothing to show for this layer.", width, height, result);
  FigureBuilder b(width, height);
  double high = 0, sum = 0, n = 0;
  for (const double value : series->y)
    if (std::isfinite(value)) high = std::max(high, value), sum += value, n += 1;
  const double mean = n > 0 ? sum / n : 0;
  const double x0 = 50, x1 = width - 56;
  const Scale y{0, nice_ceiling(high), std::max(50.0, height - 26), 30};
  draw_y_axis(b, y, x0, x1, TickFormat::number, height > 160 ? 4 : 2);
  const double step = (x1 - x0) / static_cast<double>(series->y.size());
  const double bar = step > 10 ? std::min(step * 0.62, 44.0) : step * 0.85;
  const double label = text_width(series->x_names.back(), FontRole::mono_small);
  std::size_t stride = 1;
  while (static_cast<double>(stride) * step < label + 8) stride *= 2;
  SparseLabels labels(label + 8);
  for (const bool chosen : {true, false}) {  // chips first, so that labels keep clear of them
    for (std::size_t e = 0; e < series->y.size(); ++e) {
      if (is_chosen(selection, options.row, e) != chosen) continue;
      const double middle = x0 + (static_cast<double>(e) + 0.5) * step;
      if (chosen && labels.take(middle))
        b.chip({middle, y.start + 16}, series->x_names[e], Anchor::middle);
      else if (!chosen && e % stride == 0 && labels.take(middle))
        b.text({middle, y.start + 16}, series->x_names[e], FontRole::mono_small, Paint::of(ColorRole::text_2),
               Anchor::middle);
      const double value = series->y[e];
      const std::string head = options.layer_name + "·" + series->x_names[e] + "\n" + series->y_axis + " ";
      const int pick = expert_pick(b, options.row, e, head + format_short(value, 4));
      if (!std::isfinite(value)) {
        b.hatch({middle - bar / 2, y.end, bar, y.start - y.end}, pick);
        continue;
      }
      b.rect({middle - bar / 2, y(value), bar, y(0) - y(value)},
             Paint::of(chosen ? ColorRole::accent : ColorRole::neutral_bar), layer::data, pick);
    }
  }
  b.dashed({x0, y(mean)}, {x1, y(mean)}, Paint::of(ColorRole::text_2));
  b.text({x1 + 6, y(mean) + 4}, "mean", FontRole::axis, Paint::of(ColorRole::text_3));
  const std::string title = series->title + " of each expert, " + options.layer_name;
  b.text({8, 14}, fit_text(title, FontRole::head, width - 16), FontRole::head, Paint::of(ColorRole::text_1));
  return std::move(b).finish(title, title + ", " + series->formula + ". Mean " + format_short(mean) + ".", result);
}

}  // namespace moescope
