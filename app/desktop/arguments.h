// Command line of the desktop program. Qt itself takes --session, --style, --plugin and --platform, so no option here
// has one of these names.
#pragma once

#include <QSize>
#include <QString>
#include <QStringList>

#include "core/base/error.h"

namespace moescope {

struct Arguments {
  QStringList files;
  QString screenshot, report, script, theme, view;
  QSize size{1440, 900};
  bool time_first_frame = false;
  int time_orbit = 0;  // frames; 0 = not asked for
  int time_brush = 0;  // brushes; 0 = not asked for
  bool help = false, version = false;
};

// Errors (usage) name the option and what it takes.
[[nodiscard]] Expected<Arguments> parse_arguments(const QStringList& words);
[[nodiscard]] QString usage_text();

}  // namespace moescope
