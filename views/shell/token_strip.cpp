#include "views/shell/token_strip.h"

#include <QVBoxLayout>
#include <QWheelEvent>
#include <algorithm>

#include "core/figure/token_strip_figure.h"
#include "views/common/figure_widget.h"
#include "views/common/text.h"
#include "views/shell/dock_title.h"

namespace moescope {
namespace {
// Narrowest column of a token in pixels: more tokens than this can show are never asked for.
constexpr int narrowest_column = 22;
constexpr int label_width = 40;

// The first token that the filter keeps; 0 when it keeps all or none.
std::uint64_t first_kept(const TokenMask& mask) {
  if (mask.all()) return 0;
  for (std::uint64_t token = 0; token < mask.tokens; ++token)
    if (mask.test(token)) return token;
  return 0;
}
}  // namespace

TokenStrip::TokenStrip(ViewContext& context, QWidget* parent)
    : QWidget(parent), context_(context), figure_(new FigureWidget(context, this)) {
  setObjectName(QStringLiteral("panel"));
  setAttribute(Qt::WA_StyledBackground);
  setMinimumHeight(90);
  auto* column = new QVBoxLayout(this);
  column->setContentsMargins(12, 6, 12, 4);
  column->addWidget(figure_);
}

std::uint64_t TokenStrip::window_tokens() const {
  return static_cast<std::uint64_t>(std::max(8, (width() - label_width) / narrowest_column));
}

void TokenStrip::refresh(Changes changes) {
  const Trace* trace = context_.trace();
  if (!trace || !trace->has_ids()) {
    routes_.reset();
    figure_->set_message(trace ? tr("This trace only counts experts: it has no tokens to show.") : QString());
    return;
  }
  const Selection& selection = context_.workbench.selection();
  bool moved = has(changes, Change::active_trace) || has(changes, Change::filter);
  if (moved) first_ = first_kept(context_.workbench.filter().mask);
  if (has(changes, Change::selection) && selection.token &&
      (*selection.token < first_ || *selection.token >= first_ + window_tokens())) {
    first_ = *selection.token > 4 ? *selection.token - 4 : 0;
    moved = true;
  }
  if (!isVisible()) return;
  if (moved)
    request();
  else if (has(changes, Change::selection))
    draw();
}

void TokenStrip::showEvent(QShowEvent* event) {
  QWidget::showEvent(event);
  request();
}

void TokenStrip::resizeEvent(QResizeEvent* event) {
  QWidget::resizeEvent(event);
  if (isVisible() && event->size().width() > event->oldSize().width()) request();
}

void TokenStrip::wheelEvent(QWheelEvent* event) {
  const Trace* trace = context_.trace();
  if (!trace) return;
  const auto total = static_cast<std::int64_t>(trace->token_count());
  const int delta = event->angleDelta().y() + event->angleDelta().x();
  const std::int64_t step = std::max<std::int64_t>(1, static_cast<std::int64_t>(window_tokens()) / 6);
  const std::int64_t next = static_cast<std::int64_t>(first_) + (delta < 0 ? step : -step);
  first_ = static_cast<std::uint64_t>(std::clamp<std::int64_t>(next, 0, std::max<std::int64_t>(0, total - 8)));
  request();
  event->accept();
}

void TokenStrip::request() {
  const Trace* trace = context_.trace();
  if (!trace || !trace->has_ids()) return;
  const std::uint64_t count = std::min<std::uint64_t>(
      window_tokens(), trace->token_count() - std::min<std::uint64_t>(first_, trace->token_count()));
  context_.workbench.request_result("strip", "token_routes", {{"first", first_}, {"count", count}, {"rank", 1}},
                                    [this](const Expected<ResultPtr>& result) {
                                      if (!result) {
                                        routes_.reset();
                                        figure_->set_message(QString::fromStdString(result.error().what),
                                                             QString::fromStdString(result.error().advice));
                                        return;
                                      }
                                      routes_ = *result;
                                      draw();
                                    });
  if (title_)
    title_->set_remark(tr("tokens %1 to %2 of %3 · rank-1 expert, shade = gate weight")
                           .arg(count_text(first_), count_text(first_ + count - 1), count_text(trace->token_count())));
}

void TokenStrip::draw() {
  const Trace* trace = context_.trace();
  if (!routes_ || !trace) return;
  TokenStripOptions options;
  options.rows = context_.workbench.filter().filter.rows;
  options.all_tokens = trace->token_count();
  const std::uint64_t end = std::min<std::uint64_t>(first_ + window_tokens(), trace->token_count());
  for (std::uint64_t token = first_; token < end; ++token) {
    std::string label = trace->token_label(token);
    if (trace->token_text(token).empty()) label.erase(0, 1);  // a position, which nothing runs into here
    options.texts.push_back(std::move(label));
  }
  figure_->set_builder(
      [routes = routes_, options, selection = context_.workbench.selection()](double width, double height) {
        return token_strip_figure(routes, options, selection, width, height);
      });
}

}  // namespace moescope
