#include "views/shell/start_art.h"

#include <QPainter>
#include <QPainterPath>
#include <array>
#include <cmath>

#include "views/common/theme.h"

namespace moescope {
namespace {
constexpr int layers = 6, experts = 16;
// How steeply each layer's load falls, and where its routes gather.
constexpr std::array<double, layers> steepness = {0.55, 0.24, 0.42, 0.22, 0.34, 0.2};
}  // namespace

void StartArt::paintEvent(QPaintEvent*) {
  QPainter painter(this);
  painter.setRenderHint(QPainter::Antialiasing);
  painter.fillRect(rect(), color(ColorRole::sunken));
  const double map_width = width() * 0.5, step_x = (map_width - 32) / experts, step_y = (height() - 32.0) / layers;
  for (int layer = 0; layer < layers; ++layer)
    for (int rank = 0; rank < experts; ++rank) {
      const double value = std::exp(-steepness[static_cast<std::size_t>(layer)] * rank) *
                           (0.45 + steepness[static_cast<std::size_t>(layer)]);
      painter.fillRect(QRectF(24 + rank * step_x, 16 + layer * step_y, step_x - 1.5, step_y - 1.5),
                       color(Paint::of_magnitude(std::min(1.0, value))));
    }
  const double left = map_width + 24, wide = width() - left - 24, dots = 12;
  const auto x_of = [&](int layer) { return left + wide * layer / (layers - 1); };
  const auto y_of = [&](int dot) { return 18 + (height() - 36.0) * dot / (dots - 1); };
  for (int thread = 0; thread < 26; ++thread)
    for (int layer = 0; layer + 1 < layers; ++layer) {
      const auto hop = [&](int l) {
        const int home = (thread % 6) * 2;
        return (thread * 7 + l * l * 5 + (thread % 3) * l) % 4 == 0 ? (thread * 5 + l * 3) % 12
                                                                    : (home + l * (thread % 2)) % 12;
      };
      const double x0 = x_of(layer), x1 = x_of(layer + 1), y0 = y_of(hop(layer)), y1 = y_of(hop(layer + 1));
      QPainterPath path(QPointF(x0, y0));
      path.cubicTo((x0 + x1) / 2, y0, (x0 + x1) / 2, y1, x1, y1);
      painter.strokePath(path, QPen(color(Paint::of_category(thread % 6, 0.55)), thread % 5 == 0 ? 2.4 : 1.2));
    }
  painter.setPen(Qt::NoPen);
  painter.setBrush(color(ColorRole::text_2));
  for (int layer = 0; layer < layers; ++layer)
    for (int dot = 0; dot < 12; ++dot) painter.drawEllipse(QPointF(x_of(layer), y_of(dot)), 1.6, 1.6);
}

}  // namespace moescope
