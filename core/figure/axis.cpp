#include "core/figure/axis.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstddef>

#include "core/figure/number_format.h"

namespace moescope {

std::vector<double> nice_ticks(double low, double high, int target) {
  if (!std::isfinite(low) || !std::isfinite(high)) return {};
  if (high <= low) return {low};
  const double rough = (high - low) / std::max(1, target);
  const double power = std::pow(10, std::floor(std::log10(rough)));
  double step = 10 * power;
  for (const double m : {1.0, 2.0, 5.0}) {
    if (m * power >= rough * 0.999) {
      step = m * power;
      break;
    }
  }
  std::vector<double> ticks;
  for (double i = std::ceil(low / step - 1e-9); i * step <= high + step * 1e-9; ++i) ticks.push_back(i * step);
  return ticks;
}

double nice_ceiling(double value) {
  if (!std::isfinite(value) || value <= 0) return 1;
  const double power = std::pow(10, std::floor(std::log10(value)));
  for (const double m : {1.0, 1.5, 2.0, 2.5, 3.0, 4.0, 5.0, 6.0, 8.0}) {
    if (m * power >= value * (1 - 1e-9)) return m * power;
  }
  return 10 * power;
}

std::string format_tick(double value, TickFormat format, bool with_unit) {
  switch (format) {
    case TickFormat::percent:
      return format_short(value * 100) + (with_unit ? "\u202F%" : "");
    case TickFormat::count:
      return format_count(value);
    case TickFormat::number:
      return format_short(value);
  }
  return {};
}

void draw_y_axis(FigureBuilder& b, const Scale& y, double x0, double x1, TickFormat format, int target) {
  const std::vector<double> ticks = nice_ticks(y.low, y.high, target);
  for (std::size_t i = 0; i < ticks.size(); ++i) {
    const double at = y(ticks[i]);
    const bool zero = std::abs(ticks[i]) < 1e-12;
    b.line({{x0, at}, {x1, at}}, Paint::of(zero ? ColorRole::control_border : ColorRole::grid), 1, layer::grid);
    b.text({x0 - 8, at + 3.5}, format_tick(ticks[i], format, i + 1 == ticks.size()), FontRole::tick,
           Paint::of(ColorRole::text_2), Anchor::end);
  }
}

void draw_x_axis(FigureBuilder& b, const Scale& x, double y, TickFormat format, int target) {
  const std::vector<double> ticks = nice_ticks(x.low, x.high, target);
  for (std::size_t i = 0; i < ticks.size(); ++i) {
    const double at = x(ticks[i]);
    b.line({{at, y}, {at, y + 3}}, Paint::of(ColorRole::control_border), 1, layer::grid);
    b.text({at, y + 14}, format_tick(ticks[i], format, i + 1 == ticks.size()), FontRole::tick,
           Paint::of(ColorRole::text_2), Anchor::middle);
  }
}

void draw_colour_bar(FigureBuilder& b, const ColourBar& bar) {
  constexpr int steps = 64;
  const Box box = bar.box;
  const double step = box.width / steps;
  for (int i = 0; i < steps; ++i) {
    const double t = (i + 0.5) / steps;
    // Neighbours overlap by a pixel, so that no seam shows at any zoom.
    const double wide = i + 1 < steps ? step + 1 : step;
    b.rect({box.x + i * step, box.y, wide, box.height},
           bar.lift || bar.diverging ? Paint::of_lift(4 * t - 2) : Paint::of_magnitude(t));
  }
  if (!bar.title.empty())
    b.text({box.x - 10, box.y + box.height / 2 + 4}, bar.title, FontRole::axis, Paint::of(ColorRole::text_2),
           Anchor::end);
  const double base = box.y + box.height;
  const auto tick = [&](double at, const std::string& words) {
    b.line({{at, base}, {at, base + 3}}, Paint::of(ColorRole::text_3), 1, layer::grid);
    b.text({at, base + 14}, words, FontRole::tick, Paint::of(ColorRole::text_2), Anchor::middle);
  };
  if (bar.lift) {
    constexpr std::array<const char*, 5> words = {"0.25", "0.5", "1", "2", "4"};
    for (std::size_t i = 0; i < words.size(); ++i) tick(box.x + static_cast<double>(i) / 4 * box.width, words[i]);
    return;
  }
  const double low = bar.diverging ? -bar.high : bar.low;
  const Scale scale{low, bar.high, box.x, box.x + box.width};
  const std::vector<double> ticks = nice_ticks(low, bar.high, box.width < 120 ? 2 : 4);
  for (std::size_t i = 0; i < ticks.size(); ++i)
    tick(scale(ticks[i]), format_tick(ticks[i], bar.format, i + 1 == ticks.size()));
  if (bar.mark < std::max(0.0, low) || bar.mark > bar.high) return;
  const double x = scale(bar.mark);
  b.polygon({{x - 4, box.y - 7}, {x + 4, box.y - 7}, {x, box.y - 1}}, Paint::of(ColorRole::text_1), layer::over_data);
  if (bar.mark_title.empty()) return;
  const double left = box.x + box.width + 10;
  const double middle = box.y + box.height / 2;
  b.polygon({{left, middle - 2.5}, {left + 7, middle - 2.5}, {left + 3.5, middle + 2.5}}, Paint::of(ColorRole::text_3));
  b.text({left + 11, middle + 4}, bar.mark_title, FontRole::axis, Paint::of(ColorRole::text_3));
}

}  // namespace moescope
