#include "core/figure/row_labels.h"

#include <algorithm>
#include <cmath>

namespace moescope {

void draw_row_labels(FigureBuilder& b, const std::vector<std::string>& names, const std::set<std::size_t>& selected,
                     double x, double y0, double row_height) {
  std::vector<double> taken;
  for (const bool chips : {true, false}) {
    for (std::size_t r = 0; r < names.size(); ++r) {
      const double y = std::max(13.0, y0 + (static_cast<double>(r) + 0.5) * row_height + 3);
      const double reach = chips ? 18 : selected.empty() ? 12 : 15;
      const bool free = std::none_of(taken.begin(), taken.end(), [&](double at) { return std::abs(at - y) < reach; });
      if (selected.contains(r) != chips || !free) continue;
      taken.push_back(y);
      if (chips) {
        b.chip({x, y + 0.5}, names[r], Anchor::end);
      } else {
        b.text({x, y}, names[r], FontRole::mono_small, Paint::of(ColorRole::text_2), Anchor::end);
      }
    }
  }
}

}  // namespace moescope
