// The metadata of a GGUF model as the config.json that its family reads, so that each family is written once. Called by
// Checkpoint when a GGUF file is opened; pure, any thread.
#pragma once

#include <nlohmann/json.hpp>

#include "core/base/error.h"
#include "core/io/gguf.h"

namespace moescope {

// Errors (input): an architecture that is not read, by name; one without experts; a key that is missing or of another
// kind. Values that are out of range are left to the family.
[[nodiscard]] Expected<nlohmann::json> gguf_config(const GgufFile& file);

}  // namespace moescope
