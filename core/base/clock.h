// Wall clock and sleeping, in one place so that nothing else in core asks the platform. Any thread.
#pragma once

#include <string>

#include "core/base/export.h"

namespace moescope {

// "2026-03-01T09:30:00Z".
[[nodiscard]] MOESCOPE_API std::string utc_now();
// Seconds of a clock that never goes back; only differences mean something.
[[nodiscard]] MOESCOPE_API double monotonic_seconds();
MOESCOPE_API void sleep_milliseconds(double milliseconds);
// Id of this process.
[[nodiscard]] MOESCOPE_API int process_id();

}  // namespace moescope
