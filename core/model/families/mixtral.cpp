// Mixtral: every layer has experts; softmax over all, top-k, always renormalised; w1, w3, w2 are gate, up, down.
#include "core/model/families/decoder_config.h"

namespace moescope::mixtral {
namespace {

using namespace family_config;

Expected<ModelSpec> read_config(ConfigReader& config) {
  ModelSpec spec = read_decoder(config, "mixtral", {.norm_epsilon = 1e-5, .rope_theta = 1e6, .max_positions = 131072});
  require_silu(config);
  LayerSpec layer;
  const Experts experts = read_experts(config, "num_local_experts", "num_experts_per_tok");
  layer.experts = experts.experts;
  layer.k = experts.k;
  layer.intermediate = config.count("intermediate_size", 1, max_width);
  layer.rule.renormalise = true;
  layer.window = config.count_or("sliding_window", 0, 0, 1U << 30U);
  read_rope(config, spec, 1e6, spec.head_dim);
  if (config.error()) return fail(*config.error());
  spec.layers.assign(spec.layers.size(), layer);
  return spec;
}

WeightNames names_below(const std::string& block) {
  WeightNames names = decoder_weight_names(block);
  const std::string expert = "model.layers.{L}." + block + ".experts.{E}.";
  names[WeightRole::expert_gate] = expert + "w1.weight";
  names[WeightRole::expert_up] = expert + "w3.weight";
  names[WeightRole::expert_down] = expert + "w2.weight";
  return names;
}

// Newer files call the block "mlp", and may hold all experts in one tensor.
WeightNames choose_names(const ModelSpec&, WeightNames names, const HasTensor& has) {
  if (has(tensor_name(names[WeightRole::router], 0))) {
    return with_fused_experts(std::move(names), "model.layers.{L}.block_sparse_moe.experts.", 0, has);
  }
  WeightNames newer = names_below("mlp");
  if (!has(tensor_name(newer[WeightRole::router], 0))) return names;
  return with_fused_experts(std::move(newer), "model.layers.{L}.mlp.experts.", 0, has);
}

nlohmann::json write_config(const ModelSpec& spec) {
  const LayerSpec& layer = spec.layers.front();
  nlohmann::json json = write_decoder(spec, "mixtral", "MixtralForCausalLM");
  json["intermediate_size"] = layer.intermediate;
  json["num_local_experts"] = layer.experts;
  json["num_experts_per_tok"] = layer.k;
  json["sliding_window"] = nullptr;
  return json;
}

const RegisterFamily registered({.name = "mixtral",
                                 .model_types = {"mixtral"},
                                 .architectures = {"MixtralForCausalLM"},
                                 .names = names_below("block_sparse_moe"),
                                 .read_config = read_config,
                                 .choose_names = choose_names,
                                 .write_config = write_config});

}  // namespace
}  // namespace moescope::mixtral
