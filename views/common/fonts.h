// Fonts: Inter for the interface, JetBrains Mono for numbers, ids, tokens and queries; the system's own faces where
// they are not installed. Main thread only.
#pragma once

#include <QFont>
#include <QString>

#include "core/figure/figure.h"

namespace moescope {

[[nodiscard]] QString mono_family();
// Sizes in pixels, weights as the style sheet names them (400, 500, 600).
[[nodiscard]] QFont ui_font(double pixels = 13, int weight = 400);
// Without shaping, so that == stays two glyphs and columns line up.
[[nodiscard]] QFont mono_font(double pixels = 12, int weight = 400);
// Font of a figure's text mark.
[[nodiscard]] QFont figure_font(FontRole role, bool bold = false);

}  // namespace moescope
