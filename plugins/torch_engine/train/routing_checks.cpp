#include "plugins/torch_engine/train/routing_checks.h"

#include <algorithm>
#include <cmath>
#include <random>

namespace moescope::train {
namespace {

// Slots by (sequence, expert) of one row: all that shuffles over sequences need.
std::vector<std::int64_t> sequence_counts(const RoutedTokens& r, std::size_t row, std::size_t sequences) {
  std::vector<std::int64_t> counts(sequences * r.experts, 0);
  const std::uint8_t* id = r.ids.data() + row * r.tokens() * r.k;
  for (std::size_t t = 0; t < r.tokens(); ++t) {
    for (std::size_t s = 0; s < r.k; ++s) {
      ++counts[static_cast<std::size_t>(r.sequence[t]) * r.experts + id[t * r.k + s]];
    }
  }
  return counts;
}

// [domain, expert] slots when sequence s has domain `of[s]` (-1 = left out).
std::vector<std::int64_t> domain_counts(const std::vector<std::int64_t>& by_sequence, std::size_t experts,
                                        const std::vector<std::int32_t>& of, std::size_t domains) {
  std::vector<std::int64_t> counts(domains * experts, 0);
  for (std::size_t s = 0; s < of.size(); ++s) {
    if (of[s] < 0) continue;
    for (std::size_t e = 0; e < experts; ++e) {
      counts[static_cast<std::size_t>(of[s]) * experts + e] += by_sequence[s * experts + e];
    }
  }
  return counts;
}

double information(const std::vector<std::int64_t>& counts, std::size_t domains, std::size_t experts) {
  std::vector<double> domain(domains, 0), expert(experts, 0);
  double total = 0;
  for (std::size_t d = 0; d < domains; ++d) {
    for (std::size_t e = 0; e < experts; ++e) {
      const auto n = static_cast<double>(counts[d * experts + e]);
      domain[d] += n;
      expert[e] += n;
      total += n;
    }
  }
  double sum = 0;
  for (std::size_t d = 0; d < domains; ++d) {
    for (std::size_t e = 0; e < experts; ++e) {
      const auto n = static_cast<double>(counts[d * experts + e]);
      if (n > 0) sum += n / total * std::log(n * total / (domain[d] * expert[e]));
    }
  }
  return sum;
}

std::vector<std::int32_t> domain_of_sequence(const RoutedTokens& r) {
  std::vector<std::int32_t> of;
  for (std::size_t t = 0; t < r.tokens(); ++t) {
    const auto s = static_cast<std::size_t>(r.sequence[t]);
    if (of.size() <= s) of.resize(s + 1, -1);
    of[s] = r.domain[t];
  }
  return of;
}

}  // namespace

std::vector<RowChecks> check_rows(const RoutedTokens& r, int draws, std::uint64_t seed) {
  const std::vector<std::int32_t> of = domain_of_sequence(r);
  std::vector<RowChecks> checks;
  for (std::size_t row = 0; row < r.rows; ++row) {
    const std::vector<std::int64_t> by_sequence = sequence_counts(r, row, of.size());
    RowChecks check;
    std::vector<std::int64_t> load(r.experts, 0);
    for (std::size_t i = 0; i < by_sequence.size(); ++i) load[i % r.experts] += by_sequence[i];
    const auto slots = static_cast<double>(r.tokens() * r.k);
    check.min_share = static_cast<double>(*std::min_element(load.begin(), load.end())) / slots;
    check.max_share = static_cast<double>(*std::max_element(load.begin(), load.end())) / slots;
    const std::size_t domains = r.domains.size();
    check.information = information(domain_counts(by_sequence, r.experts, of, domains), domains, r.experts);
    // Fisher-Yates over the tagged sequences.
    std::mt19937_64 random(seed);
    std::vector<std::size_t> tagged;
    for (std::size_t s = 0; s < of.size(); ++s) {
      if (of[s] >= 0) tagged.push_back(s);
    }
    std::vector<std::int32_t> shuffled = of;
    std::vector<double> null;
    for (int draw = 0; draw < draws; ++draw) {
      for (std::size_t i = tagged.size(); i > 1; --i) {
        std::swap(shuffled[tagged[i - 1]], shuffled[tagged[random() % i]]);
      }
      null.push_back(information(domain_counts(by_sequence, r.experts, shuffled, domains), domains, r.experts));
    }
    std::sort(null.begin(), null.end());
    if (!null.empty()) {
      for (const double value : null) check.null_mean += value / static_cast<double>(null.size());
      check.null_99 = null[static_cast<std::size_t>(std::ceil(0.99 * static_cast<double>(null.size()))) - 1];
    }
    checks.push_back(check);
  }
  return checks;
}

std::vector<BestLift> best_lifts(const RoutedTokens& r, std::int64_t least) {
  const std::vector<std::int32_t> of = domain_of_sequence(r);
  const std::size_t domains = r.domains.size();
  std::vector<BestLift> best(domains);
  for (std::size_t row = 0; row < r.rows; ++row) {
    const auto counts = domain_counts(sequence_counts(r, row, of.size()), r.experts, of, domains);
    std::vector<double> domain(domains, 0), expert(r.experts, 0);
    double total = 0;
    for (std::size_t i = 0; i < counts.size(); ++i) {
      const auto n = static_cast<double>(counts[i]);
      domain[i / r.experts] += n;
      expert[i % r.experts] += n;
      total += n;
    }
    for (std::size_t i = 0; i < counts.size(); ++i) {
      if (counts[i] < least) continue;
      const double lift = static_cast<double>(counts[i]) * total / (domain[i / r.experts] * expert[i % r.experts]);
      if (lift > best[i / r.experts].lift) best[i / r.experts] = {row, i % r.experts, counts[i], lift};
    }
  }
  return best;
}

}  // namespace moescope::train
