// Weights: what a checkpoint is and holds, without running it: model card, tensors, experts' weights. The three pages
// are thin over Results of core/analysis/weights and their figures. Main thread only.
#pragma once

#include "views/common/view.h"

namespace moescope {

[[nodiscard]] ViewSpec weights_view_spec();

}  // namespace moescope
