// Which tokens use an expert, as one bit each. Called by filters and analyses; any thread.
#pragma once

#include <cstdint>
#include <vector>

#include "core/base/export.h"
#include "core/trace/trace.h"

namespace moescope {

// One bit per token of the trace, the last word filled up with zeros: whether any filled slot of `row` holds `expert`.
// A row or an expert that there is not is used by no token. Reads each id once, about a millisecond per million tokens.
[[nodiscard]] MOESCOPE_API std::vector<std::uint64_t> tokens_using(const Trace& trace, std::uint32_t row,
                                                                   std::uint32_t expert);

}  // namespace moescope
