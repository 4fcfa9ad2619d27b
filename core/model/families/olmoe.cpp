// OLMoE: every layer has experts; softmax over all experts, then top-k; RMSNorm over the whole width of q and k.
#include "core/model/families/decoder_config.h"

namespace moescope::olmoe {
namespace {

using namespace family_config;

Expected<ModelSpec> read_config(ConfigReader& config) {
  ModelSpec spec = read_decoder(config, "olmoe", {.norm_epsilon = 1e-5});
  require_silu(config);
  LayerSpec layer;
  const Experts experts = read_experts(config, "num_experts", "num_experts_per_tok");
  layer.experts = experts.experts;
  layer.k = experts.k;
  layer.intermediate = config.count("intermediate_size", 1, max_width);
  layer.rule.renormalise = config.flag_or("norm_topk_prob", false);
  spec.qk_norm = QkNorm::whole_width;
  spec.clip_qkv = config.optional_positive("clip_qkv");
  spec.qkv_bias = spec.o_bias = config.flag_or("attention_bias", false);
  read_rope(config, spec, 10000.0, spec.head_dim);
  if (config.error()) return fail(*config.error());
  spec.layers.assign(spec.layers.size(), layer);
  return spec;
}

WeightNames choose_names(const ModelSpec&, WeightNames names, const HasTensor& has) {
  return with_fused_experts(std::move(names), "model.layers.{L}.mlp.experts.", 0, has);
}

nlohmann::json write_config(const ModelSpec& spec) {
  const LayerSpec& layer = spec.layers.front();
  nlohmann::json json = write_decoder(spec, "olmoe", "OlmoeForCausalLM");
  json["intermediate_size"] = layer.intermediate;
  json["num_experts"] = layer.experts;
  json["num_experts_per_tok"] = layer.k;
  json["norm_topk_prob"] = layer.rule.renormalise;
  json["clip_qkv"] = spec.clip_qkv ? nlohmann::json(*spec.clip_qkv) : nlohmann::json();
  json["attention_bias"] = false;
  return json;
}

const RegisterFamily registered({.name = "olmoe",
                                 .model_types = {"olmoe"},
                                 .architectures = {"OlmoeForCausalLM"},
                                 .names = decoder_weight_names("mlp"),
                                 .read_config = read_config,
                                 .choose_names = choose_names,
                                 .write_config = write_config});

}  // namespace
}  // namespace moescope::olmoe
