// Affinity: the matrix between two layers beside the layered graph of the strongest links and the strength by layer
// with its shuffle null. Thin over core's affinity figures. Main thread only.
#pragma once

#include "views/common/view.h"

namespace moescope {

[[nodiscard]] ViewSpec affinity_view_spec();

}  // namespace moescope
