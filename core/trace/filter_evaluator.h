// Evaluates a parsed filter on a trace, column by column. Used by apply_filter(); any thread.
#pragma once

#include <cstdint>
#include <vector>

#include "core/base/error.h"
#include "core/trace/filter_parser.h"
#include "core/trace/trace.h"

namespace moescope {

// One bit per token of the trace, the last word filled up with zeros. Errors (usage): unknown names and values, terms
// on what the trace did not record, numbers compared with texts. Terms on `layer` have been taken out before.
[[nodiscard]] Expected<std::vector<std::uint64_t>> evaluate_filter(const Trace& trace, const FilterNode& filter);

}  // namespace moescope
