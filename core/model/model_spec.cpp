#include "core/model/model_spec.h"

#include <fmt/format.h>

namespace moescope {
namespace {

// Parameters of a layer outside its experts: norms, attention, router.
std::uint64_t layer_base(const ModelSpec& spec, const LayerSpec& layer) {
  const std::uint64_t h = spec.hidden;
  const std::uint64_t q = std::uint64_t{spec.heads} * spec.head_dim;
  const std::uint64_t kv = std::uint64_t{spec.kv_heads} * spec.head_dim;
  std::uint64_t n = 2 * h + 2 * q * h + 2 * kv * h;
  if (spec.qk_norm == QkNorm::whole_width) n += q + kv;
  if (spec.qk_norm == QkNorm::per_head) n += 2 * std::uint64_t{spec.head_dim};
  if (layer.kind == LayerKind::moe) n += layer.experts * h + (layer.rule.selection_bias ? layer.experts : 0);
  return n;
}

std::uint64_t count(const ModelSpec& spec, bool active) {
  const std::uint64_t embedding = std::uint64_t{spec.vocabulary} * spec.hidden;
  std::uint64_t n = embedding * (spec.tied_embeddings ? 1 : 2) + spec.hidden;
  for (const LayerSpec& layer : spec.layers) {
    const std::uint64_t mlp = 3 * std::uint64_t{spec.hidden} * layer.intermediate;
    const std::uint64_t routed = active ? layer.k : layer.experts;
    n += layer_base(spec, layer) + mlp * (layer.kind == LayerKind::moe ? routed + layer.shared : 1);
  }
  return n;
}

}  // namespace

std::string router_rule_words(const RouterRule& rule, std::uint32_t k) {
  const char* score = rule.score == RouterRule::Score::softmax ? "softmax" : "sigmoid";
  std::string words;
  if (rule.order == RouterRule::Order::score_then_top_k) {
    words = fmt::format("{} over all experts, then the best {}", score, k);
  } else {
    words = fmt::format("the best {} logits, then {} over them", k, score);
  }
  if (rule.selection_bias) words += ", chosen with a bias that does not enter the weights";
  words += rule.renormalise ? ", weights divided by their sum" : ", weights not renormalised";
  if (rule.scale != 1.0) words += fmt::format(", times {:g}", rule.scale);
  return words;
}

std::uint64_t ModelSpec::parameters_total() const {
  return count(*this, false);
}

std::uint64_t ModelSpec::parameters_active() const {
  return count(*this, true);
}

std::string tensor_name(const std::string& pattern, std::uint32_t layer, std::uint32_t expert) {
  std::string out;
  out.reserve(pattern.size() + 4);
  for (std::size_t i = 0; i < pattern.size();) {
    const bool slot = pattern[i] == '{' && i + 2 < pattern.size() && pattern[i + 2] == '}';
    if (slot && pattern[i + 1] == 'L') {
      out += std::to_string(layer);
      i += 3;
    } else if (slot && pattern[i + 1] == 'E') {
      out += std::to_string(expert);
      i += 3;
    } else {
      out += pattern[i++];
    }
  }
  return out;
}

}  // namespace moescope
