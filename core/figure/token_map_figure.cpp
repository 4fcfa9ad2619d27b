#include "core/figure/token_map_figure.h"

#include <algorithm>
#include <cmath>
#include <set>
#include <vector>

#include "core/figure/axis.h"
#include "core/figure/number_format.h"
#include "core/figure/result_access.h"
#include "core/figure/row_labels.h"

namespace moescope {
namespace {

constexpr double narrowest_cell = 3;
constexpr double lowest_cell = 3;
constexpr double map_top = 26, map_bottom = 20;  // colour bar above, tokens below

double scalar_value(const Result& result, const char* name) {
  const Scalar* scalar = result.scalar(name);
  return scalar != nullptr ? scalar->estimate.value : std::nan("");
}

// The value that 98 of 100 cells do not pass: a few short cells do not dim all others.
double bright_end(const Matrix& matrix) {
  std::vector<double> values;
  for (const double v : matrix.values) {
    if (std::isfinite(v)) values.push_back(v);
  }
  if (values.empty()) return 1;
  const auto at = values.begin() + static_cast<std::ptrdiff_t>(static_cast<double>(values.size() - 1) * 0.98);
  std::nth_element(values.begin(), at, values.end());
  return nice_ceiling(*at);
}

class TokenMapPainter {
 public:
  TokenMapPainter(const ResultPtr& map, const TokenMapOptions& options, double width, double height)
      : map_(map), options_(options), b_(width, height) {
    layers_ = find_matrix(*map, "max_over_mean");
    busiest_ = layers_ ? find_matrix(*map, "busiest") : nullptr;
    shown_ = layers_ ? layers_ : find_matrix(*map, "share");
    count_ = layers_ ? nullptr : find_matrix(*map, "count");
    first_ = scalar_value(*map, "first_token");
    length_ = scalar_value(*map, "tokens_per_cell");
  }

  [[nodiscard]] bool drawable() const {
    return shown_ != nullptr && shown_->rows() > 0 && shown_->columns() > 0 && first_ >= 0 && length_ >= 1 &&
           options_.range.count > 0;
  }

  Figure paint(const Selection& selection) && {
    const MapSpan span = token_map_span(b_.width(), !layers_);
    const auto begin = static_cast<double>(options_.range.first);
    x_ = {begin, begin + static_cast<double>(options_.range.count), span.x0, span.x1};
    y0_ = map_top;
    y1_ = b_.height() - map_bottom;
    row_height_ = std::max(0.5, (y1_ - y0_) / static_cast<double>(shown_->rows()));
    high_ = bright_end(*shown_);
    for (std::size_t c = 0; c < shown_->columns(); ++c) paint_column(c);
    std::set<std::size_t> marked;
    if (layers_) {
      for (const ExpertRef& expert : selection.experts) marked.insert(expert.row);
      if (marked.empty()) marked.insert(options_.row);
    }
    draw_row_labels(b_, shown_->row_names, marked, span.x0 - 14, y0_, row_height_);
    draw_x_axis(b_, x_, y1_ + 2, TickFormat::count, b_.width() < 500 ? 4 : 8);
    if (options_.view.count > 0) frame(options_.view);
    if (selection.token) frame({*selection.token, 1});
    paint_key(span);
    return std::move(b_).finish(map_->title, caption(), map_);
  }

 private:
  void paint_column(std::size_t c) {
    const double token = first_ + static_cast<double>(c) * length_;
    const double from = std::max(token, x_.low), to = std::min(token + length_, x_.high);
    if (from >= to) return;
    // On whole pixels, so that neighbours touch without seams.
    const double x = std::floor(x_(from)), wide = std::max(1.0, std::floor(x_(to)) - x);
    const double gap = row_height_ >= 8 ? 1 : -0.3;
    for (std::size_t r = 0; r < shown_->rows(); ++r) {
      const Box box{x, y0_ + static_cast<double>(r) * row_height_, std::max(0.5, std::min(wide, x_.end - x)),
                    std::min(row_height_ - gap, y1_ - y0_ - static_cast<double>(r) * row_height_)};
      const int pick = b_.pick(static_cast<std::uint64_t>(from), words(r, c));
      if (!present(*shown_, r, c)) {
        b_.rect(box, Paint::of(ColorRole::raised), layer::data, pick);
        continue;
      }
      b_.rect(box, Paint::of_magnitude(std::clamp(shown_->at(r, c) / high_, 0.0, 1.0)), layer::data, pick);
    }
  }

  [[nodiscard]] std::string words(std::size_t r, std::size_t c) const {
    const std::string& tokens = shown_->column_names[c];
    std::string out = shown_->row_names[r] + (length_ > 1 ? "  tokens " : "  token ") + tokens + "\n";
    if (!present(*shown_, r, c)) return out + absence_words(cell_absence(*shown_, r, c));
    if (layers_) {
      if (busiest_) out += "E" + std::string(busiest_->at(r, c) < 10 ? "0" : "") + format_count(busiest_->at(r, c));
      out += " has " + format_number(shown_->at(r, c), 2) + " × the mean";
    } else {
      out += format_percent(shown_->at(r, c), 2) + " of the slots";
      if (count_) out += ", " + format_count(count_->at(r, c)) + " of them";
    }
    return out + "\nn = " + format_count(cell_n(*shown_, r, c)) + " tokens";
  }

  void frame(TokenRange range) {
    const auto first = static_cast<double>(range.first), end = first + static_cast<double>(range.count);
    if (end <= x_.low || first >= x_.high) return;
    const double left = x_(std::max(first, x_.low)), right = x_(std::min(end, x_.high));
    const double wide = std::max(4.0, right - left + 2);
    RectMark& mark = b_.rect({std::min(left - 1, x_.end - wide + 1), y0_ - 2, wide, y1_ - y0_ + 3},
                             Paint::of(ColorRole::none), layer::ring);
    mark.stroke = Paint::of(ColorRole::text_1);
    mark.stroke_width = 2;
    mark.radius = 2;
  }

  void paint_key(const MapSpan& span) {
    ColourBar bar;
    bar.format = layers_ ? TickFormat::number : TickFormat::percent;
    bar.title = layers_ ? "busiest expert, times the mean" : "share of the cell's slots";
    bar.high = high_;
    const double wide = std::clamp((span.x1 - span.x0) * 0.2, 60.0, 180.0);
    bar.box = {span.x1 - wide - 12, 1, wide, 7};
    draw_colour_bar(b_, bar);
    const std::string cell = length_ > 1 ? format_count(length_) + " tokens a cell" : std::string("one token a cell");
    const double room = bar.box.x - 20 - text_width(bar.title, FontRole::axis) - span.x0;
    b_.text({span.x0, 10}, fit_text(cell, FontRole::axis, room), FontRole::axis, Paint::of(ColorRole::text_3));
  }

  [[nodiscard]] std::string caption() const {
    return "Tokens " + format_count(x_.low) + " to " + format_count(x_.high - 1) + ", " + format_count(length_) +
           (length_ > 1 ? " tokens a cell: " : " token a cell: ") +
           (layers_ ? "the busiest expert's slots over the mean of its layer." : "each expert's share of the slots.") +
           n_sentence(*map_);
  }

  const ResultPtr& map_;
  const TokenMapOptions& options_;
  FigureBuilder b_;
  const Matrix *layers_ = nullptr, *busiest_ = nullptr, *shown_ = nullptr, *count_ = nullptr;
  double first_ = 0, length_ = 1, y0_ = 0, y1_ = 0, row_height_ = 1, high_ = 1;
  Scale x_;
};

}  // namespace

TokenRange zoomed(TokenRange range, double at, double factor, std::uint64_t total, std::uint64_t fewest) {
  if (total == 0 || range.count == 0) return {0, total};
  at = std::clamp(at, 0.0, 1.0);
  const double still = static_cast<double>(range.first) + at * static_cast<double>(range.count);
  const double least = static_cast<double>(std::min(fewest, total));
  const double count =
      std::clamp(std::round(static_cast<double>(range.count) * factor), least, static_cast<double>(total));
  const double first = std::clamp(std::round(still - at * count), 0.0, static_cast<double>(total) - count);
  return {static_cast<std::uint64_t>(first), static_cast<std::uint64_t>(count)};
}

TokenRange panned(TokenRange range, double by, std::uint64_t total) {
  range.count = std::min(range.count, total);
  const double first = static_cast<double>(range.first) + by * static_cast<double>(range.count);
  const auto last = static_cast<double>(total - range.count);
  range.first = static_cast<std::uint64_t>(std::clamp(std::round(first), 0.0, last));
  return range;
}

MapSpan token_map_span(double width, bool experts) {
  const double labels = experts ? 68 : 44;
  return {labels, std::max(labels + 20, width - 28)};
}

std::uint64_t token_map_columns(double width) {
  const MapSpan span = token_map_span(width, false);
  return static_cast<std::uint64_t>(std::clamp((span.x1 - span.x0) / narrowest_cell, 8.0, 1024.0));
}

std::uint64_t token_map_rows(double height) {
  return static_cast<std::uint64_t>(std::clamp((height - map_top - map_bottom) / lowest_cell, 8.0, 512.0));
}

Figure token_map_figure(const ResultPtr& map, const TokenMapOptions& options, const Selection& selection, double width,
                        double height) {
  if (!map) return message_figure("No tokens to show.", width, height, map);
  TokenMapPainter painter(map, options, width, height);
  if (!painter.drawable()) return message_figure("No tokens to show.", width, height, map);
  return std::move(painter).paint(selection);
}

}  // namespace moescope
