#include "views/common/figure_widget.h"

#include <QApplication>
#include <QClipboard>
#include <QContextMenuEvent>
#include <QKeyEvent>
#include <QMouseEvent>
#include <QPainter>
#include <cmath>
#include <limits>

#include "views/common/figure_actions.h"
#include "views/common/figure_painter.h"
#include "views/common/fonts.h"
#include "views/common/hover_tip.h"
#include "views/common/theme.h"

namespace moescope {

FigureWidget::FigureWidget(ViewContext& context, QWidget* parent) : QWidget(parent), context_(context) {
  setMouseTracking(true);
  setFocusPolicy(Qt::StrongFocus);
  setSizePolicy(QSizePolicy::Expanding, QSizePolicy::Expanding);
}

FigureWidget::~FigureWidget() {
  delete tip_.data();
}

void FigureWidget::set_builder(Builder builder) {
  builder_ = std::move(builder);
  message_head_.clear();
  act_ = nullptr;
  place_action();
  waiting_ = false;
  stale_ = true;
  if (fits_height_) rebuild();
  update();
}

void FigureWidget::set_message(const QString& head, const QString& advice) {
  builder_ = nullptr;
  figure_.reset();
  painted_ = {};
  message_head_ = head;
  message_advice_ = advice;
  waiting_ = false;
  stale_ = false;
  hover(-1, {});
  act_ = nullptr;
  place_action();
  if (fits_height_) setFixedHeight(48);
  update();
}

void FigureWidget::set_action(const QString& text, std::function<void()> act) {
  act_ = std::move(act);
  if (!action_) {
    action_ = new QPushButton(this);
    connect(action_, &QPushButton::clicked, this, [this] {
      const auto chosen = act_;  // a copy: it may set another message
      if (chosen) chosen();
    });
  }
  action_->setText(text);
  place_action();
}

// Below the message's two lines.
void FigureWidget::place_action() {
  if (!action_) return;
  action_->setVisible(act_ != nullptr && !waiting_);
  action_->adjustSize();
  action_->move((width() - action_->width()) / 2, std::min(height() - action_->height() - 4, height() / 2 + 28));
}

void FigureWidget::set_waiting(bool waiting) {
  if (waiting_ == waiting) return;
  waiting_ = waiting;
  place_action();
  update();
}

QString FigureWidget::hovered_text() const {
  if (!figure_ || hovered_ < 0 || hovered_ >= static_cast<int>(figure_->picks.size())) return {};
  return QString::fromStdString(figure_->picks[static_cast<std::size_t>(hovered_)].tooltip);
}

std::optional<Figure> FigureWidget::built(double width, double height) const {
  if (!builder_) return std::nullopt;
  return builder_(width, height);
}

QSize FigureWidget::sizeHint() const {
  return figure_ ? QSize(200, static_cast<int>(figure_->height)) : QSize(200, 80);
}

void FigureWidget::rebuild() {
  stale_ = false;
  painted_ = {};
  if (!builder_) return;
  const QString hovered = hovered_text();
  figure_ = builder_(std::max(40, width()), std::max(20, height()));
  setAccessibleName(QString::fromStdString(figure_->title));
  setAccessibleDescription(QString::fromStdString(figure_->caption));
  if (fits_height_) setFixedHeight(std::max(1, static_cast<int>(std::ceil(figure_->height))));
  // Marks may have moved: the ring stays only where the same thing still is.
  if (hovered_text() != hovered) hover(-1, {});
}

void FigureWidget::paintEvent(QPaintEvent*) {
  if (stale_) rebuild();
  QPainter painter(this);
  if (!figure_) {
    painter.setFont(ui_font(13));
    painter.setPen(color(ColorRole::text_2));
    const QString head = waiting_ ? tr("Computing…") : message_head_;
    const QRect box = rect().adjusted(24, 0, -24, 0);
    painter.drawText(box.adjusted(0, 0, 0, -22), Qt::AlignCenter | Qt::TextWordWrap, head);
    if (!waiting_) {
      painter.setFont(ui_font(12));
      painter.setPen(color(ColorRole::text_3));
      painter.drawText(box.adjusted(0, 26, 0, 0), Qt::AlignCenter | Qt::TextWordWrap, message_advice_);
    }
    return;
  }
  if (painted_.isNull() || painted_.devicePixelRatio() != devicePixelRatioF()) {
    painted_ = QPixmap(size() * devicePixelRatioF());
    painted_.setDevicePixelRatio(devicePixelRatioF());
    painted_.fill(Qt::transparent);
    QPainter into(&painted_);
    paint_figure(into, *figure_, current_theme());
  }
  if (waiting_) painter.setOpacity(0.55);
  painter.drawPixmap(0, 0, painted_);
  painter.setOpacity(1);
  if (hovered_ >= 0) paint_ring(painter, *figure_, hovered_, 1, current_theme());
  if (hasFocus() && hovered_ < 0 && figure_->picks.size() > 1) {
    painter.setPen(QPen(color(ColorRole::accent, 0.6), 1));
    painter.drawLine(0, 0, width(), 0);
  }
}

void FigureWidget::resizeEvent(QResizeEvent* event) {
  place_action();
  if (!fits_height_ || event->size().width() != event->oldSize().width()) stale_ = true;
  if (fits_height_ && stale_)
    QMetaObject::invokeMethod(
        this,
        [this] {
          if (stale_) rebuild(), update();
        },
        Qt::QueuedConnection);
}

void FigureWidget::hover(int pick, QPoint global_at) {
  if (pick != hovered_) {
    hovered_ = pick;
    update();
  }
  if (pick < 0) {
    if (tip_) tip_->hide();
    return;
  }
  const QString text = hovered_text();
  if (text.isEmpty()) return;
  if (!tip_) tip_ = new HoverTip(window());
  const bool selects =
      on_pick_ || !std::holds_alternative<std::monostate>(figure_->picks[static_cast<std::size_t>(pick)].what);
  tip_->show_text(text, selects ? tr("Click selects, Shift adds, Ctrl+C copies") : tr("Ctrl+C copies"), global_at);
}

void FigureWidget::mouseMoveEvent(QMouseEvent* event) {
  if (!figure_) return;
  const Pick* pick = figure_->pick_at({event->position().x(), event->position().y()});
  hover(pick ? static_cast<int>(pick - figure_->picks.data()) : -1, event->globalPosition().toPoint());
}

void FigureWidget::mousePressEvent(QMouseEvent* event) {
  setFocus(Qt::MouseFocusReason);
  if (event->button() != Qt::LeftButton || !figure_) return;
  const Pick* pick = figure_->pick_at({event->position().x(), event->position().y()});
  if (pick) choose(static_cast<int>(pick - figure_->picks.data()), (event->modifiers() & Qt::ShiftModifier) != 0);
}

void FigureWidget::choose(int index, bool add) {
  if (!figure_ || index < 0 || index >= static_cast<int>(figure_->picks.size())) return;
  const Pick pick = figure_->picks[static_cast<std::size_t>(index)];  // a copy: the command may rebuild the figure
  if (on_pick_ && on_pick_(pick, add)) return;
  if (const auto* expert = std::get_if<ExpertRef>(&pick.what)) {
    context_.run("select.expert", {{"row", expert->row}, {"expert", expert->expert}, {"add", add}});
  } else if (const auto* link = std::get_if<LinkRef>(&pick.what)) {
    context_.run(
        "select.link",
        {{"from_row", link->from.row}, {"from", link->from.expert}, {"to_row", link->to.row}, {"to", link->to.expert}});
  } else if (const auto* token = std::get_if<std::uint64_t>(&pick.what)) {
    context_.run("select.token", {{"token", *token}});
  }
}

void FigureWidget::leaveEvent(QEvent*) {
  hover(-1, {});
}

void FigureWidget::step(int dx, int dy) {
  if (!figure_ || figure_->picks.empty()) return;
  const int count = static_cast<int>(figure_->picks.size());
  if (hovered_ < 0) {
    hover(0, mapToGlobal(pick_bounds(*figure_, 0).center().toPoint()));
    return;
  }
  const QPointF from = pick_bounds(*figure_, hovered_).center();
  int best = -1;
  double best_cost = std::numeric_limits<double>::max();
  for (int i = 0; i < count; ++i) {
    const QRectF bounds = i == hovered_ ? QRectF() : pick_bounds(*figure_, i);
    if (bounds.isNull()) continue;
    const QPointF d = bounds.center() - from;
    const double along = d.x() * dx + d.y() * dy;
    const double across = std::abs(d.x() * dy) + std::abs(d.y() * dx);
    if (along <= 0.5 || across > along * 2) continue;
    const double cost = along + 3 * across;
    if (cost < best_cost) best_cost = cost, best = i;
  }
  if (best >= 0) hover(best, mapToGlobal(pick_bounds(*figure_, best).center().toPoint()));
}

void FigureWidget::keyPressEvent(QKeyEvent* event) {
  switch (event->key()) {
    case Qt::Key_Left:
      return step(-1, 0);
    case Qt::Key_Right:
      return step(1, 0);
    case Qt::Key_Up:
      return step(0, -1);
    case Qt::Key_Down:
      return step(0, 1);
    case Qt::Key_Return:
    case Qt::Key_Enter:
    case Qt::Key_Space:
      return choose(hovered_, (event->modifiers() & Qt::ShiftModifier) != 0);
    case Qt::Key_Escape:
      hover(-1, {});
      context_.run("select.clear");
      return;
    default:
      break;
  }
  if (event->matches(QKeySequence::Copy)) {
    const QString text = hovered_text();
    if (!text.isEmpty()) QApplication::clipboard()->setText(text);
    return;
  }
  QWidget::keyPressEvent(event);
}

void FigureWidget::contextMenuEvent(QContextMenuEvent* event) {
  show_figure_menu(*this, context_, event->globalPos());
}

void FigureWidget::changeEvent(QEvent* event) {
  if (event->type() == QEvent::PaletteChange || event->type() == QEvent::StyleChange) {
    painted_ = {};
    update();
  }
  QWidget::changeEvent(event);
}

bool FigureWidget::event(QEvent* event) {
  // Ctrl+C belongs to the figure while it has the focus and something to copy.
  if (event->type() == QEvent::ShortcutOverride && static_cast<QKeyEvent*>(event)->matches(QKeySequence::Copy) &&
      hovered_ >= 0) {
    event->accept();
    return true;
  }
  return QWidget::event(event);
}

}  // namespace moescope
