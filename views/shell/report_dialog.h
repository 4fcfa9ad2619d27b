// Report export: which sections, a preview of each, and where to write it. Main thread only.
#pragma once

#include "views/common/view.h"

namespace moescope {

void show_report_dialog(ViewContext& context, QWidget& window);

}  // namespace moescope
