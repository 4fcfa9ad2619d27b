// The table of model families. A further family is one new file in this folder: it reads its config.json into a
// ModelSpec, names its weights, lists the tensors with their shapes, and registers itself. Filled before main();
// immutable afterwards; any thread.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "core/base/error.h"
#include "core/model/config_reader.h"
#include "core/model/model_spec.h"

namespace moescope {

// A tensor that an engine of this family will ask for.
struct NeededTensor {
  std::string name;
  std::vector<std::uint64_t> shape;
};

struct ModelFamily {
  std::string name;                        // "olmoe"
  std::vector<std::string> model_types;    // values of config.json's model_type
  std::vector<std::string> architectures;  // values in its architectures
  WeightNames names;
  Expected<ModelSpec> (*read_config)(ConfigReader& config) = nullptr;
  // Calls `use` for each needed tensor; stops when it returns false.
  void (*list_tensors)(const ModelSpec& spec, const WeightNames& names,
                       const std::function<bool(const NeededTensor&)>& use) = nullptr;
  // The config.json of a spec, for checkpoints made from nothing.
  nlohmann::json (*write_config)(const ModelSpec& spec) = nullptr;
};

[[nodiscard]] const std::vector<ModelFamily>& model_families();
// By family name; null when there is none.
[[nodiscard]] const ModelFamily* find_family(const std::string& name);
// By model_type, then architectures. Error (input): names the known families; says so when the type is one that has
// mixture-of-experts layers but no family here.
[[nodiscard]] Expected<const ModelFamily*> family_of_config(ConfigReader& config);

// `static const RegisterFamily registered{{…}};` in a family's file.
struct RegisterFamily {
  explicit RegisterFamily(ModelFamily family);
};

// Shared by families with the usual decoder skeleton and per-expert gate, up and down matrices.
void list_decoder_tensors(const ModelSpec& spec, const WeightNames& names,
                          const std::function<bool(const NeededTensor&)>& use);

}  // namespace moescope
