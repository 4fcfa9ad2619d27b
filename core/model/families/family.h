// The table of model families. A further family is one new file in this folder: it reads its config.json into a
// ModelSpec, names its weights and registers itself. Filled before main(); immutable afterwards; any thread.
#pragma once

#include <functional>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "core/base/error.h"
#include "core/model/config_reader.h"
#include "core/model/model_spec.h"
#include "core/model/weight_names.h"

namespace moescope {

// Whether the checkpoint has a tensor of this name.
using HasTensor = std::function<bool(const std::string& name)>;

struct ModelFamily {
  std::string name;                        // "olmoe"
  std::vector<std::string> model_types;    // values of config.json's model_type
  std::vector<std::string> architectures;  // values in its architectures
  WeightNames names;                       // the layout that released models have
  Expected<ModelSpec> (*read_config)(ConfigReader& config) = nullptr;
  // Picks among the layouts that occur by the tensors that are there; null = there is only `names`.
  WeightNames (*choose_names)(const ModelSpec& spec, WeightNames names, const HasTensor& has) = nullptr;
  // The config.json of a spec, for checkpoints made from nothing.
  nlohmann::json (*write_config)(const ModelSpec& spec) = nullptr;
};

[[nodiscard]] const std::vector<ModelFamily>& model_families();
// By family name; null when there is none.
[[nodiscard]] const ModelFamily* find_family(const std::string& name);
// By model_type, then architectures. Error (input): names the known families; says so when the type is one that has
// mixture-of-experts layers but no family here.
[[nodiscard]] Expected<const ModelFamily*> family_of_config(ConfigReader& config);

// `const RegisterFamily registered(…);` in a family's file.
struct RegisterFamily {
  explicit RegisterFamily(ModelFamily family);
};

}  // namespace moescope
