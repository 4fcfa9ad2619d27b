#include "core/figure/experts_figure.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <numeric>
#include <optional>
#include <tuple>

#include "core/figure/axis.h"
#include "core/figure/experts_marginals.h"
#include "core/figure/number_format.h"
#include "core/figure/result_access.h"

namespace moescope {
namespace {

class ExpertsPainter {
  using Measure = ExpertsOptions::Measure;
  using Sort = ExpertsOptions::Sort;

 public:
  ExpertsPainter(const ResultPtr& load, const Matrix& share, const ExpertsOptions& options, const Selection& selection,
                 double width, double height)
      : load_(load),
        share_(share),
        shown_(pick_matrix(*load, share, options.measure)),
        lift_(same_shape(find_matrix(*load, "lift"), share)),
        count_(same_shape(find_matrix(*load, "count"), share)),
        options_(options),
        selection_(selection),
        b_(width, height) {}

  Figure paint() && {
    arrange_rows();
    at_.uniform = uniform();
    lay_out();
    for (std::size_t r = 0; r < at_.rows.size(); ++r) paint_row(r);
    paint_row_labels();
    paint_absent_words();
    paint_column_labels();
    if (at_.top > 0) draw_rank_means(b_, share_, at_);
    if (right_ > 0) draw_effective_experts(b_, *load_, share_, at_, selection_);
    paint_legend();
    return std::move(b_).finish(title(), caption(), load_);
  }

 private:
  static const Matrix* same_shape(const Matrix* m, const Matrix& share) {
    return m != nullptr && m->rows() == share.rows() && m->columns() == share.columns() ? m : nullptr;
  }
  static const Matrix& pick_matrix(const Result& load, const Matrix& share, Measure measure) {
    const Matrix* wanted = measure == Measure::count  ? find_matrix(load, "count")
                           : measure == Measure::lift ? find_matrix(load, "lift")
                                                      : nullptr;
    return wanted != nullptr && wanted->rows() == share.rows() && wanted->columns() == share.columns() ? *wanted
                                                                                                       : share;
  }

  void arrange_rows() {
    at_.rows.resize(share_.rows());
    for (std::size_t r = 0; r < at_.rows.size(); ++r) {
      ExpertsRow& row = at_.rows[r];
      for (std::size_t e = 0; e < share_.columns(); ++e)
        if (present(share_, r, e)) row.order.push_back(static_cast<std::uint32_t>(e));
      row.drawn = !row.order.empty();
      if (!row.drawn) row.why = row_absence(share_, r);
      if (options_.sort == Sort::load)
        std::stable_sort(row.order.begin(), row.order.end(),
                         [&](std::uint32_t a, std::uint32_t c) { return share_.at(r, a) > share_.at(r, c); });
      at_.widest = std::max(at_.widest, row.order.size());
      const double even = row.drawn ? 1.0 / static_cast<double>(row.order.size()) : 0;
      if (row.drawn) uniform_ = !uniform_ || *uniform_ == even ? even : -1;
      for (const std::uint32_t e : row.order) high_ = std::max(high_, shown_.at(r, e));
    }
    if (options_.sort == Sort::index) at_.widest = share_.columns();
  }

  void lay_out() {
    std::tie(at_.x0, at_.x1) = expert_columns(share_, b_.width(), options_.marginals);
    right_ = b_.width() - at_.x1 > 20 ? b_.width() - at_.x1 : 0;
    at_.top = options_.marginals && options_.sort == Sort::load && b_.height() >= 260 ? 62 : 0;
    const double above = at_.top > 0 ? at_.top + 8 : right_ > 0 ? 24 : 12;
    constexpr double below = 60;
    at_.y0 = above;
    at_.y1 = std::max(at_.y0 + 10, b_.height() - below);
    const auto absent = static_cast<double>(
        std::count_if(at_.rows.begin(), at_.rows.end(), [](const ExpertsRow& r) { return !r.drawn; }));
    const double all = static_cast<double>(at_.rows.size());
    const double even = (at_.y1 - at_.y0) / std::max(1.0, all);
    // Rows with nothing to say take less room, where there is room to save.
    absent_height_ = absent < all ? std::min(even, 20.0) : std::min(even, 40.0);
    row_height_ = absent < all ? ((at_.y1 - at_.y0) - absent * absent_height_) / (all - absent) : even;
    row_height_ = std::min(row_height_, 72.0);
    double y = at_.y0;
    for (ExpertsRow& row : at_.rows) {
      row.y = y;
      row.height = row.drawn ? row_height_ : absent_height_;
      y += row.height;
    }
    at_.y1 = y;
    at_.cell = (at_.x1 - at_.x0) / static_cast<double>(std::max<std::size_t>(1, at_.widest));
    const double smaller = std::min(at_.cell, row_height_);
    // Small cells touch, and overlap a little so that no seam shows when the figure is scaled.
    at_.gap = smaller >= 14 ? 2 : smaller >= 8 ? 1 : -0.4;
  }

  // On whole pixels, so that all gaps look the same.
  Box cell_box(const ExpertsRow& row, std::size_t column) const {
    const double left = std::round(at_.x0 + static_cast<double>(column) * at_.cell);
    const double right = std::round(at_.x0 + static_cast<double>(column + 1) * at_.cell);
    const double top = std::round(row.y);
    return {left, top, right - left - at_.gap, std::round(row.y + row.height) - top - at_.gap};
  }

  Paint cell_paint(double value) const {
    if (options_.measure == Measure::lift) return Paint::of_lift(std::log2(std::max(value, 1e-9)));
    return Paint::of_magnitude(high_ > 0 ? value / high_ : 0);
  }
  static Paint on(Paint cell) {
    cell.kind = cell.kind == Paint::Kind::lift ? Paint::Kind::on_lift : Paint::Kind::on_magnitude;
    return cell;
  }

  std::string cell_words(double value) const {
    switch (options_.measure) {
      case Measure::count:
        return value >= 99999.5 ? format_number(value / 1000, 0) + "k" : format_count(value);
      case Measure::share:
        return format_number(value * 100, 1);
      case Measure::lift:
        return format_number(value, 2);
    }
    return {};
  }

  bool selected(std::size_t r, std::uint32_t e) const {
    return std::any_of(selection_.experts.begin(), selection_.experts.end(),
                       [&](const ExpertRef& s) { return s.row == r && s.expert == e; });
  }

  std::string tooltip(std::size_t r, std::uint32_t e, std::size_t rank) const {
    const double n = cell_n(share_, r, e);
    std::string out = fmt::format("{}·{}  rank {} of {}\n{} of slots", share_.row_names[r], share_.column_names[e],
                                  rank, at_.rows[r].order.size(), format_percent(share_.at(r, e)));
    if (lift_ != nullptr && present(*lift_, r, e)) {
      out += ", lift " + format_number(lift_->at(r, e), 2);
      if (has_interval(*lift_, r, e)) out += format_interval(low_of(*lift_, r, e), high_of(*lift_, r, e), 2);
    }
    if (count_ != nullptr && present(*count_, r, e)) {
      out += "\n" + format_count(count_->at(r, e)) + " slots";
      if (std::isfinite(n) && n > 0) out += " of " + format_count(n);
    } else if (std::isfinite(n) && n > 0) {
      out += "\nn = " + format_count(n);
    }
    return out;
  }

  void paint_row(std::size_t r) {
    const ExpertsRow& row = at_.rows[r];
    if (!row.drawn) {
      const int pick = b_.pick(static_cast<std::int32_t>(r), share_.row_names[r] + "\n" + absence_words(row.why));
      b_.hatch({at_.x0, row.y, at_.x1 - at_.x0 - at_.gap, row.height - at_.gap}, pick);
      return;
    }
    const bool two_lines = at_.cell - at_.gap >= 31 && row.height - at_.gap >= 32;
    const double widest_value = text_width(cell_words(high_), FontRole::mono_small);
    const bool number_fits = at_.cell - at_.gap >= (share_.columns() > 100 ? 22 : 16) && row.height - at_.gap >= 13;
    const bool value_fits = at_.cell - at_.gap >= widest_value + 4 && row.height - at_.gap >= 13;
    const std::vector<std::size_t> ranks = ranks_of(r);
    std::size_t column = 0;
    for (const std::uint32_t e : row.order) {
      const Box box = cell_box(row, options_.sort == Sort::index ? e : column);
      ++column;
      const double value = shown_.at(r, e);
      const Paint fill = cell_paint(value);
      const int pick = b_.pick(ExpertRef{static_cast<std::uint32_t>(r), e}, tooltip(r, e, ranks[e]));
      b_.rect(box, fill, layer::data, pick);
      const double middle = box.x + box.width / 2;
      const double center = box.y + box.height / 2;
      const std::string number = short_expert(share_.column_names[e]);
      if (two_lines && value_fits && options_.sort == Sort::load) {
        b_.text({middle, center - 3}, number, FontRole::mono_small, on(fill), Anchor::middle, pick).bold = true;
        b_.text({middle, center + 12}, cell_words(value), FontRole::mono_small, on(fill), Anchor::middle, pick);
      } else if (options_.sort == Sort::load && number_fits) {
        b_.text({middle, center + 4}, number, FontRole::mono_small, on(fill), Anchor::middle, pick);
      } else if (options_.sort == Sort::index && value_fits) {
        b_.text({middle, center + 4}, cell_words(value), FontRole::mono_small, on(fill), Anchor::middle, pick);
      }
      if (selected(r, e)) b_.selection_ring(box);
    }
    if (options_.sort == Sort::index && row.order.size() < at_.widest) paint_ragged_end(r);
  }

  // Columns past the last expert of a shorter row, or single absent cells.
  void paint_ragged_end(std::size_t r) {
    std::size_t from = 0;
    while (from < at_.widest) {
      if (present(share_, r, from)) {
        ++from;
        continue;
      }
      std::size_t to = from;
      while (to < at_.widest && !present(share_, r, to)) ++to;
      Box box = cell_box(at_.rows[r], from);
      box.width = static_cast<double>(to - from) * at_.cell - at_.gap;
      if (cell_absence(share_, r, from) == Absence::too_few) {
        b_.rect(box, Paint::of(ColorRole::line));
      } else {
        b_.hatch(box);
      }
      from = to;
    }
  }

  std::vector<std::size_t> ranks_of(std::size_t r) const {
    std::vector<std::uint32_t> by_load = at_.rows[r].order;
    std::stable_sort(by_load.begin(), by_load.end(),
                     [&](std::uint32_t a, std::uint32_t c) { return share_.at(r, a) > share_.at(r, c); });
    std::vector<std::size_t> ranks(share_.columns(), 0);
    for (std::size_t i = 0; i < by_load.size(); ++i) ranks[by_load[i]] = i + 1;
    return ranks;
  }

  double label_y(std::size_t r) const { return at_.rows[r].y + (at_.rows[r].height - at_.gap) / 2 + 4; }

  // Chips first, the current selection before older ones, then every label that touches nothing placed before.
  void paint_row_labels() {
    std::vector<double> taken;
    const auto free = [&](double y, double reach) {
      return std::none_of(taken.begin(), taken.end(), [&](double at) { return std::abs(at - y) < reach; });
    };
    const double x = at_.x0 - 14;
    for (std::size_t i = selection_.experts.size(); i-- > 0;) {
      const std::size_t r = selection_.experts[i].row;
      if (r >= at_.rows.size() || !free(label_y(r), 19)) continue;
      taken.push_back(label_y(r));
      b_.chip({x, taken.back()}, share_.row_names[r], Anchor::end);
    }
    for (std::size_t r = 0; r < at_.rows.size(); ++r) {
      if (!free(label_y(r), 14)) continue;
      taken.push_back(label_y(r));
      b_.text({x, taken.back()}, share_.row_names[r], FontRole::mono_small,
              Paint::of(at_.rows[r].drawn ? ColorRole::text_2 : ColorRole::text_3), Anchor::end);
    }
  }

  // One sentence per run of absent rows that is tall enough for it.
  void paint_absent_words() {
    for (std::size_t r = 0; r < at_.rows.size(); ++r) {
      const ExpertsRow& row = at_.rows[r];
      if (row.drawn || row.height < 13) continue;
      const std::string words = absence_words(row.why);
      const double wide = text_width(words, FontRole::axis) + 16;
      const double middle = (at_.x0 + at_.x1) / 2;
      const double center = row.y + (row.height - at_.gap) / 2;
      if (wide > at_.x1 - at_.x0) continue;
      b_.rect({middle - wide / 2, center - 7, wide, 14}, Paint::of(ColorRole::panel), layer::over_data);
      b_.text({middle, center + 4}, words, FontRole::axis, Paint::of(ColorRole::text_2), Anchor::middle);
    }
  }

  void paint_column_labels() {
    const double y = at_.y1 + 13;
    const bool by_load = options_.sort == Sort::load;
    const double wide =
        text_width(by_load ? std::to_string(at_.widest) : share_.column_names.back(), FontRole::mono_small) + 8;
    std::size_t stride = 1;
    while (static_cast<double>(stride) * at_.cell < wide) stride *= 2;
    std::vector<double> chips;
    const auto free = [&](double x, double reach) {
      return std::none_of(chips.begin(), chips.end(), [&](double at) { return std::abs(at - x) < reach; });
    };
    for (std::size_t i = selection_.experts.size(); i-- > 0 && !by_load;) {
      const std::uint32_t e = selection_.experts[i].expert;
      const double x = at_.x0 + (e + 0.5) * at_.cell - at_.gap / 2;
      if (e >= share_.columns() || !free(x, wide + 8)) continue;
      chips.push_back(x);
      b_.chip({x, y}, share_.column_names[e], Anchor::middle);
    }
    for (std::size_t c = 0; c < at_.widest; c += stride) {
      const double x = at_.x0 + (static_cast<double>(c) + 0.5) * at_.cell - at_.gap / 2;
      if (!free(x, wide + 4)) continue;
      b_.text({x, y}, by_load ? std::to_string(c + 1) : share_.column_names[c], FontRole::mono_small,
              Paint::of(ColorRole::text_2), Anchor::middle);
    }
  }

  void paint_legend() {
    const double y = at_.y1 + 34;
    const std::string axis = options_.sort == Sort::load ? "rank within the layer, by load" : "expert";
    const double span = at_.x1 - at_.gap - at_.x0;
    ColourBar bar;
    bar.lift = options_.measure == Measure::lift;
    bar.format = options_.measure == Measure::count ? TickFormat::count : TickFormat::percent;
    bar.title = bar.lift ? "lift over uniform" : options_.measure == Measure::count ? "slots" : "share of slots";
    bar.high = high_ > 0 ? high_ : 1;
    const double note = bar.lift || options_.measure == Measure::count || uniform() <= 0 ? 0 : 70;
    const double title_width = text_width(bar.title, FontRole::axis) + 10;
    const double wide = std::clamp(span - title_width - note - 24, 40.0, 240.0);
    const bool axis_fits = span - note - wide - title_width >= text_width(axis, FontRole::axis) + 16;
    bar.box = {at_.x1 - at_.gap - note - wide - 8, y - 9, wide, 10};
    if (note > 0) {
      bar.mark = uniform();
      bar.mark_title = "uniform";
    }
    draw_colour_bar(b_, bar);
    if (axis_fits) b_.text({at_.x0, y}, axis, FontRole::axis, Paint::of(ColorRole::text_2));
  }

  // The even share, or nothing when rows have different numbers of experts.
  double uniform() const { return uniform_.value_or(-1); }

  std::string title() const {
    return options_.measure == Measure::count  ? "Slots per expert"
           : options_.measure == Measure::lift ? "Lift over an even share per expert"
                                               : "Share of slots per expert";
  }
  std::string caption() const {
    std::string out =
        title() + (options_.sort == Sort::load ? ", each layer sorted by load; the number is the expert's index."
                                               : ", by index.");
    if (uniform() > 0 && options_.measure == Measure::share)
      out += " The mark on the scale is the even share, " + format_percent(uniform(), 2) + ".";
    return out + n_sentence(*load_);
  }

  ResultPtr load_;
  const Matrix& share_;
  const Matrix& shown_;
  const Matrix* lift_;
  const Matrix* count_;
  ExpertsOptions options_;
  const Selection& selection_;
  FigureBuilder b_;
  ExpertsLayout at_;
  std::optional<double> uniform_;
  double high_ = 0;
  double right_ = 0, row_height_ = 0, absent_height_ = 0;
};

}  // namespace

std::pair<double, double> expert_columns(const Matrix& share, double width, bool marginals) {
  double label = 0;
  for (const std::string& name : share.row_names) label = std::max(label, text_width(name, FontRole::mono_small));
  return {std::max(40.0, label + 26), width - (marginals && width >= 420 ? 112 : 16)};
}

Figure experts_figure(const ResultPtr& load, const ExpertsOptions& options, const Selection& selection, double width,
                      double height) {
  const Matrix* share = load ? find_matrix(*load, "share") : nullptr;
  if (share == nullptr || share->rows() == 0 || share->columns() == 0)
    return message_figure("No load was counted for this trace.", width, height, load);
  return ExpertsPainter(load, *share, options, selection, width, height).paint();
}

}  // namespace moescope
