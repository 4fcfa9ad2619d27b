// Reads a model folder back as float32 weights for the blocks. Used by moescope-train --evaluate; one thread.
#pragma once

#include <filesystem>
#include <memory>
#include <string>

#include "core/base/error.h"
#include "core/model/tokenizer.h"
#include "plugins/torch_engine/train/lm_model.h"

namespace moescope::train {

struct LoadedModel {
  ModelShape shape;
  blocks::ModelWeights weights;
  std::shared_ptr<const Tokenizer> tokenizer;
  std::string config_hash;
};

// Errors (input): what opening a checkpoint says, a family other than olmoe, no tokenizer.
[[nodiscard]] Expected<LoadedModel> load_model(const std::filesystem::path& folder);

}  // namespace moescope::train
