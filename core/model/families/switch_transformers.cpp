// Switch Transformers: an encoder and a decoder with biases for relative positions, unscaled attention, inner layers of
// two products with relu between. Every so many layers have experts, of which each token takes one, as long as that
// expert has room in the sequence.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "core/model/families/decoder_config.h"

namespace moescope::switch_transformers {
namespace {

using namespace family_config;

// Layer i of a stack has experts when i % step = 1, or all have when step = 1. The step follows from the number of
// sparse layers unless the config has it.
std::uint32_t sparse_step(ConfigReader& config, const std::string& stack, std::uint32_t layers) {
  const std::string step = stack + "_sparse_step", count = "num_sparse_" + stack + "_layers";
  if (config.find(step.c_str())) return config.count_or(step.c_str(), 1, 1, max_layers);
  const std::uint32_t sparse = config.count_or(count.c_str(), 3, 0, max_layers);
  if (sparse > layers) {
    config.refuse(count.c_str(), fmt::format("{} of {} layers cannot have experts", sparse, layers),
                  "Correct config.json");
    return layers;
  }
  return sparse == 0 ? layers : layers / sparse;
}

void add_stack(ModelSpec& spec, const LayerSpec& sparse, std::uint32_t layers, std::uint32_t step) {
  for (std::uint32_t l = 0; l < layers; ++l) {
    LayerSpec layer = sparse;
    if (step != 1 && l % step != 1) {
      layer.kind = LayerKind::dense;
      layer.experts = layer.k = 0;
      layer.rule = {};
    }
    spec.layers.push_back(layer);
  }
}

void require_relu(ConfigReader& config) {
  for (const char* key : {"dense_act_fn", "feed_forward_proj"}) {
    if (config.text_or(key, "relu") != "relu") {
      config.refuse(key, "this activation is not supported for this family", "Only relu is");
    }
  }
}

Expected<ModelSpec> read_config(ConfigReader& config) {
  ModelSpec spec;
  spec.family = "switch_transformers";
  read_quantisation(config, spec);
  spec.hidden = config.count("d_model", 1, max_width);
  spec.heads = spec.kv_heads = config.count("num_heads", 1, 65536);
  spec.head_dim = config.count("d_kv", 1, 65536);
  spec.vocabulary = config.count("vocab_size", 1, 1U << 24U);
  spec.norm_epsilon = config.positive_or("layer_norm_epsilon", 1e-6);
  spec.tied_embeddings = config.flag_or("tie_word_embeddings", true);
  spec.torch_dtype = config.text_or("torch_dtype", config.text_or("dtype", ""));
  spec.attention_scale = 1.0;
  spec.activation = Activation::relu;
  if (spec.tied_embeddings) spec.logits_divisor = std::sqrt(static_cast<double>(spec.hidden));
  spec.relative.buckets = config.count_or("relative_attention_num_buckets", 32, 4, 65536);
  spec.relative.max_distance = config.count_or("relative_attention_max_distance", 128, 1, 1U << 30U);
  if (spec.relative.max_distance <= spec.relative.buckets / 2) {
    config.refuse("relative_attention_max_distance",
                  fmt::format("{} buckets hold one distance each up to {}; the largest must lie beyond",
                              spec.relative.buckets, spec.relative.buckets / 2),
                  "Correct config.json");
  }
  require_relu(config);
  const std::uint32_t start = config.count_or("decoder_start_token_id", 0, 0, 1U << 24U);
  if (start >= spec.vocabulary) {
    config.refuse("decoder_start_token_id", fmt::format("the vocabulary has {} tokens", spec.vocabulary),
                  "Correct config.json");
  }
  spec.start_token = static_cast<std::int32_t>(start);

  LayerSpec sparse;
  sparse.rope = false;
  sparse.experts = config.count("num_experts", 1, max_experts);
  sparse.k = 1;
  sparse.intermediate = config.count("d_ff", 1, max_width);
  sparse.rule.logit_bias = config.flag_or("router_bias", false);
  sparse.rule.expert_capacity = config.count_or("expert_capacity", 64, 1, 1U << 30U);
  spec.encoder_layers = config.count("num_layers", 1, max_layers);
  const std::uint32_t decoder_layers = config.count_or("num_decoder_layers", spec.encoder_layers, 1, max_layers);
  const std::uint32_t encoder_step = sparse_step(config, "encoder", spec.encoder_layers);
  const std::uint32_t decoder_step = sparse_step(config, "decoder", decoder_layers);
  if (config.error()) return fail(*config.error());
  add_stack(spec, sparse, spec.encoder_layers, encoder_step);
  add_stack(spec, sparse, decoder_layers, decoder_step);
  spec.notes["layers"] = fmt::format("0 to {} are the encoder's, {} to {} the decoder's", spec.encoder_layers - 1,
                                     spec.encoder_layers, spec.layers.size() - 1);
  return spec;
}

// Inner layers are the second part of an encoder's block and the third of a decoder's.
void name_block(std::map<WeightRole, std::string>& place, const std::string& stack, int inner) {
  using R = WeightRole;
  const std::string block = stack + ".block.{L}.layer.", self = block + "0.SelfAttention.";
  const std::string second = fmt::format("{}{}.", block, inner), mlp = second + "mlp.";
  place[R::input_norm] = block + "0.layer_norm.weight";
  place[R::q] = self + "q.weight";
  place[R::k] = self + "k.weight";
  place[R::v] = self + "v.weight";
  place[R::o] = self + "o.weight";
  place[R::relative_bias] = self + "relative_attention_bias.weight";
  place[R::post_norm] = second + "layer_norm.weight";
  place[R::router] = mlp + "router.classifier.weight";
  place[R::router_bias] = mlp + "router.classifier.bias";
  place[R::expert_gate] = mlp + "experts.expert_{E}.wi.weight";
  place[R::expert_down] = mlp + "experts.expert_{E}.wo.weight";
  place[R::dense_gate] = mlp + "wi.weight";
  place[R::dense_down] = mlp + "wo.weight";
}

WeightNames switch_names() {
  using R = WeightRole;
  WeightNames n;
  std::map<R, std::string> decoder;
  name_block(n.encoder, "encoder", 1);
  name_block(decoder, "decoder", 2);
  for (const auto& [role, pattern] : decoder) n[role] = pattern;
  const std::string cross = "decoder.block.{L}.layer.1.";
  n[R::embedding] = "shared.weight";
  n[R::encoder_norm] = "encoder.final_layer_norm.weight";
  n[R::final_norm] = "decoder.final_layer_norm.weight";
  n[R::lm_head] = "lm_head.weight";
  n[R::cross_norm] = cross + "layer_norm.weight";
  n[R::cross_q] = cross + "EncDecAttention.q.weight";
  n[R::cross_k] = cross + "EncDecAttention.k.weight";
  n[R::cross_v] = cross + "EncDecAttention.v.weight";
  n[R::cross_o] = cross + "EncDecAttention.o.weight";
  return n;
}

// The layers asked for are shared between the stacks; every second one of each has experts.
nlohmann::json write_config(const ModelSpec& spec) {
  const std::size_t encoder = std::max<std::size_t>(1, (spec.layers.size() + 1) / 2);
  const std::size_t decoder = std::max<std::size_t>(1, spec.layers.size() / 2);
  const LayerSpec& layer = spec.layers.front();
  return {{"architectures", {"SwitchTransformersForConditionalGeneration"}},
          {"model_type", "switch_transformers"},
          {"is_encoder_decoder", true},
          {"vocab_size", spec.vocabulary},
          {"d_model", spec.hidden},
          {"d_kv", spec.head_dim},
          {"d_ff", layer.intermediate},
          {"num_heads", spec.heads},
          {"num_layers", encoder},
          {"num_decoder_layers", decoder},
          {"num_sparse_encoder_layers", std::max<std::size_t>(1, encoder / 2)},
          {"num_sparse_decoder_layers", std::max<std::size_t>(1, decoder / 2)},
          {"num_experts", layer.experts},
          {"expert_capacity", 64},
          {"router_bias", false},
          {"router_dtype", "float32"},
          {"relative_attention_num_buckets", 32},
          {"relative_attention_max_distance", 128},
          {"layer_norm_epsilon", 1e-6},
          {"feed_forward_proj", "relu"},
          {"decoder_start_token_id", 0},
          {"pad_token_id", 0},
          {"eos_token_id", 1},
          {"tie_word_embeddings", spec.tied_embeddings},
          {"torch_dtype", spec.torch_dtype}};
}

const RegisterFamily registered({.name = "switch_transformers",
                                 .model_types = {"switch_transformers"},
                                 .architectures = {"SwitchTransformersForConditionalGeneration"},
                                 .names = switch_names(),
                                 .read_config = read_config,
                                 .choose_names = nullptr,
                                 .write_config = write_config});

}  // namespace
}  // namespace moescope::switch_transformers
