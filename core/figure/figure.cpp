// Hit tests and bounds of a figure's marks.
#include "core/figure/figure.h"

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <limits>
#include <numbers>

namespace moescope {
namespace {

constexpr int curve_steps = 24;

double distance_to_segment(Point p, Point a, Point b) {
  const double dx = b.x - a.x;
  const double dy = b.y - a.y;
  const double length2 = dx * dx + dy * dy;
  const double t = length2 > 0 ? std::clamp(((p.x - a.x) * dx + (p.y - a.y) * dy) / length2, 0.0, 1.0) : 0;
  return std::hypot(p.x - a.x - t * dx, p.y - a.y - t * dy);
}

bool near_polyline(Point p, const std::vector<Point>& points, bool closed, double reach) {
  if (points.size() == 1) return std::hypot(p.x - points[0].x, p.y - points[0].y) <= reach;
  for (std::size_t i = 1; i < points.size(); ++i)
    if (distance_to_segment(p, points[i - 1], points[i]) <= reach) return true;
  return closed && points.size() > 2 && distance_to_segment(p, points.back(), points.front()) <= reach;
}

bool inside_polygon(Point p, const std::vector<Point>& points) {
  bool inside = false;
  for (std::size_t i = 0, j = points.size() - 1; i < points.size(); j = i++) {
    const Point a = points[i];
    const Point b = points[j];
    if ((a.y > p.y) != (b.y > p.y) && p.x < (b.x - a.x) * (p.y - a.y) / (b.y - a.y) + a.x) inside = !inside;
  }
  return inside;
}

std::vector<Point> flatten(const CurveMark& curve) {
  std::vector<Point> out;
  out.reserve(curve_steps + 1);
  const auto& q = curve.points;
  for (int i = 0; i <= curve_steps; ++i) {
    const double t = static_cast<double>(i) / curve_steps;
    const double s = 1 - t;
    const double a = s * s * s;
    const double b = 3 * s * s * t;
    const double c = 3 * s * t * t;
    const double d = t * t * t;
    out.push_back(
        {a * q[0].x + b * q[1].x + c * q[2].x + d * q[3].x, a * q[0].y + b * q[1].y + c * q[2].y + d * q[3].y});
  }
  return out;
}

bool filled(const Paint& fill) {
  return fill.kind != Paint::Kind::role || fill.role != ColorRole::none;
}

struct Hit {
  Point p;
  double slack;

  bool operator()(const RectMark& m) const {
    return p.x >= m.x - slack && p.x <= m.x + m.width + slack && p.y >= m.y - slack && p.y <= m.y + m.height + slack;
  }
  bool operator()(const LineMark& m) const {
    if (filled(m.fill) && m.points.size() > 2 && inside_polygon(p, m.points)) return true;
    return near_polyline(p, m.points, m.closed, m.width / 2 + slack);
  }
  bool operator()(const CurveMark& m) const { return near_polyline(p, flatten(m), false, m.width / 2 + slack); }
  bool operator()(const CircleMark& m) const {
    return std::hypot(p.x - m.center.x, p.y - m.center.y) <= m.radius + m.stroke_width / 2 + slack;
  }
  bool operator()(const TextMark& m) const;
};

// Box that grows over points.
struct Extent {
  double x0 = std::numeric_limits<double>::infinity(), y0 = x0, x1 = -x0, y1 = -x0;
  void add(Point p, double pad = 0) {
    x0 = std::min(x0, p.x - pad);
    y0 = std::min(y0, p.y - pad);
    x1 = std::max(x1, p.x + pad);
    y1 = std::max(y1, p.y + pad);
  }
};

void add_text(const TextMark& m, Extent& extent) {
  const double width = text_width(m.text, m.font, m.bold);
  const double shift = m.anchor == Anchor::start ? 0 : m.anchor == Anchor::middle ? -width / 2 : -width;
  const double angle = -m.angle * std::numbers::pi / 180;
  const double size = font_size(m.font);
  for (const double dx : {shift, shift + width}) {
    for (const double dy : {-0.75 * size, 0.25 * size})
      extent.add(
          {m.at.x + dx * std::cos(angle) - dy * std::sin(angle), m.at.y + dx * std::sin(angle) + dy * std::cos(angle)});
  }
}

bool Hit::operator()(const TextMark& m) const {
  Extent e;
  add_text(m, e);
  return p.x >= e.x0 - slack && p.x <= e.x1 + slack && p.y >= e.y0 - slack && p.y <= e.y1 + slack;
}

struct Grow {
  Extent& extent;
  void operator()(const RectMark& m) const {
    extent.add({m.x, m.y});
    extent.add({m.x + m.width, m.y + m.height});
  }
  void operator()(const LineMark& m) const {
    for (const Point& p : m.points) extent.add(p, m.width / 2);
  }
  void operator()(const CurveMark& m) const {
    for (const Point& p : flatten(m)) extent.add(p, m.width / 2);
  }
  void operator()(const CircleMark& m) const { extent.add(m.center, m.radius + m.stroke_width / 2); }
  void operator()(const TextMark& m) const { add_text(m, extent); }
};

}  // namespace

Box bounds_of(const Mark& mark) {
  Extent e;
  std::visit(Grow{e}, mark.shape);
  if (e.x1 < e.x0) return {};
  return {e.x0, e.y0, e.x1 - e.x0, e.y1 - e.y0};
}

const Pick* Figure::pick_at(Point at, double slack) const {
  // What lies exactly under the pointer wins over what only its padding reaches.
  for (const double reach : {0.0, slack}) {
    for (std::size_t i = marks.size(); i-- > 0;) {
      const Mark& mark = marks[i];
      if (mark.pick < 0 || static_cast<std::size_t>(mark.pick) >= picks.size()) continue;
      if (std::visit(Hit{at, reach}, mark.shape)) return &picks[static_cast<std::size_t>(mark.pick)];
    }
  }
  return nullptr;
}

std::optional<Box> Figure::bounds_of(const Pick& pick) const {
  if (picks.empty() || &pick < picks.data() || &pick >= picks.data() + picks.size()) return std::nullopt;
  const auto index = static_cast<int>(&pick - picks.data());
  Extent e;
  for (const Mark& mark : marks)
    if (mark.pick == index) std::visit(Grow{e}, mark.shape);
  if (e.x1 < e.x0) return std::nullopt;
  return Box{e.x0, e.y0, e.x1 - e.x0, e.y1 - e.y0};
}

}  // namespace moescope
