#include "plugins/torch_engine/train/evaluate.h"

#include <ATen/ATen.h>
#include <fmt/format.h>

#include <algorithm>
#include <iterator>

namespace moescope::train {

Expected<Evaluation> evaluate(const blocks::ModelWeights& weights, const ModelShape& shape, const Tokenizer& tokenizer,
                              const TokenStreams& train, const std::vector<Document>& held_out, const Limits& limits) {
  const at::NoGradGuard no_gradients;
  Evaluation result;
  RoutedTokens& routed = result.routed;
  routed.rows = static_cast<std::size_t>(shape.layers);
  routed.experts = static_cast<std::size_t>(shape.experts);
  routed.k = static_cast<std::size_t>(shape.k);
  routed.domains = train.domains;
  result.domain_loss.assign(routed.domains.size(), 0.0);
  std::vector<std::size_t> domain_tokens(routed.domains.size(), 0);
  std::vector<std::vector<std::uint8_t>> ids(routed.rows);
  std::vector<std::vector<std::int32_t>> sequences;
  for (const Document& document : held_out) {
    auto encoded = tokenizer.encode(document.text, false);
    if (!encoded) return Unexpected(encoded.error());
    std::vector<std::int64_t> tokens(encoded->ids.begin(), encoded->ids.end());
    tokens.resize(std::min(tokens.size(), static_cast<std::size_t>(shape.max_positions)));
    if (tokens.size() < 2) continue;
    const auto length = static_cast<std::int64_t>(tokens.size());
    const at::Tensor input = at::from_blob(tokens.data(), {1, length}, at::kLong);
    const blocks::ModelOutput out = forward(weights, shape, input);
    const at::Tensor losses = at::cross_entropy_loss(out.logits.slice(0, 0, length - 1), input.view({-1}).slice(0, 1),
                                                     {}, at::Reduction::None);
    const double sum = losses.sum(at::kDouble).item<double>();
    const auto known = std::find(routed.domains.begin(), routed.domains.end(), document.domain);
    const auto domain = known == routed.domains.end() ? -1 : static_cast<std::int32_t>(known - routed.domains.begin());
    result.loss += sum;
    result.predicted += tokens.size() - 1;
    if (domain >= 0) {
      result.domain_loss[static_cast<std::size_t>(domain)] += sum;
      domain_tokens[static_cast<std::size_t>(domain)] += tokens.size() - 1;
    }
    for (std::size_t row = 0; row < routed.rows; ++row) {
      const at::Tensor chosen = out.routing[row].ids.to(at::kByte).contiguous();
      const auto* id = chosen.data_ptr<std::uint8_t>();
      ids[row].insert(ids[row].end(), id, id + chosen.numel());
    }
    routed.domain.insert(routed.domain.end(), tokens.size(), domain);
    routed.sequence.insert(routed.sequence.end(), tokens.size(), static_cast<std::int32_t>(sequences.size()));
    sequences.emplace_back(tokens.begin(), tokens.end());
  }
  if (result.predicted == 0) {
    return fail(ErrorKind::input, "the held-out text is empty", "held-out text", "Give a file with text.");
  }
  for (const auto& row : ids) routed.ids.insert(routed.ids.end(), row.begin(), row.end());
  result.tokens = routed.tokens();
  result.loss /= static_cast<double>(result.predicted);
  for (std::size_t d = 0; d < domain_tokens.size(); ++d) {
    if (domain_tokens[d] > 0) result.domain_loss[d] /= static_cast<double>(domain_tokens[d]);
  }
  const auto vocabulary = static_cast<std::size_t>(shape.vocabulary);
  result.unigram = unigram_loss(train, sequences, vocabulary, false);
  result.unigram_balanced = unigram_loss(train, sequences, vocabulary, true);
  result.rows = check_rows(routed, limits.draws, 1);
  result.lifts = best_lifts(routed, limits.lift_n);
  return result;
}

std::string evaluation_table(const Evaluation& e, const Limits& limits, bool& passed) {
  fmt::memory_buffer text;
  const auto out = std::back_inserter(text);
  passed = true;
  const auto verdict = [&](bool good) {
    passed = passed && good;
    return good ? "pass" : "FAIL";
  };
  // The better of the two unigram models is the bar.
  const double bar = std::min(e.unigram, e.unigram_balanced);
  fmt::format_to(out, "held-out text: {} tokens in {} sequences\n", e.tokens, e.routed.sequence.back() + 1);
  fmt::format_to(out, "{:<44} {:.4f} nats; unigram {:.4f}, balanced over domains {:.4f}\n", "cross-entropy", e.loss,
                 e.unigram, e.unigram_balanced);
  fmt::format_to(out, "{:<44} {:.1f} %  (at least {:.0f} %)  {}\n", "  below the better unigram model",
                 100 * (1 - e.loss / bar), 100 * limits.loss_below_unigram,
                 verdict(e.loss <= (1 - limits.loss_below_unigram) * bar));
  for (std::size_t d = 0; d < e.routed.domains.size(); ++d) {
    fmt::format_to(out, "  {:<42} {:.4f} nats\n", e.routed.domains[d], e.domain_loss[d]);
  }
  const auto experts = static_cast<double>(e.routed.experts);
  fmt::format_to(out, "\n{:<6} {:>12} {:>12} {:>14} {:>10} {:>10}\n", "layer", "least load·E", "most load·E",
                 "I(domain;exp)", "null mean", "null 99 %");
  std::size_t informed = 0;
  double least = 1;
  for (std::size_t r = 0; r < e.rows.size(); ++r) {
    const RowChecks& row = e.rows[r];
    least = std::min(least, row.min_share * experts);
    informed += row.information > row.null_99 ? 1 : 0;
    fmt::format_to(out, "L{:<5} {:>12.3f} {:>12.3f} {:>14.4f} {:>10.4f} {:>10.4f}\n", r, row.min_share * experts,
                   row.max_share * experts, row.information, row.null_mean, row.null_99);
  }
  fmt::format_to(out, "{:<44} {}  (at least {})  {}\n", "layers with information above the null's 99 %", informed,
                 limits.informed_rows, verdict(informed >= limits.informed_rows));
  fmt::format_to(out, "{:<44} {:.3f}/E  (at least {:.2f}/E)  {}\n", "least share of any expert", least,
                 limits.share_floor, verdict(least >= limits.share_floor));
  fmt::format_to(out, "\n");
  for (std::size_t d = 0; d < e.lifts.size(); ++d) {
    const BestLift& best = e.lifts[d];
    fmt::format_to(out, "{:<44} {:.2f} at L{} E{:02} n {}  (at least {:.0f} at n {})  {}\n",
                   "best lift, " + e.routed.domains[d], best.lift, best.row, best.expert, best.n, limits.lift,
                   limits.lift_n, verdict(best.lift >= limits.lift));
  }
  return fmt::to_string(text);
}

}  // namespace moescope::train
