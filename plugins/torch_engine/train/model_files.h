// Writes a model folder that checkpoints readers, ours and others', open: config.json, model.safetensors in bfloat16,
// tokenizer.json. Called by the trainer; one thread.
#pragma once

#include <filesystem>
#include <string>

#include "core/base/error.h"
#include "plugins/torch_engine/train/lm_model.h"

namespace moescope::train {

// Creates `folder` where needed and replaces the three files. The bytes depend on the arguments alone. Errors (input)
// name the file that could not be written.
[[nodiscard]] Expected<void> write_model(const std::filesystem::path& folder, const ModelShape& shape,
                                         const blocks::ModelWeights& weights, const std::string& tokenizer_json);

}  // namespace moescope::train
