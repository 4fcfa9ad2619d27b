// Scores of one token at one row: router logits, their entropy and the margin of the choice. Used by routing_entropy
// and token_routes, from any thread.
#pragma once

#include <span>
#include <vector>

#include "core/trace/trace.h"

namespace moescope {

// Router logits [experts] of a token into `out`; false when they were not recorded (a NaN among them, or no column).
[[nodiscard]] bool read_logits(const Segment& segment, std::size_t row, std::size_t token, std::span<float> out);
// What the choice was made by: selection scores where recorded, else router logits.
[[nodiscard]] bool read_selection(const Segment& segment, std::size_t row, std::size_t token, std::span<float> out);

// Entropy in nats of the softmax of logits.
[[nodiscard]] double softmax_entropy(std::span<const float> logits);
// k-th largest minus (k+1)-th largest; NaN when there is no k+1-th. Reorders `scores`.
[[nodiscard]] double choice_margin(std::span<float> scores, std::size_t k);
// The margin of a token: from its scores, else from a recorded "margin" column, else NaN. `scratch` is [experts].
[[nodiscard]] double token_margin(const Segment& segment, std::size_t row, std::size_t token, std::size_t k,
                                  std::span<float> scratch);
// Whether any segment could give margins.
[[nodiscard]] bool has_margins(const Trace& trace);

}  // namespace moescope
