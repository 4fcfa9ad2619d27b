#include "core/figure/expert_matrix_figure.h"

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <numeric>

#include "core/figure/axis.h"
#include "core/figure/matrix_order.h"
#include "core/figure/number_format.h"
#include "core/figure/result_access.h"

namespace moescope {
namespace {

class ExpertMatrixPainter {
 public:
  ExpertMatrixPainter(const ResultPtr& result, const Matrix& matrix, const ExpertMatrixOptions& options,
                      const Selection& selection, double width, double height)
      : result_(result), matrix_(matrix), options_(options), b_(width, height) {
    const Series* margin = options.margin.empty() ? nullptr : find_line(*result, options.margin);
    if (margin != nullptr && margin->y.size() == matrix.rows()) margin_ = margin;
    for (const ExpertRef& e : selection.experts)
      if (options.row && e.row == *options.row && e.expert < matrix.rows()) selected_.push_back(e.expert);
    for (std::size_t i = 0; i < matrix.rows(); ++i)
      for (std::size_t j = 0; j < matrix.columns(); ++j)
        if (i != j && present(matrix, i, j)) high_ = std::max(high_, std::abs(matrix.at(i, j)));
    if (high_ <= 0) high_ = 1;
    order_.resize(matrix.rows());
    std::iota(order_.begin(), order_.end(), 0);
    if (options.by_similarity) order_ = order_by_similar_rows(matrix);
  }

  Figure paint() && {
    lay_out();
    paint_cells();
    paint_margin();
    paint_marks();
    paint_labels();
    paint_legend();
    std::string caption = matrix_.title + " of " + options_.layer_name + ", " + matrix_.formula + ". " +
                          format_count(static_cast<double>(matrix_.rows())) +
                          " experts; the diagonal is left blank, colours end at " + format_short(high_) + ".";
    return std::move(b_).finish(matrix_.title + ", " + options_.layer_name, std::move(caption), result_);
  }

 private:
  void lay_out() {
    const auto n = static_cast<double>(matrix_.rows());
    const double above = margin_ != nullptr && b_.height() >= 300 ? 76 : 34;
    const double wide = std::max(20.0, b_.width() - 62 - 16), tall = std::max(20.0, b_.height() - above - 78);
    cell_ = std::min({wide / n, tall / n, 40.0});
    gap_ = cell_ >= 12 ? 2 : cell_ >= 8 ? 1 : -0.4;
    x0_ = 62 + (wide - cell_ * n) / 2;
    y0_ = above;
    x1_ = x0_ + cell_ * n;
    y1_ = y0_ + cell_ * n;
  }

  // On whole pixels, so that all gaps look the same.
  Box cell_box(std::size_t r, std::size_t c) const {
    const double left = std::round(x0_ + static_cast<double>(c) * cell_);
    const double top = std::round(y0_ + static_cast<double>(r) * cell_);
    return {left, top, std::round(x0_ + static_cast<double>(c + 1) * cell_) - left - gap_,
            std::round(y0_ + static_cast<double>(r + 1) * cell_) - top - gap_};
  }

  int pick_for(std::size_t expert, const std::string& words) {
    if (!options_.row) return b_.pick(std::monostate{}, words);
    return b_.pick(ExpertRef{*options_.row, static_cast<std::uint32_t>(expert)}, words);
  }
  std::string name(std::size_t expert) const { return options_.layer_name + "·" + matrix_.row_names[expert]; }

  void paint_cells() {
    const bool numbers = cell_ >= 32;
    for (std::size_t r = 0; r < order_.size(); ++r) {
      for (std::size_t c = 0; c < order_.size(); ++c) {
        const std::size_t i = order_[r], j = order_[c];
        if (i == j) continue;
        const Box box = cell_box(r, c);
        if (!present(matrix_, i, j)) {
          b_.hatch(box, pick_for(i, name(i) + " and " + name(j) + "\nnot defined: weights are all zero"));
          continue;
        }
        const double value = matrix_.at(i, j);
        const int pick =
            pick_for(i, name(i) + " and " + name(j) + "\n" + options_.value_name + " " + format_number(value, 4));
        Paint fill = options_.diverging ? Paint::of_lift(2 * value / high_) : Paint::of_magnitude(value / high_);
        b_.rect(box, fill, layer::data, pick);
        if (!numbers) continue;
        fill.kind = options_.diverging ? Paint::Kind::on_lift : Paint::Kind::on_magnitude;
        std::string words = format_number(value, 2);
        if (const std::size_t zero = words.find("0."); zero != std::string::npos && std::abs(value) < 1)
          words.erase(zero, 1);
        b_.text({box.x + box.width / 2, box.y + box.height / 2 + 3.5}, words, FontRole::tick, fill, Anchor::middle,
                pick);
      }
    }
  }

  void paint_margin() {
    if (margin_ == nullptr || y0_ < 60) return;
    double most = 0;
    for (const double value : margin_->y)
      if (std::isfinite(value)) most = std::max(most, value);
    const Scale up{0, nice_ceiling(most), y0_ - 6, 36};
    for (const double tick : {0.0, up.high}) {
      b_.line({{x0_, up(tick)}, {x1_, up(tick)}}, Paint::of(ColorRole::grid), 1, layer::grid);
      b_.text({x0_ - 8, up(tick) + 3.5}, format_short(tick), FontRole::tick, Paint::of(ColorRole::text_2), Anchor::end);
    }
    b_.text({x0_, 28}, margin_->title, FontRole::axis, Paint::of(ColorRole::text_3));
    for (std::size_t c = 0; c < order_.size(); ++c) {
      const double value = margin_->y[order_[c]];
      if (!std::isfinite(value)) continue;
      const int pick = pick_for(order_[c], name(order_[c]) + "\n" + margin_->title + " " + format_short(value, 4));
      const bool mine = std::find(selected_.begin(), selected_.end(), order_[c]) != selected_.end();
      b_.rect({x0_ + static_cast<double>(c) * cell_, up(value), cell_ - std::max(0.0, gap_), up(0) - up(value)},
              Paint::of(mine ? ColorRole::accent : ColorRole::neutral_bar), layer::data, pick);
    }
  }

  std::size_t place(std::uint32_t expert) const {
    return static_cast<std::size_t>(std::find(order_.begin(), order_.end(), expert) - order_.begin());
  }

  void paint_marks() {
    for (const std::uint32_t e : selected_) {
      const auto at = static_cast<double>(place(e));
      b_.selection_ring({x0_, y0_ + at * cell_, x1_ - x0_ - gap_, cell_ - gap_});
    }
    if (selected_.empty()) return;
    const auto at = static_cast<double>(place(selected_.back()));
    RectMark& mark = b_.rect({x0_ + at * cell_ - 0.5, y0_ - 0.5, cell_ - gap_ + 1, y1_ - y0_ - gap_ + 1},
                             Paint::of(ColorRole::none), layer::ring);
    mark.stroke = Paint::of(ColorRole::text_2);
    mark.stroke_width = 1;
  }

  void paint_labels() {
    const double wide = text_width(matrix_.row_names.back(), FontRole::mono_small);
    std::size_t down = 1, across = 1;
    while (static_cast<double>(down) * cell_ < 15) down *= 2;
    while (static_cast<double>(across) * cell_ < wide + 10) across *= 2;
    const auto y_of = [&](std::size_t r) { return y0_ + (static_cast<double>(r) + 0.5) * cell_ - gap_ / 2 + 4; };
    const auto x_of = [&](std::size_t c) { return x0_ + (static_cast<double>(c) + 0.5) * cell_ - gap_ / 2; };
    std::vector<double> rows, columns;
    const auto free = [](const std::vector<double>& taken, double at, double reach) {
      return std::none_of(taken.begin(), taken.end(), [&](double t) { return std::abs(t - at) < reach; });
    };
    for (std::size_t i = selected_.size(); i-- > 0;) {
      const std::size_t at = place(selected_[i]);
      const std::string& label = matrix_.row_names[selected_[i]];
      if (free(rows, y_of(at), 19)) {
        rows.push_back(y_of(at));
        b_.chip({x0_ - 10, y_of(at)}, label, Anchor::end);
      }
      if (!free(columns, x_of(at), wide + 14)) continue;
      columns.push_back(x_of(at));
      b_.chip({x_of(at), y1_ + 14}, label, Anchor::middle);
    }
    for (std::size_t at = 0; at < order_.size(); ++at) {
      const std::string& label = matrix_.row_names[order_[at]];
      if (at % down == 0 && free(rows, y_of(at), 17))
        b_.text({x0_ - 8, y_of(at)}, label, FontRole::mono_small, Paint::of(ColorRole::text_2), Anchor::end);
      if (at % across == 0 && free(columns, x_of(at), wide + 12))
        b_.text({x_of(at), y1_ + 14}, label, FontRole::mono_small, Paint::of(ColorRole::text_2), Anchor::middle);
    }
    b_.text({16, 14}, fit_text(matrix_.title + ", " + options_.layer_name, FontRole::head, b_.width() - 32),
            FontRole::head, Paint::of(ColorRole::text_1));
  }

  void paint_legend() {
    ColourBar bar;
    bar.diverging = options_.diverging;
    bar.high = high_;
    bar.format = TickFormat::number;
    bar.title = options_.value_name;
    const double title = text_width(bar.title, FontRole::axis) + 14;
    const double wide = std::clamp(b_.width() - title - 40, 40.0, 240.0);
    const double start = std::max(12.0, (x0_ + x1_ - title - wide) / 2) + title;
    bar.box = {start, y1_ + 34, wide, 10};
    draw_colour_bar(b_, bar);
  }

  ResultPtr result_;
  const Matrix& matrix_;
  const ExpertMatrixOptions& options_;
  FigureBuilder b_;
  const Series* margin_ = nullptr;
  std::vector<std::uint32_t> selected_;
  std::vector<std::size_t> order_;
  double high_ = 0, x0_ = 0, x1_ = 0, y0_ = 0, y1_ = 0, cell_ = 0, gap_ = 0;
};

}  // namespace

Figure expert_matrix_figure(const ResultPtr& result, const ExpertMatrixOptions& options, const Selection& selection,
                            double width, double height) {
  const Matrix* matrix = result ? find_matrix(*result, options.matrix) : nullptr;
  if (matrix == nullptr || matrix->rows() == 0 || matrix->rows() != matrix->columns())
    return message_figure("The experts of this layer were not compared.", width, height, result);
  return ExpertMatrixPainter(result, *matrix, options, selection, width, height).paint();
}

}  // namespace moescope
