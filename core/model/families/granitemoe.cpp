// Granite MoE: multipliers on embedding, attention, residuals and logits; the best k logits, then softmax over them;
// experts in two stacked tensors. The shared variant adds an MLP that every token uses.
#include "core/model/families/decoder_config.h"

namespace moescope::granitemoe {
namespace {

using namespace family_config;

const std::string block = "model.layers.{L}.block_sparse_moe.";

Expected<ModelSpec> read_config(ConfigReader& config) {
  const bool shared = config.text_or("model_type", "") == "granitemoeshared";
  ModelSpec spec =
      read_decoder(config, shared ? "granitemoeshared" : "granitemoe", {.norm_epsilon = 1e-6, .max_positions = 2048});
  require_silu(config);
  const Experts experts = read_experts(config, "num_local_experts", "num_experts_per_tok");
  LayerSpec layer;
  layer.experts = experts.experts;
  layer.k = experts.k;
  layer.intermediate = config.count("intermediate_size", 1, max_width);
  layer.rule.order = RouterRule::Order::top_k_then_score;
  if (shared) {
    layer.shared_intermediate = config.count_or("shared_intermediate_size", 0, 0, max_width);
    layer.shared = layer.shared_intermediate > 0 ? 1 : 0;
  }
  spec.layers.assign(spec.layers.size(), layer);
  spec.embedding_multiplier = config.positive_or("embedding_multiplier", 1.0);
  spec.residual_multiplier = config.positive_or("residual_multiplier", 1.0);
  spec.logits_divisor = config.positive_or("logits_scaling", 1.0);
  spec.attention_scale = config.positive_or("attention_multiplier", 1.0);
  spec.qkv_bias = spec.o_bias = config.flag_or("attention_bias", false);
  const std::string positions = config.text_or("position_embedding_type", "rope");
  if (positions != "rope") {
    config.refuse("position_embedding_type", "this kind of positions is not supported", "Only rope is");
  }
  read_rope(config, spec, 10000.0, spec.head_dim);
  if (config.error()) return fail(*config.error());
  return spec;
}

WeightNames granite_names() {
  WeightNames names = decoder_weight_names("block_sparse_moe");
  names.experts = ExpertStorage::fused_rows;
  names[WeightRole::router] = block + "router.layer.weight";
  names[WeightRole::expert_gate] = names[WeightRole::expert_up] = block + "input_linear.weight";
  names[WeightRole::expert_down] = block + "output_linear.weight";
  names[WeightRole::shared_gate] = names[WeightRole::shared_up] = "model.layers.{L}.shared_mlp.input_linear.weight";
  names[WeightRole::shared_down] = "model.layers.{L}.shared_mlp.output_linear.weight";
  names.fused_shared = true;
  return names;
}

nlohmann::json write_config(const ModelSpec& spec) {
  const LayerSpec& layer = spec.layers.front();
  nlohmann::json json = write_decoder(spec, "granitemoe", "GraniteMoeForCausalLM");
  json["intermediate_size"] = layer.intermediate;
  json["num_local_experts"] = layer.experts;
  json["num_experts_per_tok"] = layer.k;
  json["embedding_multiplier"] = 12.0;
  json["residual_multiplier"] = 0.22;
  json["logits_scaling"] = 6.0;
  json["attention_multiplier"] = 1.0 / spec.head_dim;
  json["attention_bias"] = false;
  return json;
}

const RegisterFamily registered({.name = "granitemoe",
                                 .model_types = {"granitemoe", "granitemoeshared"},
                                 .architectures = {"GraniteMoeForCausalLM", "GraniteMoeSharedForCausalLM"},
                                 .names = granite_names(),
                                 .read_config = read_config,
                                 .choose_names = nullptr,
                                 .write_config = write_config});

}  // namespace
}  // namespace moescope::granitemoe
