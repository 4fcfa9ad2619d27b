// Jamba: attention without positions in some layers, mamba in the others; experts in some, a dense MLP in the others;
// softmax over all experts, top-k, weights as they are.
#include <fmt/format.h>

#include "core/model/families/decoder_config.h"

namespace moescope::jamba {
namespace {

using namespace family_config;

struct Period {
  std::uint32_t period = 1, offset = 0;
  [[nodiscard]] bool hits(std::uint32_t layer) const { return layer % period == offset; }
};

Period read_period(ConfigReader& config, const char* period_key, const char* offset_key, Period fallback) {
  Period out;
  out.period = config.count_or(period_key, fallback.period, 1, max_layers);
  out.offset = config.count_or(offset_key, fallback.offset, 0, max_layers);
  if (out.offset >= out.period) {
    config.refuse(offset_key, fmt::format("{} must be below {}", offset_key, period_key), "Correct config.json");
  }
  return out;
}

void read_mamba(ConfigReader& config, ModelSpec& spec) {
  MambaSizes& m = spec.mamba;
  m.inner = config.count_or("mamba_expand", 2, 1, 64) * spec.hidden;
  m.state = config.count_or("mamba_d_state", 16, 1, 4096);
  m.convolution = config.count_or("mamba_d_conv", 4, 1, 64);
  m.convolution_bias = config.flag_or("mamba_conv_bias", true);
  m.projection_bias = config.flag_or("mamba_proj_bias", false);
  const nlohmann::json* rank = config.find("mamba_dt_rank");
  const bool automatic = !rank || (rank->is_string() && rank->get<std::string>() == "auto");
  m.dt_rank = automatic ? (spec.hidden + 15) / 16 : config.count("mamba_dt_rank", 1, max_width);
}

Expected<ModelSpec> read_config(ConfigReader& config) {
  ModelSpec spec = read_decoder(config, "jamba", {.norm_epsilon = 1e-6, .max_positions = 262144});
  require_silu(config);
  const Experts experts = read_experts(config, "num_experts", "num_experts_per_tok");
  const std::uint32_t inner = config.count("intermediate_size", 1, max_width);
  const Period attention = read_period(config, "attn_layer_period", "attn_layer_offset", {8, 4});
  const Period expert = read_period(config, "expert_layer_period", "expert_layer_offset", {2, 1});
  read_mamba(config, spec);
  for (std::uint32_t l = 0; l < spec.layers.size(); ++l) {
    LayerSpec& layer = spec.layers[l];
    layer.mixer = attention.hits(l) ? Mixer::attention : Mixer::mamba;
    layer.rope = false;
    layer.intermediate = inner;
    // With one expert, every layer is dense.
    if (!expert.hits(l) || experts.experts == 1) continue;
    layer.kind = LayerKind::moe;
    layer.experts = experts.experts;
    layer.k = experts.k;
  }
  if (config.error()) return fail(*config.error());
  return spec;
}

WeightNames jamba_names() {
  using R = WeightRole;
  WeightNames n = decoder_weight_names("feed_forward");
  const std::string mamba = "model.layers.{L}.mamba.";
  n[R::final_norm] = "model.final_layernorm.weight";
  n[R::post_norm] = "model.layers.{L}.pre_ff_layernorm.weight";
  n[R::router] = "model.layers.{L}.feed_forward.router.weight";
  n[R::mamba_in] = mamba + "in_proj.weight";
  n[R::mamba_in_bias] = mamba + "in_proj.bias";
  n[R::mamba_convolution] = mamba + "conv1d.weight";
  n[R::mamba_convolution_bias] = mamba + "conv1d.bias";
  n[R::mamba_x] = mamba + "x_proj.weight";
  n[R::mamba_dt] = mamba + "dt_proj.weight";
  n[R::mamba_dt_bias] = mamba + "dt_proj.bias";
  n[R::mamba_a_log] = mamba + "A_log";
  n[R::mamba_d] = mamba + "D";
  n[R::mamba_out] = mamba + "out_proj.weight";
  n[R::mamba_out_bias] = mamba + "out_proj.bias";
  n[R::mamba_dt_norm] = mamba + "dt_layernorm.weight";
  n[R::mamba_b_norm] = mamba + "b_layernorm.weight";
  n[R::mamba_c_norm] = mamba + "c_layernorm.weight";
  return n;
}

WeightNames choose_names(const ModelSpec& spec, WeightNames names, const HasTensor& has) {
  const auto first = first_moe_layer(spec);
  return first ? with_fused_experts(std::move(names), "model.layers.{L}.feed_forward.experts.", *first, has) : names;
}

nlohmann::json write_config(const ModelSpec& spec) {
  const LayerSpec& layer = spec.layers.front();
  nlohmann::json json = write_decoder(spec, "jamba", "JambaForCausalLM");
  json["intermediate_size"] = layer.intermediate;
  json["num_experts"] = layer.experts;
  json["num_experts_per_tok"] = layer.k;
  json["attn_layer_period"] = 2;
  json["attn_layer_offset"] = 1;
  json["expert_layer_period"] = 2;
  json["expert_layer_offset"] = 1;
  return json;
}

const RegisterFamily registered({.name = "jamba",
                                 .model_types = {"jamba"},
                                 .architectures = {"JambaForCausalLM"},
                                 .names = jamba_names(),
                                 .read_config = read_config,
                                 .choose_names = choose_names,
                                 .write_config = write_config});

}  // namespace
}  // namespace moescope::jamba
