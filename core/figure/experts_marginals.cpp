#include "core/figure/experts_marginals.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "core/figure/axis.h"
#include "core/figure/number_format.h"
#include "core/figure/result_access.h"

namespace moescope {

void draw_rank_means(FigureBuilder& b, const Matrix& share, const ExpertsLayout& at) {
  std::vector<double> sum(at.widest, 0);
  std::vector<double> seen(at.widest, 0);
  std::size_t used = 0;
  for (std::size_t r = 0; r < at.rows.size(); ++r) {
    used += at.rows[r].drawn ? 1 : 0;
    for (std::size_t i = 0; i < at.rows[r].order.size(); ++i) {
      sum[i] += share.at(r, at.rows[r].order[i]);
      ++seen[i];
    }
  }
  double top = at.uniform;
  for (std::size_t i = 0; i < at.widest; ++i) top = std::max(top, seen[i] > 0 ? sum[i] / seen[i] : 0);
  if (used == 0 || top <= 0) return;
  const Scale y{0, nice_ceiling(top), at.top, 14};
  draw_y_axis(b, y, at.x0, at.x1 - at.gap, TickFormat::percent, 2);
  for (std::size_t i = 0; i < at.widest; ++i) {
    if (seen[i] == 0) continue;
    const double mean = sum[i] / seen[i];
    const double left = at.x0 + static_cast<double>(i) * at.cell;
    const double inset = at.cell > 12 ? 4 : at.cell > 5 ? 0.5 : 0;
    const int pick =
        b.pick(std::monostate{}, fmt::format("Rank {}\n{} of slots on average over {} layer{}", i + 1,
                                             format_percent(mean), format_count(seen[i]), seen[i] == 1 ? "" : "s"));
    b.rect({left + inset, y(mean), at.cell - at.gap - 2 * inset, y(0) - y(mean)}, Paint::of(ColorRole::neutral_bar),
           layer::data, pick);
  }
  const std::string words = used == 1
                                ? "share at each rank"
                                : "mean share at each rank, " + format_count(static_cast<double>(used)) + " layers";
  b.text({at.x1 - at.gap, 12}, fit_text(words, FontRole::axis, (at.x1 - at.x0) * 0.6), FontRole::axis,
         Paint::of(ColorRole::text_3), Anchor::end);
  if (at.uniform <= 0) return;
  b.dashed({at.x0, y(at.uniform)}, {at.x1 - at.gap, y(at.uniform)}, Paint::of(ColorRole::text_2));
  b.text({at.x1 - at.gap, y(at.uniform) - 5}, "uniform " + format_percent(at.uniform, 2), FontRole::axis,
         Paint::of(ColorRole::text_3), Anchor::end);
}

void draw_effective_experts(FigureBuilder& b, const Result& load, const Matrix& share, const ExpertsLayout& at,
                            const Selection& selection) {
  const Series* effective = nullptr;
  for (const Series& s : load.series)
    if (s.name == "effective_experts") effective = &s;
  if (effective == nullptr || effective->y.size() != at.rows.size()) return;
  const auto selected = [&](std::size_t r) {
    return std::any_of(selection.experts.begin(), selection.experts.end(),
                       [&](const ExpertRef& s) { return s.row == r; });
  };
  const double x = at.x1 + 16;
  const double wide = 46;
  b.text({x, at.y0 - 8}, "effective experts", FontRole::axis, Paint::of(ColorRole::text_3));
  double last = -100;
  for (std::size_t r = 0; r < at.rows.size(); ++r) {
    const ExpertsRow& row = at.rows[r];
    const double center = row.y + (row.height - at.gap) / 2;
    const double value = effective->y[r];
    const bool room = center - last >= 13;
    if (room) last = center;
    if (!row.drawn || !std::isfinite(value)) {
      if (room) b.text({x, center + 4}, "not counted", FontRole::axis, Paint::of(ColorRole::text_3));
      continue;
    }
    const double all = static_cast<double>(row.order.size());
    const double tall = std::min(14.0, std::max(1.0, row.height - at.gap));
    const int pick = b.pick(
        static_cast<std::int32_t>(r),
        fmt::format("{}\n{} effective experts of {}", share.row_names[r], format_number(value, 1), format_count(all)));
    b.rect({x, center - tall / 2, wide, tall}, Paint::of(ColorRole::raised), layer::band, pick);
    b.rect({x, center - tall / 2, wide * std::clamp(value / all, 0.0, 1.0), tall},
           Paint::of(selected(r) ? ColorRole::text_1 : ColorRole::neutral_bar), layer::data, pick);
    if (room)
      b.text({x + wide + 8, center + 4}, format_number(value, 1), FontRole::mono_small, Paint::of(ColorRole::text_1),
             Anchor::start, pick);
  }
  const double y = at.y1 + 13;
  b.text({x, y}, "0", FontRole::tick, Paint::of(ColorRole::text_2), Anchor::middle);
  b.text({x + wide, y}, std::to_string(at.widest), FontRole::tick, Paint::of(ColorRole::text_2), Anchor::middle);
}

}  // namespace moescope
