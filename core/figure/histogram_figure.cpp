#include "core/figure/histogram_figure.h"

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <numeric>

#include "core/figure/number_format.h"

namespace moescope {

Figure histogram_figure(const ResultPtr& source, const std::vector<double>& edges, const std::vector<double>& counts,
                        const HistogramOptions& options, double width, double height) {
  const double total = std::accumulate(counts.begin(), counts.end(), 0.0);
  if (counts.empty() || edges.size() != counts.size() + 1 || !(total > 0) || !(edges.back() > edges.front()))
    return message_figure("There is nothing to count here.", width, height, source);
  FigureBuilder b(width, height);
  const double high = *std::max_element(counts.begin(), counts.end());
  const double label = text_width(format_count(nice_ceiling(high)), FontRole::tick) + 16;
  const double top = (options.title.empty() ? 10 : 30) + (options.mark_title.empty() ? 0 : 12);
  const Scale x{edges.front(), edges.back(), std::max(34.0, label), width - 14};
  const Scale y{0, nice_ceiling(high), std::max(top + 10, height - (options.x_title.empty() ? 22 : 38)), top};
  draw_y_axis(b, y, x.start, x.end, TickFormat::count, height > 160 ? 4 : 2);
  draw_x_axis(b, x, y.start, options.format, static_cast<int>(std::clamp(width / 90, 2.0, 8.0)));
  const auto words = [&](double v) {
    return options.format == TickFormat::percent ? format_percent(v) : format_short(v);
  };
  for (std::size_t i = 0; i < counts.size(); ++i) {
    const double left = x(edges[i]);
    const double wide = x(edges[i + 1]) - left;
    const int pick = b.pick(std::monostate{}, words(edges[i]) + " to " + words(edges[i + 1]) +
                                                  (options.unit.empty() ? "" : " " + options.unit) + "\n" +
                                                  format_count(counts[i]) + ", " + format_percent(counts[i] / total));
    b.rect({left, y(counts[i]), wide - (wide > 4 ? 1 : 0), y(0) - y(counts[i])}, Paint::of(ColorRole::neutral_bar),
           layer::data, pick);
  }
  if (options.mark >= edges.front() && options.mark <= edges.back()) {
    b.dashed({x(options.mark), top}, {x(options.mark), y.start}, Paint::of(ColorRole::text_2));
    const bool right = x(options.mark) > (x.start + x.end) / 2;
    b.text({x(options.mark) + (right ? -5 : 5), top - 4}, options.mark_title, FontRole::axis,
           Paint::of(ColorRole::text_3), right ? Anchor::end : Anchor::start);
  }
  if (!options.title.empty())
    b.text({8, 13}, fit_text(options.title, FontRole::head, width - 16), FontRole::head, Paint::of(ColorRole::text_1));
  if (!options.x_title.empty())
    b.text({(x.start + x.end) / 2, height - 5}, fit_text(options.x_title, FontRole::axis, x.end - x.start),
           FontRole::axis, Paint::of(ColorRole::text_2), Anchor::middle);
  const std::string title = options.title.empty() ? "Distribution" : options.title;
  return std::move(b).finish(title, title + ". n = " + format_count(total) + ".", source);
}

}  // namespace moescope
