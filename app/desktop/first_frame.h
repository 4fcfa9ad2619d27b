// Time from the start of this process to now, as the system counts it. Any thread.
#pragma once

namespace moescope {

// Milliseconds since the process was started; negative where the system does not tell.
[[nodiscard]] double milliseconds_since_start();

}  // namespace moescope
