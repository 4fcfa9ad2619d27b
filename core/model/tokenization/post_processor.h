// Post-processors of tokenizer.json: ids put before and after a text (begin-of-text and the like). Immutable.
#pragma once

#include <cstdint>
#include <nlohmann/json.hpp>
#include <vector>

#include "core/base/error.h"

namespace moescope::tokenization {

struct PostProcessor {
  std::vector<std::int32_t> before, after;
};

// `json` may be null. Error (input): a type that is not supported, by name; a template whose tokens are not listed or
// which does not hold the text exactly once.
[[nodiscard]] Expected<PostProcessor> read_post_processor(const nlohmann::json& json);

}  // namespace moescope::tokenization
