#include "views/common/view.h"

#include <QPainter>

#include "views/common/theme.h"

namespace moescope {

bool ViewContext::run(const std::string& id, const nlohmann::json& arguments) const {
  nlohmann::json all = arguments;
  const CommandSpec* spec = workbench.commands().find(id);
  if (spec && spec->background) all["background"] = true;
  const auto done = workbench.commands().run(id, all);
  if (!done && show_error) show_error(done.error());
  return done.has_value();
}

const Trace* ViewContext::trace() const {
  const Source* source = workbench.active_trace();
  return source ? source->trace.get() : nullptr;
}

View::View(ViewContext& context) : context_(context) {
  setObjectName(QStringLiteral("view"));
  setAttribute(Qt::WA_StyledBackground);
  listener_ = workbench().listen([this](Changes changes) {
    // A view's own Results come to its callbacks. Were it also told of every new Result and job, asking for one would
    // wake it to ask again, without end.
    constexpr auto not_for_views = static_cast<Changes>(Change::results) | static_cast<Changes>(Change::jobs);
    waiting_ |= changes & ~not_for_views;
    if (!isVisible() || waiting_ == 0) return;
    const Changes now = waiting_;
    waiting_ = 0;
    changed(now);
  });
}

View::~View() = default;

void View::showEvent(QShowEvent* event) {
  QWidget::showEvent(event);
  const Changes now = waiting_;
  waiting_ = 0;
  if (now != 0) changed(now);
}

QImage View::picture(double scale) {
  QImage image(size() * scale, QImage::Format_ARGB32_Premultiplied);
  image.setDevicePixelRatio(scale);
  image.fill(color(ColorRole::panel));
  QPainter painter(&image);
  render(&painter);
  return image;
}

void View::set_follows(bool follows) {
  if (follows_ == follows) return;
  if (!follows) kept_ = workbench().selection();
  follows_ = follows;
  if (isVisible()) changed(static_cast<Changes>(Change::selection));
}

const Selection& View::shown_selection() const {
  return follows_ ? workbench().selection() : kept_;
}

}  // namespace moescope
