// The submenu of recent files; missing ones are greyed and say so. Main thread only.
#pragma once

#include <QMenu>

#include "views/common/view.h"

namespace moescope {

void fill_recent_menu(QMenu& menu, ViewContext& context);

}  // namespace moescope
