// Where a checkpoint's config and weights are, whichever container they lie in. Internal to core/model; used when a
// checkpoint is opened.
#pragma once

#include <filesystem>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>

#include "core/base/error.h"
#include "core/io/gguf.h"
#include "core/io/weight_set.h"

namespace moescope {

struct CheckpointSource {
  std::filesystem::path place;        // what to open it again by: its folder, or the file that was asked for
  std::filesystem::path config_file;  // for errors about the config
  nlohmann::json config;              // config.json, or what a GGUF file says in its place
  std::string config_hash;
  std::string name;                              // empty when the container has none
  std::optional<std::filesystem::path> weights;  // one file that was asked for, instead of the folder's usual ones
  std::optional<GgufFile> gguf;
};

// Finds and reads the config. `path` is a Hugging Face folder or a file in one, a GGUF file or a folder with one.
// Errors (input): nothing of the kind; several GGUF models in the folder; a config that is not JSON; all of read_gguf()
// and gguf_config().
[[nodiscard]] Expected<CheckpointSource> find_checkpoint(const std::filesystem::path& path);

// The tensors. Errors (input): as read_weights_folder().
[[nodiscard]] Expected<WeightSet> read_weights(const CheckpointSource& source);

}  // namespace moescope
