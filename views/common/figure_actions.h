// What every figure's menu offers: copy as image, copy values as CSV, save as PNG, SVG or CSV, copy the command line
// that gives the same numbers. Main thread only.
#pragma once

#include <QMenu>
#include <QString>

#include "views/common/figure_widget.h"

namespace moescope {

void fill_figure_menu(QMenu& menu, FigureWidget& widget, ViewContext& context);
void show_figure_menu(FigureWidget& widget, ViewContext& context, QPoint global_at);

void copy_figure_image(const FigureWidget& widget);
// Writes by suffix: .png at twice the shown size, .svg, .csv (values of the Result). Errors: input, with the reason.
[[nodiscard]] Expected<void> save_figure(const Figure& figure, const QString& path);

}  // namespace moescope
