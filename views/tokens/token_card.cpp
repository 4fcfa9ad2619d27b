#include "views/tokens/token_card.h"

#include <QPainter>
#include <algorithm>
#include <cmath>

#include "views/common/fonts.h"
#include "views/common/hover_tip.h"
#include "views/common/text.h"
#include "views/common/theme.h"
#include "views/tokens/token_colors.h"

namespace moescope {
namespace {

constexpr double card_pad = 12, head_height = 46, foot_height = 40, row_label = 34, grid_width = 240;
constexpr double fragile_margin = 0.25;  // choices narrower than this flip easily when arithmetic changes
constexpr std::size_t most_named = 4;    // experts written out per layer

QString expert_name(std::uint32_t expert) {
  return QStringLiteral("E%1").arg(expert, 2, 10, QLatin1Char('0'));
}

}  // namespace

struct TokenCard::Layout {
  std::size_t rows = 0;
  std::uint32_t experts = 1;
  std::size_t named = 0;
  double row_height = 17, words = 0, margin = 0;
  bool has_margin = false, has_words = true;
  [[nodiscard]] QSize size() const {
    const double width = card_pad + row_label + grid_width + (has_words ? 12 + words + margin : 0) + card_pad;
    return QSizeF(width, head_height + static_cast<double>(rows) * row_height + foot_height).toSize();
  }
};

TokenCard::TokenCard(QWidget* window) : QWidget(window) {
  setAttribute(Qt::WA_TransparentForMouseEvents);
  setFocusPolicy(Qt::NoFocus);
  hide();
}

TokenCard::Layout TokenCard::plan() const {
  Layout layout;
  layout.rows = trace_->rows().size();
  std::size_t k = 0;
  for (std::uint32_t row = 0; row < layout.rows; ++row) {
    layout.experts = std::max(layout.experts, trace_->rows()[row].experts);
    if (const Trace::Place place = trace_->locate(token_); place.segment)
      k = std::max(k, place.segment->filled(row, place.token));
  }
  layout.named = std::min(k, most_named);
  layout.has_margin = trace_->has_router_logits();
  // Many layers: thinner rows, and then only the grid.
  layout.row_height = layout.rows <= 24 ? 17 : std::max(4.0, 400.0 / static_cast<double>(layout.rows));
  layout.has_words = layout.row_height >= 12;
  const double one = QFontMetricsF(mono_font(11)).horizontalAdvance(QStringLiteral("E000 0.00  "));
  layout.words = std::max(one, one * static_cast<double>(layout.named));
  layout.margin = layout.has_margin ? 52 : 0;
  return layout;
}

QString TokenCard::place_text() const {
  const Trace::Place place = trace_->locate(token_);
  QStringList parts;
  if (!place.segment) return {};
  const Segment& s = *place.segment;
  if (!s.token_ids.empty()) parts << tr("id %1").arg(s.token_ids[place.token]);
  const QString domain = QString::fromStdString(token_tag(*trace_, token_, "domain"));
  if (!domain.isEmpty()) parts << domain;
  if (!s.sequence_ids.empty()) parts << tr("sequence %1").arg(s.sequence_ids[place.token]);
  if (!s.positions.empty()) parts << tr("position %1").arg(s.positions[place.token]);
  if (const double loss = token_loss(*trace_, token_); std::isfinite(loss)) parts << tr("loss %1").arg(loss, 0, 'f', 2);
  return parts.join(QStringLiteral(", "));
}

void TokenCard::show_token(std::shared_ptr<const Trace> trace, std::uint64_t token, std::uint32_t row,
                           QPoint global_at) {
  trace_ = std::move(trace);
  token_ = token;
  row_ = row;
  QSize size = plan().size();
  const double title = QFontMetricsF(ui_font(12)).horizontalAdvance(place_text()) + 190;
  size.setWidth(std::max(size.width(), static_cast<int>(std::ceil(title))));
  resize(size);
  move(HoverTip::place(*parentWidget(), global_at, size));
  setAccessibleDescription(text());
  raise();
  show();
  update();
}

QString TokenCard::text() const {
  if (!trace_) return {};
  QString result =
      tr("token %1 %2, %3").arg(count_text(token_), visible_token(trace_->token_text(token_)), place_text());
  for (std::uint32_t row = 0; row < trace_->rows().size(); ++row) {
    result += QLatin1Char('\n') + row_text(*trace_, row);
    for (std::uint32_t rank = 1; const auto expert = token_expert(*trace_, token_, row, rank); ++rank) {
      result += QLatin1Char(' ') + expert_name(*expert);
      if (const double w = token_weight(*trace_, token_, row, rank); std::isfinite(w))
        result += QStringLiteral(" %1").arg(w, 0, 'f', 2);
    }
    if (const double margin = token_margin(*trace_, token_, row); std::isfinite(margin))
      result += tr(" margin %1").arg(margin, 0, 'f', 2);
  }
  return result;
}

void TokenCard::paintEvent(QPaintEvent*) {
  if (!trace_) return;
  const Layout layout = plan();
  QPainter painter(this);
  painter.setRenderHint(QPainter::Antialiasing);
  painter.setBrush(color(ColorRole::raised));
  painter.setPen(QPen(color(ColorRole::control_border), 1));
  painter.drawRoundedRect(QRectF(rect()).adjusted(0.5, 0.5, -0.5, -0.5), 4, 4);

  // Head: the token as a chip, then where it stands.
  painter.setFont(mono_font(11, 600));
  const QString word = painter.fontMetrics().elidedText(visible_token(trace_->token_text(token_)), Qt::ElideRight, 120);
  const QRectF chip(card_pad, 9, painter.fontMetrics().horizontalAdvance(word) + 10, 18);
  painter.setPen(Qt::NoPen);
  painter.setBrush(color(ColorRole::accent));
  painter.drawRoundedRect(chip, 3, 3);
  painter.setPen(color(ColorRole::text_on_accent));
  painter.drawText(chip, Qt::AlignCenter, word);
  painter.setFont(ui_font(12));
  painter.setPen(color(ColorRole::text_1));
  const QString name = tr("token %1").arg(count_text(token_));
  double x = chip.right() + 8;
  painter.drawText(QPointF(x, 22), name);
  x += painter.fontMetrics().horizontalAdvance(name) + 8;
  painter.setPen(color(ColorRole::text_3));
  painter.drawText(QPointF(x, 22), place_text());

  const double left = card_pad + row_label, words_left = left + grid_width + 12, cell = grid_width / layout.experts;
  painter.setFont(ui_font(11));
  if (layout.has_words) painter.drawText(QPointF(words_left, head_height - 5), tr("expert and weight"));
  if (layout.has_margin && layout.has_words)
    painter.drawText(QRectF(words_left + layout.words, head_height - 17, layout.margin, 14), Qt::AlignRight,
                     tr("margin"));
  painter.setFont(mono_font(10));
  const std::uint32_t step = layout.experts <= 16 ? 4 : std::max<std::uint32_t>(1, layout.experts / 4);
  for (std::uint32_t e = 0; e < layout.experts; e += step)
    painter.drawText(QRectF(left + e * cell - 12, head_height - 16, cell + 24, 12), Qt::AlignCenter,
                     QString::number(e));

  for (std::uint32_t row = 0; row < layout.rows; ++row) {
    const double y = head_height + row * layout.row_height;
    const QRectF track(left, y, grid_width, layout.row_height - 1);
    painter.fillRect(track, color(ColorRole::sunken));
    const bool current = row == row_;
    if (layout.row_height >= 10) {
      painter.setFont(mono_font(11, current ? 600 : 400));
      painter.setPen(color(current ? ColorRole::text_1 : ColorRole::text_3));
      painter.drawText(QRectF(card_pad, y, row_label - 6, layout.row_height), Qt::AlignVCenter, row_text(*trace_, row));
    }
    QString words;
    for (std::uint32_t rank = 1; const auto expert = token_expert(*trace_, token_, row, rank); ++rank) {
      const double weight = token_weight(*trace_, token_, row, rank);
      const Paint paint =
          std::isfinite(weight) ? Paint::of_magnitude(std::clamp(weight, 0.0, 1.0)) : Paint::of(ColorRole::neutral_bar);
      painter.fillRect(QRectF(left + *expert * cell, y, std::max(1.5, cell - 1), layout.row_height - 1), color(paint));
      if (rank > layout.named) continue;
      words += expert_name(*expert);
      words += std::isfinite(weight) ? QStringLiteral(" %1  ").arg(weight, 0, 'f', 2) : QStringLiteral("  ");
    }
    if (!layout.has_words) continue;
    painter.setFont(mono_font(11));
    painter.setPen(color(words.isEmpty() ? ColorRole::text_3 : ColorRole::text_1));
    painter.drawText(QRectF(words_left, y, layout.words, layout.row_height), Qt::AlignVCenter,
                     words.isEmpty() ? tr("not recorded") : words.trimmed());
    if (const double margin = token_margin(*trace_, token_, row); std::isfinite(margin)) {
      painter.setPen(color(margin < fragile_margin ? ColorRole::warning : ColorRole::text_3));
      painter.drawText(QRectF(words_left + layout.words, y, layout.margin, layout.row_height),
                       Qt::AlignVCenter | Qt::AlignRight, QString::number(margin, 'f', 2));
    }
  }
  if (row_ < layout.rows) {
    painter.setBrush(Qt::NoBrush);
    painter.setPen(QPen(color(ColorRole::accent), 1));
    painter.drawRect(QRectF(left - 0.5, head_height + row_ * layout.row_height - 0.5, grid_width, layout.row_height));
  }

  // Foot: what the colours and the amber numbers mean.
  const double y = head_height + static_cast<double>(layout.rows) * layout.row_height + 8;
  for (int i = 0; i < 100; ++i) painter.fillRect(QRectF(left + i, y, 1.5, 6), color(Paint::of_magnitude(i / 99.0)));
  painter.setFont(ui_font(11));
  painter.setPen(color(ColorRole::text_3));
  painter.drawText(QPointF(left, y + 20), tr("0"));
  painter.drawText(QPointF(left + 92, y + 20), tr("1  gate weight"));
  if (layout.has_margin && layout.has_words)
    painter.drawText(QRectF(words_left - 60, y + 8, width() - card_pad - words_left + 60, 16), Qt::AlignRight,
                     tr("amber: margin below %1, fragile").arg(fragile_margin));
}

}  // namespace moescope
