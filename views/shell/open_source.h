// Opening a file that someone chose, dropped or clicked: asks which format it is where its content fits several. Main
// thread only.
#pragma once

#include <QString>

#include "views/common/view.h"

namespace moescope {

// Runs source.open (a session's file opens as one). Asks in a dialog over `parent` when several importers fit equally
// well; nothing happens when that is cancelled. True when it was opened.
bool open_source(const ViewContext& context, QWidget* parent, const QString& path);

}  // namespace moescope
