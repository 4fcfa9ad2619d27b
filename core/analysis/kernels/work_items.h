// How counting is cut into pieces for the threads: neighbouring rows (or pairs of rows) over a stretch of tokens. Used
// by this folder only.
#pragma once

#include <cstddef>
#include <vector>

#include "core/trace/trace.h"

namespace moescope::kernels {

struct WorkItem {
  std::size_t first = 0, last = 0;  // rows or pairs of the request
  std::size_t begin = 0, end = 0;   // tokens of the trace
};

// Pieces over `things` rows or pairs and the tokens [begin, end), at least a few for each thread, in the order of
// tokens. A piece has so few tokens that no 32-bit count overflows.
[[nodiscard]] std::vector<WorkItem> split_work(const Trace& trace, std::size_t things, std::size_t begin,
                                               std::size_t end, std::size_t most_things = 16);

}  // namespace moescope::kernels
