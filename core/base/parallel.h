// parallel_for: independent pieces of work over the threads of the job pool. Called by analyses from a job's thread,
// which takes part itself and alone reports progress; several calls may run at once. Not to be nested.
#pragma once

#include <cstddef>
#include <functional>
#include <string>

#include "core/base/error.h"
#include "core/base/export.h"
#include "core/base/progress.h"

namespace moescope {

// What a call to parallel_for reports: its stage, and its part of the whole work's progress.
struct ParallelStage {
  std::string name;
  double from = 0, to = 1;
};

// Threads that parallel_for would use for `count` pieces: 1..job_threads(). A body gets a worker number below it, for
// tables of its own.
[[nodiscard]] MOESCOPE_API std::size_t parallel_workers(std::size_t count);

// Runs body(index, worker) for every index in [0, count), in no fixed order; returns when all have ended. Errors:
// cancelled, when work.cancelled() was seen between two pieces (bodies that take longer than a few milliseconds ask
// themselves and return early); internal, with the text of the first exception that left a body. After either no
// further piece is started.
[[nodiscard]] MOESCOPE_API Expected<void> parallel_for(
    std::size_t count, const WorkContext& work, const ParallelStage& stage,
    const std::function<void(std::size_t index, std::size_t worker)>& body);

}  // namespace moescope
