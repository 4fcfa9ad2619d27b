// What the shuffles and draws of a tag take as one: whole sequences where each has one value, else single tokens. Used
// by domain_profile, from any thread.
#pragma once

#include <cstdint>
#include <vector>

#include "core/analysis/analysis.h"
#include "core/analysis/kernels/counting.h"

namespace moescope {

struct TagUnits {
  bool by_sequence = false, merged = false;
  kernels::TokenGroups groups;    // units, or the tag's codes when by token
  std::vector<std::int32_t> tag;  // [group]: code
};

// `codes`: groups by the values of the tag. Tokens that are untagged or left out by the filter are in no unit.
[[nodiscard]] TagUnits tag_units(const AnalysisInput& input, kernels::TokenGroups codes, std::size_t values);

}  // namespace moescope
