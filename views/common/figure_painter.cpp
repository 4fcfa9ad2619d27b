#include "views/common/figure_painter.h"

#include <QPainterPath>
#include <cmath>

#include "views/common/fonts.h"
#include "views/common/theme.h"

namespace moescope {
namespace {

bool visible(const Paint& paint) {
  return !(paint.kind == Paint::Kind::role && paint.role == ColorRole::none);
}

QPen pen_of(const Paint& paint, double width, Theme theme) {
  if (!visible(paint) || width <= 0) return Qt::NoPen;
  QPen pen(color(paint, theme), width);
  pen.setCapStyle(Qt::FlatCap);
  pen.setJoinStyle(Qt::RoundJoin);
  return pen;
}

class MarkPainter {
 public:
  MarkPainter(QPainter& painter, Theme theme) : painter_(painter), theme_(theme) {
    const QTransform t = painter.deviceTransform();
    snaps_ = t.type() <= QTransform::TxScale && painter.device()->devType() != QInternal::Printer;
    scale_ = t.m11() > 0 ? t.m11() : 1;
    origin_ = QPointF(t.dx(), t.dy());
  }

  void operator()(const RectMark& mark) {
    QRectF box(mark.x, mark.y, mark.width, mark.height);
    if (mark.radius == 0) box = QRectF(snap(box.topLeft()), snap(box.bottomRight()));
    if (visible(mark.fill)) {
      const QColor fill = color(mark.fill, theme_);
      if (mark.radius > 0) {
        painter_.setPen(Qt::NoPen);
        painter_.setBrush(fill);
        painter_.drawRoundedRect(box, mark.radius, mark.radius);
      } else {
        painter_.fillRect(box, fill);
      }
    }
    if (mark.hatched) hatch(box);
    const QPen pen = pen_of(mark.stroke, mark.stroke_width, theme_);
    if (pen.style() == Qt::NoPen) return;
    painter_.setPen(pen);
    painter_.setBrush(Qt::NoBrush);
    if (mark.radius > 0)
      painter_.drawRoundedRect(box, mark.radius, mark.radius);
    else
      painter_.drawRect(box);
  }

  void operator()(const LineMark& mark) {
    if (mark.points.size() < 2) return;
    QPolygonF points;
    points.reserve(static_cast<qsizetype>(mark.points.size()));
    for (const Point& p : mark.points) points << QPointF(p.x, p.y);
    const bool straight = points.size() == 2 && (points[0].x() == points[1].x() || points[0].y() == points[1].y());
    if (straight && snaps_) {
      for (QPointF& p : points) p = middle(p, mark.width, points[0].x() == points[1].x());
    }
    QPen pen = pen_of(mark.stroke, mark.width, theme_);
    if (!mark.dash.empty() && pen.style() != Qt::NoPen) {
      QList<qreal> dash;
      for (const double d : mark.dash) dash << d / mark.width;  // Qt counts in pen widths
      pen.setDashPattern(dash);
    }
    painter_.setPen(pen);
    painter_.setBrush(visible(mark.fill) ? QBrush(color(mark.fill, theme_)) : QBrush(Qt::NoBrush));
    if (mark.closed || visible(mark.fill))
      painter_.drawPolygon(points);
    else
      painter_.drawPolyline(points);
  }

  void operator()(const CurveMark& mark) {
    const auto& p = mark.points;
    QPainterPath path(QPointF(p[0].x, p[0].y));
    path.cubicTo(p[1].x, p[1].y, p[2].x, p[2].y, p[3].x, p[3].y);
    painter_.strokePath(path, pen_of(mark.stroke, mark.width, theme_));
  }

  void operator()(const CircleMark& mark) {
    painter_.setPen(pen_of(mark.stroke, mark.stroke_width, theme_));
    painter_.setBrush(visible(mark.fill) ? QBrush(color(mark.fill, theme_)) : QBrush(Qt::NoBrush));
    painter_.drawEllipse(QPointF(mark.center.x, mark.center.y), mark.radius, mark.radius);
  }

  void operator()(const TextMark& mark) {
    const QFont font = figure_font(mark.font, mark.bold);
    const QString text = QString::fromStdString(mark.text);
    painter_.setFont(font);
    painter_.setPen(color(mark.fill, theme_));
    const double width = mark.anchor == Anchor::start ? 0 : QFontMetricsF(font).horizontalAdvance(text);
    const double shift = mark.anchor == Anchor::middle ? -width / 2 : (mark.anchor == Anchor::end ? -width : 0);
    if (mark.angle == 0) {
      painter_.drawText(QPointF(mark.at.x + shift, mark.at.y), text);
      return;
    }
    painter_.save();
    painter_.translate(mark.at.x, mark.at.y);
    painter_.rotate(-mark.angle);
    painter_.drawText(QPointF(shift, 0), text);
    painter_.restore();
  }

 private:
  [[nodiscard]] QPointF snap(QPointF p) const {
    if (!snaps_) return p;
    return QPointF((std::round(p.x() * scale_ + origin_.x()) - origin_.x()) / scale_,
                   (std::round(p.y() * scale_ + origin_.y()) - origin_.y()) / scale_);
  }
  // Centre of the device pixels that a straight line of `width` should fill.
  [[nodiscard]] QPointF middle(QPointF p, double width, bool vertical) const {
    const double pixels = std::max(1.0, std::round(width * scale_));
    const double shift = std::fmod(pixels, 2.0) == 1.0 ? 0.5 : 0.0;
    QPointF snapped = p;
    if (vertical)
      snapped.setX((std::floor(p.x() * scale_ + origin_.x()) + shift - origin_.x()) / scale_);
    else
      snapped.setY((std::floor(p.y() * scale_ + origin_.y()) + shift - origin_.y()) / scale_);
    return snapped;
  }
  void hatch(const QRectF& box) {
    painter_.save();
    painter_.setClipRect(box, Qt::IntersectClip);
    painter_.setPen(QPen(color(Paint::of(ColorRole::control_border), theme_), 1));
    constexpr double step = 6;
    // Anchored to the figure, not to the cell, so that neighbouring cells join into one texture.
    const double first = std::floor((box.left() + box.top()) / step) * step;
    for (double d = first; d <= box.right() + box.bottom(); d += step)
      painter_.drawLine(QPointF(d - box.top(), box.top()), QPointF(d - box.bottom(), box.bottom()));
    painter_.restore();
  }

  QPainter& painter_;
  Theme theme_;
  bool snaps_ = true;
  double scale_ = 1;
  QPointF origin_;
};

struct Bounds {
  QRectF operator()(const RectMark& m) const { return {m.x, m.y, m.width, m.height}; }
  QRectF operator()(const CircleMark& m) const {
    return {m.center.x - m.radius, m.center.y - m.radius, 2 * m.radius, 2 * m.radius};
  }
  QRectF operator()(const LineMark& m) const {
    QPolygonF points;
    for (const Point& p : m.points) points << QPointF(p.x, p.y);
    return points.boundingRect();
  }
  QRectF operator()(const CurveMark& m) const {
    QPolygonF points;
    for (const Point& p : m.points) points << QPointF(p.x, p.y);
    return points.boundingRect();
  }
  QRectF operator()(const TextMark& m) const {
    const QFontMetricsF metrics(figure_font(m.font, m.bold));
    const double width = metrics.horizontalAdvance(QString::fromStdString(m.text));
    const double x =
        m.anchor == Anchor::start ? m.at.x : (m.anchor == Anchor::end ? m.at.x - width : m.at.x - width / 2);
    return {x, m.at.y - metrics.ascent(), width, metrics.height()};
  }
};

}  // namespace

void paint_figure(QPainter& painter, const Figure& figure, Theme theme) {
  painter.save();
  painter.setRenderHint(QPainter::Antialiasing);
  painter.setRenderHint(QPainter::TextAntialiasing);
  MarkPainter paint(painter, theme);
  for (const Mark& mark : figure.marks) std::visit(paint, mark.shape);
  painter.restore();
}

QImage figure_image(const Figure& figure, Theme theme, double scale) {
  const QSize size(std::max(1, static_cast<int>(std::ceil(figure.width * scale))),
                   std::max(1, static_cast<int>(std::ceil(figure.height * scale))));
  QImage image(size, QImage::Format_ARGB32_Premultiplied);
  image.setDevicePixelRatio(scale);
  image.fill(color(Paint::of(ColorRole::panel), theme));
  QPainter painter(&image);
  paint_figure(painter, figure, theme);
  return image;
}

QRectF pick_bounds(const Figure& figure, int pick) {
  QRectF bounds;
  for (const Mark& mark : figure.marks)
    if (mark.pick == pick) bounds = bounds.united(std::visit(Bounds{}, mark.shape));
  return bounds;
}

void paint_ring(QPainter& painter, const Figure& figure, int pick, double width, Theme theme) {
  painter.save();
  painter.setRenderHint(QPainter::Antialiasing);
  painter.setBrush(Qt::NoBrush);
  const QColor gap = color(Paint::of(ColorRole::panel), theme);
  const QColor ring = color(Paint::of(ColorRole::text_1), theme);
  for (const Mark& mark : figure.marks) {
    if (mark.pick != pick) continue;
    if (const auto* rect = std::get_if<RectMark>(&mark.shape)) {
      const QRectF box(rect->x, rect->y, rect->width, rect->height);
      const double out = width / 2;
      painter.setPen(QPen(gap, 1));
      painter.drawRect(box.adjusted(0.5, 0.5, -0.5, -0.5));
      painter.setPen(QPen(ring, width));
      painter.drawRoundedRect(box.adjusted(-out, -out, out, out), rect->radius, rect->radius);
    } else if (const auto* circle = std::get_if<CircleMark>(&mark.shape)) {
      painter.setPen(QPen(ring, width));
      const double r = circle->radius + 1 + width / 2;
      painter.drawEllipse(QPointF(circle->center.x, circle->center.y), r, r);
    } else if (const auto* curve = std::get_if<CurveMark>(&mark.shape)) {
      QPainterPath path(QPointF(curve->points[0].x, curve->points[0].y));
      path.cubicTo(curve->points[1].x, curve->points[1].y, curve->points[2].x, curve->points[2].y, curve->points[3].x,
                   curve->points[3].y);
      painter.strokePath(path, QPen(ring, std::max(curve->width, 1.5)));
    }
  }
  painter.restore();
}

}  // namespace moescope
