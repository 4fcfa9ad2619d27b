// Icons: 16 px line icons of resources/icons, tinted by the theme at the moment they are painted, so a theme change
// needs no new icons. Main thread only.
#pragma once

#include <QIcon>
#include <QPainter>
#include <QString>

#include "core/figure/figure.h"

namespace moescope {

// An icon by file name without ".svg": text 2, accent when on, faded when disabled. Unknown names give a null icon.
[[nodiscard]] QIcon icon(const QString& name, ColorRole role = ColorRole::text_2);
// Paints one at once.
void paint_icon(QPainter& painter, const QString& name, const QRectF& box, const QColor& tint);

}  // namespace moescope
