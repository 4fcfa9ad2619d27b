#include "core/model/families/family.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <string_view>

namespace moescope {
namespace {

std::vector<ModelFamily>& table() {
  static std::vector<ModelFamily> families;
  return families;
}

// Types that do have experts, so that the error says "not yet" instead of "never heard of it".
constexpr std::array<std::string_view, 34> types_with_experts{"mixtral",
                                                              "qwen2_moe",
                                                              "qwen3_moe",
                                                              "deepseek_v2",
                                                              "deepseek_v3",
                                                              "gpt_oss",
                                                              "granitemoe",
                                                              "granitemoeshared",
                                                              "granitemoehybrid",
                                                              "phimoe",
                                                              "glm4_moe",
                                                              "dbrx",
                                                              "jamba",
                                                              "llama4",
                                                              "llama4_text",
                                                              "switch_transformers",
                                                              "ernie4_5_moe",
                                                              "hunyuan_v1_moe",
                                                              "minimax",
                                                              "minimax_m2",
                                                              "qwen3_next",
                                                              "qwen3_5_moe",
                                                              "qwen3_vl_moe",
                                                              "lfm2_moe",
                                                              "dots1",
                                                              "longcat_flash",
                                                              "flex_olmo",
                                                              "jetmoe",
                                                              "arctic",
                                                              "grok-1",
                                                              "nllb-moe",
                                                              "bailing_moe",
                                                              "afmoe",
                                                              "kimi_k2"};

std::string known_families() {
  std::string names;
  for (const ModelFamily& family : model_families()) names += (names.empty() ? "" : ", ") + family.name;
  return names;
}

bool contains(const std::vector<std::string>& list, const std::string& value) {
  return std::find(list.begin(), list.end(), value) != list.end();
}

}  // namespace

RegisterFamily::RegisterFamily(ModelFamily family) {
  table().push_back(std::move(family));
}

const std::vector<ModelFamily>& model_families() {
  return table();
}

const ModelFamily* find_family(const std::string& name) {
  const auto it = std::find_if(table().begin(), table().end(), [&](const ModelFamily& f) { return f.name == name; });
  return it == table().end() ? nullptr : &*it;
}

Expected<const ModelFamily*> family_of_config(ConfigReader& config) {
  const std::string type = config.text_or("model_type", "");
  const std::vector<std::string> architectures = config.texts("architectures");
  if (config.error()) return fail(*config.error());
  for (const ModelFamily& family : table()) {
    if (!type.empty() && contains(family.model_types, type)) return &family;
  }
  for (const ModelFamily& family : table()) {
    for (const std::string& name : architectures) {
      if (contains(family.architectures, name)) return &family;
    }
  }
  const std::string advice = fmt::format("Families that can be opened: {}", known_families());
  if (type.empty() && architectures.empty()) {
    config.refuse("model_type", "the config names neither a model_type nor an architecture", advice);
  } else if (std::find(types_with_experts.begin(), types_with_experts.end(), type) != types_with_experts.end()) {
    config.refuse("model_type", "this mixture-of-experts family is recognised but cannot be opened by this version",
                  advice);
  } else {
    config.refuse(type.empty() ? "architectures" : "model_type", "the model family is not known", advice);
  }
  return fail(*config.error());
}

void list_decoder_tensors(const ModelSpec& spec, const WeightNames& names,
                          const std::function<bool(const NeededTensor&)>& use) {
  const std::uint64_t h = spec.hidden;
  const std::uint64_t q = std::uint64_t{spec.heads} * spec.head_dim;
  const std::uint64_t kv = std::uint64_t{spec.kv_heads} * spec.head_dim;
  bool more = true;
  const auto need = [&](const std::string& pattern, std::uint32_t layer, std::uint32_t expert,
                        std::vector<std::uint64_t> shape) {
    if (more && !pattern.empty()) more = use({tensor_name(pattern, layer, expert), std::move(shape)});
  };
  need(names.embedding, 0, 0, {spec.vocabulary, h});
  need(names.final_norm, 0, 0, {h});
  if (!spec.tied_embeddings) need(names.lm_head, 0, 0, {spec.vocabulary, h});
  for (std::uint32_t l = 0; l < spec.layers.size() && more; ++l) {
    const LayerSpec& layer = spec.layers[l];
    need(names.input_norm, l, 0, {h});
    need(names.post_norm, l, 0, {h});
    need(names.q, l, 0, {q, h});
    need(names.k, l, 0, {kv, h});
    need(names.v, l, 0, {kv, h});
    need(names.o, l, 0, {h, q});
    if (spec.qk_norm != QkNorm::none) {
      const bool whole = spec.qk_norm == QkNorm::whole_width;
      need(names.q_norm, l, 0, {whole ? q : spec.head_dim});
      need(names.k_norm, l, 0, {whole ? kv : spec.head_dim});
    }
    if (layer.kind == LayerKind::dense) continue;
    need(names.router, l, 0, {layer.experts, h});
    for (std::uint32_t e = 0; e < layer.experts && more; ++e) {
      need(names.expert_gate, l, e, {layer.intermediate, h});
      need(names.expert_up, l, e, {layer.intermediate, h});
      need(names.expert_down, l, e, {h, layer.intermediate});
    }
  }
}

}  // namespace moescope
