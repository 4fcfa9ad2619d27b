#include "views/tokens/token_line_painter.h"

#include <QObject>
#include <algorithm>

#include "views/common/fonts.h"
#include "views/common/theme.h"

namespace moescope {
namespace {

constexpr double tint = 0.22;  // of the token's colour behind its text

QString flow_text(const std::string& bytes) {
  QString text = QString::fromUtf8(bytes.data(), static_cast<qsizetype>(bytes.size()));
  text.replace(QLatin1Char('\n'), QChar(0x21B5));
  text.replace(QLatin1Char('\t'), QStringLiteral("    "));
  for (QChar& c : text)
    if (c.unicode() < 0x20) c = QChar(0x2400 + c.unicode());
  return text;
}

}  // namespace

void paint_token_line(QPainter& painter, const TokenLook& look, const TokenLine& line, double y) {
  const double baseline = y + 18;
  painter.save();
  painter.setClipRect(QRectF(look.gutter - 2, y - 2, look.width, look.line_height + 2));
  double x = look.left;
  for (std::uint64_t token = line.first; token < line.first + line.count; ++token) {
    const std::string bytes = look.trace.token_label(token);
    const double width = token_cells(bytes) * look.cell;
    const QRectF box(x, y + 2, width, 21);
    x += width;
    if (box.right() < look.gutter || box.left() > look.width) continue;
    const bool counts = look.mask.test(token);
    const bool selected = look.selection.token == token;
    if (selected) {
      painter.fillRect(box, color(ColorRole::accent));
    } else if (token >= look.brush_first && token <= look.brush_last) {
      painter.fillRect(box, color(ColorRole::accent_wash));
    } else if (const auto paint = counts ? token_paint(look.trace, token, look.coloring) : std::nullopt) {
      Paint wash = *paint;
      wash.alpha = tint;
      painter.fillRect(box.adjusted(0.5, 0, -0.5, 0), color(wash));
      painter.fillRect(QRectF(box.left() + 0.5, box.bottom() - 2, box.width() - 1, 2), color(*paint));
    }
    const QString text = flow_text(bytes);
    painter.setFont(mono_font(token_text_pixels));
    painter.setPen(color(selected ? ColorRole::text_on_accent : (counts ? ColorRole::text_1 : ColorRole::text_3)));
    if (text.endsWith(QChar(0x21B5)) && !selected) {
      painter.drawText(QPointF(box.left(), baseline), text.chopped(1));
      painter.setPen(color(ColorRole::text_3));
      painter.drawText(QPointF(box.right() - look.cell, baseline), QString(QChar(0x21B5)));
    } else {
      painter.drawText(QPointF(box.left(), baseline), text);
    }
    const bool fires = counts && std::any_of(look.selection.experts.begin(), look.selection.experts.end(),
                                             [&](ExpertRef e) { return token_uses(look.trace, token, e); });
    if (fires || look.hovered == token) {
      painter.setPen(QPen(color(ColorRole::text_1, look.hovered == token ? 1 : 0.65), 1));
      painter.drawRect(box.adjusted(0.5, 0.5, -0.5, -0.5));
    }
    if (look.hits.contains(token)) {
      painter.setPen(QPen(color(ColorRole::accent), 1));
      painter.drawRect(box.adjusted(0.5, -0.5, -0.5, 0.5));
    }
  }
  painter.restore();
  // Gutter: the sequence where it begins, and the number of the text line.
  if (line.number > 0) {
    painter.setFont(mono_font(11));
    painter.setPen(color(ColorRole::text_3));
    painter.drawText(QRectF(look.gutter - 58, y, 46, 24), Qt::AlignVCenter | Qt::AlignRight,
                     QString::number(line.number));
  }
  if (line.starts_generated && !line.starts_sequence) {
    painter.setFont(ui_font(11));
    painter.setPen(color(ColorRole::accent));
    painter.drawText(QRectF(8, y, look.gutter - 62, 24), Qt::AlignVCenter | Qt::AlignRight, QObject::tr("generated"));
    painter.fillRect(QRectF(look.gutter, y - 2, look.width, 1), color(ColorRole::grid));
  }
  if (line.starts_sequence) {
    painter.setFont(ui_font(11));
    painter.setPen(color(ColorRole::text_2));
    QString name = QString::fromStdString(token_tag(look.trace, line.first, "domain"));
    if (line.sequence >= 0)
      name = name.isEmpty() ? QObject::tr("seq. %1").arg(line.sequence)
                            : QStringLiteral("%1 · %2").arg(name).arg(line.sequence);
    painter.drawText(QRectF(8, y, look.gutter - 62, 24), Qt::AlignVCenter | Qt::AlignRight,
                     painter.fontMetrics().elidedText(name, Qt::ElideRight, static_cast<int>(look.gutter - 64)));
    if (y > look.line_height) painter.fillRect(QRectF(0, y - 2, look.width, 1), color(ColorRole::grid));
  }
}

}  // namespace moescope
