// Theme: the style sheet's roles as Qt colours, palette and stylesheet. The colours themselves are core's
// (core/figure: resolve), so the program, its figures and its reports share one palette. Main thread only.
#pragma once

#include <QColor>
#include <QString>

#include "core/figure/figure.h"

namespace moescope {

enum class ThemeChoice { system, dark, light };

// "dark", "light", anything else = system. The value of option `theme` and of --theme.
[[nodiscard]] ThemeChoice theme_choice(const QString& name);
// Gives the application the palette and stylesheet; every widget repaints. Call after QApplication exists.
void apply_theme(ThemeChoice choice);
// False until the first apply_theme().
[[nodiscard]] bool theme_applied();
// The theme in force.
[[nodiscard]] Theme current_theme();
// Follows a change of the desktop's own colours when the choice is `system`.
void watch_system_theme();

[[nodiscard]] QColor color(const Paint& paint, Theme theme);
[[nodiscard]] QColor color(const Paint& paint);
[[nodiscard]] QColor color(ColorRole role, double alpha = 1);

}  // namespace moescope
