#include "views/common/controls.h"

#include <QHelpEvent>
#include <QKeyEvent>
#include <QMouseEvent>
#include <QPainter>
#include <QPainterPath>
#include <QStyleOptionComboBox>
#include <QToolTip>
#include <algorithm>
#include <cmath>

#include "views/common/fonts.h"
#include "views/common/icons.h"
#include "views/common/theme.h"

namespace moescope {

Segmented::Segmented(std::vector<Choice> choices, QWidget* parent) : QWidget(parent) {
  setFocusPolicy(Qt::TabFocus);
  setSizePolicy(QSizePolicy::Fixed, QSizePolicy::Fixed);
  set_choices(std::move(choices));
}

void Segmented::set_choices(std::vector<Choice> choices) {
  choices_ = std::move(choices);
  edges_.assign(1, 0.5);
  const QFontMetricsF metrics(ui_font(12, 500));
  for (const Choice& choice : choices_)
    edges_.push_back(edges_.back() + std::max(22.0, std::ceil(metrics.horizontalAdvance(choice.text)) + 18));
  current_ = std::min(current_, static_cast<int>(choices_.size()) - 1);
  setFixedSize(sizeHint());
  update();
}

QSize Segmented::sizeHint() const {
  return {static_cast<int>(std::ceil(edges_.back() + 0.5)), 24};
}

void Segmented::set_value(const nlohmann::json& value) {
  for (std::size_t i = 0; i < choices_.size(); ++i)
    if (choices_[i].value == value) current_ = static_cast<int>(i);
  update();
}

int Segmented::at(double x) const {
  for (std::size_t i = 0; i + 1 < edges_.size(); ++i)
    if (x >= edges_[i] && x < edges_[i + 1]) return static_cast<int>(i);
  return -1;
}

void Segmented::pick(int index) {
  if (index < 0 || index >= static_cast<int>(choices_.size()) || index == current_) return;
  current_ = index;
  update();
  if (on_change_) on_change_(choices_[static_cast<std::size_t>(index)].value);
}

bool Segmented::event(QEvent* event) {
  if (event->type() == QEvent::ToolTip) {
    const auto* help = static_cast<QHelpEvent*>(event);
    const int i = at(help->x());
    if (i >= 0) QToolTip::showText(help->globalPos(), choices_[static_cast<std::size_t>(i)].tip, this);
    return true;
  }
  return QWidget::event(event);
}

void Segmented::paintEvent(QPaintEvent*) {
  QPainter painter(this);
  painter.setRenderHint(QPainter::Antialiasing);
  const QRectF frame(0.5, 0.5, width() - 1.0, height() - 1.0);
  QPainterPath outline;
  outline.addRoundedRect(frame, 4, 4);
  painter.fillPath(outline, color(ColorRole::panel));
  for (std::size_t i = 0; i < choices_.size(); ++i) {
    const QRectF cell(edges_[i], 0.5, edges_[i + 1] - edges_[i], height() - 1.0);
    const bool on = static_cast<int>(i) == current_;
    if (on) {
      painter.save();
      painter.setClipPath(outline);
      painter.fillRect(cell, color(ColorRole::accent_wash));
      painter.restore();
    }
    if (i > 0) {
      painter.setPen(QPen(color(ColorRole::control_border), 1));
      painter.drawLine(QPointF(std::floor(cell.left()) + 0.5, 1), QPointF(std::floor(cell.left()) + 0.5, height() - 1));
    }
    painter.setFont(ui_font(12, on ? 500 : 400));
    painter.setPen(color(on ? ColorRole::accent : ColorRole::text_2, isEnabled() ? 1 : 0.5));
    painter.drawText(cell, Qt::AlignCenter, choices_[i].text);
  }
  painter.setBrush(Qt::NoBrush);
  painter.setPen(QPen(color(hasFocus() ? ColorRole::accent : ColorRole::control_border), 1));
  painter.drawPath(outline);
}

void Segmented::mousePressEvent(QMouseEvent* event) {
  if (event->button() == Qt::LeftButton) pick(at(event->position().x()));
}

void Segmented::keyPressEvent(QKeyEvent* event) {
  if (event->key() == Qt::Key_Left) return pick(current_ - 1);
  if (event->key() == Qt::Key_Right) return pick(current_ + 1);
  QWidget::keyPressEvent(event);
}

ChoiceBox::ChoiceBox(QWidget* parent) : QComboBox(parent) {
  setFont(ui_font(12));
  setSizeAdjustPolicy(QComboBox::AdjustToContents);
  setFixedHeight(24);
  connect(this, &QComboBox::activated, this, [this](int index) {
    if (on_change_ && index >= 0) on_change_(choices_[static_cast<std::size_t>(index)].value);
  });
}

void ChoiceBox::set_choices(const std::vector<Choice>& choices) {
  choices_ = choices;
  const QSignalBlocker blocker(this);
  clear();
  for (const Choice& choice : choices_) {
    addItem(choice.text);
    setItemData(count() - 1, choice.tip, Qt::ToolTipRole);
  }
  adjustSize();
}

void ChoiceBox::set_value(const nlohmann::json& value) {
  for (std::size_t i = 0; i < choices_.size(); ++i)
    if (choices_[i].value == value) setCurrentIndex(static_cast<int>(i));
}

nlohmann::json ChoiceBox::value() const {
  const int i = currentIndex();
  return i < 0 ? nlohmann::json() : choices_[static_cast<std::size_t>(i)].value;
}

void ChoiceBox::paintEvent(QPaintEvent*) {
  QPainter painter(this);
  painter.setRenderHint(QPainter::Antialiasing);
  painter.setBrush(color(underMouse() && isEnabled() ? ColorRole::raised : ColorRole::panel));
  painter.setPen(QPen(color(hasFocus() ? ColorRole::accent : ColorRole::control_border), 1));
  painter.drawRoundedRect(QRectF(rect()).adjusted(0.5, 0.5, -0.5, -0.5), 4, 4);
  painter.setFont(font());
  painter.setPen(color(ColorRole::text_1, isEnabled() ? 1 : 0.45));
  painter.drawText(rect().adjusted(9, 0, -20, 0), Qt::AlignVCenter | Qt::AlignLeft,
                   painter.fontMetrics().elidedText(currentText(), Qt::ElideRight, width() - 29));
  paint_icon(painter, QStringLiteral("chevron-down"), QRectF(width() - 19, (height() - 12) / 2.0, 12, 12),
             color(ColorRole::text_2, isEnabled() ? 1 : 0.45));
}

QToolButton* icon_button(const QString& icon_name, const QString& tip, QWidget* parent) {
  auto* button = new QToolButton(parent);
  button->setIcon(icon(icon_name));
  button->setIconSize(QSize(16, 16));
  button->setFixedSize(26, 26);
  button->setToolTip(tip);
  button->setAccessibleName(tip);
  button->setAutoRaise(true);
  return button;
}

}  // namespace moescope
