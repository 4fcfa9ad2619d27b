// A set of safetensors files read as one: `model.safetensors.index.json` with its shards, or one single file.
// Called by Checkpoint. Immutable after reading; any thread.
#pragma once

#include <filesystem>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "core/base/error.h"
#include "core/base/export.h"
#include "core/io/mapped_file.h"
#include "core/io/tensor_view.h"

namespace moescope {

struct ShardedSafetensors {
  std::map<std::string, TensorView> tensors;             // of all shards, those not in the index included
  std::map<std::string, std::string> metadata;           // of the shards, the first one's value where they differ
  std::vector<std::string> unmapped;                     // tensors in shards that the index does not name
  std::vector<std::shared_ptr<const MappedFile>> files;  // the shards, by name
  // The error of the first shard that shrank or was lost since, if any.
  [[nodiscard]] MOESCOPE_API std::optional<Error> fault() const;
};

// Reads an index and its shards, which lie beside it. Errors (input): bad JSON, a shard name that is not a plain file
// name, a missing or bad shard, a tensor of the index that its shard does not have, a tensor in two shards.
[[nodiscard]] MOESCOPE_API Expected<ShardedSafetensors> read_sharded_safetensors(const std::filesystem::path& index);

// Reads the safetensors of a folder: its `model.safetensors.index.json` when there is one, else `model.safetensors`.
[[nodiscard]] MOESCOPE_API Expected<ShardedSafetensors> read_safetensors_folder(const std::filesystem::path& folder);

}  // namespace moescope
