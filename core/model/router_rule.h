// RouterRule: how a model turns router logits into chosen experts and gate weights, as data. Filled by family files;
// read by engines, views and reports. Plain data: any thread.
#pragma once

#include <cstdint>
#include <string>

#include "core/base/export.h"

namespace moescope {

// The router's rule as arithmetic (reference: families' forward passes). Shown in words by router_rule_words().
struct RouterRule {
  // sparsemixer: two picks by largest logit; each pick's weight is its share of a softmax over the logits close to it.
  enum class Score : std::uint8_t { softmax, sigmoid, sparsemixer };
  enum class Order : std::uint8_t { score_then_top_k, top_k_then_score };
  // What a group of experts is judged by, where only the best groups take part in the choice.
  enum class GroupScore : std::uint8_t { best, two_best };
  Score score = Score::softmax;
  Order order = Order::score_then_top_k;
  bool renormalise = false;     // divide the chosen weights by their norm
  double norm_order = 1.0;      // of that norm: (Σ |w|^p)^(1/p)
  double norm_epsilon = 0.0;    // added to it
  double scale = 1.0;           // multiplies the weights after renormalisation
  bool logit_bias = false;      // the router is a product plus a bias
  bool selection_bias = false;  // a bias enters the choice, never the weights
  std::uint32_t groups = 1, kept_groups = 1;
  GroupScore group_score = GroupScore::best;
  double jitter = 0.0;                // sparsemixer: ε of "close"
  bool weight_on_input = false;       // the weight multiplies what enters the expert, not what leaves it
  std::uint32_t expert_capacity = 0;  // tokens per expert and sequence; later ones are dropped; 0 = no limit
};

[[nodiscard]] MOESCOPE_API std::string router_rule_words(const RouterRule& rule, std::uint32_t k);

}  // namespace moescope
