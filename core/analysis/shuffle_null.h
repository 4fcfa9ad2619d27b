// The null of affinity: the tokens of the second row permuted within each sequence, counted as the observed routes are.
// Used by affinity, from any thread.
#pragma once

#include <cstdint>
#include <functional>

#include "core/analysis/kernels/counting.h"
#include "core/analysis/pairs.h"

namespace moescope {

// Tokens are permuted within stretches of a sequence of at most this many.
inline constexpr std::size_t most_shuffled_tokens = 65'536;

// `draws` tables, each given to `take` when it is full. Only tokens with an expert at both rows are permuted, so that
// margins and tokens are those of the observed table. The same seed gives the same draws, however the trace is cut into
// segments. Returns early on a cancel, then without having taken all.
MOESCOPE_API void count_shuffled(const Trace& trace, const GroupedTokens& grouped, kernels::Rows rows,
                                 kernels::Ranks ranks, std::size_t draws, std::uint64_t seed, const WorkContext& work,
                                 const std::function<void(const kernels::PairCounts&)>& take);

}  // namespace moescope
