#include "views/tokens/token_map.h"

#include <QKeyEvent>
#include <QMouseEvent>
#include <QWheelEvent>
#include <algorithm>
#include <cmath>

#include "core/figure/token_strip_figure.h"
#include "views/common/text.h"
#include "views/tokens/token_colors.h"

namespace moescope {
namespace {

constexpr std::uint64_t most_exact_tokens = 1024;  // that are drawn each with its own expert
constexpr double wheel_step = 1.25;                // zoom of one notch
constexpr double drag_slack = 4;                   // pixels below which a drag is a click
constexpr int store_after_ms = 600;

}  // namespace

TokenMap::TokenMap(ViewContext& context, QWidget* parent) : FigureWidget(context, parent), context_(context) {
  setObjectName(QStringLiteral("token_map"));
  store_.setSingleShot(true);
  store_.setInterval(store_after_ms);
  QObject::connect(&store_, &QTimer::timeout, this, [this] {
    const nlohmann::json value =
        range_.count == total_ ? nlohmann::json() : nlohmann::json::array({range_.first, range_.count});
    if (stored_ == value) return;
    stored_ = value;
    context_.run("option.set", {{"name", "tokens.range"}, {"value", value}});
  });
}

bool TokenMap::exact() const {
  return !experts_ && range_.count <= most_exact_tokens;
}

void TokenMap::set_trace(const Trace& trace) {
  if (total_ != trace.token_count()) {
    total_ = trace.token_count();
    range_ = {0, total_};
    stored_ = nullptr;
  }
  result_.reset();
  request_soon();
}

void TokenMap::set_row(std::uint32_t row, std::vector<int> categories) {
  const bool other = row != row_;
  row_ = row;
  categories_ = std::move(categories);
  if (other && experts_) request_soon();
}

void TokenMap::sync_options() {
  const bool experts = context_.workbench.option("tokens.map", "layers") == "experts";
  if (experts != experts_) {
    experts_ = experts;
    result_.reset();
    request_soon();
  }
  const nlohmann::json value = context_.workbench.option("tokens.range", nullptr);
  if (value == stored_) return;
  stored_ = value;
  store_.stop();
  TokenRange range{0, total_};
  if (value.is_array() && value.size() == 2 && value[0].is_number_unsigned() && value[1].is_number_unsigned()) {
    range =
        panned({value[0].get<std::uint64_t>(), std::max<std::uint64_t>(1, value[1].get<std::uint64_t>())}, 0, total_);
  }
  show_range(range, false);
}

void TokenMap::set_selection(const Selection& selection) {
  if (selection == selection_) return;
  selection_ = selection;
  redraw();
}

void TokenMap::show_range(TokenRange range, bool keep) {
  if (range == range_ || range.count == 0) return;
  range_ = range;
  if (keep) store_.start();
  redraw();
  request_soon();
}

void TokenMap::set_visible(std::uint64_t first, std::uint64_t count) {
  if (visible_ == TokenRange{first, count}) return;
  visible_ = {first, count};
  if (first < range_.first || first + count > range_.first + range_.count) {
    const std::uint64_t before = range_.count / 4;
    show_range(panned({first > before ? first - before : 0, range_.count}, 0, total_), false);
  }
  QMetaObject::invokeMethod(
      this, [this] { redraw(); }, Qt::QueuedConnection);
}

// Several changes make one request, when the event that brought them is done.
void TokenMap::request_soon() {
  if (requested_) return;
  requested_ = true;
  QMetaObject::invokeMethod(
      this,
      [this] {
        requested_ = false;
        request();
      },
      Qt::QueuedConnection);
}

void TokenMap::request() {
  const Trace* trace = context_.trace();
  if (!trace || !trace->has_ids() || range_.count == 0) return;
  const QString tokens =
      tr("tokens %1 to %2").arg(count_text(range_.first), count_text(range_.first + range_.count - 1));
  if (on_remark_)
    on_remark_(exact() ? tr("%1; the chosen layer by expert, the others by gate weight of rank 1").arg(tokens)
               : experts_
                   ? tr("%1; share of each expert of %2; wheel zooms, drag moves").arg(tokens, row_text(*trace, row_))
                   : tr("%1; how uneven each layer is; wheel zooms, drag moves").arg(tokens));
  std::string analysis = "token_routes";
  nlohmann::json params = {{"first", range_.first}, {"count", range_.count}, {"rank", 1}};
  if (!exact()) {
    analysis = "token_map";
    params = {{"first", range_.first}, {"count", range_.count}, {"cells", token_map_columns(width())}};
    if (experts_) params.update({{"row", row_}, {"expert_cells", token_map_rows(height())}});
  }
  waiting_for_result_ = true;
  context_.workbench.request_result("tokens.overview", analysis, params, [this](const Expected<ResultPtr>& result) {
    waiting_for_result_ = result && !(*result)->caveats.empty() && (*result)->caveats.front().starts_with("Still");
    result_ = result ? *result : nullptr;
    if (!result)
      set_message(QString::fromStdString(result.error().what), QString::fromStdString(result.error().advice));
    redraw();
  });
}

void TokenMap::redraw() {
  const Trace* trace = context_.trace();
  if (!result_ || !trace) return;
  if (result_->provenance.analysis == "token_routes") return draw_exact(*trace);
  TokenMapOptions options;
  options.range = range_;
  options.row = row_;
  options.view = visible_;
  set_builder([map = result_, options, selection = selection_](double width, double height) {
    return token_map_figure(map, options, selection, width, height);
  });
}

void TokenMap::draw_exact(const Trace& trace) {
  const auto& params = result_->provenance.params;
  const std::uint64_t first = params.value("first", std::uint64_t{0});
  const std::uint64_t end =
      std::min<std::uint64_t>(first + params.value("count", std::uint64_t{0}), trace.token_count());
  TokenOverviewOptions options;
  options.row = row_;
  options.categories = categories_;
  std::string last;
  for (std::uint64_t t = first; t < end; ++t) {
    const std::string tag = token_section(trace, t);
    if (tag != last && !tag.empty()) options.sections.emplace_back(t - first, tag);
    last = tag;
  }
  if (visible_.first >= first && visible_.first < end) {
    options.view_first = visible_.first - first;
    options.view_count = std::min<std::uint64_t>(visible_.count, end - visible_.first);
  }
  set_builder([routes = result_, options, selection = selection_](double width, double height) {
    return token_overview_figure(routes, options, selection, width, height);
  });
}

double TokenMap::part_at(double x) const {
  const MapSpan span = token_map_span(width(), experts_);
  return (x - span.x0) / (span.x1 - span.x0);
}

void TokenMap::wheelEvent(QWheelEvent* event) {
  const double notches = (event->angleDelta().y() + event->angleDelta().x()) / 120.0;
  const bool sideways = event->modifiers() & Qt::ShiftModifier || event->angleDelta().y() == 0;
  if (sideways) {
    show_range(panned(range_, -notches / 8, total_));
  } else {
    show_range(zoomed(range_, part_at(event->position().x()), std::pow(wheel_step, -notches), total_));
  }
  event->accept();
}

void TokenMap::mousePressEvent(QMouseEvent* event) {
  setFocus(Qt::MouseFocusReason);
  if (event->button() != Qt::LeftButton) return FigureWidget::mousePressEvent(event);
  pressed_ = event->position();
  pressed_range_ = range_;
  dragged_ = false;
}

void TokenMap::mouseMoveEvent(QMouseEvent* event) {
  if (!pressed_ || !(event->buttons() & Qt::LeftButton)) return FigureWidget::mouseMoveEvent(event);
  const double by = event->position().x() - pressed_->x();
  if (!dragged_ && std::abs(by) < drag_slack) return;
  dragged_ = true;
  setCursor(Qt::ClosedHandCursor);
  show_range(panned(pressed_range_, part_at(pressed_->x()) - part_at(event->position().x()), total_));
}

void TokenMap::mouseReleaseEvent(QMouseEvent* event) {
  if (pressed_ && !dragged_ && event->button() == Qt::LeftButton) FigureWidget::mousePressEvent(event);
  pressed_.reset();
  unsetCursor();
}

void TokenMap::mouseDoubleClickEvent(QMouseEvent*) {
  show_range({0, total_});
}

void TokenMap::keyPressEvent(QKeyEvent* event) {
  switch (event->key()) {
    case Qt::Key_Plus:
    case Qt::Key_Equal:
      return show_range(zoomed(range_, 0.5, 1 / wheel_step / wheel_step, total_));
    case Qt::Key_Minus:
      return show_range(zoomed(range_, 0.5, wheel_step * wheel_step, total_));
    case Qt::Key_0:
      return show_range({0, total_});
    case Qt::Key_PageUp:
      return show_range(panned(range_, -0.5, total_));
    case Qt::Key_PageDown:
      return show_range(panned(range_, 0.5, total_));
    default:
      FigureWidget::keyPressEvent(event);
  }
}

void TokenMap::resizeEvent(QResizeEvent* event) {
  FigureWidget::resizeEvent(event);
  // Fewer pixels draw what there is; more ask for more.
  if (event->size().width() > event->oldSize().width() ||
      (experts_ && event->size().height() > event->oldSize().height()))
    if (!exact()) request_soon();
}

}  // namespace moescope
