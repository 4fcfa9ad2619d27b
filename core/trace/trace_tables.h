// The tensors of a trace file that belong to no token: vocabulary, counts, placement. Used by the reader only.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "core/base/error.h"
#include "core/io/tensor_view.h"
#include "core/trace/trace.h"

namespace moescope {

// vocab.ids, vocab.offsets and vocab.bytes. Error for an entry that is no range of the bytes.
[[nodiscard]] Expected<std::map<std::int32_t, std::string>> vocabulary_of(const TensorView& ids,
                                                                          const TensorView& offsets,
                                                                          const TensorView& bytes);

// expert_counts for (at least) these rows. Negative counts are looked for in the first 4 million entries only.
[[nodiscard]] Expected<ExpertCounts> counts_of(const TensorView& tensor, const std::vector<RouterRow>& rows);

// physical_to_logical for (at least) these rows; every entry is -1 or an expert of its row.
[[nodiscard]] Expected<PlacementMap> placement_of(const TensorView& tensor, const std::vector<RouterRow>& rows);

}  // namespace moescope
