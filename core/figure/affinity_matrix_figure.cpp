#include "core/figure/affinity_matrix_figure.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <numeric>
#include <optional>

#include "core/figure/axis.h"
#include "core/figure/matrix_order.h"
#include "core/figure/number_format.h"
#include "core/figure/result_access.h"

namespace moescope {
namespace {

class AffinityPainter {
  using Measure = AffinityMatrixOptions::Measure;

 public:
  AffinityPainter(const ResultPtr& affinity, const Matrix& count, const Matrix& shown,
                  const AffinityMatrixOptions& options, const Selection& selection, double width, double height)
      : affinity_(affinity),
        count_(count),
        shown_(shown),
        probability_(same_shape(find_matrix(*affinity, "probability"), count)),
        lift_(same_shape(find_matrix(*affinity, "lift"), count)),
        options_(options),
        rows_(affinity_rows(*affinity)),
        b_(width, height) {
    choose(selection);
  }

  Figure paint() && {
    sum_margins();
    arrange();
    lay_out();
    paint_cells();
    paint_cross_hair();
    paint_margin_bars();
    paint_labels();
    paint_legend();
    return std::move(b_).finish(title(), caption(), affinity_);
  }

 private:
  static const Matrix* same_shape(const Matrix* m, const Matrix& count) {
    return m != nullptr && m->rows() == count.rows() && m->columns() == count.columns() ? m : nullptr;
  }

  // The current expert of either row; a selected link names both.
  void choose(const Selection& selection) {
    for (const ExpertRef& s : selection.experts) {
      if (s.row == rows_.from && s.expert < count_.rows()) from_ = s.expert;
      if (s.row == rows_.to && s.expert < count_.columns()) to_ = s.expert;
    }
    if (!selection.link) return;
    const LinkRef& link = *selection.link;
    if (link.from.row != rows_.from || link.to.row != rows_.to) return;
    if (link.from.expert < count_.rows()) from_ = link.from.expert;
    if (link.to.expert < count_.columns()) to_ = link.to.expert;
  }

  void sum_margins() {
    row_sum_.assign(count_.rows(), 0);
    column_sum_.assign(count_.columns(), 0);
    chance_.assign(count_.rows(), 0);
    for (std::size_t i = 0; i < count_.rows(); ++i) {
      for (std::size_t j = 0; j < count_.columns(); ++j) {
        if (!present(count_, i, j)) continue;
        row_sum_[i] += count_.at(i, j);
        column_sum_[j] += count_.at(i, j);
        if (probability_ != nullptr && present(*probability_, i, j)) chance_[i] += probability_->at(i, j);
      }
    }
    total_ = std::accumulate(row_sum_.begin(), row_sum_.end(), 0.0);
    for (std::size_t i = 0; i < shown_.rows(); ++i)
      for (std::size_t j = 0; j < shown_.columns(); ++j)
        if (present(shown_, i, j)) high_ = std::max(high_, shown_.at(i, j));
  }

  void arrange() {
    if (options_.order == AffinityMatrixOptions::Order::similarity) {
      row_order_ = order_by_similar_rows(shown_);
      column_order_ = order_by_strongest_source(shown_, row_order_);
      return;
    }
    row_order_.resize(count_.rows());
    column_order_.resize(count_.columns());
    std::iota(row_order_.begin(), row_order_.end(), 0);
    std::iota(column_order_.begin(), column_order_.end(), 0);
  }

  void lay_out() {
    const bool roomy = b_.width() >= 300 && b_.height() >= 300;
    x0_ = 62;
    y0_ = roomy ? 52 : 10;
    const double right = roomy ? 58 : 10;
    const double bottom = 92;
    const double wide = std::max(20.0, b_.width() - x0_ - right);
    const double tall = std::max(20.0, b_.height() - y0_ - bottom);
    const double cell =
        std::min({wide / static_cast<double>(count_.columns()), tall / static_cast<double>(count_.rows()), 40.0});
    cell_ = cell;
    gap_ = cell >= 12 ? 2 : cell >= 8 ? 1 : -0.4;
    margins_ = roomy;
    // Left-over width goes to both sides.
    x0_ += std::max(0.0, (wide - cell * static_cast<double>(count_.columns())) / 2);
    x1_ = x0_ + cell * static_cast<double>(count_.columns());
    y1_ = y0_ + cell * static_cast<double>(count_.rows());
  }

  Absence absence_at(std::size_t i, std::size_t j) const {
    const Absence given = cell_absence(shown_, i, j);
    if (given != Absence::present || options_.measure != Measure::lift || total_ <= 0) return given;
    return row_sum_[i] * column_sum_[j] / total_ < options_.fewest_expected ? Absence::too_few : given;
  }

  Paint cell_paint(double value) const {
    if (options_.measure == Measure::lift) return Paint::of_lift(std::log2(std::max(value, 1e-9)));
    return Paint::of_magnitude(high_ > 0 ? value / high_ : 0);
  }

  std::string from_label() const {
    return shown_.row_axis.empty() ? "expert of router row " + std::to_string(rows_.from) : shown_.row_axis;
  }
  std::string to_label() const {
    return shown_.column_axis.empty() ? "expert of router row " + std::to_string(rows_.to) : shown_.column_axis;
  }

  std::string tooltip(std::size_t i, std::size_t j) const {
    std::string out = count_.row_names[i] + " → " + count_.column_names[j];
    if (probability_ != nullptr && present(*probability_, i, j)) {
      out += "\nP = " + format_number(probability_->at(i, j), 3);
      if (total_ > 0) {
        out += " against " + format_number(chance_[i] * column_sum_[j] / total_, 3) + " for any token";
      }
    }
    if (lift_ != nullptr && present(*lift_, i, j)) out += ", lift " + format_number(lift_->at(i, j), 2);
    if (present(count_, i, j))
      out += "\nn = " + format_count(count_.at(i, j)) + " of " + format_count(row_sum_[i]) + " pairs";
    if (absence_at(i, j) == Absence::too_few) out += "\ntoo few to say";
    return out;
  }

  void paint_cells() {
    const bool numbers = cell_ >= 30;
    for (std::size_t r = 0; r < row_order_.size(); ++r) {
      const std::size_t i = row_order_[r];
      for (std::size_t c = 0; c < column_order_.size(); ++c) {
        const std::size_t j = column_order_[c];
        const Box box = cell_box(r, c);
        const LinkRef link{{rows_.from, static_cast<std::uint32_t>(i)}, {rows_.to, static_cast<std::uint32_t>(j)}};
        const int pick = b_.pick(link, tooltip(i, j));
        const Absence why = absence_at(i, j);
        if (why == Absence::too_few) {
          any_too_few_ = true;
          b_.rect(box, Paint::of(ColorRole::line), layer::data, pick);
        } else if (why != Absence::present) {
          b_.hatch(box, pick);
        } else {
          const double value = shown_.at(i, j);
          Paint fill = cell_paint(value);
          b_.rect(box, fill, layer::data, pick);
          if (!numbers) continue;
          fill.kind = fill.kind == Paint::Kind::lift ? Paint::Kind::on_lift : Paint::Kind::on_magnitude;
          b_.text({box.x + box.width / 2, box.y + box.height / 2 + 3.5}, cell_words(value), FontRole::tick, fill,
                  Anchor::middle, pick);
        }
      }
    }
  }

  // On whole pixels, so that all gaps look the same.
  Box cell_box(std::size_t r, std::size_t c) const {
    const double left = std::round(x0_ + static_cast<double>(c) * cell_);
    const double top = std::round(y0_ + static_cast<double>(r) * cell_);
    return {left, top, std::round(x0_ + static_cast<double>(c + 1) * cell_) - left - gap_,
            std::round(y0_ + static_cast<double>(r + 1) * cell_) - top - gap_};
  }

  std::string cell_words(double value) const {
    if (options_.measure == Measure::count)
      return value >= 9999.5 ? format_number(value / 1000, 0) + "k" : format_count(value);
    std::string out = format_number(value, value >= 9.995 ? 1 : 2);
    // ".28": probabilities below one do not need their zero in a narrow cell.
    if (options_.measure == Measure::probability && out.rfind("0.", 0) == 0) out.erase(0, 1);
    return out;
  }

  static std::optional<std::size_t> place(const std::vector<std::size_t>& order, std::optional<std::uint32_t> wanted) {
    if (!wanted) return std::nullopt;
    const auto it = std::find(order.begin(), order.end(), static_cast<std::size_t>(*wanted));
    return static_cast<std::size_t>(it - order.begin());
  }

  void paint_cross_hair() {
    if (const auto r = place(row_order_, from_))
      b_.selection_ring({x0_, y0_ + static_cast<double>(*r) * cell_, x1_ - x0_ - gap_, cell_ - gap_});
    if (const auto c = place(column_order_, to_)) {
      const Box box{x0_ + static_cast<double>(*c) * cell_, y0_, cell_ - gap_, y1_ - y0_ - gap_};
      if (from_) {
        RectMark& mark =
            b_.rect({box.x - 0.5, box.y - 0.5, box.width + 1, box.height + 1}, Paint::of(ColorRole::none), layer::ring);
        mark.stroke = Paint::of(ColorRole::text_2);
        mark.stroke_width = 1;
      } else {
        b_.selection_ring(box);
      }
    }
  }

  void paint_margin_bars() {
    if (!margins_ || total_ <= 0) return;
    const double most_row = *std::max_element(row_sum_.begin(), row_sum_.end()) / total_;
    const double most_column = *std::max_element(column_sum_.begin(), column_sum_.end()) / total_;
    const double uniform_row = 1.0 / static_cast<double>(count_.rows());
    const double uniform_column = 1.0 / static_cast<double>(count_.columns());
    const Scale up{0, std::max(most_column, uniform_column), y0_ - 6, 14};
    const Scale out{0, std::max(most_row, uniform_row), x1_ + 6,
                    b_.width() - 12 < x1_ + 44 ? b_.width() - 12 : x1_ + 44};
    const auto tooltip = [](const std::string& expert, double share) {
      return expert + "\n" + format_percent(share) + " of slots";
    };
    for (std::size_t c = 0; c < column_order_.size(); ++c) {
      const std::size_t j = column_order_[c];
      const double share = column_sum_[j] / total_;
      const int pick =
          b_.pick(ExpertRef{rows_.to, static_cast<std::uint32_t>(j)}, tooltip(count_.column_names[j], share));
      b_.rect({x0_ + static_cast<double>(c) * cell_, up(share), cell_ - gap_, up(0) - up(share)},
              Paint::of(to_ && *to_ == j ? ColorRole::accent : ColorRole::neutral_bar), layer::data, pick);
    }
    for (std::size_t r = 0; r < row_order_.size(); ++r) {
      const std::size_t i = row_order_[r];
      const double share = row_sum_[i] / total_;
      const int pick =
          b_.pick(ExpertRef{rows_.from, static_cast<std::uint32_t>(i)}, tooltip(count_.row_names[i], share));
      b_.rect({x1_ + 6, y0_ + static_cast<double>(r) * cell_, out(share) - out(0), cell_ - gap_},
              Paint::of(from_ && *from_ == i ? ColorRole::accent : ColorRole::neutral_bar), layer::data, pick);
    }
    b_.dashed({x0_, up(uniform_column)}, {x1_, up(uniform_column)}, Paint::of(ColorRole::text_2));
    b_.dashed({out(uniform_row), y0_}, {out(uniform_row), y1_}, Paint::of(ColorRole::text_2));
    b_.text({x0_ - 8, up(uniform_column) + 3.5}, format_percent(uniform_column), FontRole::tick,
            Paint::of(ColorRole::text_2), Anchor::end);
    b_.text({x1_ + 6, y0_ - 20}, "share of", FontRole::axis, Paint::of(ColorRole::text_3));
    b_.text({x1_ + 6, y0_ - 8}, "slots", FontRole::axis, Paint::of(ColorRole::text_3));
  }

  void paint_labels() {
    const double name = text_width(count_.column_names.back(), FontRole::mono_small);
    std::size_t down = 1;
    while (static_cast<double>(down) * cell_ < 15) down *= 2;
    std::size_t across = 1;
    while (static_cast<double>(across) * cell_ < name + 10) across *= 2;
    const auto row = place(row_order_, from_);
    const auto column = place(column_order_, to_);
    const auto y_of = [&](std::size_t r) { return y0_ + (static_cast<double>(r) + 0.5) * cell_ - gap_ / 2 + 4; };
    const auto x_of = [&](std::size_t c) { return x0_ + (static_cast<double>(c) + 0.5) * cell_ - gap_ / 2; };
    for (std::size_t r = 0; r < row_order_.size(); r += down) {
      if (row && std::abs(y_of(r) - y_of(*row)) < 17) continue;
      b_.text({x0_ - 8, y_of(r)}, count_.row_names[row_order_[r]], FontRole::mono_small, Paint::of(ColorRole::text_2),
              Anchor::end);
    }
    if (row) b_.chip({x0_ - 10, y_of(*row)}, count_.row_names[row_order_[*row]], Anchor::end);
    for (std::size_t c = 0; c < column_order_.size(); c += across) {
      if (column && std::abs(x_of(c) - x_of(*column)) < name + 12) continue;
      b_.text({x_of(c), y1_ + 14}, count_.column_names[column_order_[c]], FontRole::mono_small,
              Paint::of(ColorRole::text_2), Anchor::middle);
    }
    if (column) b_.chip({x_of(*column), y1_ + 14}, count_.column_names[column_order_[*column]], Anchor::middle);
    const bool similar = options_.order == AffinityMatrixOptions::Order::similarity;
    const std::string down_words =
        fit_text(from_label() + (similar ? ", ordered by similar rows" : ""), FontRole::axis, y1_ - y0_);
    b_.text({x0_ - 46, (y0_ + y1_) / 2}, down_words, FontRole::axis, Paint::of(ColorRole::text_2), Anchor::middle)
        .angle = 90;
    const std::string across_words =
        fit_text(to_label() + (similar ? ", ordered by strongest source" : ""), FontRole::axis, x1_ - x0_ + 40);
    b_.text({(x0_ + x1_) / 2, y1_ + 36}, across_words, FontRole::axis, Paint::of(ColorRole::text_2), Anchor::middle);
  }

  void paint_legend() {
    ColourBar bar;
    bar.lift = options_.measure == Measure::lift;
    bar.high = high_ > 0 ? high_ : 1;
    bar.format = options_.measure == Measure::count ? TickFormat::count : TickFormat::number;
    bar.title = bar.lift ? "lift, P(j | i) / P(j)" : options_.measure == Measure::count ? "pairs" : "P(j | i)";
    const double title_width = text_width(bar.title, FontRole::axis) + 14;
    const double note = any_too_few_ ? text_width(too_few(), FontRole::axis) + 42 : 0;
    const double room = b_.width() - 24;
    const bool note_fits = note > 0 && room - title_width - note >= 120;
    const double wide = std::clamp(room - title_width - (note_fits ? note : 0), 40.0, 250.0);
    const double start = std::max(12.0, (b_.width() - title_width - wide - (note_fits ? note : 0)) / 2) + title_width;
    bar.box = {start, y1_ + 56, wide, 10};
    draw_colour_bar(b_, bar);
    if (!note_fits) return;
    b_.rect({start + wide + 26, y1_ + 56, 10, 10}, Paint::of(ColorRole::line));
    b_.text({start + wide + 42, y1_ + 65}, too_few(), FontRole::axis, Paint::of(ColorRole::text_2));
  }
  std::string too_few() const { return "fewer than " + format_short(options_.fewest_expected) + " expected"; }

  std::string title() const {
    const char* what = options_.measure == Measure::lift    ? "Lift of the next expert"
                       : options_.measure == Measure::count ? "Pairs of experts"
                                                            : "Probability of the next expert";
    return std::string(what);
  }
  std::string caption() const {
    std::string out = title() + ": rows, " + from_label() + "; columns, " + to_label() + ".";
    if (any_too_few_) out += " Grey: " + too_few() + ".";
    return out + n_sentence(*affinity_);
  }

  ResultPtr affinity_;
  const Matrix& count_;
  const Matrix& shown_;
  const Matrix* probability_;
  const Matrix* lift_;
  AffinityMatrixOptions options_;
  AffinityRows rows_;
  FigureBuilder b_;
  std::optional<std::uint32_t> from_, to_;
  std::vector<double> row_sum_, column_sum_;
  std::vector<double>
      chance_;  // sum of a row's probabilities: k of the later row, spread by share that is what chance gives
  double total_ = 0, high_ = 0;
  std::vector<std::size_t> row_order_, column_order_;
  double x0_ = 0, x1_ = 0, y0_ = 0, y1_ = 0, cell_ = 0, gap_ = 0;
  bool margins_ = false, any_too_few_ = false;
};

}  // namespace

AffinityRows affinity_rows(const Result& affinity) {
  const auto& params = affinity.provenance.params;
  const auto number = [&](const char* name, std::uint32_t otherwise) {
    if (!params.is_object() || !params.contains(name) || !params.at(name).is_number_integer()) return otherwise;
    const auto value = params.at(name).get<std::int64_t>();
    return value >= 0 && value < 1000000 ? static_cast<std::uint32_t>(value) : otherwise;
  };
  const std::uint32_t row = number("row", 0);
  return {row, row + number("distance", 1)};
}

Figure affinity_matrix_figure(const ResultPtr& affinity, const AffinityMatrixOptions& options,
                              const Selection& selection, double width, double height) {
  const Matrix* count = affinity ? find_matrix(*affinity, "count") : nullptr;
  const char* name = options.measure == AffinityMatrixOptions::Measure::lift    ? "lift"
                     : options.measure == AffinityMatrixOptions::Measure::count ? "count"
                                                                                : "probability";
  const Matrix* shown = affinity ? find_matrix(*affinity, name) : nullptr;
  if (count == nullptr || shown == nullptr || count->rows() == 0 || count->columns() == 0 ||
      shown->rows() != count->rows() || shown->columns() != count->columns())
    return message_figure("This trace has no pair of layers at this distance.", width, height, affinity);
  return AffinityPainter(affinity, *count, *shown, options, selection, width, height).paint();
}

}  // namespace moescope
