// The list of keyboard shortcuts, made from the registry. Main thread only.
#pragma once

#include "views/common/view.h"

namespace moescope {

void show_shortcuts(ViewContext& context, QWidget& window);

}  // namespace moescope
