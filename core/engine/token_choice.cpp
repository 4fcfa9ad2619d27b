#include "core/engine/token_choice.h"

#include <limits>
#include <numbers>

namespace moescope {
namespace {

constexpr float never_drawn = -std::numeric_limits<float>::infinity();

// Counter-based random bits (SplitMix64): the same token draws the same number however tokens are batched.
std::uint64_t mix(std::uint64_t x) {
  x += 0x9E3779B97F4A7C15ULL;
  x = (x ^ (x >> 30U)) * 0xBF58476D1CE4E5B9ULL;
  x = (x ^ (x >> 27U)) * 0x94D049BB133111EBULL;
  return x ^ (x >> 31U);
}
std::uint64_t mix(std::uint64_t a, std::uint64_t b) {
  return mix(mix(a) ^ b);
}
// 24 bits: every value is exact in float32, so equal draws are rare and ties still go to the lowest id.
float unit(std::uint64_t bits) {
  return static_cast<float>(bits >> 40U) * 0x1p-24F;
}

// A frozen random gate on the logits: standard normal entries / √E, drawn once per layer.
std::vector<float> random_projection(std::size_t experts, std::uint64_t seed, std::uint32_t layer) {
  std::vector<float> matrix(experts * experts);
  for (std::size_t i = 0; i < matrix.size(); ++i) {
    const std::uint64_t bits = mix(mix(seed, layer), i);
    const double radius = std::sqrt(-2.0 * std::log(1.0 - static_cast<double>(unit(bits))));
    const double angle = 2.0 * std::numbers::pi * static_cast<double>(unit(mix(bits)));
    matrix[i] = static_cast<float>(radius * std::cos(angle) / std::sqrt(static_cast<double>(experts)));
  }
  return matrix;
}

class TokenChoice : public Router {
 public:
  TokenChoice(std::uint32_t experts, TokenChoiceOptions options) : experts_(experts), o_(std::move(options)) {}

  [[nodiscard]] std::size_t slots() const override { return o_.k; }
  [[nodiscard]] std::uint32_t null_experts() const override { return o_.nulls; }
  [[nodiscard]] std::string words() const override { return o_.words; }

  [[nodiscard]] RouterChoice choose(const RouterInput& in) const override {
    const std::size_t all = experts_ + o_.nulls;
    RouterChoice out{o_.k, std::vector<std::int32_t>(in.tokens * o_.k, -1), std::vector<float>(in.tokens * o_.k, 0.0F)};
    std::vector<float> projection;
    if (o_.rank == TokenChoiceOptions::Rank::projected) projection = random_projection(experts_, o_.seed, in.layer);
    Row row{std::vector<float>(all), std::vector<float>(all), std::vector<float>(all), std::vector<std::int32_t>(all)};
    for (std::size_t t = 0; t < in.tokens; ++t) {
      read_logits(in, t, projection, row);
      score_row(o_.score, row.logits, row.scores);
      rank(in, t, row);
      const std::size_t filled = select(in, row);
      const std::span ids(out.ids.data() + t * o_.k, filled);
      std::copy_n(row.ids.begin(), filled, ids.begin());
      weigh(row, ids, std::span(out.weights.data() + t * o_.k, filled));
    }
    return out;
  }

 private:
  struct Row {
    std::vector<float> logits, scores, rank;
    std::vector<std::int32_t> ids;
  };

  // The model's logits, then those of null experts (copies of the true ones, so ties are broken true-first).
  void read_logits(const RouterInput& in, std::size_t t, const std::vector<float>& projection, Row& row) const {
    const std::span logits = in.logits.subspan(t * in.experts, in.experts);
    std::copy(logits.begin(), logits.end(), row.logits.begin());
    for (std::size_t i = 0; i < o_.nulls; ++i) row.logits[experts_ + i] = logits[i % experts_];
    if (projection.empty()) return;
    for (std::size_t e = 0; e < experts_; ++e) {
      if (logits[e] == never_drawn) continue;
      float sum = 0;
      for (std::size_t j = 0; j < experts_; ++j) {
        if (logits[j] != never_drawn) sum += projection[e * experts_ + j] * logits[j];
      }
      row.logits[e] = sum;
    }
  }

  void rank(const RouterInput& in, std::size_t t, Row& row) const {
    using Rank = TokenChoiceOptions::Rank;
    std::uint64_t base = mix(o_.seed, in.layer);
    switch (o_.rank) {
      case Rank::score:
      case Rank::projected:
        // top_k_then_score ranks by logits, which order like scores but tie less
        row.rank = o_.weigh == TokenChoiceOptions::Weigh::score_of_chosen ? row.logits : row.scores;
        break;
      case Rank::random_by_token:
        base = mix(mix(base, static_cast<std::uint32_t>(in.sequences[t])), static_cast<std::uint32_t>(in.positions[t]));
        break;
      case Rank::random_by_sequence:
        base = mix(base, static_cast<std::uint32_t>(in.sequences[t]));
        break;
      case Rank::hash:
        base = mix(base, static_cast<std::uint32_t>(in.token_ids[t]));
        break;
    }
    if (o_.rank != Rank::score && o_.rank != Rank::projected) {
      for (std::size_t e = 0; e < row.rank.size(); ++e) row.rank[e] = unit(mix(base, e));
    }
    for (std::size_t e = 0; e < row.rank.size(); ++e) {
      if (row.logits[e] == never_drawn) row.rank[e] = never_drawn;
    }
  }

  // Fills row.ids: forced experts, then the best of the rest; returns how many.
  std::size_t select(const RouterInput& in, Row& row) const {
    std::size_t filled = 0;
    for (const std::uint32_t e : in.force) {
      if (filled == o_.k) break;
      row.ids[filled++] = static_cast<std::int32_t>(e);
      row.rank[e] = never_drawn;
    }
    const std::size_t forced = filled;
    top_k_ids(std::span<const float>(row.rank), std::span(row.ids.data() + forced, o_.k - forced));
    double sum = 0;
    for (std::size_t j = 0; j < o_.k; ++j) {
      const auto e = static_cast<std::size_t>(row.ids[j]);
      if (j >= forced && (row.rank[e] == never_drawn || std::isnan(row.rank[e]))) return j;
      sum += row.scores[e];
      // The prefix up to and including the first expert at which the sum exceeds p; at least one.
      if (o_.top_p && *o_.top_p < 1.0 && j + 1 >= std::max<std::size_t>(forced, 1) && sum > *o_.top_p) return j + 1;
    }
    return o_.k;
  }

  void weigh(const Row& row, std::span<const std::int32_t> ids, std::span<float> weights) const {
    using Weigh = TokenChoiceOptions::Weigh;
    const auto is_true = [&](std::size_t j) { return static_cast<std::uint32_t>(ids[j]) < experts_; };
    const auto true_count = static_cast<float>(std::count_if(
        ids.begin(), ids.end(), [&](std::int32_t e) { return static_cast<std::uint32_t>(e) < experts_; }));
    for (std::size_t j = 0; j < ids.size(); ++j) {
      const auto e = static_cast<std::size_t>(ids[j]);
      weights[j] = o_.weigh == Weigh::uniform ? 1.0F / true_count : row.scores[e];
      if (o_.weigh == Weigh::score_of_chosen) weights[j] = row.logits[e];
    }
    if (o_.weigh == Weigh::score_of_chosen) {
      const std::vector<float> chosen(weights.begin(), weights.end());
      score_row(o_.score, chosen, weights);
    }
    float sum = 0;
    for (std::size_t j = 0; j < ids.size(); ++j) {
      if (!is_true(j)) weights[j] = 0;
      sum += weights[j];
    }
    const float divide = o_.renormalise && sum > 0 ? sum : 1.0F;
    for (float& weight : weights) weight = weight / divide * static_cast<float>(o_.scale);
  }

  std::uint32_t experts_;
  TokenChoiceOptions o_;
};

}  // namespace

void score_row(RouterRule::Score score, std::span<const float> logits, std::span<float> out) {
  if (score == RouterRule::Score::sigmoid) {
    std::transform(logits.begin(), logits.end(), out.begin(), [](float z) { return 1.0F / (1.0F + std::exp(-z)); });
    return;
  }
  const float most = logits.empty() ? 0.0F : *std::max_element(logits.begin(), logits.end());
  float sum = 0;
  for (std::size_t e = 0; e < logits.size(); ++e) {
    out[e] = most == never_drawn ? 0.0F : std::exp(logits[e] - most);
    sum += out[e];
  }
  if (sum > 0) {
    for (float& p : out) p /= sum;
  }
}

std::shared_ptr<const Router> make_token_choice(std::uint32_t experts, TokenChoiceOptions options) {
  return std::make_shared<TokenChoice>(experts, std::move(options));
}

}  // namespace moescope
