// Paints core's Report on pages: into a PDF file, and into images for the preview. The same document and the same
// Figures as the HTML report, in the light theme. Main thread, or any thread once fonts are loaded.
#pragma once

#include <QImage>
#include <QList>
#include <QString>

#include "core/base/error.h"
#include "core/report/report.h"

namespace moescope {

// Writes A4 pages with vector text and figures. Error (input): the file cannot be written.
[[nodiscard]] Expected<void> report_to_pdf(const Report& report, const QString& path);
// By suffix: .pdf, else HTML.
[[nodiscard]] Expected<void> save_report(const Report& report, const QString& path);
// The pages as pictures, `width` pixels wide; at most `most` of them.
[[nodiscard]] QList<QImage> report_pages(const Report& report, int width, int most);

}  // namespace moescope
