// Well-formedness of UTF-8 (Unicode standard, table 3-7). Called by readers of text from files. Pure functions: any
// thread.
#pragma once

#include <cstddef>
#include <string_view>

#include "core/base/export.h"

namespace moescope {

// Length of the well-formed character at `at`, or 0; then `bad` is the length of the maximal ill-formed part (>= 1).
[[nodiscard]] MOESCOPE_API std::size_t well_formed_length(std::string_view text, std::size_t at, std::size_t& bad);
[[nodiscard]] MOESCOPE_API bool is_valid_utf8(std::string_view text);

}  // namespace moescope
