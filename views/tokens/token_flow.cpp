#include "views/tokens/token_flow.h"

#include <QApplication>
#include <QClipboard>
#include <QElapsedTimer>
#include <QMouseEvent>
#include <QPainter>
#include <QScrollBar>
#include <algorithm>
#include <cmath>

#include "views/common/fonts.h"
#include "views/common/text.h"
#include "views/common/theme.h"
#include "views/tokens/token_card.h"
#include "views/tokens/token_line_painter.h"

namespace moescope {
namespace {

constexpr double line_height = 27, top_margin = 10, right_margin = 20;
constexpr int slice_tokens = 4000, slice_ms = 6, unwrapped_cells = 4000;
constexpr double brush_threshold = 5;

}  // namespace

TokenFlow::TokenFlow(ViewContext& context, QWidget* parent) : QAbstractScrollArea(parent), context_(context) {
  setObjectName(QStringLiteral("token_flow"));
  setFrameShape(QFrame::NoFrame);
  setFocusPolicy(Qt::StrongFocus);
  viewport()->setMouseTracking(true);
  setAccessibleName(tr("Token text"));
  cell_ = QFontMetricsF(mono_font(token_text_pixels)).horizontalAdvance(QLatin1Char('0'));
  timer_.setInterval(0);
  connect(&timer_, &QTimer::timeout, this, [this] { lay_out_more(); });
}

TokenFlow::~TokenFlow() {
  delete card_.data();
}

double TokenFlow::gutter() const {
  return 128;
}

void TokenFlow::set_trace(std::shared_ptr<const Trace> trace, const AppliedFilter& filter) {
  trace_ = std::move(trace);
  filter_ = filter;
  verticalScrollBar()->setValue(0);
  relayout();
}

void TokenFlow::set_coloring(const TokenColoring& coloring) {
  coloring_ = coloring;
  viewport()->update();
}

void TokenFlow::set_selection(const Selection& selection) {
  const bool other_token = selection.token != selection_.token;
  selection_ = selection;
  if (other_token && selection.token) scroll_to(*selection.token);
  viewport()->update();
}

void TokenFlow::set_hits(std::set<std::uint64_t> hits) {
  hits_ = std::move(hits);
  viewport()->update();
}

void TokenFlow::set_wrap(bool wrap) {
  if (wrap_ == wrap) return;
  wrap_ = wrap;
  relayout();
}

void TokenFlow::relayout() {
  show_card(std::nullopt, {});
  const int cells = wrap_ ? static_cast<int>((viewport()->width() - gutter() - right_margin) / cell_) : unwrapped_cells;
  lines_.start(trace_, filter_, cells);
  lay_out_more();
}

void TokenFlow::lay_out_more() {
  QElapsedTimer clock;
  clock.start();
  bool more = true;
  while (more && clock.elapsed() < slice_ms) more = lines_.advance(slice_tokens);
  if (more && !timer_.isActive()) timer_.start();
  if (!more) timer_.stop();
  update_scroll();
  if (wanted_ && lines_.line_of(*wanted_)) scroll_to(*wanted_);
  if (!more) wanted_.reset();
  viewport()->update();
}

void TokenFlow::update_scroll() {
  const double height = static_cast<double>(lines_.lines().size()) * line_height + 2 * top_margin;
  verticalScrollBar()->setPageStep(viewport()->height());
  verticalScrollBar()->setSingleStep(static_cast<int>(line_height * 2));
  verticalScrollBar()->setRange(0, static_cast<int>(std::min(2e9, std::max(0.0, height - viewport()->height()))));
  horizontalScrollBar()->setRange(0, wrap_ ? 0 : static_cast<int>(unwrapped_cells * cell_ / 8));
  horizontalScrollBar()->setPageStep(viewport()->width());
}

void TokenFlow::scroll_to(std::uint64_t token) {
  const auto line = lines_.line_of(token);
  wanted_.reset();
  if (!line) {
    if (!lines_.finished()) wanted_ = token;
    return;
  }
  const double y = static_cast<double>(*line) * line_height;
  const int top = verticalScrollBar()->value();
  if (y < top || y + 2 * line_height > top + viewport()->height())
    verticalScrollBar()->setValue(static_cast<int>(y - viewport()->height() / 3.0));
}

void TokenFlow::scrollContentsBy(int, int) {
  viewport()->update();
  show_card(std::nullopt, {});
}

void TokenFlow::resizeEvent(QResizeEvent* event) {
  QAbstractScrollArea::resizeEvent(event);
  if (event->size().width() != event->oldSize().width())
    relayout();
  else
    update_scroll();
}

void TokenFlow::paintEvent(QPaintEvent*) {
  QPainter painter(viewport());
  painter.fillRect(viewport()->rect(), color(ColorRole::panel));
  if (!trace_) return;
  const auto& lines = lines_.lines();
  const double top = verticalScrollBar()->value();
  const auto first = static_cast<std::size_t>(std::max(0.0, (top - top_margin) / line_height));
  TokenLook look{*trace_, filter_.mask, coloring_, selection_, hits_, hovered_};
  look.gutter = gutter();
  look.left = gutter() - horizontalScrollBar()->value();
  look.width = viewport()->width();
  look.line_height = line_height;
  look.cell = cell_;
  if (brush_from_) {
    look.brush_first = std::min(*brush_from_, *brush_to_);
    look.brush_last = std::max(*brush_from_, *brush_to_);
  }
  std::size_t i = first;
  for (; i < lines.size(); ++i) {
    const double y = top_margin + static_cast<double>(i) * line_height - top;
    if (y > viewport()->height()) break;
    paint_token_line(painter, look, lines[i], y);
  }
  if (lines.empty() && lines_.finished()) {
    painter.setPen(color(ColorRole::text_2));
    painter.drawText(viewport()->rect(), Qt::AlignCenter, tr("The filter leaves no tokens. Clear it to see the text."));
  }
  if (on_scroll_ && first < lines.size() && i > first)
    on_scroll_(lines[first].first, lines[i - 1].first + lines[i - 1].count - lines[first].first);
}

std::optional<std::uint64_t> TokenFlow::token_at(QPointF at) const {
  if (!trace_ || at.x() < gutter()) return std::nullopt;
  const double row = (at.y() - top_margin + verticalScrollBar()->value()) / line_height;
  const auto& lines = lines_.lines();
  if (row < 0 || row >= static_cast<double>(lines.size())) return std::nullopt;
  const TokenLine& line = lines[static_cast<std::size_t>(row)];
  double x = gutter() - horizontalScrollBar()->value();
  for (std::uint64_t token = line.first; token < line.first + line.count; ++token) {
    x += token_cells(trace_->token_label(token)) * cell_;
    if (at.x() < x) return token;
  }
  return std::nullopt;
}

void TokenFlow::show_card(std::optional<std::uint64_t> token, QPoint global_at) {
  if (token != hovered_) viewport()->update();
  hovered_ = token;
  if (!token) {
    if (card_) card_->hide();
    return;
  }
  if (!card_) card_ = new TokenCard(window());
  card_->show_token(trace_, *token, coloring_.row, global_at);
}

void TokenFlow::mousePressEvent(QMouseEvent* event) {
  if (event->button() != Qt::LeftButton) return;
  pressed_ = event->position();
  brush_from_ = brush_to_ = token_at(event->position());
}

void TokenFlow::mouseMoveEvent(QMouseEvent* event) {
  const auto token = token_at(event->position());
  if (brush_from_ && (event->buttons() & Qt::LeftButton) != 0) {
    if (token && (event->position() - pressed_).manhattanLength() > brush_threshold) {
      show_card(std::nullopt, {});
      brush_to_ = token;
      viewport()->update();
    }
    return;
  }
  show_card(token, event->globalPosition().toPoint());
}

void TokenFlow::mouseReleaseEvent(QMouseEvent* event) {
  if (event->button() != Qt::LeftButton || !brush_from_) return;
  const std::uint64_t low = std::min(*brush_from_, *brush_to_), high = std::max(*brush_from_, *brush_to_);
  brush_from_.reset();
  brush_to_.reset();
  viewport()->update();
  if (low == high)
    context_.run("select.token", {{"token", low}});
  else
    context_.run("select.tokens", {{"first", low}, {"count", high - low + 1}});
}

void TokenFlow::move_selection(std::int64_t by) {
  if (!trace_ || lines_.lines().empty()) return;
  const auto last = static_cast<std::int64_t>(trace_->token_count()) - 1;
  const auto from = static_cast<std::int64_t>(selection_.token.value_or(lines_.lines().front().first));
  const std::int64_t to = std::clamp<std::int64_t>(selection_.token ? from + by : from, 0, last);
  context_.run("select.token", {{"token", to}});
}

void TokenFlow::keyPressEvent(QKeyEvent* event) {
  if (event->matches(QKeySequence::Copy)) {
    if (card_ && hovered_) QApplication::clipboard()->setText(card_->text());
    return;
  }
  switch (event->key()) {
    case Qt::Key_Left:
      return move_selection(-1);
    case Qt::Key_Right:
      return move_selection(1);
    case Qt::Key_Home:
      return verticalScrollBar()->setValue(0);
    case Qt::Key_End:
      return verticalScrollBar()->setValue(verticalScrollBar()->maximum());
    case Qt::Key_Escape:
      context_.run("select.clear");
      return;
    default:
      QAbstractScrollArea::keyPressEvent(event);
  }
}

void TokenFlow::leaveEvent(QEvent* event) {
  show_card(std::nullopt, {});
  QAbstractScrollArea::leaveEvent(event);
}

bool TokenFlow::viewportEvent(QEvent* event) {
  if (event->type() == QEvent::Leave) show_card(std::nullopt, {});
  return QAbstractScrollArea::viewportEvent(event);
}

}  // namespace moescope
