// Paints core's Figures with QPainter: on screen at any pixel density, into images and into PDF. Main thread, or any
// thread for images once fonts are loaded.
#pragma once

#include <QImage>
#include <QPainter>

#include "core/figure/figure.h"

namespace moescope {

// Paints every mark in figure pixels; the caller has set the painter's transform. Cell edges snap to device pixels when
// the painter only scales, so that heat maps stay crisp.
void paint_figure(QPainter& painter, const Figure& figure, Theme theme);
// The figure on its panel colour. `scale` = device pixels per figure pixel.
[[nodiscard]] QImage figure_image(const Figure& figure, Theme theme, double scale);
// Bounds of the marks that stand for a pick; empty when it has none.
[[nodiscard]] QRectF pick_bounds(const Figure& figure, int pick);
// Paints a ring around everything that stands for a pick: `width` px in text 1 with a 1 px gap of panel colour.
void paint_ring(QPainter& painter, const Figure& figure, int pick, double width, Theme theme);

}  // namespace moescope
