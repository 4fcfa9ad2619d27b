#include "views/common/theme.h"

#include <QApplication>
#include <QEvent>
#include <QFile>
#include <QPalette>
#include <QRegularExpression>
#include <QStyle>
#include <QStyleFactory>
#include <array>
#include <utility>

#include "views/common/fonts.h"

namespace moescope {
namespace {

struct ThemeState {
  ThemeChoice choice = ThemeChoice::system;
  Theme theme = Theme::dark;
  bool applied = false;
  bool applying = false;
  Theme system = Theme::dark;  // of the desktop, read before the first palette of ours
};

ThemeState& state() {
  static ThemeState the_state;
  return the_state;
}

// Qt 6.4 does not name the desktop's colour scheme; the lightness of its window colour does.
Theme theme_of(const QPalette& palette) {
  return palette.color(QPalette::Window).lightness() < 128 ? Theme::dark : Theme::light;
}

QPalette palette_of() {
  QPalette p;
  const auto set = [&](QPalette::ColorRole role, ColorRole ours) { p.setColor(role, color(ours)); };
  set(QPalette::Window, ColorRole::window);
  set(QPalette::WindowText, ColorRole::text_1);
  set(QPalette::Base, ColorRole::sunken);
  set(QPalette::AlternateBase, ColorRole::raised);
  set(QPalette::Text, ColorRole::text_1);
  set(QPalette::PlaceholderText, ColorRole::text_3);
  set(QPalette::Button, ColorRole::raised);
  set(QPalette::ButtonText, ColorRole::text_1);
  set(QPalette::BrightText, ColorRole::error);
  set(QPalette::ToolTipBase, ColorRole::raised);
  set(QPalette::ToolTipText, ColorRole::text_1);
  set(QPalette::Highlight, ColorRole::accent);
  set(QPalette::HighlightedText, ColorRole::text_on_accent);
  set(QPalette::Link, ColorRole::accent);
  set(QPalette::LinkVisited, ColorRole::accent);
  set(QPalette::Light, ColorRole::control_border);
  set(QPalette::Midlight, ColorRole::line);
  set(QPalette::Mid, ColorRole::line);
  set(QPalette::Dark, ColorRole::line);
  set(QPalette::Shadow, ColorRole::line);
  for (const auto role : {QPalette::WindowText, QPalette::Text, QPalette::ButtonText})
    p.setColor(QPalette::Disabled, role, color(ColorRole::text_3, 0.6));
  p.setColor(QPalette::Disabled, QPalette::Highlight, color(ColorRole::line));
  return p;
}

constexpr std::array<std::pair<const char*, ColorRole>, 18> role_names = {{
    {"window", ColorRole::window},
    {"panel", ColorRole::panel},
    {"raised", ColorRole::raised},
    {"sunken", ColorRole::sunken},
    {"line", ColorRole::line},
    {"border", ColorRole::control_border},
    {"grid", ColorRole::grid},
    {"text_1", ColorRole::text_1},
    {"text_2", ColorRole::text_2},
    {"text_3", ColorRole::text_3},
    {"accent", ColorRole::accent},
    {"accent_wash", ColorRole::accent_wash},
    {"on_accent", ColorRole::text_on_accent},
    {"warning", ColorRole::warning},
    {"error", ColorRole::error},
    {"good", ColorRole::good},
    {"neutral", ColorRole::neutral_bar},
    {"null_band", ColorRole::null_band},
}};

// The stylesheet with each @role@ replaced by the theme's colour.
QString stylesheet() {
  QFile file(QStringLiteral(":/moescope/themes/moescope.qss"));
  if (!file.open(QIODevice::ReadOnly)) return {};
  QString text = QString::fromUtf8(file.readAll());
  for (const auto& [name, role] : role_names)
    text.replace(QStringLiteral("@%1@").arg(QLatin1String(name)), color(role).name());
  text.replace(QStringLiteral("@mono@"), mono_family());
  return text;
}

// Sees the application's palette change from outside.
class SystemWatcher : public QObject {
 public:
  using QObject::QObject;
  bool eventFilter(QObject* object, QEvent* event) override {
    if (object == qApp && event->type() == QEvent::ThemeChange && !state().applying) {
      state().system = theme_of(qApp->style()->standardPalette());
      if (state().choice == ThemeChoice::system) apply_theme(ThemeChoice::system);
    }
    return QObject::eventFilter(object, event);
  }
};

}  // namespace

ThemeChoice theme_choice(const QString& name) {
  if (name == QLatin1String("dark")) return ThemeChoice::dark;
  return name == QLatin1String("light") ? ThemeChoice::light : ThemeChoice::system;
}

void apply_theme(ThemeChoice choice) {
  ThemeState& s = state();
  if (!s.applied) {
    s.system = theme_of(QGuiApplication::palette());
    QApplication::setStyle(QStyleFactory::create(QStringLiteral("Fusion")));
    QApplication::setFont(ui_font());
  }
  s.choice = choice;
  const Theme theme =
      choice == ThemeChoice::system ? s.system : (choice == ThemeChoice::dark ? Theme::dark : Theme::light);
  if (s.applied && s.theme == theme) return;
  s.theme = theme;
  s.applied = true;
  s.applying = true;
  QApplication::setPalette(palette_of());
  qApp->setStyleSheet(stylesheet());
  s.applying = false;
}

Theme current_theme() {
  return state().theme;
}

bool theme_applied() {
  return state().applied;
}

void watch_system_theme() {
  qApp->installEventFilter(new SystemWatcher(qApp));
}

QColor color(const Paint& paint, Theme theme) {
  const Rgb rgb = resolve(paint, theme);
  QColor c(rgb.r, rgb.g, rgb.b);
  c.setAlphaF(static_cast<float>(paint.alpha));
  return c;
}
QColor color(const Paint& paint) {
  return color(paint, state().theme);
}
QColor color(ColorRole role, double alpha) {
  return color(Paint::of(role, alpha));
}

}  // namespace moescope
