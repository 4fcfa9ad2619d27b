#include <numeric>

#include "core/engine/token_choice.h"

namespace moescope {
namespace {

class ExpertChoice : public Router {
 public:
  ExpertChoice(std::uint32_t experts, ExpertChoiceOptions options) : experts_(experts), o_(std::move(options)) {}

  [[nodiscard]] std::size_t slots() const override { return experts_; }
  [[nodiscard]] bool by_expert() const override { return true; }
  [[nodiscard]] std::string words() const override { return o_.words; }

  [[nodiscard]] RouterChoice choose(const RouterInput& in) const override {
    const std::size_t experts = experts_;
    RouterChoice out{experts, std::vector<std::int32_t>(in.tokens * experts, -1),
                     std::vector<float>(in.tokens * experts, 0.0F)};
    std::vector<float> scores(in.tokens * experts);
    for (std::size_t t = 0; t < in.tokens; ++t) {
      score_row(o_.score, in.logits.subspan(t * experts, experts), std::span(scores.data() + t * experts, experts));
    }
    std::vector<std::uint8_t> taken(in.tokens * experts, 0);
    for (std::size_t begin = 0, end = 0; begin < in.tokens; begin = end) {
      while (end < in.tokens && in.sequences[end] == in.sequences[begin]) ++end;
      take(in, scores, begin, end, taken);
    }
    std::vector<float> row(experts);
    std::vector<std::int32_t> order(experts);
    for (std::size_t t = 0; t < in.tokens; ++t) {
      for (std::size_t e = 0; e < experts; ++e) row[e] = taken[t * experts + e] ? scores[t * experts + e] : -1.0F;
      top_k_ids(std::span<const float>(row), std::span(order));
      for (std::size_t j = 0; j < experts && row[static_cast<std::size_t>(order[j])] >= 0; ++j) {
        out.ids[t * experts + j] = order[j];
        out.weights[t * experts + j] = row[static_cast<std::size_t>(order[j])];
      }
    }
    return out;
  }

 private:
  // Each expert takes its best tokens of one sequence; earlier tokens first on equal scores. Forced experts take all.
  void take(const RouterInput& in, const std::vector<float>& scores, std::size_t begin, std::size_t end,
            std::vector<std::uint8_t>& taken) const {
    const std::size_t tokens = end - begin;
    const double share = o_.capacity * static_cast<double>(tokens * o_.k) / static_cast<double>(experts_);
    const std::size_t room = std::min(tokens, static_cast<std::size_t>(std::ceil(share - 1e-9)));
    std::vector<std::size_t> order(tokens);
    for (std::size_t e = 0; e < experts_; ++e) {
      const bool forced = std::find(in.force.begin(), in.force.end(), e) != in.force.end();
      std::iota(order.begin(), order.end(), begin);
      std::stable_sort(order.begin(), order.end(), [&](std::size_t a, std::size_t b) {
        return scores[a * experts_ + e] > scores[b * experts_ + e];
      });
      for (std::size_t i = 0; i < (forced ? tokens : room); ++i) {
        const std::size_t at = order[i] * experts_ + e;
        if (forced || !std::isinf(in.logits[at])) taken[at] = 1;
      }
    }
  }

  std::uint32_t experts_;
  ExpertChoiceOptions o_;
};

}  // namespace

std::shared_ptr<const Router> make_expert_choice(std::uint32_t experts, ExpertChoiceOptions options) {
  return std::make_shared<ExpertChoice>(experts, std::move(options));
}

}  // namespace moescope
