// A random trace with every kind of column, from a seed. Used by the tests of the trace file and of filters.
#pragma once

#include <cstdint>

#include "core/trace/trace.h"

namespace moescope::fixtures {

struct RandomTraceOptions {
  std::size_t rows = 3;
  std::uint32_t experts = 16;
  std::size_t slots = 3;
  std::size_t segments = 2;
  std::size_t tokens_per_segment = 37;
  bool ragged = true;  // tokens with fewer slots and all the codes of `used`
};

[[nodiscard]] Trace random_trace(std::uint64_t seed, const RandomTraceOptions& options = {});

}  // namespace moescope::fixtures
