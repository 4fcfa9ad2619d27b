#include "core/model/relative_position.h"

#include <algorithm>
#include <cmath>

namespace moescope {

std::uint32_t relative_bucket(const RelativePositions& positions, bool both_ways, std::int64_t distance) {
  const std::uint32_t side = both_ways ? positions.buckets / 2 : positions.buckets;
  const std::uint32_t first = both_ways && distance > 0 ? side : 0;
  const std::int64_t far = both_ways ? std::abs(distance) : std::max<std::int64_t>(-distance, 0);
  const std::uint32_t exact = side / 2;
  if (far < exact) return first + static_cast<std::uint32_t>(far);
  const float growth = static_cast<float>(std::log(static_cast<double>(positions.max_distance) / exact));
  const float steps =
      std::log(static_cast<float>(far) / static_cast<float>(exact)) / growth * static_cast<float>(side - exact);
  return first + std::min(exact + static_cast<std::uint32_t>(steps), side - 1);
}

}  // namespace moescope
