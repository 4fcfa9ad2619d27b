// Names in the order that people count in: "expert.2" before "expert.10". Called wherever numbered names are listed;
// any thread.
#pragma once

#include <string_view>

#include "core/base/export.h"

namespace moescope {

// Whether `a` comes before `b` when runs of digits are compared as whole numbers and all else byte by byte.
[[nodiscard]] MOESCOPE_API bool natural_less(std::string_view a, std::string_view b);

}  // namespace moescope
