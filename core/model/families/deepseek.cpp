// DeepSeek-V2 and V3, and models that differ from V3 in their config only: latent attention, leading dense layers,
// shared experts; V2 chooses by softmax, V3 by sigmoid with a bias that only steers the choice, both out of groups.
#include <fmt/format.h>

#include <cmath>

#include "core/model/families/decoder_config.h"

namespace moescope::deepseek {
namespace {

using namespace family_config;

void read_latent_attention(ConfigReader& config, ModelSpec& spec) {
  LatentAttention& a = spec.latent;
  a.q_rank = config.count_or("q_lora_rank", 0, 1, max_width);
  a.kv_rank = config.count("kv_lora_rank", 1, max_width);
  a.nope_dim = config.count("qk_nope_head_dim", 1, 65536);
  a.rope_dim = config.count("qk_rope_head_dim", 2, 65536);
  a.value_dim = config.count("v_head_dim", 1, 65536);
  spec.qkv_bias = spec.o_bias = config.flag_or("attention_bias", false);
  spec.head_dim = a.nope_dim + a.rope_dim;
  spec.kv_heads = spec.heads;
  read_rope(config, spec, 10000.0, a.rope_dim);
  spec.rope.interleaved = config.flag_or("rope_interleave", true);
  spec.attention_scale = 1.0 / std::sqrt(static_cast<double>(a.nope_dim) + a.rope_dim);
  if (spec.rope.scaling == RopeSpec::Scaling::yarn && spec.rope.mscale_all_dim != 0.0) {
    const double magnitude = yarn_magnitude(spec.rope.factor, spec.rope.mscale_all_dim);
    spec.attention_scale *= magnitude * magnitude;
  }
}

void read_v2_rule(ConfigReader& config, const Experts& experts, RouterRule& rule) {
  const std::string method = config.text_or("topk_method", "greedy");
  if (method == "group_limited_greedy") {
    read_groups(config, experts, rule);
  } else if (method != "greedy") {
    config.refuse("topk_method", fmt::format("the choice \"{}\" is not known", method),
                  "Known: greedy, group_limited_greedy");
  }
  if (config.text_or("scoring_func", "softmax") != "softmax") {
    config.refuse("scoring_func", "deepseek_v2 scores by softmax", "Correct config.json, or its model_type");
  }
  // The original code divides by the sum instead of scaling, when there are several experts; releases never do.
  rule.renormalise = config.flag_or("norm_topk_prob", false) && experts.k > 1;
  rule.norm_epsilon = rule.renormalise ? 1e-20 : 0.0;
  rule.scale = rule.renormalise ? 1.0 : config.positive_or("routed_scaling_factor", 1.0);
}

void read_v3_rule(ConfigReader& config, const Experts& experts, RouterRule& rule) {
  const std::string method = config.text_or("topk_method", "noaux_tc");
  if (method != "noaux_tc") {
    config.refuse("topk_method", fmt::format("the choice \"{}\" is not known", method), "Known: noaux_tc");
  }
  if (config.text_or("scoring_func", "sigmoid") != "sigmoid") {
    config.refuse("scoring_func", "deepseek_v3 scores by sigmoid", "Correct config.json, or its model_type");
  }
  read_biased_sigmoid_rule(config, experts, rule);
}

Expected<ModelSpec> read_deepseek(ConfigReader& config, const std::string& family, bool third) {
  ModelSpec spec = read_decoder(config, family, {.norm_epsilon = 1e-6, .max_positions = 4096});
  require_silu(config);
  const Experts experts = read_experts(config, "n_routed_experts", "num_experts_per_tok");
  LayerSpec moe = read_shared_experts(config, experts);
  moe.mixer = Mixer::latent_attention;
  third ? read_v3_rule(config, experts, moe.rule) : read_v2_rule(config, experts, moe.rule);
  const std::uint32_t first = config.count_or("first_k_dense_replace", 0, 0, max_layers);
  const std::uint32_t step = config.count_or("moe_layer_freq", 1, 1, max_layers);
  LayerSpec plain{.kind = LayerKind::dense, .mixer = Mixer::latent_attention};
  if (first > 0 || step > 1) plain.intermediate = config.count("intermediate_size", 1, max_width);
  for (std::uint32_t l = 0; l < spec.layers.size(); ++l) spec.layers[l] = l >= first && l % step == 0 ? moe : plain;
  read_latent_attention(config, spec);
  if (config.error()) return fail(*config.error());
  if (spec.tied_embeddings && third) spec.notes["embeddings"] = "tied, which no released model of this family is";
  return spec;
}

Expected<ModelSpec> read_second(ConfigReader& config) {
  return read_deepseek(config, "deepseek_v2", false);
}

Expected<ModelSpec> read_third(ConfigReader& config) {
  return read_deepseek(config, "deepseek_v3", true);
}

WeightNames deepseek_names() {
  WeightNames names = shared_experts_names();
  const std::string attention = "model.layers.{L}.self_attn.";
  names[WeightRole::q_a] = attention + "q_a_proj.weight";
  names[WeightRole::q_a_bias] = attention + "q_a_proj.bias";
  names[WeightRole::q_a_norm] = attention + "q_a_layernorm.weight";
  names[WeightRole::q_b] = attention + "q_b_proj.weight";
  names[WeightRole::kv_a] = attention + "kv_a_proj_with_mqa.weight";
  names[WeightRole::kv_a_bias] = attention + "kv_a_proj_with_mqa.bias";
  names[WeightRole::kv_a_norm] = attention + "kv_a_layernorm.weight";
  names[WeightRole::kv_b] = attention + "kv_b_proj.weight";
  return names;
}

nlohmann::json write_deepseek(const ModelSpec& spec, const char* type, const char* architecture) {
  const LayerSpec& layer = spec.layers.front();
  nlohmann::json json = write_decoder(spec, type, architecture);
  const std::uint32_t head = spec.head_dim + spec.head_dim % 2;
  json["intermediate_size"] = std::uint64_t{layer.intermediate} * layer.k;
  json["moe_intermediate_size"] = layer.intermediate;
  json["n_routed_experts"] = layer.experts;
  json["n_shared_experts"] = 1;
  json["num_experts_per_tok"] = layer.k;
  json["first_k_dense_replace"] = 1;
  json["moe_layer_freq"] = 1;
  json["q_lora_rank"] = std::max(1U, spec.hidden / 2);
  json["kv_lora_rank"] = std::max(1U, spec.hidden / 4);
  json["qk_nope_head_dim"] = head;
  json["qk_rope_head_dim"] = std::max(2U, head / 4 * 2);
  json["v_head_dim"] = head;
  return json;
}

nlohmann::json write_second(const ModelSpec& spec) {
  nlohmann::json json = write_deepseek(spec, "deepseek_v2", "DeepseekV2ForCausalLM");
  json["topk_method"] = "greedy";
  json["norm_topk_prob"] = false;
  json["routed_scaling_factor"] = 1.0;
  return json;
}

nlohmann::json write_third(const ModelSpec& spec) {
  nlohmann::json json = write_deepseek(spec, "deepseek_v3", "DeepseekV3ForCausalLM");
  json["topk_method"] = "noaux_tc";
  json["scoring_func"] = "sigmoid";
  json["n_group"] = 1;
  json["topk_group"] = 1;
  json["norm_topk_prob"] = true;
  json["routed_scaling_factor"] = 2.5;
  return json;
}

const RegisterFamily second({.name = "deepseek_v2",
                             .model_types = {"deepseek_v2"},
                             .architectures = {"DeepseekV2ForCausalLM"},
                             .names = deepseek_names(),
                             .read_config = read_second,
                             .choose_names = choose_fused_names,
                             .write_config = write_second});
const RegisterFamily third({.name = "deepseek_v3",
                            .model_types = {"deepseek_v3", "kimi_k2"},
                            .architectures = {"DeepseekV3ForCausalLM", "KimiK2ForCausalLM"},
                            .names = deepseek_names(),
                            .read_config = read_third,
                            .choose_names = choose_fused_names,
                            .write_config = write_third});

}  // namespace
}  // namespace moescope::deepseek
