// Routers as pure functions on rows of logits. Used by engines for the replace-router hook and their own choice of
// experts, and by tests. Any thread.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <span>

namespace moescope {

// Ids of the ids.size() largest scores: descending score, ascending id on equal scores, NaN last. O(k·E), which for the
// k of real models beats a sort. `scores` has at least ids.size() entries.
template <typename Id>
void top_k_ids(std::span<const float> scores, std::span<Id> ids) {
  const auto better = [&](std::size_t a, std::size_t b) {  // a before b, for distinct ids
    const float x = scores[a], y = scores[b];
    if (std::isnan(x) || std::isnan(y)) return std::isnan(x) == std::isnan(y) ? a < b : std::isnan(y);
    return x > y || (x == y && a < b);
  };
  std::size_t filled = 0;
  for (std::size_t e = 0; e < scores.size(); ++e) {
    if (filled == ids.size() && !better(e, static_cast<std::size_t>(ids[filled - 1]))) continue;
    std::size_t place = filled < ids.size() ? filled++ : filled - 1;
    for (; place > 0 && better(e, static_cast<std::size_t>(ids[place - 1])); --place) ids[place] = ids[place - 1];
    ids[place] = static_cast<Id>(e);
  }
}

}  // namespace moescope
