// The views of the program, in the order of their tabs.
#pragma once

#include <vector>

#include "views/common/view.h"

namespace moescope {

[[nodiscard]] std::vector<ViewSpec> all_views();

}  // namespace moescope
