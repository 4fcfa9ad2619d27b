// What the config.json files of most decoder families have in common, read with the checks that every family wants.
// Called by family files only; problems are kept in the ConfigReader. One thread.
#pragma once

#include <cstdint>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <vector>

#include "core/model/config_reader.h"
#include "core/model/families/family.h"
#include "core/model/model_spec.h"

namespace moescope::family_config {

inline constexpr std::uint32_t max_width = 1U << 20U;
inline constexpr std::uint32_t max_layers = 4096;
inline constexpr std::uint32_t max_experts = 65535;

struct Defaults {
  double norm_epsilon = 1e-6;
  double rope_theta = 10000.0;
  std::uint32_t max_positions = 4096;
  bool tied = false;
};

// Sizes, heads, norm, embeddings, activation, rope, data type and quantisation, under their usual keys. `layers` layers
// that are all dense and empty come back in the spec: the family fills them in.
[[nodiscard]] ModelSpec read_decoder(ConfigReader& config, const std::string& family, const Defaults& defaults);

// Rope of `rope_parameters` or of `rope_theta` and `rope_scaling`, in all spellings that occur, for heads of `dims`
// rotated numbers. Refuses what it does not know.
void read_rope(ConfigReader& config, ModelSpec& spec, double default_theta, std::uint32_t dims);

// quantization_config: nothing, "fp8" in tiles or "mxfp4"; refuses others by name.
void read_quantisation(ConfigReader& config, ModelSpec& spec);

// E and k under the given keys; refuses k > E. For the caller to put into its layers.
struct Experts {
  std::uint32_t experts = 0, k = 0;
};
[[nodiscard]] Experts read_experts(ConfigReader& config, const char* experts_key, const char* k_key);

// Refuses any activation but silu under `key`.
void require_silu(ConfigReader& config, const char* key = "hidden_act");

// Windows from `layer_types` ("sliding_attention", "chunked_attention", "full_attention"); false when there are none.
bool read_layer_types(ConfigReader& config, ModelSpec& spec, std::uint32_t window, std::uint32_t chunk);

// A layer of E experts of which k are chosen, and shared ones that are as wide as `n_shared_experts` of them, under the
// keys of the DeepSeek line.
[[nodiscard]] LayerSpec read_shared_experts(ConfigReader& config, const Experts& experts);
// The rule of DeepSeek-V3 and its followers: sigmoid scores, a bias that only steers the choice, groups judged by
// their two best, gates divided by their sum and scaled.
void read_biased_sigmoid_rule(ConfigReader& config, const Experts& experts, RouterRule& rule);
// The names that go with both, and experts in one tensor where the files have them so.
[[nodiscard]] WeightNames shared_experts_names();
[[nodiscard]] WeightNames choose_fused_names(const ModelSpec& spec, WeightNames names, const HasTensor& has);

// Groups of experts: n_group and topk_group, checked against E and k.
void read_groups(ConfigReader& config, const Experts& experts, RouterRule& rule);

// Experts in one tensor as newer files store them: `<prefix>gate_up_proj` and `down_proj`. Changes `names` when the
// files have it.
[[nodiscard]] WeightNames with_fused_experts(WeightNames names, const std::string& experts_prefix, std::uint32_t layer,
                                             const HasTensor& has);
// First layer with experts, or nothing.
[[nodiscard]] std::optional<std::uint32_t> first_moe_layer(const ModelSpec& spec);

// The usual keys of a spec, for write_config.
[[nodiscard]] nlohmann::json write_decoder(const ModelSpec& spec, const std::string& model_type,
                                           const std::string& architecture);

}  // namespace moescope::family_config
