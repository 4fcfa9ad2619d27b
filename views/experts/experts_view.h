// Experts: layer × expert heat map of load with marginal bars, and below it the chosen layer's experts, filtered tokens
// against all. Thin over experts_figure and layer_bars_figure. Main thread only.
#pragma once

#include "views/common/view.h"

namespace moescope {

[[nodiscard]] ViewSpec experts_view_spec();

}  // namespace moescope
