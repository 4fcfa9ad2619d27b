// Phi-3.5-MoE: sparsemixer chooses two experts; layer norms and projections with biases; longrope with magnitudes of
// its own.
#include "core/model/families/decoder_config.h"

namespace moescope::phimoe {
namespace {

using namespace family_config;

Expected<ModelSpec> read_config(ConfigReader& config) {
  ModelSpec spec = read_decoder(config, "phimoe", {.norm_epsilon = 1e-5, .max_positions = 131072});
  require_silu(config);
  const Experts experts = read_experts(config, "num_local_experts", "num_experts_per_tok");
  if (experts.k != 2) {
    config.refuse("num_experts_per_tok", "sparsemixer chooses exactly two experts", "Correct config.json");
  }
  LayerSpec layer;
  layer.experts = experts.experts;
  layer.k = experts.k;
  layer.intermediate = config.count("intermediate_size", 1, max_width);
  layer.rule.score = RouterRule::Score::sparsemixer;
  layer.rule.jitter = config.positive_or("router_jitter_noise", 0.01);
  layer.window = config.count_or("sliding_window", 0, 0, 1U << 30U);
  spec.layers.assign(spec.layers.size(), layer);
  spec.norm = Norm::layer;
  spec.qkv_bias = spec.o_bias = config.flag_or("attention_bias", false);
  spec.lm_head_bias = config.flag_or("lm_head_bias", false);
  read_rope(config, spec, 1e6, spec.head_dim);
  if (config.error()) return fail(*config.error());
  return spec;
}

WeightNames names_below(const std::string& block, const std::string& router) {
  WeightNames names = decoder_weight_names(block);
  const std::string moe = "model.layers.{L}." + block + ".";
  names[WeightRole::router] = moe + router + ".weight";
  names[WeightRole::expert_gate] = moe + "experts.{E}.w1.weight";
  names[WeightRole::expert_up] = moe + "experts.{E}.w3.weight";
  names[WeightRole::expert_down] = moe + "experts.{E}.w2.weight";
  return names;
}

// Newer files call the block "mlp" and the router "router".
WeightNames choose_names(const ModelSpec&, WeightNames names, const HasTensor& has) {
  for (const char* block : {"block_sparse_moe", "mlp"}) {
    for (const char* router : {"gate", "router"}) {
      WeightNames candidate = names_below(block, router);
      if (!has(tensor_name(candidate[WeightRole::router], 0))) continue;
      return with_fused_experts(std::move(candidate), std::string("model.layers.{L}.") + block + ".experts.", 0, has);
    }
  }
  return names;
}

nlohmann::json write_config(const ModelSpec& spec) {
  const LayerSpec& layer = spec.layers.front();
  nlohmann::json json = write_decoder(spec, "phimoe", "PhimoeForCausalLM");
  json["intermediate_size"] = layer.intermediate;
  json["num_local_experts"] = layer.experts;
  json["num_experts_per_tok"] = 2;
  json["router_jitter_noise"] = 0.01;
  json["attention_bias"] = true;
  json["lm_head_bias"] = true;
  json["sliding_window"] = nullptr;
  return json;
}

const RegisterFamily registered({.name = "phimoe",
                                 .model_types = {"phimoe"},
                                 .architectures = {"PhimoeForCausalLM", "PhiMoEForCausalLM"},
                                 .names = names_below("block_sparse_moe", "gate"),
                                 .read_config = read_config,
                                 .choose_names = choose_names,
                                 .write_config = write_config});

}  // namespace
}  // namespace moescope::phimoe
