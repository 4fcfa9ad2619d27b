// Qwen2-MoE and Qwen3-MoE: softmax over all experts, top-k, renormalised where the config says so; some layers may be
// dense. The second has a shared expert behind a sigmoid gate and biases on q, k, v; the third norms each head.
#include <fmt/format.h>

#include <algorithm>

#include "core/model/families/decoder_config.h"

namespace moescope::qwen_moe {
namespace {

using namespace family_config;

// Layers of the list under mlp_only_layers are dense.
std::vector<bool> dense_layers(ConfigReader& config, std::size_t layers) {
  std::vector<bool> dense(layers, false);
  const nlohmann::json* list = config.find("mlp_only_layers");
  if (!list) return dense;
  for (const nlohmann::json& item : *list) {
    if (item.is_number_unsigned() && item.get<std::uint64_t>() < layers) {
      dense[item.get<std::size_t>()] = true;
    } else {
      config.refuse("mlp_only_layers", "it must list layers of the model", "Correct config.json");
    }
  }
  return dense;
}

void read_windows(ConfigReader& config, ModelSpec& spec) {
  const std::uint32_t window = config.count_or("sliding_window", 0, 0, 1U << 30U);
  if (!config.flag_or("use_sliding_window", false)) return;
  if (read_layer_types(config, spec, window, 0)) return;
  config.refuse("use_sliding_window",
                "the config does not say which layers have windows, and the versions of this family differ",
                "Add layer_types, one of full_attention and sliding_attention for each layer");
}

Expected<ModelSpec> read_qwen(ConfigReader& config, const std::string& family, bool second) {
  ModelSpec spec = read_decoder(config, family, {.norm_epsilon = 1e-6, .max_positions = 32768});
  require_silu(config);
  const Experts experts = read_experts(config, "num_experts", "num_experts_per_tok");
  LayerSpec moe;
  moe.experts = experts.experts;
  moe.k = experts.k;
  moe.intermediate = config.count("moe_intermediate_size", 1, max_width);
  moe.rule.renormalise = config.flag_or("norm_topk_prob", false);
  if (second) {
    moe.shared = 1;
    moe.shared_gate = true;
    moe.shared_intermediate = config.count("shared_expert_intermediate_size", 1, max_width);
    spec.qkv_bias = config.flag_or("qkv_bias", true);
  } else {
    spec.qk_norm = QkNorm::per_head;
    spec.qkv_bias = spec.o_bias = config.flag_or("attention_bias", false);
  }
  const std::uint32_t step = config.count_or("decoder_sparse_step", 1, 1, max_layers);
  const std::vector<bool> dense = dense_layers(config, spec.layers.size());
  const bool any_dense = step > 1 || std::find(dense.begin(), dense.end(), true) != dense.end();
  LayerSpec plain{.kind = LayerKind::dense};
  if (any_dense) plain.intermediate = config.count("intermediate_size", 1, max_width);
  for (std::size_t l = 0; l < spec.layers.size(); ++l) {
    spec.layers[l] = dense[l] || (l + 1) % step != 0 ? plain : moe;
  }
  read_windows(config, spec);
  read_rope(config, spec, 10000.0, spec.head_dim);
  if (config.error()) return fail(*config.error());
  return spec;
}

Expected<ModelSpec> read_second(ConfigReader& config) {
  return read_qwen(config, "qwen2_moe", true);
}

Expected<ModelSpec> read_third(ConfigReader& config) {
  return read_qwen(config, "qwen3_moe", false);
}

WeightNames qwen_names() {
  WeightNames names = decoder_weight_names("mlp");
  const std::string shared = "model.layers.{L}.mlp.shared_expert.";
  names[WeightRole::shared_gate] = shared + "gate_proj.weight";
  names[WeightRole::shared_up] = shared + "up_proj.weight";
  names[WeightRole::shared_down] = shared + "down_proj.weight";
  names[WeightRole::shared_expert_gate] = "model.layers.{L}.mlp.shared_expert_gate.weight";
  return names;
}

nlohmann::json write_qwen(const ModelSpec& spec, const char* type, const char* architecture) {
  const LayerSpec& layer = spec.layers.front();
  nlohmann::json json = write_decoder(spec, type, architecture);
  json["intermediate_size"] = std::uint64_t{layer.intermediate} * layer.k;
  json["moe_intermediate_size"] = layer.intermediate;
  json["num_experts"] = layer.experts;
  json["num_experts_per_tok"] = layer.k;
  json["norm_topk_prob"] = layer.rule.renormalise;
  json["decoder_sparse_step"] = 1;
  json["mlp_only_layers"] = nlohmann::json::array();
  return json;
}

nlohmann::json write_second(const ModelSpec& spec) {
  nlohmann::json json = write_qwen(spec, "qwen2_moe", "Qwen2MoeForCausalLM");
  json["shared_expert_intermediate_size"] = std::uint64_t{spec.layers.front().intermediate} * spec.layers.front().k;
  json["qkv_bias"] = true;
  return json;
}

nlohmann::json write_third(const ModelSpec& spec) {
  nlohmann::json json = write_qwen(spec, "qwen3_moe", "Qwen3MoeForCausalLM");
  json["attention_bias"] = false;
  json["head_dim"] = spec.head_dim;
  return json;
}

const RegisterFamily second({.name = "qwen2_moe",
                             .model_types = {"qwen2_moe"},
                             .architectures = {"Qwen2MoeForCausalLM"},
                             .names = qwen_names(),
                             .read_config = read_second,
                             .choose_names = choose_fused_names,
                             .write_config = write_second});
const RegisterFamily third({.name = "qwen3_moe",
                            .model_types = {"qwen3_moe"},
                            .architectures = {"Qwen3MoeForCausalLM"},
                            .names = qwen_names(),
                            .read_config = read_third,
                            .choose_names = choose_fused_names,
                            .write_config = write_third});

}  // namespace
}  // namespace moescope::qwen_moe
