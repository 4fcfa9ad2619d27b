// WeightSet: the named tensors of a checkpoint folder, read as one from whichever container they lie in: safetensors or
// the files of torch.save, one file or shards with an index. Called by Checkpoint. Immutable after reading; any thread.
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

struct WeightSet {
  std::map<std::string, TensorView> tensors;             // of all files, those not in the index included
  std::map<std::string, std::string> metadata;           // of safetensors, the first one's value where they differ
  std::vector<std::string> unmapped;                     // tensors in shards that the index does not name
  std::vector<std::shared_ptr<const MappedFile>> files;  // by name
  // The error of the first file that shrank or was lost since, if any.
  [[nodiscard]] MOESCOPE_API std::optional<Error> fault() const;
};

// Reads one file: safetensors, or a state dict saved by torch (a dict of tensors, itself or under "state_dict" or
// "model"; tensors whose elements lie in another order are copied). Errors (input): all of the container's reader; a
// torch file without tensors.
[[nodiscard]] MOESCOPE_API Expected<WeightSet> read_weight_file(const std::filesystem::path& path);

// Reads an index and its shards, which lie beside it. Errors (input): bad JSON, a shard name that is not a plain file
// name, a missing or bad shard, a tensor of the index that its shard does not have, a tensor in two shards.
[[nodiscard]] MOESCOPE_API Expected<WeightSet> read_sharded_weights(const std::filesystem::path& index);

// Reads the weights of a folder, the first that is there of: model.safetensors.index.json, model.safetensors,
// pytorch_model.bin.index.json, pytorch_model.bin.
[[nodiscard]] MOESCOPE_API Expected<WeightSet> read_weights_folder(const std::filesystem::path& folder);

}  // namespace moescope
