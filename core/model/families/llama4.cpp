// Llama 4, its language model: dense and expert layers mixed, chunked attention with rotation in most layers and full
// attention without it in the others; the sigmoid of the best logits multiplies the experts' input.
#include <fmt/format.h>

#include <algorithm>

#include "core/model/families/decoder_config.h"

namespace moescope::llama4 {
namespace {

using namespace family_config;

// Which layers have experts: the list under moe_layers, else every step-th.
std::vector<bool> expert_layers(ConfigReader& config, std::size_t layers) {
  std::vector<bool> moe(layers, false);
  if (const nlohmann::json* list = config.find("moe_layers"); list && list->is_array()) {
    for (const nlohmann::json& item : *list) {
      if (item.is_number_unsigned() && item.get<std::uint64_t>() < layers) {
        moe[item.get<std::size_t>()] = true;
      } else {
        config.refuse("moe_layers", "it must list layers of the model", "Correct config.json");
      }
    }
    return moe;
  }
  const std::uint32_t step = config.count_or("interleave_moe_layer_step", 1, 1, max_layers);
  for (std::size_t l = step - 1; l < layers; l += step) moe[l] = true;
  return moe;
}

// 1 = the layer rotates; every fourth does not unless the config says otherwise.
std::vector<bool> rotating_layers(ConfigReader& config, std::size_t layers) {
  std::vector<bool> rotate(layers);
  const nlohmann::json* list = config.find("no_rope_layers");
  const bool listed = list && list->is_array() && !list->empty();
  if (listed && list->size() < layers) {
    config.refuse("no_rope_layers", fmt::format("{} entries for {} layers", list->size(), layers),
                  "Correct config.json");
    return rotate;
  }
  const std::uint32_t interval = config.count_or("no_rope_layer_interval", 4, 1, max_layers);
  for (std::size_t l = 0; l < layers; ++l) {
    rotate[l] = listed ? (*list)[l].is_number() && (*list)[l].get<double>() != 0.0 : (l + 1) % interval != 0;
  }
  return rotate;
}

Expected<ModelSpec> read_config(ConfigReader& config) {
  ModelSpec spec = read_decoder(config, "llama4", {.norm_epsilon = 1e-5, .max_positions = 131072});
  require_silu(config);
  const Experts experts = read_experts(config, "num_local_experts", "num_experts_per_tok");
  LayerSpec moe;
  moe.experts = experts.experts;
  moe.k = experts.k;
  moe.intermediate = config.count("intermediate_size", 1, max_width);
  moe.shared = 1;
  moe.shared_intermediate = moe.intermediate;
  moe.rule.score = RouterRule::Score::sigmoid;
  moe.rule.order = RouterRule::Order::top_k_then_score;
  moe.rule.weight_on_input = true;
  LayerSpec plain{.kind = LayerKind::dense};
  plain.intermediate = config.count_or("intermediate_size_mlp", moe.intermediate, 1, max_width);
  const std::vector<bool> has_experts = expert_layers(config, spec.layers.size());
  const std::vector<bool> rotates = rotating_layers(config, spec.layers.size());
  const std::uint32_t chunk = config.count_or("attention_chunk_size", 8192, 1, 1U << 30U);
  for (std::size_t l = 0; l < spec.layers.size(); ++l) {
    spec.layers[l] = has_experts[l] ? moe : plain;
    spec.layers[l].rope = rotates[l];
    spec.layers[l].chunk = rotates[l] ? chunk : 0;
  }
  if (config.find("layer_types")) {
    for (LayerSpec& layer : spec.layers) layer.chunk = 0;
    read_layer_types(config, spec, 0, chunk);
  }
  spec.qk_norm = config.flag_or("use_qk_norm", true) ? QkNorm::per_head_after_rotation : QkNorm::none;
  spec.qkv_bias = spec.o_bias = config.flag_or("attention_bias", false);
  if (config.flag_or("attn_temperature_tuning", true)) {
    spec.temperature_floor = config.positive_or("floor_scale", 8192.0);
    spec.temperature_scale = config.positive_or("attn_scale", 0.1);
  }
  read_rope(config, spec, 500000.0, spec.head_dim);
  spec.rope.interleaved = true;
  if (config.error()) return fail(*config.error());
  return spec;
}

WeightNames llama4_names(const std::string& prefix = {}) {
  using R = WeightRole;
  WeightNames n = decoder_weight_names("feed_forward");
  const std::string block = "model.layers.{L}.feed_forward.";
  n[R::router] = block + "router.weight";
  n[R::expert_gate] = n[R::expert_up] = block + "experts.gate_up_proj";
  n[R::expert_down] = block + "experts.down_proj";
  n[R::shared_gate] = block + "shared_expert.gate_proj.weight";
  n[R::shared_up] = block + "shared_expert.up_proj.weight";
  n[R::shared_down] = block + "shared_expert.down_proj.weight";
  n.experts = ExpertStorage::fused_columns;
  for (std::string& pattern : n.patterns) {
    if (!pattern.empty()) pattern.insert(0, prefix);
  }
  return n;
}

// The language model of a multimodal checkpoint lies below a prefix.
WeightNames choose_names(const ModelSpec&, WeightNames names, const HasTensor& has) {
  for (const char* prefix : {"language_model.", "model.language_model."}) {
    if (has(prefix + names[WeightRole::embedding])) return llama4_names(prefix);
  }
  return names;
}

nlohmann::json write_config(const ModelSpec& spec) {
  const LayerSpec& layer = spec.layers.front();
  nlohmann::json json = write_decoder(spec, "llama4_text", "Llama4ForCausalLM");
  json["head_dim"] = spec.head_dim;
  json["rope_theta"] = 500000.0;
  json["intermediate_size"] = layer.intermediate;
  json["intermediate_size_mlp"] = 2 * std::uint64_t{layer.intermediate};
  json["num_local_experts"] = layer.experts;
  json["num_experts_per_tok"] = layer.k;
  json["interleave_moe_layer_step"] = 2;
  json["attention_chunk_size"] = 8192;
  json["use_qk_norm"] = true;
  json["attn_temperature_tuning"] = true;
  json["floor_scale"] = 8192;
  json["attn_scale"] = 0.1;
  return json;
}

const RegisterFamily registered({.name = "llama4",
                                 .model_types = {"llama4_text", "llama4"},
                                 .architectures = {"Llama4ForCausalLM", "Llama4ForConditionalGeneration"},
                                 .names = llama4_names(),
                                 .read_config = read_config,
                                 .choose_names = choose_names,
                                 .write_config = write_config});

}  // namespace
}  // namespace moescope::llama4
