// DBRX: nested config, layer norms without bias, one clipped projection for q, k and v; softmax over all experts,
// top-k, divided by a norm; the experts of a layer are blocks of rows of three tensors.
#include <fmt/format.h>

#include "core/model/families/decoder_config.h"

namespace moescope::dbrx {
namespace {

using namespace family_config;

// The member `key` as a reader of its own; an empty object when it is absent.
ConfigReader nested(ConfigReader& config, const char* key) {
  static const nlohmann::json none = nlohmann::json::object();
  const nlohmann::json* member = config.find(key);
  if (!member || !member->is_object()) {
    config.refuse(key, fmt::format("{} is missing", key), "Take config.json from the model's own folder again");
    return {none, config.file()};
  }
  return {*member, config.file()};
}

void read_norm_order(ConfigReader& ffn, RouterRule& rule) {
  const nlohmann::json* order = ffn.find("moe_normalize_expert_weights");
  if (ffn.find("moe_num_experts") && !order) return;  // null: no normalisation
  rule.renormalise = true;
  rule.norm_order = ffn.positive_or("moe_normalize_expert_weights", 1.0);
}

Expected<ModelSpec> read_config(ConfigReader& config) {
  ModelSpec spec;
  spec.family = "dbrx";
  read_quantisation(config, spec);
  ConfigReader attention = nested(config, "attn_config"), ffn = nested(config, "ffn_config");
  spec.hidden = config.count("d_model", 1, max_width);
  spec.heads = config.count("n_heads", 1, 65536);
  spec.vocabulary = config.count("vocab_size", 1, 1U << 24U);
  spec.max_positions = config.count_or("max_seq_len", 2048, 1, 1U << 30U);
  spec.kv_heads = attention.count_or("kv_n_heads", 1, 1, 65536);
  spec.clip_qkv = attention.optional_positive("clip_qkv");
  spec.torch_dtype = config.text_or("torch_dtype", config.text_or("dtype", ""));
  spec.norm = Norm::layer_without_bias;
  spec.norm_epsilon = 1e-5;
  if (spec.hidden % spec.heads != 0 || spec.heads % spec.kv_heads != 0) {
    config.refuse("n_heads",
                  fmt::format("a width of {} in {} heads with {} key-value heads does not divide", spec.hidden,
                              spec.heads, spec.kv_heads),
                  "Correct config.json");
  }
  spec.head_dim = std::max(1U, spec.hidden / spec.heads);
  read_rope(config, spec, attention.positive_or("rope_theta", 10000.0), spec.head_dim);
  LayerSpec layer;
  const Experts experts = read_experts(ffn, "moe_num_experts", "moe_top_k");
  layer.experts = experts.experts;
  layer.k = experts.k;
  layer.intermediate = ffn.count("ffn_hidden_size", 1, max_width);
  read_norm_order(ffn, layer.rule);
  if (const nlohmann::json* activation = ffn.find("ffn_act_fn"); activation && activation->is_object()) {
    ConfigReader function(*activation, config.file());
    require_silu(function, "name");
    if (function.error()) ffn.refuse("ffn_act_fn", function.error()->what, function.error()->advice);
  }
  for (const auto& error : {config.error(), attention.error(), ffn.error()}) {
    if (error) return fail(*error);
  }
  spec.layers.assign(config.count("n_layers", 1, max_layers), layer);
  if (config.error()) return fail(*config.error());
  return spec;
}

WeightNames dbrx_names() {
  using R = WeightRole;
  const std::string layer = "transformer.blocks.{L}.", attention = layer + "norm_attn_norm.";
  WeightNames n;
  n[R::embedding] = "transformer.wte.weight";
  n[R::final_norm] = "transformer.norm_f.weight";
  n[R::lm_head] = "lm_head.weight";
  n[R::input_norm] = attention + "norm_1.weight";
  n[R::post_norm] = attention + "norm_2.weight";
  n[R::q] = n[R::k] = n[R::v] = attention + "attn.Wqkv.weight";
  n.fused_qkv = true;
  n[R::o] = attention + "attn.out_proj.weight";
  n[R::router] = layer + "ffn.router.layer.weight";
  n[R::expert_gate] = layer + "ffn.experts.mlp.w1";
  n[R::expert_up] = layer + "ffn.experts.mlp.v1";
  n[R::expert_down] = layer + "ffn.experts.mlp.w2";
  n.experts = ExpertStorage::rows_of_all;
  return n;
}

nlohmann::json write_config(const ModelSpec& spec) {
  const LayerSpec& layer = spec.layers.front();
  return {{"architectures", {"DbrxForCausalLM"}},
          {"model_type", "dbrx"},
          {"vocab_size", spec.vocabulary},
          {"d_model", spec.hidden},
          {"n_heads", spec.heads},
          {"n_layers", spec.layers.size()},
          {"max_seq_len", spec.max_positions},
          {"attn_config", {{"kv_n_heads", spec.kv_heads}, {"clip_qkv", 8.0}, {"rope_theta", 500000.0}}},
          {"ffn_config",
           {{"ffn_hidden_size", layer.intermediate},
            {"moe_num_experts", layer.experts},
            {"moe_top_k", layer.k},
            {"moe_normalize_expert_weights", 1.0},
            {"ffn_act_fn", {{"name", "silu"}}}}},
          {"tie_word_embeddings", false},
          {"torch_dtype", spec.torch_dtype}};
}

const RegisterFamily registered({.name = "dbrx",
                                 .model_types = {"dbrx"},
                                 .architectures = {"DbrxForCausalLM"},
                                 .names = dbrx_names(),
                                 .read_config = read_config,
                                 .choose_names = nullptr,
                                 .write_config = write_config});

}  // namespace
}  // namespace moescope::dbrx
