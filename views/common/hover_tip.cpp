#include "views/common/hover_tip.h"

#include <QPainter>
#include <algorithm>
#include <cmath>

#include "views/common/fonts.h"
#include "views/common/theme.h"

namespace moescope {
namespace {
constexpr int padding = 10;
constexpr int tip_line = 18;
}  // namespace

HoverTip::HoverTip(QWidget* window) : QWidget(window) {
  setAttribute(Qt::WA_TransparentForMouseEvents);
  setFocusPolicy(Qt::NoFocus);
  hide();
}

QPoint HoverTip::place(const QWidget& window, QPoint global_at, QSize size) {
  QPoint at = window.mapFromGlobal(global_at) + QPoint(14, 18);
  if (at.x() + size.width() > window.width() - 4) at.setX(at.x() - size.width() - 24);
  if (at.y() + size.height() > window.height() - 4) at.setY(at.y() - size.height() - 32);
  at.setX(std::clamp(at.x(), 4, std::max(4, window.width() - size.width() - 4)));
  at.setY(std::clamp(at.y(), 4, std::max(4, window.height() - size.height() - 4)));
  return at;
}

void HoverTip::show_text(const QString& text, const QString& hint, QPoint global_at) {
  lines_ = text.split(QLatin1Char('\n'));
  hint_ = hint;
  double width = QFontMetricsF(ui_font(11)).horizontalAdvance(hint_);
  for (qsizetype i = 0; i < lines_.size(); ++i)
    width = std::max(width, QFontMetricsF(i == 0 ? mono_font(12, 600) : mono_font(12)).horizontalAdvance(lines_[i]));
  const int rows = static_cast<int>(lines_.size()) + (hint_.isEmpty() ? 0 : 1);
  resize(static_cast<int>(std::ceil(width)) + 2 * padding, rows * tip_line + 2 * padding - 4);
  move(place(*parentWidget(), global_at, size()));
  raise();
  show();
  update();
}

void HoverTip::paintEvent(QPaintEvent*) {
  QPainter painter(this);
  painter.setRenderHint(QPainter::Antialiasing);
  painter.setBrush(color(ColorRole::raised));
  painter.setPen(QPen(color(ColorRole::control_border), 1));
  painter.drawRoundedRect(QRectF(rect()).adjusted(0.5, 0.5, -0.5, -0.5), 4, 4);
  double y = padding + 11;
  for (qsizetype i = 0; i < lines_.size(); ++i, y += tip_line) {
    painter.setFont(i == 0 ? mono_font(12, 600) : mono_font(12));
    painter.setPen(color(i == 0 ? ColorRole::text_1 : ColorRole::text_2));
    painter.drawText(QPointF(padding, y), lines_[i]);
  }
  if (hint_.isEmpty()) return;
  painter.setFont(ui_font(11));
  painter.setPen(color(ColorRole::text_3));
  painter.drawText(QPointF(padding, y), hint_);
}

}  // namespace moescope
