// The bucket that a distance between two tokens falls into, where a model learns one bias per bucket and head instead
// of rotating positions. Used by engines. Pure: any thread.
#pragma once

#include <cstdint>

#include "core/base/export.h"
#include "core/model/model_spec.h"

namespace moescope {

// `distance` = position of the key − position of the query. `both_ways`: keys behind and ahead have half of the buckets
// each (encoders); else keys ahead fall into the first (decoders, which never see them). Half of a side's buckets hold
// one distance each, the others grow by a constant factor up to max_distance and the last holds all beyond. In
// float32, as the models were trained. Below `buckets`, of which there are at least 4.
[[nodiscard]] MOESCOPE_API std::uint32_t relative_bucket(const RelativePositions& positions, bool both_ways,
                                                         std::int64_t distance);

}  // namespace moescope
