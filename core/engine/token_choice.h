// Routers in which each token chooses its experts by itself. Internal to core/engine.
#pragma once

#include <memory>
#include <optional>

#include "core/engine/routers.h"

namespace moescope {

// A row's choice in two steps: rank the experts, then weigh the chosen ones.
struct TokenChoiceOptions {
  enum class Rank : std::uint8_t { score, random_by_token, random_by_sequence, hash, projected };
  enum class Weigh : std::uint8_t { score, score_of_chosen, uniform };
  Rank rank = Rank::score;
  Weigh weigh = Weigh::score;
  RouterRule::Score score = RouterRule::Score::softmax;
  std::size_t k = 1;
  std::optional<double> top_p;  // then k is the most, and the prefix of cumulative score > p is kept
  std::uint32_t nulls = 0;
  bool renormalise = false;
  double scale = 1.0;
  std::uint64_t seed = 1;
  std::string words;
};

[[nodiscard]] std::shared_ptr<const Router> make_token_choice(std::uint32_t experts, TokenChoiceOptions options);

// Expert choice: in each sequence, each expert takes its ceil(capacity · tokens · k / E) best tokens.
struct ExpertChoiceOptions {
  RouterRule::Score score = RouterRule::Score::sigmoid;
  double capacity = 1.0;
  std::size_t k = 1;
  std::string words;
};
[[nodiscard]] std::shared_ptr<const Router> make_expert_choice(std::uint32_t experts, ExpertChoiceOptions options);

// Scores of one row: softmax (float32, largest logit taken off first) or sigmoid. −infinity gives 0.
void score_row(RouterRule::Score score, std::span<const float> logits, std::span<float> out);

}  // namespace moescope
