// Hash of everything a trace in memory holds, for traces that have no file: the key of cached Results. Called by the
// builder and by engines; any thread.
#pragma once

#include <string>

#include "core/base/export.h"
#include "core/trace/trace.h"

namespace moescope {

// Reads every column once. The split into segments counts too.
[[nodiscard]] MOESCOPE_API std::string hash_trace(const Trace& trace);

}  // namespace moescope
