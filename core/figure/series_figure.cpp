#include "core/figure/series_figure.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <cstddef>
#include <functional>
#include <limits>

#include "core/figure/number_format.h"
#include "core/figure/result_access.h"

namespace moescope {
namespace {

using Role = Series::Role;

// With more points than this, intervals are a band instead of whiskers.
constexpr std::size_t most_whiskers = 30;

std::string words_of(double value, TickFormat format) {
  if (format == TickFormat::percent) return format_percent(value);
  return format == TickFormat::count ? format_count(value) : format_short(value);
}

class SeriesPainter {
 public:
  SeriesPainter(const ResultPtr& result, std::vector<const Series*> series, const SeriesOptions& options, double width,
                double height)
      : result_(result), series_(std::move(series)), options_(options), b_(width, height) {}

  Figure paint() && {
    measure();
    lay_out();
    draw_y_axis(b_, y_, x0_, x1_, options_.format, y_.start - y_.end > 120 ? 4 : 2);
    draw_x();
    int line = 0;
    for (const Series* s : series_) {
      if (s->role == Role::null_band) {
        draw_band(*s);
      } else {
        draw_line(*s, s->role == Role::reference ? -1 : line++);
      }
    }
    place_labels();
    const std::string y_title = axis_title();
    if (!y_title.empty())
      b_.text({4, 12}, fit_text(y_title, FontRole::axis, b_.width() - 8), FontRole::axis, Paint::of(ColorRole::text_3));
    return std::move(b_).finish(title(), caption(), result_);
  }

 private:
  void measure() {
    low_ = options_.from_zero ? 0 : std::numeric_limits<double>::infinity();
    high_ = -std::numeric_limits<double>::infinity();
    x_low_ = std::numeric_limits<double>::infinity();
    x_high_ = -x_low_;
    for (const Series* s : series_) {
      for (const auto* values : {&s->y, &s->low, &s->high}) {
        for (const double v : *values) {
          if (!std::isfinite(v)) continue;
          low_ = std::min(low_, v);
          high_ = std::max(high_, v);
        }
      }
      for (const double v : s->x) {
        if (!std::isfinite(v)) continue;
        x_low_ = std::min(x_low_, v);
        x_high_ = std::max(x_high_, v);
      }
      label_width_ = std::max(label_width_, text_width(label_of(*s), FontRole::axis));
      if (!s->x_names.empty()) names_ = s;
    }
    if (!std::isfinite(high_)) high_ = 1;
    if (!std::isfinite(low_)) low_ = 0;
    if (!std::isfinite(x_low_)) x_low_ = x_high_ = 0;
    if (options_.from_zero && low_ >= 0) {
      high_ = nice_ceiling(high_);
    } else {
      const double pad = high_ > low_ ? 0.08 * (high_ - low_) : 1;
      low_ -= pad;
      high_ += pad;
    }
  }

  void lay_out() {
    double tick = 0;
    const std::vector<double> ticks = nice_ticks(low_, high_, 4);
    for (const double v : ticks)
      tick = std::max(tick, text_width(format_tick(v, options_.format, true), FontRole::tick));
    x0_ = std::max(34.0, tick + 16);
    labels_ = series_.size() > 1 && b_.width() >= 260;
    label_width_ = std::min(label_width_, 0.28 * b_.width());
    x1_ = b_.width() - (labels_ ? label_width_ + 20 : 16);
    const double top = (axis_title().empty() ? 14 : 28) + (options_.value_labels ? 10 : 0);
    const double bottom = x_title().empty() ? 24 : 40;
    y_ = {low_, high_, std::max(top + 10, b_.height() - bottom), top};
    const double inset = std::min(24.0, 0.06 * (x1_ - x0_));
    x_ = {x_low_, x_high_, x0_ + inset, x1_ - inset};
    if (x_high_ == x_low_) x_.start = x_.end = (x0_ + x1_) / 2;
  }

  const std::string& label_of(const Series& s) const {
    const auto it = options_.labels.find(s.name);
    return it == options_.labels.end() ? s.title : it->second;
  }

  // The router row of a point: by its name where the rows are known, else by its place.
  std::size_t row_of(const Series& s, std::size_t i) const {
    if (options_.row_names.empty() || s.x_names.empty()) return i;
    const auto it = std::find(options_.row_names.begin(), options_.row_names.end(), s.x_names[i]);
    return it == options_.row_names.end() ? i : static_cast<std::size_t>(it - options_.row_names.begin());
  }
  bool marked(const Series& s, std::size_t i) const {
    return options_.marked && *options_.marked == (options_.rows_on_x ? row_of(s, i) : i);
  }

  std::string x_name(const Series& s, std::size_t i) const {
    if (!s.x_names.empty()) return s.x_names[i];
    return (options_.rows_on_x ? "L" : "") + format_short(s.x[i], 6);
  }

  void draw_x() {
    const double y = y_.start;
    const Series* s = names_ != nullptr ? names_ : series_.front();
    if (names_ == nullptr && !options_.rows_on_x) {
      draw_x_axis(b_, x_, y, TickFormat::number, static_cast<int>(std::clamp((x1_ - x0_) / 90, 2.0, 10.0)));
    } else {
      draw_x_names(*s);
    }
    if (!x_title().empty())
      b_.text({(x0_ + x1_) / 2, y + 32}, fit_text(x_title(), FontRole::axis, x1_ - x0_), FontRole::axis,
              Paint::of(ColorRole::text_2), Anchor::middle);
  }

  // Every n-th name, so that none touches another; the marked one always.
  void draw_x_names(const Series& s) {
    double widest = 1;
    std::size_t marked_at = s.x.size();
    for (std::size_t i = 0; i < s.x.size(); ++i) {
      widest = std::max(widest, text_width(x_name(s, i), FontRole::tick));
      if (marked(s, i)) marked_at = i;
    }
    const double step = s.x.size() > 1 ? std::abs(x_.end - x_.start) / static_cast<double>(s.x.size() - 1) : widest;
    std::size_t stride = 1;
    while (static_cast<double>(stride) * step < widest + 6 && stride < s.x.size()) ++stride;
    const double reach = widest + 6;
    double last = -1e9;
    for (std::size_t i = 0; i < s.x.size(); ++i) {
      const bool bold = i == marked_at;
      if (!std::isfinite(s.x[i]) || (i % stride != 0 && !bold)) continue;
      const double at = x_(s.x[i]);
      const bool beside_marked =
          !bold && marked_at < s.x.size() && std::abs(at - x_(s.x[marked_at])) < reach && std::isfinite(s.x[marked_at]);
      if (beside_marked || at - last < reach) continue;
      last = at;
      b_.text({at, y_.start + 14}, x_name(s, i), FontRole::tick,
              Paint::of(bold ? ColorRole::text_1 : ColorRole::text_2), Anchor::middle)
          .bold = bold;
    }
  }

  void draw_band(const Series& s) {
    if (s.low.empty() || s.high.empty()) return draw_line(s, -1);
    std::vector<Point> upper;
    std::vector<Point> lower;
    for (std::size_t i = 0; i < s.x.size(); ++i) {
      if (!std::isfinite(s.low[i]) || !std::isfinite(s.high[i])) continue;
      // A band thinner than two pixels would not be seen.
      const double a = y_(s.high[i]);
      const double c = std::max(y_(s.low[i]), a + 2);
      upper.push_back({x_(s.x[i]), a});
      lower.push_back({x_(s.x[i]), c});
    }
    if (upper.empty()) return;
    if (upper.size() == 1) {
      for (auto* side : {&upper, &lower}) {
        side->insert(side->begin(), Point{side->front().x - 12, side->front().y});
        side->push_back({side->back().x + 12, side->back().y});
        side->erase(side->begin() + 1);
      }
    }
    end_label(s, {upper.back().x, (upper.back().y + lower.back().y) / 2}, ColorRole::text_3);
    std::vector<Point> outline = upper;
    outline.insert(outline.end(), lower.rbegin(), lower.rend());
    std::string words = s.title;
    if (s.low.size() == 1 || s.low.front() == s.low.back())
      words += "\n" + words_of(s.low.front(), options_.format) + " to " + words_of(s.high.front(), options_.format);
    b_.polygon(std::move(outline), Paint::of(ColorRole::null_band), layer::band, b_.pick(std::monostate{}, words));
  }

  // Intervals of many points, as one band in the line's colour.
  void draw_interval_band(const Series& s, Paint paint) {
    std::vector<Point> upper;
    std::vector<Point> lower;
    for (std::size_t i = 0; i < s.x.size(); ++i) {
      if (!std::isfinite(s.x[i]) || !std::isfinite(s.low[i]) || !std::isfinite(s.high[i])) continue;
      upper.push_back({x_(s.x[i]), y_(s.high[i])});
      lower.push_back({x_(s.x[i]), y_(s.low[i])});
    }
    upper.insert(upper.end(), lower.rbegin(), lower.rend());
    paint.alpha = 0.16;
    b_.polygon(std::move(upper), paint, layer::band);
  }

  // The first line is text 1 and solid, the others grey and dashed; or categories with dashes after the sixth.
  void draw_line(const Series& s, int index) {
    static const std::array<std::vector<double>, 3> dashes = {std::vector<double>{}, {5, 3}, {1.5, 3}};
    const bool reference = index < 0;
    const bool first = index == 0;
    const Paint paint = reference           ? Paint::of(ColorRole::text_2)
                        : options_.coloured ? Paint::of_category(index % (category_count + 1))
                                            : Paint::of(first ? ColorRole::text_1 : ColorRole::text_2);
    std::vector<Point> run;
    Point last{};
    const auto flush = [&] {
      if (run.size() < 2) return run.clear();
      LineMark& mark = b_.line(run, paint, reference ? 1 : first || options_.coloured ? 1.8 : 1.3, layer::data);
      const auto kind = static_cast<std::size_t>(options_.coloured ? index / category_count : index);
      mark.dash = reference ? std::vector<double>{3, 3} : dashes[std::min<std::size_t>(kind, 2)];
      run.clear();
    };
    const bool intervals = !s.low.empty() && !s.high.empty();
    const bool dense = s.x.size() > most_whiskers;
    if (intervals && dense && !reference) draw_interval_band(s, paint);
    const bool whiskers = intervals && !dense;
    for (std::size_t i = 0; i < s.x.size(); ++i) {
      if (!std::isfinite(s.x[i]) || !std::isfinite(s.y[i])) {
        flush();  // a gap in the data is a gap in the line
        continue;
      }
      const Point at{x_(s.x[i]), y_(s.y[i])};
      run.push_back(at);
      last = at;
      if (reference) continue;
      const bool accent = first && marked(s, i);
      const int pick = point_pick(s, i);
      if (whiskers && std::isfinite(s.low[i]) && std::isfinite(s.high[i]))
        b_.whisker(at.x, y_(s.low[i]), y_(s.high[i]), 3, paint, pick);
      const double radius = accent ? 5 : dense ? 1.2 : first || options_.coloured ? 3 : 2;
      b_.circle(at, radius, accent ? Paint::of(ColorRole::accent) : paint, layer::over_data, pick);
      if (options_.value_labels && first && worth_a_number(s, i)) value_label(s, i, at);
    }
    flush();
    end_label(s, last, first ? ColorRole::text_1 : reference ? ColorRole::text_3 : ColorRole::text_2);
  }

  int point_pick(const Series& s, std::size_t i) {
    std::string words =
        x_name(s, i) + (s.title.empty() ? "" : "  " + s.title) + "\n" + words_of(s.y[i], options_.format);
    if (!s.unit.empty()) words += " " + s.unit;
    if (!s.low.empty() && !s.high.empty() && std::isfinite(s.low[i]))
      words += ", " + words_of(s.low[i], options_.format) + " to " + words_of(s.high[i], options_.format);
    if (!s.n.empty() && std::isfinite(s.n[i])) words += "\nn = " + format_count(s.n[i]);
    decltype(Pick::what) what;
    if (options_.rows_on_x) what = static_cast<std::int32_t>(row_of(s, i));
    return b_.pick(what, words);
  }

  // Many points are a line to look at: only its ends up and down, and the marked point, have their number.
  bool worth_a_number(const Series& s, std::size_t i) const {
    if (s.x.size() <= most_whiskers / 2 || marked(s, i)) return true;
    // Comparisons with absent values are false, so these do not count.
    const auto beyond = [&](auto further) {
      return std::none_of(s.y.begin(), s.y.end(), [&](double y) { return further(y, s.y[i]); });
    };
    return beyond(std::less<>()) || beyond(std::greater<>());
  }

  // The same number of decimals beside every point.
  void value_label(const Series& s, std::size_t i, Point at) {
    const int decimals = high_ < 2 ? 3 : high_ < 20 ? 2 : 1;
    const std::string words =
        options_.format == TickFormat::percent ? format_percent(s.y[i]) : format_number(s.y[i], decimals);
    const double wide = text_width(words, FontRole::tick);
    // Beside the point where a whisker stands above it.
    const bool whisker = !s.low.empty() && !s.high.empty() && std::isfinite(s.low[i]) && std::isfinite(s.high[i]);
    const double left = whisker ? at.x + 6 : at.x - wide / 2;
    if (left < last_value_ + 4 || left + wide > x1_) return;
    last_value_ = left + wide;
    // Above the point, or below it where a reference line would run through the number.
    double base = std::max(10.0, at.y - 9);
    if (crosses_reference(base, s.x[i]) && at.y + 17 < y_.start && !crosses_reference(at.y + 17, s.x[i]))
      base = at.y + 17;
    b_.text({left, base}, words, FontRole::tick, Paint::of(ColorRole::text_1));
  }
  // True when a reference line passes through text on this baseline at about this x.
  bool crosses_reference(double base, double x) const {
    for (const Series* s : series_) {
      if (s->role != Role::reference) continue;
      for (std::size_t i = 0; i < s->x.size(); ++i) {
        if (s->x[i] != x || !std::isfinite(s->y[i])) continue;
        const double line = y_(s->y[i]);
        if (line > base - 11 && line < base + 4) return true;
      }
    }
    return false;
  }

  struct EndLabel {
    std::string words;
    double y;
    ColorRole role;
  };
  void end_label(const Series& s, Point at, ColorRole role) {
    if (labels_ && !label_of(s).empty()) ends_.push_back({label_of(s), at.y, role});
  }
  // Labels at the right, moved apart until none touches another.
  void place_labels() {
    std::stable_sort(ends_.begin(), ends_.end(), [](const EndLabel& a, const EndLabel& c) { return a.y < c.y; });
    double last = -1e9;
    for (EndLabel& end : ends_) last = end.y = std::max(end.y, last + 14);
    double limit = y_.start;
    for (auto it = ends_.rbegin(); it != ends_.rend(); ++it) {
      it->y = std::min(it->y, limit);
      limit = it->y - 14;
    }
    for (const EndLabel& end : ends_) {
      if (end.y < 10) continue;
      b_.text({x1_ + 6, end.y + 4}, fit_text(end.words, FontRole::axis, b_.width() - x1_ - 8), FontRole::axis,
              Paint::of(end.role));
    }
  }

  std::string axis_title() const { return !options_.y_title.empty() ? options_.y_title : series_.front()->y_axis; }
  std::string x_title() const { return !options_.x_title.empty() ? options_.x_title : series_.front()->x_axis; }
  std::string title() const {
    if (!options_.title.empty()) return options_.title;
    return series_.front()->title.empty() ? result_->title : series_.front()->title;
  }
  std::string caption() const {
    std::string out = title() + ".";
    const bool band =
        std::any_of(series_.begin(), series_.end(), [](const Series* s) { return s->role == Role::null_band; });
    if (band) out += " Grey: the band expected by chance.";
    return out + n_sentence(*result_);
  }

  ResultPtr result_;
  std::vector<const Series*> series_;
  const SeriesOptions& options_;
  FigureBuilder b_;
  const Series* names_ = nullptr;
  double low_ = 0, high_ = 1, x_low_ = 0, x_high_ = 1;
  double x0_ = 0, x1_ = 0, label_width_ = 0, last_value_ = -1e9;
  bool labels_ = false;
  Scale x_, y_;
  std::vector<EndLabel> ends_;
};

}  // namespace

Figure series_figure(const ResultPtr& result, const SeriesOptions& options, double width, double height) {
  std::vector<const Series*> series;
  if (result) {
    std::vector<std::string> names = options.names;
    if (names.empty())
      for (const Series& s : result->series) names.push_back(s.name);
    for (const std::string& name : names) {
      const Series* s = find_line(*result, name);
      if (s != nullptr && !s->x.empty()) series.push_back(s);
    }
  }
  if (series.empty()) return message_figure("There is nothing to draw for this trace.", width, height, result);
  return SeriesPainter(result, std::move(series), options, width, height).paint();
}

}  // namespace moescope
