#include "views/routes/routes_view.h"

#include <QBoxLayout>
#include <QElapsedTimer>
#include <QGuiApplication>
#include <QLabel>
#include <QPainter>
#include <QStackedLayout>
#include <algorithm>
#include <cmath>
#include <vector>

#include "views/common/fonts.h"
#include "views/common/scene3d/offscreen_scene.h"
#include "views/common/scene3d/still_viewport.h"
#include "views/common/scene3d/vtk_viewport.h"
#include "views/common/text.h"
#include "views/common/theme.h"
#include "views/common/view_header.h"
#include "views/routes/playback_bar.h"

namespace moescope {
namespace {

// Links below this share are never asked for in models with many experts: their number grows with E squared.
double floor_of_threshold(const Trace& trace) {
  std::uint32_t most = 0;
  for (const RouterRow& row : trace.rows()) most = std::max(most, row.experts);
  return most <= 64 ? 0.0 : 5e-4;
}

// Links thin out as experts get more: 1.2 % of tokens at 16 experts, 0.4 % at 128.
double usual_threshold(const Trace* trace) {
  std::uint32_t most = 16;
  for (const RouterRow& row : trace ? trace->rows() : std::vector<RouterRow>{}) most = std::max(most, row.experts);
  return 0.012 * std::sqrt(16.0 / most);
}

nlohmann::json parameters(const Trace& trace, const RoutesControls& controls) {
  return {{"first_row", controls.first_row},
          {"last_row", controls.last_row},
          {"threshold", std::min(floor_of_threshold(trace), controls.threshold)},
          {"ranks", controls.ranks}};
}

}  // namespace

RoutesView::RoutesView(ViewContext& context)
    : View(context), playback_(new PlaybackBar(this)), message_(new QLabel(this)) {
  auto* rows = new QVBoxLayout(this);
  rows->setContentsMargins(0, 0, 0, 0);
  rows->setSpacing(0);
  header_ = new ViewHeader(
      context, *this,
      tr("Layers are floors, experts are nodes whose area is their load, and tubes carry the tokens that go from "
         "one expert to the next. Tubes under the threshold are left out; the line above the tower says how much "
         "that is. Drag to orbit, Shift-drag to pan, wheel to zoom, click to select."));
  header_->add_segmented(tr("Colour by"), "routes.color",
                         {{"load", tr("Load"), tr("Share of the layer's slots")},
                          {"domain", tr("Domain"), tr("The tag that prevails; grey where none does")},
                          {"entropy", tr("Entropy"), tr("How undecided the router is where it picks this expert")}},
                         "domain");
  header_->add_choice(tr("Ranks"), "routes.ranks", {{1, tr("Rank 1"), {}}, {2, tr("Ranks 1 and 2"), {}}}, 1);
  rows->addWidget(header_);
  stack_ = new QStackedLayout;
  QWidget* scene = nullptr;
  if (QGuiApplication::platformName() == QLatin1String("offscreen")) {
    still_ = new StillViewport(this);
    still_->set_controls([this] { draw_controls(); });
    scene = still_;
  } else {
    viewport_ = new VtkViewport(this);
    viewport_->set_controls([this] { draw_controls(); });
    connect(viewport_, &VtkViewport::node_clicked, this, [this](ExpertRef expert, bool add) {
      this->context().run("select.expert", {{"row", expert.row}, {"expert", expert.expert}, {"add", add}});
    });
    connect(viewport_, &VtkViewport::tube_clicked, this, [this](LinkRef link) {
      this->context().run(
          "select.link",
          {{"from_row", link.from.row}, {"from", link.from.expert}, {"to_row", link.to.row}, {"to", link.to.expert}});
    });
    connect(viewport_, &VtkViewport::cleared, this, [this] { this->context().run("select.clear"); });
    scene = viewport_;
  }
  message_->setAlignment(Qt::AlignCenter);
  message_->setWordWrap(true);
  message_->setFont(ui_font());
  stack_->addWidget(scene);
  stack_->addWidget(message_);
  rows->addLayout(stack_, 1);
  rows->addWidget(playback_);
  connect(playback_, &PlaybackBar::token_wanted, this, [this](quint64 token) { select_token(token); });
  connect(playback_, &PlaybackBar::ready, this, [this] { follow(); });
  connect(playback_, &PlaybackBar::play_toggled, this, [this] { set_playing(!controls_.playing); });
  connect(&play_timer_, &QTimer::timeout, this, &RoutesView::advance);
  spin_timer_.setInterval(40);
  connect(&spin_timer_, &QTimer::timeout, this, [this] {
    if (!viewport_ || !isVisible()) return;
    viewport_->renderer().camera.orbit(2, 0);
    viewport_->refresh(true);
  });
}

RoutesView::~RoutesView() = default;

void RoutesView::changed(Changes changes) {
  const Trace* trace = context().trace();
  if (has(changes, Change::active_trace)) {
    result_.reset();
    playing_token_.reset();
    asked_ = nullptr;
    const Source* source = workbench().active_trace();
    playback_->set_trace(source ? source->trace : nullptr);
    if (viewport_) viewport_->fit();
  }
  if (has(changes, Change::options) || has(changes, Change::active_trace)) {
    read_options();
    header_->sync();
  }
  if (!trace) {
    show_message(tr("Open a trace to see its routes, or run a prompt on a model."));
    return;
  }
  if (has(changes, Change::filter)) asked_ = nullptr;
  const bool asks = parameters(*trace, controls_) != asked_;
  if (asks) request();
  const Selection& now = shown_selection();
  const bool same_marks = now.experts == built_for_.experts && now.link == built_for_.link;
  if (has(changes, Change::options) || (has(changes, Change::selection) && !same_marks)) {
    if (!asks) rebuild();  // what was asked for rebuilds when it comes
  } else if (has(changes, Change::selection)) {
    follow();
  }
}

bool RoutesView::pending() const {
  return waiting_ || playback_->busy();
}

void RoutesView::read_options() {
  const Trace* trace = context().trace();
  const int last = trace && !trace->rows().empty() ? static_cast<int>(trace->rows().size()) - 1 : 0;
  const auto number = [this](const char* name, double fallback) {
    const nlohmann::json value = workbench().option(name, fallback);
    return value.is_number() ? value.get<double>() : fallback;
  };
  const auto text = workbench().option("routes.color", "domain");
  RoutesControls& c = stored_;
  c.first_row = std::clamp(static_cast<int>(number("routes.first_row", 0)), 0, last);
  // Tall models start with their first layers: twelve floors are what one can read at once.
  c.last_row =
      std::clamp(static_cast<int>(number("routes.last_row", std::min(last, c.first_row + 11))), c.first_row, last);
  c.threshold = std::clamp(number("routes.threshold", usual_threshold(trace)), 0.0, 1.0);
  c.color = route_color_from_name(text.is_string() ? text.get<std::string>() : "domain");
  c.speed = std::clamp(number("routes.speed", 4), 0.1, 60.0);
  c.ranks = std::max(1, static_cast<int>(number("routes.ranks", 1)));
  const auto second = workbench().option("routes.second_rank", false);
  c.second_rank = second.is_boolean() && second.get<bool>();
  const auto follow = workbench().option("routes.follow", true);
  c.follow = !follow.is_boolean() || follow.get<bool>();
  c.playing = controls_.playing;
  c.spin = controls_.spin;
  controls_ = stored_;
}

void RoutesView::store_options() {
  const auto set = [this](const char* name, const nlohmann::json& value) {
    context().run("option.set", {{"name", name}, {"value", value}});
  };
  const RoutesControls now = controls_, before = stored_;
  stored_ = now;
  if (now.first_row != before.first_row) set("routes.first_row", now.first_row);
  if (now.last_row != before.last_row) set("routes.last_row", now.last_row);
  if (now.threshold != before.threshold) set("routes.threshold", now.threshold);
  if (now.color != before.color) set("routes.color", route_color_name(now.color));
  if (now.speed != before.speed) set("routes.speed", now.speed);
  if (now.ranks != before.ranks) set("routes.ranks", now.ranks);
  if (now.second_rank != before.second_rank) set("routes.second_rank", now.second_rank);
  if (now.follow != before.follow) set("routes.follow", now.follow);
}

void RoutesView::request() {
  const Trace* trace = context().trace();
  if (!trace) return;
  waiting_ = true;
  asked_ = parameters(*trace, controls_);
  workbench().request_result("routes.scene", "route_graph", asked_, [this](const Expected<ResultPtr>& result) {
    waiting_ = false;
    if (result) {
      result_ = *result;
      error_.clear();
    } else {
      result_.reset();
      error_ = result.error().text();
    }
    rebuild();
  });
}

std::optional<std::uint64_t> RoutesView::current_token() const {
  if (playing_token_) return playing_token_;
  if (shown_selection().token) return shown_selection().token;
  return playback_->has_tokens() && controls_.follow ? std::optional<std::uint64_t>(playback_->next(0)) : std::nullopt;
}

void RoutesView::rebuild() {
  const Trace* trace = context().trace();
  if (!trace) return;
  if (!result_) {
    show_message(error_.empty() ? tr("Counting routes…") : QString::fromStdString(error_));
    return;
  }
  stack_->setCurrentIndex(0);
  RoutesOptions options;
  options.threshold = controls_.threshold;
  options.color = controls_.color;
  options.second_rank = controls_.second_rank;
  const std::optional<TokenRoute> route = current_route();
  built_for_ = shown_selection();
  Scene scene =
      routes_scene(*result_, trace->rows(), options, shown_selection(), controls_.follow && route ? &*route : nullptr);
  header_->set_n(tr("n = %1 tokens").arg(count_text(result_->provenance.tokens)));
  OverlayState overlay;
  const Matrix* tags = result_->matrix("tag_share");
  if (controls_.color == RouteColor::domain) {
    if (tags) overlay.legend = tags->column_names;
  } else {
    overlay.scale_low = controls_.color == RouteColor::load ? "no load" : "certain";
    overlay.scale_high = controls_.color == RouteColor::load ? "largest share" : "undecided";
  }
  if (viewport_) {
    viewport_->overlay = overlay;
    viewport_->set_scene(std::move(scene), current_theme());
    context().show_renderer(tr("%1 · %2 ms per frame")
                                .arg(viewport_->renderer_name().section(QLatin1Char(' '), 0, 0))
                                .arg(viewport_->last_render_ms(), 0, 'f', 0));
  } else {
    still_->overlay = overlay;
    still_->set_scene(std::move(scene), current_theme());
  }
}

// The current token's way, which the bar below then shows too.
std::optional<TokenRoute> RoutesView::current_route() {
  const Trace* trace = context().trace();
  const auto token = current_token();
  if (!trace || !token || !trace->has_ids() || *token >= trace->token_count()) return std::nullopt;
  TokenRoute route = token_route(*trace, *token, static_cast<std::uint32_t>(controls_.first_row),
                                 static_cast<std::uint32_t>(controls_.last_row));
  playback_->set_token(*trace, *token, route);
  return route;
}

void RoutesView::follow() {
  if (!result_) return;
  const std::optional<TokenRoute> route = current_route();
  const TokenRoute* shown = controls_.follow && route ? &*route : nullptr;
  if (viewport_) {
    viewport_->set_route(shown, controls_.second_rank);
  } else {
    still_->set_route(shown, controls_.second_rank);
  }
}

void RoutesView::draw_controls() {
  const Trace* trace = context().trace();
  if (!trace || !result_) return;
  RoutesPanelInput input;
  input.scene = viewport_ ? &viewport_->renderer().scene() : &still_->renderer().scene();
  for (const RouterRow& row : trace->rows()) input.row_names.push_back("L" + std::to_string(row.layer));
  input.slots = static_cast<int>(std::max<std::size_t>(1, trace->max_slots()));
  const Matrix* tags = result_->matrix("tag_share");
  input.has_tags = tags && tags->columns() > 0;
  input.busy = waiting_ ? "Counting routes…" : "";
  input.width = viewport_ ? viewport_->width() : still_->width();
  const RoutesControls before = controls_;
  const RoutesPanelEvents events = draw_routes_panel(controls_, input);
  if (!viewport_ || (!events.changed && !events.finished && events.action == RoutesAction::none)) return;
  // Inside a paint event nothing may change what is being painted: answer afterwards.
  QTimer::singleShot(0, this, [this, before, events] {
    if (controls_.playing != before.playing) set_playing(controls_.playing);
    if (controls_.spin != before.spin) controls_.spin ? spin_timer_.start() : spin_timer_.stop();
    act(events.action);
    if (controls_.first_row != before.first_row || controls_.last_row != before.last_row ||
        controls_.ranks != before.ranks) {
      request();
    }
    if (events.changed) rebuild();
    if (events.finished) store_options();
  });
}

void RoutesView::act(RoutesAction action) {
  if (action == RoutesAction::none || !viewport_) return;
  TurntableCamera& camera = viewport_->renderer().camera;
  if (action == RoutesAction::top) camera.elevation = 88;
  if (action == RoutesAction::side) camera.elevation = 0;
  if (action == RoutesAction::reset) camera = TurntableCamera();
  viewport_->fit();
}

void RoutesView::select_token(std::uint64_t token) {
  playing_token_.reset();
  context().run("select.token", {{"token", token}});
}

void RoutesView::set_playing(bool playing) {
  controls_.playing = playing;
  playback_->set_playing(playing);
  if (playing) {
    play_timer_.start(static_cast<int>(std::lround(1000.0 / std::max(0.1, controls_.speed))));
  } else {
    play_timer_.stop();
    // Where playing stops becomes the selection: one step to undo, not one per token.
    if (playing_token_) select_token(*playing_token_);
  }
}

void RoutesView::advance() {
  if (!isVisible() || !playback_->has_tokens()) return;
  play_timer_.setInterval(static_cast<int>(std::lround(1000.0 / std::max(0.1, controls_.speed))));
  playing_token_ = playback_->next(1);
  follow();
}

void RoutesView::show_message(const QString& text) {
  message_->setText(text);
  stack_->setCurrentIndex(1);
}

QImage RoutesView::picture(double scale) {
  if (!viewport_ || stack_->currentIndex() != 0) return View::picture(scale);
  QImage image = View::picture(scale);
  // The widget paints itself into its own buffer, which a plain render of the tree does not read.
  QPainter painter(&image);
  painter.drawImage(QRectF(viewport_->geometry()), viewport_->grabFramebuffer());
  return image;
}

double RoutesView::measure_orbit(int frames) {
  if (!viewport_) return std::nan("");
  std::vector<double> times;
  for (int i = 0; i < frames; ++i) {
    QElapsedTimer timer;
    timer.start();
    viewport_->renderer().camera.orbit(5, 0);
    viewport_->refresh(true);
    QCoreApplication::processEvents();
    times.push_back(static_cast<double>(timer.nsecsElapsed()) / 1e6);
  }
  std::nth_element(times.begin(), times.begin() + static_cast<std::ptrdiff_t>(times.size() / 2), times.end());
  return times.empty() ? std::nan("") : times[times.size() / 2];
}

void prepare_scene_rendering() {
  VtkViewport::set_default_format();
}

ViewSpec routes_view_spec() {
  return {QStringLiteral("routes"), QObject::tr("Routes"), QStringLiteral("routes"), true,
          [](ViewContext& context) -> View* { return new RoutesView(context); }};
}

}  // namespace moescope
