#include "views/shell/breadcrumb.h"

#include <QMouseEvent>
#include <QPainter>

#include "views/common/fonts.h"
#include "views/common/text.h"
#include "views/common/theme.h"

namespace moescope {

Breadcrumb::Breadcrumb(ViewContext& context, QWidget* parent) : QWidget(parent), context_(context) {
  setFixedHeight(27);
  setSizePolicy(QSizePolicy::Expanding, QSizePolicy::Fixed);
  setMouseTracking(true);
}

std::vector<Breadcrumb::Chip> Breadcrumb::chips() const {
  std::vector<Chip> chips;
  const Workbench& bench = context_.workbench;
  const Source* source = bench.active_trace();
  if (!source && bench.active_checkpoint() && bench.active_checkpoint()->checkpoint) {
    const Source& model = *bench.active_checkpoint();
    chips.push_back(
        {QString::fromStdString(model.name), QString::fromStdString(model.path.string()), Look::plain, {}, {}});
    for (const ExpertRef& expert : bench.selection().experts)
      chips.push_back({expert_text(*model.checkpoint, expert),
                       tr("Click to clear the selection"),
                       Look::accent,
                       "select.clear",
                       {}});
    return chips;
  }
  if (!source || !source->trace) return chips;
  const Trace& trace = *source->trace;
  chips.push_back(
      {QString::fromStdString(source->name), QString::fromStdString(source->path.string()), Look::plain, {}, {}});
  const std::string& filter = bench.filter().filter.text;
  if (filter.empty())
    chips.push_back({tr("all tokens"), {}, Look::plain, {}, {}});
  else
    chips.push_back(
        {QString::fromStdString(filter), tr("Click to clear the filter"), Look::outlined, "filter.clear", {}});
  const Selection& selection = bench.selection();
  const QString clear = tr("Click to clear the selection");
  if (selection.link)
    chips.push_back(
        {expert_text(trace, selection.link->from) + QStringLiteral(" → ") + expert_text(trace, selection.link->to),
         clear,
         Look::accent,
         "select.clear",
         {}});
  constexpr std::size_t most = 6;
  for (std::size_t i = 0; i < std::min(most, selection.experts.size()); ++i)
    chips.push_back({expert_text(trace, selection.experts[i]), clear, Look::accent, "select.clear", {}});
  if (selection.experts.size() > most)
    chips.push_back({tr("%1 more").arg(selection.experts.size() - most), clear, Look::accent, "select.clear", {}});
  if (selection.token)
    chips.push_back({tr("token %1").arg(count_text(*selection.token)), clear, Look::accent, "select.clear", {}});
  return chips;
}

void Breadcrumb::paintEvent(QPaintEvent*) {
  QPainter painter(this);
  painter.setRenderHint(QPainter::Antialiasing);
  shown_ = chips();
  const std::string undo = context_.workbench.next_undo();
  const QString right = undo.empty() ? tr("Nothing to undo") : tr("Undo: %1").arg(QString::fromStdString(undo));
  painter.setFont(ui_font(12));
  const double right_width = shown_.empty() ? 0 : painter.fontMetrics().horizontalAdvance(right);
  const double end = width() - 12 - right_width - 24;
  double x = 12;
  bool first = true;
  for (Chip& chip : shown_) {
    if (!first) {
      painter.setFont(ui_font(12));
      painter.setPen(color(ColorRole::text_3));
      painter.drawText(QRectF(x, 0, 14, height()), Qt::AlignCenter, QStringLiteral("›"));
      x += 18;
    }
    first = false;
    const bool plain = chip.look == Look::plain;
    painter.setFont(plain ? ui_font(12) : mono_font(11));
    const double pad = plain ? 0 : 6;
    const QString text =
        painter.fontMetrics().elidedText(chip.text, Qt::ElideMiddle, std::max(40, static_cast<int>(end - x)));
    chip.box = QRectF(x, 5, painter.fontMetrics().horizontalAdvance(text) + 2 * pad, height() - 10);
    if (!plain) {
      painter.setBrush(chip.look == Look::accent ? color(ColorRole::accent) : QColor(Qt::transparent));
      painter.setPen(chip.look == Look::accent ? QPen(Qt::NoPen) : QPen(color(ColorRole::control_border), 1));
      painter.drawRoundedRect(chip.box.adjusted(0.5, 0.5, -0.5, -0.5), 3, 3);
    }
    painter.setPen(
        color(chip.look == Look::accent ? ColorRole::text_on_accent : (plain ? ColorRole::text_2 : ColorRole::text_1)));
    painter.drawText(chip.box, Qt::AlignCenter, text);
    x = chip.box.right() + 4;
    if (x > end) break;
  }
  if (shown_.empty()) return;
  painter.setFont(ui_font(12));
  painter.setPen(color(ColorRole::text_3));
  painter.drawText(QRectF(0, 0, width() - 12, height()), Qt::AlignVCenter | Qt::AlignRight, right);
}

void Breadcrumb::mousePressEvent(QMouseEvent* event) {
  for (const Chip& chip : shown_)
    if (chip.box.contains(event->position()) && !chip.command.empty()) {
      const std::string command = chip.command;
      context_.run(command);
      return;
    }
}

void Breadcrumb::mouseMoveEvent(QMouseEvent* event) {
  QString tip;
  bool active = false;
  for (const Chip& chip : shown_)
    if (chip.box.contains(event->position())) tip = chip.tip, active = !chip.command.empty();
  setToolTip(tip);
  setCursor(active ? Qt::PointingHandCursor : Qt::ArrowCursor);
}

}  // namespace moescope
