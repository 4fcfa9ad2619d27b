// Where experts stand on their floor in the Routes scene. Used by routes_scene; pure, any thread.
#pragma once

#include <cstddef>
#include <span>
#include <vector>

#include "core/base/export.h"

namespace moescope {

// A weighted link between position i of one floor and position j of the next.
struct FloorLink {
  std::size_t from = 0, to = 0;
  double weight = 0;
};

// Order of the experts around each floor, so that strong links run short: floor f's result gives, for each of its
// counts[f] experts, its place 0..count-1 on the circle. The first floor keeps index order; each next one follows the
// circular mean of its predecessors. `links[f]` joins floor f to f + 1.
[[nodiscard]] MOESCOPE_API std::vector<std::vector<std::size_t>> circular_order(
    std::span<const std::size_t> counts, std::span<const std::vector<FloorLink>> links);

}  // namespace moescope
