// What the ids and logits of a source look like, layer by layer, before anything is decided about them: one pass over
// everything. Private to core/trace/import.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "core/base/error.h"
#include "core/base/progress.h"
#include "core/trace/import/raw_trace.h"

namespace moescope {

struct LayerStatistics {
  std::uint64_t rows = 0;        // token rows that the source has
  std::uint64_t recorded = 0;    // with at least one id of 0 or more, and none twice
  std::uint64_t duplicates = 0;  // with an id twice
  std::uint64_t all_zero = 0;    // duplicates whose ids are all 0, or single ids of 0
  std::uint64_t ascending = 0;   // of at least two ids, each higher than the one before
  std::uint64_t several = 0;     // of at least two ids
  std::uint64_t ids_255 = 0;     // how often 255 came
  std::int64_t highest = -1;     // id of the recorded rows
  std::int64_t highest_but_255 = -1;
  std::size_t most = 0, fewest = 0;                    // ids per recorded row
  bool bytes_only = true;                              // every plane is of bytes, in which 255 may be a filler
  std::uint64_t weighted = 0, weights_descending = 0;  // rows of several weights, and those in falling order
};

// Errors: cancelled; input for a row of more ids than a trace holds.
[[nodiscard]] Expected<std::vector<LayerStatistics>> row_statistics(const RawTrace& raw, const WorkContext& work);

// True when the rows of logits that were looked at (up to 4,096, spread over everything) are all at least 0 and add up
// to 1 within 1 %: probabilities. False without any.
[[nodiscard]] bool looks_like_probabilities(const RawTrace& raw);

}  // namespace moescope
