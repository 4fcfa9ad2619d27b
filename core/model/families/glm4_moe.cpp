// GLM-4 MoE: the router of DeepSeek-V3 behind ordinary attention with biases, a norm per head and a half rotated head.
#include <fmt/format.h>

#include <cmath>

#include "core/model/families/decoder_config.h"

namespace moescope::glm4_moe {
namespace {

using namespace family_config;

std::uint32_t rotated_numbers(ConfigReader& config, std::uint32_t head_dim) {
  double factor = config.positive_or("partial_rotary_factor", 0.5);
  if (const nlohmann::json* parameters = config.find("rope_parameters"); parameters && parameters->is_object()) {
    ConfigReader nested(*parameters, config.file());
    factor = nested.positive_or("partial_rotary_factor", factor);
  }
  if (factor > 1.0) {
    config.refuse("partial_rotary_factor", "more than the whole head cannot be rotated", "Give a number up to 1");
    factor = 1.0;
  }
  return static_cast<std::uint32_t>(std::floor(head_dim * factor));
}

Expected<ModelSpec> read_config(ConfigReader& config) {
  ModelSpec spec = read_decoder(config, "glm4_moe", {.norm_epsilon = 1e-5, .max_positions = 131072});
  require_silu(config);
  const Experts experts = read_experts(config, "n_routed_experts", "num_experts_per_tok");
  LayerSpec moe = read_shared_experts(config, experts);
  read_biased_sigmoid_rule(config, experts, moe.rule);
  LayerSpec plain{.kind = LayerKind::dense};
  const std::uint32_t first = config.count_or("first_k_dense_replace", 0, 0, max_layers);
  if (first > 0) plain.intermediate = config.count("intermediate_size", 1, max_width);
  for (std::uint32_t l = 0; l < spec.layers.size(); ++l) spec.layers[l] = l >= first ? moe : plain;
  spec.qkv_bias = config.flag_or("attention_bias", false);
  spec.qk_norm = config.flag_or("use_qk_norm", false) ? QkNorm::per_head : QkNorm::none;
  read_rope(config, spec, 10000.0, rotated_numbers(config, spec.head_dim));
  if (config.error()) return fail(*config.error());
  return spec;
}

nlohmann::json write_config(const ModelSpec& spec) {
  const LayerSpec& layer = spec.layers.front();
  nlohmann::json json = write_decoder(spec, "glm4_moe", "Glm4MoeForCausalLM");
  json["head_dim"] = spec.head_dim + (4 - spec.head_dim % 4) % 4;
  json["partial_rotary_factor"] = 0.5;
  json["intermediate_size"] = std::uint64_t{layer.intermediate} * layer.k;
  json["moe_intermediate_size"] = layer.intermediate;
  json["n_routed_experts"] = layer.experts;
  json["n_shared_experts"] = 1;
  json["num_experts_per_tok"] = layer.k;
  json["first_k_dense_replace"] = 1;
  json["n_group"] = 1;
  json["topk_group"] = 1;
  json["norm_topk_prob"] = true;
  json["routed_scaling_factor"] = 1.0;
  json["attention_bias"] = true;
  json["use_qk_norm"] = true;
  return json;
}

const RegisterFamily registered({.name = "glm4_moe",
                                 .model_types = {"glm4_moe"},
                                 .architectures = {"Glm4MoeForCausalLM"},
                                 .names = shared_experts_names(),
                                 .read_config = read_config,
                                 .choose_names = choose_fused_names,
                                 .write_config = write_config});

}  // namespace
}  // namespace moescope::glm4_moe
