// The one owner of thread counts. On few cores OpenMP spinning, the software renderer and the job pool fight, so every
// part asks here how many threads it may use. Set once at start; read from any thread.
#pragma once

#include "core/base/export.h"

namespace moescope {

// Must be called first in main(), before any library that starts OpenMP is loaded: sets OMP_WAIT_POLICY=passive and the
// allocator settings the engine wants, unless the user set them.
MOESCOPE_API void prepare_process_environment();

// Cores this process may use (respects affinity and cgroup limits); at least 1.
[[nodiscard]] MOESCOPE_API int usable_cores();
// Threads of the job pool for analyses: usable cores, at most 16, or what MOESCOPE_THREADS says.
[[nodiscard]] MOESCOPE_API int job_threads();
// Threads for the engine's matrix products.
[[nodiscard]] MOESCOPE_API int engine_threads();

}  // namespace moescope
