// Tokens: the text, coloured by expert of a layer and rank, by gate weight, by loss or by domain; below it all layers
// by tokens. Main thread only.
#pragma once

#include "views/common/view.h"

namespace moescope {

[[nodiscard]] ViewSpec tokens_view_spec();

}  // namespace moescope
