// What tokens are grouped by for counting: values of a tag, positions, token ids. Used by the analyses of this folder,
// from any thread.
#pragma once

#include <cstdint>
#include <vector>

#include "core/analysis/kernels/counting.h"
#include "core/analysis/tags.h"

namespace moescope {

// Group = code of the tag. With `rest`, untagged tokens are one more group, the last.
[[nodiscard]] kernels::TokenGroups tag_groups(const Trace& trace, const TagReader& reader, bool rest);

// Group = place of the token's id among `ids`, which are those that occur, ascending. Every segment has token ids.
struct IdGroups {
  std::vector<std::int32_t> ids;
  kernels::TokenGroups groups;
};
[[nodiscard]] IdGroups token_id_groups(const Trace& trace);

}  // namespace moescope
