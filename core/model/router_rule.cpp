#include "core/model/router_rule.h"

#include <fmt/format.h>

namespace moescope {

std::string router_rule_words(const RouterRule& rule, std::uint32_t k) {
  if (rule.score == RouterRule::Score::sparsemixer) {
    return fmt::format(
        "sparsemixer: the two largest logits one after another, each weighted by its softmax over the logits within "
        "{:g} of it",
        2 * rule.jitter);
  }
  const char* score = rule.score == RouterRule::Score::softmax ? "softmax" : "sigmoid";
  const std::string best = k == 1 ? std::string("the best one") : fmt::format("the best {}", k);
  const std::string grouped =
      rule.groups > 1 ? fmt::format(" out of the {} best of {} groups (judged by {})", rule.kept_groups, rule.groups,
                                    rule.group_score == RouterRule::GroupScore::best ? "the best expert"
                                                                                     : "the sum of the two best")
                      : std::string();
  std::string words;
  if (rule.order == RouterRule::Order::score_then_top_k) {
    words = fmt::format("{} over all experts, then {}{}", score, best, grouped);
  } else {
    words = k == 1 ? fmt::format("the best logit{}, then {} of it", grouped, score)
                   : fmt::format("the best {} logits{}, then {} over them", k, grouped, score);
  }
  if (rule.selection_bias) words += ", chosen with a bias that does not enter the weights";
  if (rule.renormalise) {
    words += rule.norm_order == 1.0 ? std::string(", weights divided by their sum")
                                    : fmt::format(", weights divided by their {:g}-norm", rule.norm_order);
  } else if (rule.order == RouterRule::Order::score_then_top_k) {
    words += ", weights not renormalised";
  }
  if (rule.scale != 1.0) words += fmt::format(", times {:g}", rule.scale);
  if (rule.weight_on_input) words += ", applied to the experts' input";
  if (rule.expert_capacity > 0) {
    words += fmt::format(", at most {} tokens per expert and sequence", rule.expert_capacity);
  }
  return words;
}

}  // namespace moescope
