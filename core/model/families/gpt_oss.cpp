// gpt-oss: alternating windows, a learned sink per head, biases everywhere; the best k logits, then softmax over them;
// a clamped activation; experts in fused, interleaved tensors, or as MXFP4 blocks.
#include "core/model/families/decoder_config.h"

namespace moescope::gpt_oss {
namespace {

using namespace family_config;

const std::string experts_prefix = "model.layers.{L}.mlp.experts.";

Expected<ModelSpec> read_config(ConfigReader& config) {
  ModelSpec spec = read_decoder(config, "gpt_oss", {.norm_epsilon = 1e-5, .max_positions = 131072});
  const char* k_key = config.find("num_experts_per_tok") ? "num_experts_per_tok" : "experts_per_token";
  const Experts experts = read_experts(config, "num_local_experts", k_key);
  LayerSpec layer;
  layer.experts = experts.experts;
  layer.k = experts.k;
  layer.intermediate = config.count("intermediate_size", 1, max_width);
  layer.rule.order = RouterRule::Order::top_k_then_score;
  layer.rule.logit_bias = true;
  spec.layers.assign(spec.layers.size(), layer);
  const std::uint32_t window = config.count_or("sliding_window", 128, 1, 1U << 30U);
  if (!read_layer_types(config, spec, window, 0)) {
    for (std::size_t l = 0; l < spec.layers.size(); l += 2) spec.layers[l].window = window;
  }
  spec.qkv_bias = spec.o_bias = config.flag_or("attention_bias", true);
  spec.attention_sinks = true;
  spec.expert_bias = true;
  spec.activation = Activation::clamped_swiglu;
  spec.activation_limit = config.positive_or("swiglu_limit", 7.0);
  read_rope(config, spec, 150000.0, spec.head_dim);
  if (config.error()) return fail(*config.error());
  return spec;
}

WeightNames gpt_oss_names() {
  WeightNames names = decoder_weight_names("mlp");
  names.experts = ExpertStorage::fused_columns_interleaved;
  names[WeightRole::sinks] = "model.layers.{L}.self_attn.sinks";
  names[WeightRole::router] = "model.layers.{L}.mlp.router.weight";
  names[WeightRole::router_bias] = "model.layers.{L}.mlp.router.bias";
  names[WeightRole::expert_gate] = names[WeightRole::expert_up] = experts_prefix + "gate_up_proj";
  names[WeightRole::expert_down] = experts_prefix + "down_proj";
  names[WeightRole::expert_gate_bias] = names[WeightRole::expert_up_bias] = experts_prefix + "gate_up_proj_bias";
  names[WeightRole::expert_down_bias] = experts_prefix + "down_proj_bias";
  return names;
}

WeightNames choose_names(const ModelSpec&, WeightNames names, const HasTensor& has) {
  if (!has(tensor_name(experts_prefix + "gate_up_proj_blocks", 0))) return names;
  names.experts = ExpertStorage::fused_rows_interleaved;
  names.blocks_suffix = "_blocks";
  names.scales_suffix = "_scales";
  return names;
}

nlohmann::json write_config(const ModelSpec& spec) {
  const LayerSpec& layer = spec.layers.front();
  nlohmann::json json = write_decoder(spec, "gpt_oss", "GptOssForCausalLM");
  json["head_dim"] = spec.head_dim;
  json["rope_theta"] = 150000.0;
  json["intermediate_size"] = layer.intermediate;
  json["num_local_experts"] = layer.experts;
  json["num_experts_per_tok"] = layer.k;
  json["sliding_window"] = 128;
  json["attention_bias"] = true;
  json["swiglu_limit"] = 7.0;
  return json;
}

const RegisterFamily registered({.name = "gpt_oss",
                                 .model_types = {"gpt_oss"},
                                 .architectures = {"GptOssForCausalLM"},
                                 .names = gpt_oss_names(),
                                 .read_config = read_config,
                                 .choose_names = choose_names,
                                 .write_config = write_config});

}  // namespace
}  // namespace moescope::gpt_oss
