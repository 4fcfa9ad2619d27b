// Whether the tensors of a checkpoint are those that its config promises. Internal to core/model; called once on
// opening.
#pragma once

#include <filesystem>
#include <map>
#include <string>
#include <vector>

#include "core/base/error.h"
#include "core/io/tensor_view.h"
#include "core/model/weight_names.h"

namespace moescope {

// Presence, type and shape of all that the model needs. Error (input): names the first few problems.
[[nodiscard]] Expected<void> check_tensors(const ModelSpec& spec, const WeightNames& names,
                                           const std::map<std::string, TensorView>& tensors,
                                           const std::filesystem::path& folder);

// What lies in the folder or the files and is not used. `unmapped`: tensors in shards that the index does not name.
[[nodiscard]] std::vector<std::string> notes_of(const ModelSpec& spec, const WeightNames& names,
                                                const std::map<std::string, TensorView>& tensors,
                                                const std::vector<std::string>& unmapped,
                                                const std::filesystem::path& folder);

}  // namespace moescope
