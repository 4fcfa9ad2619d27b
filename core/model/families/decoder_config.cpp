#include "core/model/families/decoder_config.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

namespace moescope::family_config {
namespace {

constexpr const char* own_folder = "Correct config.json or take it from the model's own folder again";

std::string scaling_name(ConfigReader& scaling) {
  return scaling.text_or("rope_type", scaling.text_or("type", "default"));
}

std::vector<double> read_factors(ConfigReader& config, ConfigReader& scaling, const char* key, std::uint32_t dims) {
  std::vector<double> out;
  const nlohmann::json* list = scaling.find(key);
  const bool fits = list && list->is_array() && list->size() == dims / 2 &&
                    std::all_of(list->begin(), list->end(), [](const nlohmann::json& value) {
                      return value.is_number() && std::isfinite(value.get<double>()) && value.get<double>() > 0;
                    });
  if (fits) {
    for (const nlohmann::json& value : *list) out.push_back(value.get<double>());
  } else {
    config.refuse("rope_scaling", fmt::format("{} must be {} numbers above 0", key, dims / 2), own_folder);
  }
  return out;
}

void read_scaling(ConfigReader& config, ConfigReader& scaling, const char* key, RopeSpec& rope) {
  using Scaling = RopeSpec::Scaling;
  const std::string name = scaling_name(scaling);
  if (name == "default") return;
  rope.factor = scaling.positive_or("factor", 1.0);
  rope.original_positions = scaling.positive_or("original_max_position_embeddings",
                                                config.positive_or("original_max_position_embeddings", 0.5));
  if (rope.original_positions < 1.0) rope.original_positions = 0.0;
  rope.attention_factor = scaling.optional_positive("attention_factor");
  if (name == "linear") {
    rope.scaling = Scaling::linear;
  } else if (name == "dynamic") {
    rope.scaling = Scaling::dynamic;
  } else if (name == "llama3") {
    rope.scaling = Scaling::llama3;
    rope.low_frequency_factor = scaling.positive_or("low_freq_factor", 1.0);
    rope.high_frequency_factor = scaling.positive_or("high_freq_factor", 4.0);
    if (rope.original_positions == 0.0 || rope.high_frequency_factor <= rope.low_frequency_factor) {
      config.refuse(key, "this llama3 scaling lacks its original length, or its factors are in the wrong order",
                    own_folder);
    }
  } else if (name == "yarn") {
    rope.scaling = Scaling::yarn;
    rope.beta_fast = scaling.positive_or("beta_fast", 32.0);
    rope.beta_slow = scaling.positive_or("beta_slow", 1.0);
    rope.truncate = scaling.flag_or("truncate", true);
    const auto weight = [&](const char* field) {
      const nlohmann::json* value = scaling.find(field);
      return value && value->is_number() ? value->get<double>() : 0.0;
    };
    rope.mscale = weight("mscale");
    rope.mscale_all_dim = weight("mscale_all_dim");
  } else if (name == "longrope" || name == "su") {
    rope.scaling = Scaling::longrope;
    rope.short_factors = read_factors(config, scaling, "short_factor", rope.dims);
    rope.long_factors = read_factors(config, scaling, "long_factor", rope.dims);
    rope.short_mscale = scaling.optional_positive("short_mscale");
    rope.long_mscale = scaling.optional_positive("long_mscale");
  } else {
    config.refuse(key, fmt::format("the rotary embedding \"{}\" is not known", name),
                  "Known: default, linear, dynamic, llama3, yarn, longrope");
  }
  if (scaling.error()) config.refuse(key, scaling.error()->what, scaling.error()->advice);
}

// Of parameters nested by layer type, the one set that all layers share.
const nlohmann::json* shared_parameters(ConfigReader& config, const nlohmann::json& parameters) {
  const nlohmann::json* one = nullptr;
  for (const char* type : {"full_attention", "sliding_attention", "chunked_attention"}) {
    const auto it = parameters.find(type);
    if (it == parameters.end()) continue;
    if (one && *one != *it) {
      config.refuse("rope_parameters", "the layers' rotary embeddings differ", "Only one for all layers is supported");
    }
    one = &*it;
  }
  return one ? one : &parameters;
}

}  // namespace

ModelSpec read_decoder(ConfigReader& config, const std::string& family, const Defaults& defaults) {
  ModelSpec spec;
  spec.family = family;
  read_quantisation(config, spec);
  spec.vocabulary = config.count("vocab_size", 1, 1U << 24U);
  spec.hidden = config.count("hidden_size", 1, max_width);
  spec.heads = config.count("num_attention_heads", 1, 65536);
  spec.kv_heads = config.count_or("num_key_value_heads", spec.heads, 1, 65536);
  spec.layers.assign(config.count("num_hidden_layers", 1, max_layers), LayerSpec{.kind = LayerKind::dense});
  spec.max_positions = config.count_or("max_position_embeddings", defaults.max_positions, 1, 1U << 30U);
  spec.norm_epsilon = config.positive_or("rms_norm_eps", defaults.norm_epsilon);
  spec.tied_embeddings = config.flag_or("tie_word_embeddings", defaults.tied);
  spec.torch_dtype = config.text_or("torch_dtype", config.text_or("dtype", ""));
  if (spec.heads % spec.kv_heads != 0) {
    config.refuse(
        "num_key_value_heads",
        fmt::format("{} attention heads cannot be shared among {} key-value heads", spec.heads, spec.kv_heads),
        "num_attention_heads must be a multiple of num_key_value_heads: correct config.json");
  }
  if (!config.find("head_dim") && spec.hidden % spec.heads != 0) {
    config.refuse("num_attention_heads",
                  fmt::format("a hidden size of {} does not divide into {} heads", spec.hidden, spec.heads),
                  "Correct config.json, or give head_dim");
  }
  spec.head_dim = config.count_or("head_dim", std::max(1U, spec.hidden / spec.heads), 1, 65536);
  return spec;
}

void read_rope(ConfigReader& config, ModelSpec& spec, double default_theta, std::uint32_t dims) {
  spec.rope.dims = dims;
  if (dims == 0 || dims % 2 != 0) {
    config.refuse("head_dim", fmt::format("{} numbers of a head cannot be rotated in pairs: it must be even", dims),
                  "Correct config.json");
  }
  spec.rope.theta = config.positive_or("rope_theta", default_theta);
  if (const nlohmann::json* parameters = config.find("rope_parameters"); parameters && parameters->is_object()) {
    ConfigReader nested(*shared_parameters(config, *parameters), config.file());
    spec.rope.theta = nested.positive_or("rope_theta", spec.rope.theta);
    read_scaling(config, nested, "rope_parameters", spec.rope);
    if (nested.error()) config.refuse("rope_parameters", nested.error()->what, nested.error()->advice);
    return;
  }
  const nlohmann::json* scaling = config.find("rope_scaling");
  if (!scaling) return;
  if (!scaling->is_object()) {
    config.refuse("rope_scaling", "rope_scaling must be an object", own_folder);
    return;
  }
  ConfigReader nested(*scaling, config.file());
  read_scaling(config, nested, "rope_scaling", spec.rope);
}

void read_quantisation(ConfigReader& config, ModelSpec& spec) {
  const nlohmann::json* quantisation = config.find("quantization_config");
  if (!quantisation) return;
  ConfigReader nested(*quantisation, config.file());
  const std::string method = nested.text_or("quant_method", "unnamed");
  if (method == "fp8") {
    spec.quantisation = method;
    spec.block_rows = spec.block_columns = 128;
    if (const nlohmann::json* block = nested.find("weight_block_size")) {
      const bool fits =
          block->is_array() && block->size() == 2 &&
          std::all_of(block->begin(), block->end(), [](const nlohmann::json& n) {
            return n.is_number_unsigned() && n.get<std::uint64_t>() >= 1 && n.get<std::uint64_t>() <= max_width;
          });
      if (fits) {
        spec.block_rows = (*block)[0].get<std::uint32_t>();
        spec.block_columns = (*block)[1].get<std::uint32_t>();
      } else {
        config.refuse("quantization_config", "weight_block_size must be two whole numbers above 0", own_folder);
      }
    }
    if (nested.text_or("fmt", "e4m3") != "e4m3") {
      config.refuse("quantization_config", "only the format e4m3 of fp8 is supported",
                    "Open an unquantised checkpoint");
    }
  } else if (method == "mxfp4") {
    spec.quantisation = method;
  } else {
    config.refuse("quantization_config", fmt::format("weights quantised by \"{}\" are not supported", method),
                  "Open the float32, float16, bfloat16, fp8 or mxfp4 checkpoint, or a GGUF file");
  }
}

Experts read_experts(ConfigReader& config, const char* experts_key, const char* k_key) {
  Experts out;
  out.experts = config.count(experts_key, 1, max_experts);
  out.k = config.count(k_key, 1, max_experts);
  if (out.k > out.experts) {
    config.refuse(k_key, fmt::format("{} experts per token, but only {} experts", out.k, out.experts),
                  fmt::format("{} must be at most {}: correct config.json", k_key, experts_key));
  }
  return out;
}

void require_silu(ConfigReader& config, const char* key) {
  if (config.text_or(key, "silu") != "silu") {
    config.refuse(key, "this activation is not supported for this family", "Only silu is");
  }
}

bool read_layer_types(ConfigReader& config, ModelSpec& spec, std::uint32_t window, std::uint32_t chunk) {
  const std::vector<std::string> types = config.texts("layer_types");
  if (types.empty()) return false;
  if (types.size() < spec.layers.size()) {
    config.refuse("layer_types", fmt::format("{} layer types for {} layers", types.size(), spec.layers.size()),
                  own_folder);
    return true;
  }
  for (std::size_t l = 0; l < spec.layers.size(); ++l) {
    if (types[l] == "sliding_attention") {
      spec.layers[l].window = window;
    } else if (types[l] == "chunked_attention") {
      spec.layers[l].chunk = chunk;
    } else if (types[l] != "full_attention") {
      config.refuse("layer_types", fmt::format("the attention \"{}\" of layer {} is not supported", types[l], l),
                    "Known: full_attention, sliding_attention, chunked_attention");
    }
  }
  return true;
}

void read_groups(ConfigReader& config, const Experts& experts, RouterRule& rule) {
  rule.groups = config.count_or("n_group", 1, 1, max_experts);
  rule.kept_groups = config.count_or("topk_group", rule.groups, 1, max_experts);
  if (experts.experts % rule.groups != 0) {
    config.refuse("n_group", fmt::format("{} experts do not divide into {} groups", experts.experts, rule.groups),
                  own_folder);
  } else if (rule.kept_groups > rule.groups) {
    config.refuse("topk_group", fmt::format("{} groups cannot be kept of {}", rule.kept_groups, rule.groups),
                  own_folder);
  } else if (std::uint64_t{experts.k} > std::uint64_t{rule.kept_groups} * (experts.experts / rule.groups)) {
    config.refuse("topk_group",
                  fmt::format("{} experts per token cannot be chosen from {} groups of {}", experts.k, rule.kept_groups,
                              experts.experts / rule.groups),
                  own_folder);
  }
}

std::optional<std::uint32_t> first_moe_layer(const ModelSpec& spec) {
  for (std::uint32_t l = 0; l < spec.layers.size(); ++l) {
    if (spec.layers[l].kind == LayerKind::moe) return l;
  }
  return std::nullopt;
}

WeightNames with_fused_experts(WeightNames names, const std::string& experts_prefix, std::uint32_t layer,
                               const HasTensor& has) {
  if (!has(tensor_name(experts_prefix + "gate_up_proj", layer))) return names;
  names.experts = ExpertStorage::fused_rows;
  names[WeightRole::expert_gate] = names[WeightRole::expert_up] = experts_prefix + "gate_up_proj";
  names[WeightRole::expert_down] = experts_prefix + "down_proj";
  return names;
}

nlohmann::json write_decoder(const ModelSpec& spec, const std::string& model_type, const std::string& architecture) {
  return {{"architectures", {architecture}},
          {"model_type", model_type},
          {"vocab_size", spec.vocabulary},
          {"hidden_size", spec.hidden},
          {"num_hidden_layers", spec.layers.size()},
          {"num_attention_heads", spec.heads},
          {"num_key_value_heads", spec.kv_heads},
          {"max_position_embeddings", spec.max_positions},
          {"rms_norm_eps", spec.norm_epsilon},
          {"rope_theta", spec.rope.theta},
          {"rope_scaling", nullptr},
          {"hidden_act", "silu"},
          {"tie_word_embeddings", spec.tied_embeddings},
          {"torch_dtype", spec.torch_dtype}};
}

LayerSpec read_shared_experts(ConfigReader& config, const Experts& experts) {
  LayerSpec layer;
  layer.experts = experts.experts;
  layer.k = experts.k;
  layer.intermediate = config.count("moe_intermediate_size", 1, max_width);
  layer.shared = config.count_or("n_shared_experts", 0, 0, max_experts);
  layer.shared_intermediate = layer.shared * layer.intermediate;
  return layer;
}

void read_biased_sigmoid_rule(ConfigReader& config, const Experts& experts, RouterRule& rule) {
  rule.score = RouterRule::Score::sigmoid;
  rule.selection_bias = true;
  rule.group_score = RouterRule::GroupScore::two_best;
  read_groups(config, experts, rule);
  if (rule.groups > 1 && experts.experts / rule.groups < 2) {
    config.refuse("n_group", "a group needs two experts, because it is judged by its two best", "Correct config.json");
  }
  rule.renormalise = config.flag_or("norm_topk_prob", true);
  rule.norm_epsilon = 1e-20;
  rule.scale = config.positive_or("routed_scaling_factor", 1.0);
}

WeightNames shared_experts_names() {
  WeightNames names = decoder_weight_names("mlp");
  const std::string block = "model.layers.{L}.mlp.";
  names[WeightRole::selection_bias] = block + "gate.e_score_correction_bias";
  names[WeightRole::shared_gate] = block + "shared_experts.gate_proj.weight";
  names[WeightRole::shared_up] = block + "shared_experts.up_proj.weight";
  names[WeightRole::shared_down] = block + "shared_experts.down_proj.weight";
  return names;
}

WeightNames choose_fused_names(const ModelSpec& spec, WeightNames names, const HasTensor& has) {
  const auto first = first_moe_layer(spec);
  return first ? with_fused_experts(std::move(names), "model.layers.{L}.mlp.experts.", *first, has) : names;
}

}  // namespace moescope::family_config
