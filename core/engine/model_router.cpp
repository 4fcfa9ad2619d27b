#include "core/engine/model_router.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "core/engine/token_choice.h"

namespace moescope {
namespace {

constexpr float never = -std::numeric_limits<float>::infinity();

// Experts outside the best groups leave the ranking.
void keep_best_groups(const RouterRule& rule, RuleScratch& s) {
  const std::size_t size = s.rank.size() / rule.groups;
  s.group_scores.resize(rule.groups);
  for (std::size_t g = 0; g < rule.groups; ++g) {
    float first = never, second = never;
    for (std::size_t e = g * size; e < (g + 1) * size; ++e) {
      if (s.rank[e] > first) {
        second = first;
        first = s.rank[e];
      } else if (s.rank[e] > second) {
        second = s.rank[e];
      }
    }
    const bool two = rule.group_score == RouterRule::GroupScore::two_best && size > 1;
    s.group_scores[g] = two ? first + second : first;
  }
  s.group_ids.resize(rule.kept_groups);
  top_k_ids(std::span<const float>(s.group_scores), std::span(s.group_ids));
  for (std::size_t g = 0; g < rule.groups; ++g) {
    if (std::find(s.group_ids.begin(), s.group_ids.end(), g) != s.group_ids.end()) continue;
    std::fill_n(s.rank.begin() + static_cast<std::ptrdiff_t>(g * size), size, never);
  }
}

// One pick of sparsemixer: the largest logit of `open`, weighted by its softmax over those of them that are within 2ε
// of it, relative to the larger of the two magnitudes. `logits` are the original ones.
std::size_t sparsemixer_pick(const RouterRule& rule, std::span<const float> logits, std::span<const float> open,
                             float& weight) {
  const auto best = static_cast<std::size_t>(std::max_element(open.begin(), open.end()) - open.begin());
  const float most = open[best];
  float sum = 0;
  for (std::size_t e = 0; e < open.size(); ++e) {
    const float distance = (most - logits[e]) / std::max(std::abs(logits[e]), most);
    if (distance > 2.0F * static_cast<float>(rule.jitter) || open[e] == never) continue;
    sum += std::exp(open[e] - most);
  }
  weight = 1.0F / sum;
  return best;
}

float choose_sparsemixer(const RouterRule& rule, const RuleRow& row, std::span<std::int32_t> ids,
                         std::span<float> weights, RuleScratch& s) {
  s.rank.assign(row.logits.begin(), row.logits.end());
  for (std::size_t slot = 0; slot < ids.size(); ++slot) {
    const bool forced = slot < row.force.size();
    if (forced) {
      // A forced expert competes alone with those close to it.
      ids[slot] = static_cast<std::int32_t>(row.force[slot]);
      weights[slot] = 1.0F;
    } else if (std::all_of(s.rank.begin(), s.rank.end(), [](float z) { return z == never; })) {
      break;
    } else {
      ids[slot] = static_cast<std::int32_t>(sparsemixer_pick(rule, row.logits, s.rank, weights[slot]));
    }
    s.rank[static_cast<std::size_t>(ids[slot])] = never;
  }
  const float next = *std::max_element(s.rank.begin(), s.rank.end());
  if (next == never || ids.back() < 0) return std::numeric_limits<float>::quiet_NaN();
  return row.logits[static_cast<std::size_t>(ids.back())] - next;
}

void weigh(const RouterRule& rule, const RuleRow& row, std::span<const std::int32_t> ids, std::span<float> weights,
           const RuleScratch& s) {
  const bool of_chosen = rule.order == RouterRule::Order::top_k_then_score;
  for (std::size_t j = 0; j < ids.size(); ++j) {
    const auto e = static_cast<std::size_t>(ids[j]);
    weights[j] = of_chosen ? row.logits[e] : s.scores[e];
  }
  if (of_chosen) {
    const std::vector<float> chosen(weights.begin(), weights.end());
    score_row(rule.score, chosen, weights);
  }
  if (rule.renormalise) {
    double sum = 0;
    for (const float w : weights) sum += rule.norm_order == 1.0 ? std::abs(w) : std::pow(std::abs(w), rule.norm_order);
    if (rule.norm_order != 1.0) sum = std::pow(sum, 1.0 / rule.norm_order);
    const auto norm = static_cast<float>(sum + rule.norm_epsilon);
    if (norm > 0) {
      for (float& w : weights) w /= norm;
    }
  }
  if (rule.scale != 1.0) {
    for (float& w : weights) w *= static_cast<float>(rule.scale);
  }
}

class ModelRouter : public Router {
 public:
  ModelRouter(std::uint32_t experts, std::size_t k, const RouterRule& rule) : experts_(experts), k_(k), rule_(rule) {}

  [[nodiscard]] std::size_t slots() const override { return k_; }
  [[nodiscard]] std::string words() const override { return router_rule_words(rule_, static_cast<std::uint32_t>(k_)); }
  [[nodiscard]] RouterChoice choose(const RouterInput& in) const override {
    RouterChoice out{k_, std::vector<std::int32_t>(in.tokens * k_, -1), std::vector<float>(in.tokens * k_, 0.0F)};
    RuleScratch scratch;
    for (std::size_t t = 0; t < in.tokens; ++t) {
      const RuleRow row{in.logits.subspan(t * experts_, experts_), in.selection_bias, in.force};
      choose_by_rule(rule_, row, std::span(out.ids).subspan(t * k_, k_), std::span(out.weights).subspan(t * k_, k_),
                     scratch);
    }
    return out;
  }

 private:
  std::uint32_t experts_;
  std::size_t k_;
  RouterRule rule_;
};

}  // namespace

float choose_by_rule(const RouterRule& rule, const RuleRow& row, std::span<std::int32_t> ids, std::span<float> weights,
                     RuleScratch& s) {
  std::fill(ids.begin(), ids.end(), -1);
  std::fill(weights.begin(), weights.end(), 0.0F);
  if (rule.score == RouterRule::Score::sparsemixer) return choose_sparsemixer(rule, row, ids, weights, s);
  s.scores.resize(row.logits.size());
  score_row(rule.score, row.logits, s.scores);
  // Ranking by logits where the scores come later: they order alike but tie less.
  if (rule.order == RouterRule::Order::top_k_then_score) {
    s.rank.assign(row.logits.begin(), row.logits.end());
  } else {
    s.rank = s.scores;
  }
  for (std::size_t e = 0; e < row.selection_bias.size(); ++e) s.rank[e] += row.selection_bias[e];
  for (std::size_t e = 0; e < s.rank.size(); ++e) {
    if (row.logits[e] == never) s.rank[e] = never;
  }
  if (rule.groups > 1 && rule.kept_groups < rule.groups) keep_best_groups(rule, s);
  std::size_t filled = 0;
  for (const std::uint32_t e : row.force) {
    if (filled == ids.size()) break;
    ids[filled++] = static_cast<std::int32_t>(e);
    s.rank[e] = never;
  }
  // One more than asked for tells by how much the last chosen won.
  const std::size_t wanted = std::min(ids.size() - filled + 1, s.rank.size());
  s.ids.resize(wanted);
  top_k_ids(std::span<const float>(s.rank), std::span(s.ids));
  float margin = std::numeric_limits<float>::quiet_NaN();
  for (const std::int32_t e : s.ids) {
    const float score = s.rank[static_cast<std::size_t>(e)];
    if (score == never || std::isnan(score)) break;
    if (filled == ids.size()) {
      const auto last = static_cast<std::size_t>(ids[filled - 1]);
      if (s.rank[last] != never) margin = s.rank[last] - score;
      break;
    }
    ids[filled++] = e;
  }
  weigh(rule, row, ids.first(filled), weights.first(filled), s);
  return margin;
}

std::shared_ptr<const Router> make_model_router(std::uint32_t experts, std::size_t k, const RouterRule& rule) {
  return std::make_shared<ModelRouter>(experts, k, rule);
}

}  // namespace moescope
