// OLMoE: every layer has experts; softmax over all experts, then top-k; RMSNorm over the whole width of q and k.
#include <fmt/format.h>

#include "core/model/families/family.h"

namespace moescope {
namespace {

constexpr std::uint32_t max_width = 1U << 20U;
constexpr std::uint32_t max_layers = 4096;
constexpr std::uint32_t max_experts = 65535;

// Only the default rotary embedding: another one would give other routes without a word.
void read_rope(ConfigReader& config, ModelSpec& spec) {
  spec.rope_theta = config.positive_or("rope_theta", 10000.0);
  if (const nlohmann::json* parameters = config.find("rope_parameters"); parameters && parameters->is_object()) {
    ConfigReader nested(*parameters, config.file());
    spec.rope_theta = nested.positive_or("rope_theta", spec.rope_theta);
    const std::string type = nested.text_or("rope_type", "default");
    if (nested.error()) {
      config.refuse("rope_parameters", nested.error()->what, nested.error()->advice);
    } else if (type != "default") {
      config.refuse("rope_parameters", fmt::format("the rotary embedding \"{}\" is not supported for olmoe", type),
                    "Only the default one is");
    }
  }
  if (const nlohmann::json* scaling = config.find("rope_scaling")) {
    const bool plain = scaling->is_object() && (scaling->empty() || scaling->value("rope_type", "") == "default");
    if (!plain) config.refuse("rope_scaling", "scaled rotary embeddings are not supported for olmoe", "Set it to null");
  }
}

void refuse_what_would_change_the_numbers(ConfigReader& config) {
  if (config.text_or("hidden_act", "silu") != "silu") {
    config.refuse("hidden_act", "this activation is not supported for olmoe", "Only silu is");
  }
  if (config.flag_or("attention_bias", false)) {
    config.refuse("attention_bias", "biases in attention are not supported for olmoe", "No released model has them");
  }
  if (const nlohmann::json* quantization = config.find("quantization_config")) {
    const std::string method = quantization->is_object() && quantization->contains("quant_method") &&
                                       (*quantization)["quant_method"].is_string()
                                   ? (*quantization)["quant_method"].get<std::string>()
                                   : "unnamed";
    config.refuse("quantization_config", fmt::format("weights quantised by \"{}\" are not supported", method),
                  "Open the float32, float16 or bfloat16 checkpoint");
  }
}

Expected<ModelSpec> read_config(ConfigReader& config) {
  ModelSpec spec;
  spec.family = "olmoe";
  refuse_what_would_change_the_numbers(config);
  spec.vocabulary = config.count("vocab_size", 1, 1U << 24U);
  spec.hidden = config.count("hidden_size", 1, max_width);
  spec.heads = config.count("num_attention_heads", 1, 65536);
  spec.kv_heads = config.count_or("num_key_value_heads", spec.heads, 1, 65536);
  const std::uint32_t layers = config.count("num_hidden_layers", 1, max_layers);
  LayerSpec layer;
  layer.experts = config.count("num_experts", 1, max_experts);
  layer.k = config.count("num_experts_per_tok", 1, max_experts);
  layer.intermediate = config.count("intermediate_size", 1, max_width);
  layer.rule.renormalise = config.flag_or("norm_topk_prob", false);
  spec.max_positions = config.count_or("max_position_embeddings", 4096, 1, 1U << 30U);
  spec.norm_epsilon = config.positive_or("rms_norm_eps", 1e-5);
  spec.tied_embeddings = config.flag_or("tie_word_embeddings", false);
  spec.clip_qkv = config.optional_positive("clip_qkv");
  spec.qk_norm = QkNorm::whole_width;
  spec.torch_dtype = config.text_or("torch_dtype", config.text_or("dtype", ""));
  read_rope(config, spec);
  if (layer.k > layer.experts) {
    config.refuse("num_experts_per_tok",
                  fmt::format("{} experts per token, but only {} experts", layer.k, layer.experts),
                  "num_experts_per_tok may be at most num_experts: correct config.json");
  }
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
  spec.head_dim = config.count_or("head_dim", spec.hidden / spec.heads, 1, 65536);
  if (spec.head_dim % 2 != 0) {
    config.refuse("head_dim", fmt::format("heads of {} numbers cannot be rotated in pairs", spec.head_dim),
                  "The head size must be even: correct config.json");
  }
  if (config.error()) return fail(*config.error());
  spec.layers.assign(layers, layer);
  return spec;
}

nlohmann::json write_config(const ModelSpec& spec) {
  const LayerSpec& layer = spec.layers.front();
  return {{"architectures", {"OlmoeForCausalLM"}},
          {"model_type", "olmoe"},
          {"vocab_size", spec.vocabulary},
          {"hidden_size", spec.hidden},
          {"intermediate_size", layer.intermediate},
          {"num_hidden_layers", spec.layers.size()},
          {"num_attention_heads", spec.heads},
          {"num_key_value_heads", spec.kv_heads},
          {"num_experts", layer.experts},
          {"num_experts_per_tok", layer.k},
          {"norm_topk_prob", layer.rule.renormalise},
          {"max_position_embeddings", spec.max_positions},
          {"rms_norm_eps", spec.norm_epsilon},
          {"rope_theta", spec.rope_theta},
          {"rope_scaling", nullptr},
          {"clip_qkv", spec.clip_qkv ? nlohmann::json(*spec.clip_qkv) : nlohmann::json()},
          {"attention_bias", false},
          {"hidden_act", "silu"},
          {"tie_word_embeddings", spec.tied_embeddings},
          {"torch_dtype", spec.torch_dtype}};
}

ModelFamily olmoe() {
  const std::string layer = "model.layers.{L}.";
  ModelFamily family;
  family.name = "olmoe";
  family.model_types = {"olmoe"};
  family.architectures = {"OlmoeForCausalLM"};
  family.names = {.embedding = "model.embed_tokens.weight",
                  .final_norm = "model.norm.weight",
                  .lm_head = "lm_head.weight",
                  .input_norm = layer + "input_layernorm.weight",
                  .post_norm = layer + "post_attention_layernorm.weight",
                  .q = layer + "self_attn.q_proj.weight",
                  .k = layer + "self_attn.k_proj.weight",
                  .v = layer + "self_attn.v_proj.weight",
                  .o = layer + "self_attn.o_proj.weight",
                  .q_norm = layer + "self_attn.q_norm.weight",
                  .k_norm = layer + "self_attn.k_norm.weight",
                  .router = layer + "mlp.gate.weight",
                  .expert_gate = layer + "mlp.experts.{E}.gate_proj.weight",
                  .expert_up = layer + "mlp.experts.{E}.up_proj.weight",
                  .expert_down = layer + "mlp.experts.{E}.down_proj.weight"};
  family.read_config = read_config;
  family.list_tensors = list_decoder_tensors;
  family.write_config = write_config;
  return family;
}

const RegisterFamily registered(olmoe());

}  // namespace
}  // namespace moescope
