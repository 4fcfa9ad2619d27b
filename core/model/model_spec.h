// ModelSpec: what a checkpoint is, in data: dimensions, which layers are MoE, the router's exact arithmetic and where
// each weight lies. Filled by one family file each (core/model/families/<family>.cpp) from config.json; read by
// engines, views and reports. Plain data: any thread.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "core/base/export.h"

namespace moescope {

// The router's rule as arithmetic (reference: families' forward passes). Shown in words by router_rule_words().
struct RouterRule {
  enum class Score : std::uint8_t { softmax, sigmoid };
  enum class Order : std::uint8_t { score_then_top_k, top_k_then_score };
  Score score = Score::softmax;
  Order order = Order::score_then_top_k;
  bool renormalise = false;     // divide the chosen weights by their sum
  double scale = 1.0;           // multiplies the weights after renormalisation
  bool selection_bias = false;  // a bias enters the choice, never the weights
};
[[nodiscard]] MOESCOPE_API std::string router_rule_words(const RouterRule& rule, std::uint32_t k);

enum class LayerKind : std::uint8_t { moe, dense };

struct LayerSpec {
  LayerKind kind = LayerKind::moe;
  std::uint32_t experts = 0, k = 0, shared = 0;
  std::uint32_t intermediate = 0;  // I of one expert, or of the dense MLP
  RouterRule rule;
};

enum class QkNorm : std::uint8_t { none, whole_width, per_head };

struct ModelSpec {
  std::string family;  // "olmoe"
  std::string name;    // folder name or _name_or_path
  std::uint32_t vocabulary = 0, hidden = 0, heads = 0, kv_heads = 0, head_dim = 0, max_positions = 0;
  double norm_epsilon = 1e-5;
  double rope_theta = 10000.0;
  bool tied_embeddings = false;
  QkNorm qk_norm = QkNorm::none;
  std::optional<double> clip_qkv;
  std::vector<LayerSpec> layers;
  std::string torch_dtype;                   // as the config says
  std::map<std::string, std::string> notes;  // oddities worth showing

  // Parameters in all, and used per token (k experts of each layer).
  [[nodiscard]] MOESCOPE_API std::uint64_t parameters_total() const;
  [[nodiscard]] MOESCOPE_API std::uint64_t parameters_active() const;
};

// Names of the tensors the engine needs, by role; {L} and {E} are filled in by tensor_name().
struct WeightNames {
  std::string embedding, final_norm, lm_head;
  std::string input_norm, post_norm, q, k, v, o, q_norm, k_norm;
  std::string router, expert_gate, expert_up, expert_down;
};
[[nodiscard]] MOESCOPE_API std::string tensor_name(const std::string& pattern, std::uint32_t layer,
                                                   std::uint32_t expert = 0);

}  // namespace moescope
