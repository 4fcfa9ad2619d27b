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
  LayerSpec moe;
  moe.experts = experts.experts;
  moe.k = experts.k;
  moe.intermediate = config.count("moe_intermediate_size", 1, max_width);
  moe.shared = config.count_or("n_shared_experts", 0, 0, max_experts);
  moe.shared_intermediate = moe.shared * moe.intermediate;
  RouterRule& rule = moe.rule;
  rule.score = RouterRule::Score::sigmoid;
  rule.selection_bias = true;
  rule.group_score = RouterRule::GroupScore::two_best;
  read_groups(config, experts, rule);
  rule.renormalise = config.flag_or("norm_topk_prob", true);
  rule.norm_epsilon = 1e-20;
  rule.scale = config.positive_or("routed_scaling_factor", 1.0);
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

WeightNames glm_names() {
  WeightNames names = decoder_weight_names("mlp");
  const std::string block = "model.layers.{L}.mlp.";
  names[WeightRole::selection_bias] = block + "gate.e_score_correction_bias";
  names[WeightRole::shared_gate] = block + "shared_experts.gate_proj.weight";
  names[WeightRole::shared_up] = block + "shared_experts.up_proj.weight";
  names[WeightRole::shared_down] = block + "shared_experts.down_proj.weight";
  return names;
}

WeightNames choose_names(const ModelSpec& spec, WeightNames names, const HasTensor& has) {
  const auto first = first_moe_layer(spec);
  return first ? with_fused_experts(std::move(names), "model.layers.{L}.mlp.experts.", *first, has) : names;
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
                                 .names = glm_names(),
                                 .read_config = read_config,
                                 .choose_names = choose_names,
                                 .write_config = write_config});

}  // namespace
}  // namespace moescope::glm4_moe
