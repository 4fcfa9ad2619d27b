// ModelFacts: what a model's config.json says about its routers, for joining a foreign trace with its model: which
// layers have one, E, k, shared experts, the rule. Any model type whose config uses one of the usual key names is
// understood, also those that cannot be run here. Plain data: any thread.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

#include "core/base/error.h"
#include "core/base/export.h"

namespace moescope {

struct ModelFacts {
  std::string name, family, config_hash;
  std::vector<bool> moe;  // per layer of the model: has it experts?
  std::uint32_t experts = 0, k = 0, shared = 0;
  bool sigmoid = false;         // scores are sigmoids
  bool selection_bias = false;  // a bias that is not in the logits enters the choice
  bool grouped = false;         // the choice is limited to groups
  std::string rule;             // in words

  [[nodiscard]] std::size_t moe_layers() const {
    std::size_t n = 0;
    for (const bool has : moe) n += has ? 1U : 0U;
    return n;
  }
};

// Facts from the text of a config.json. Errors (input): not JSON, no experts in it, a number out of range.
[[nodiscard]] MOESCOPE_API Expected<ModelFacts> parse_model_facts(std::string_view json, const std::string& where);
// Facts of a checkpoint folder or of a config.json.
[[nodiscard]] MOESCOPE_API Expected<ModelFacts> read_model_facts(const std::filesystem::path& path);

}  // namespace moescope
