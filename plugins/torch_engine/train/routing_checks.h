// What the sample promises about its routing, by direct counting: shares, lifts and information over tagged held-out
// tokens. Used by `moescope-train --evaluate` and by the test of the bundled trace. Any thread.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

namespace moescope::train {

struct RoutedTokens {
  std::size_t rows = 0, experts = 0, k = 0;
  std::vector<std::uint8_t> ids;       // [row, token, k]
  std::vector<std::int32_t> domain;    // [token], -1 = untagged
  std::vector<std::int32_t> sequence;  // [token], from 0
  std::vector<std::string> domains;

  [[nodiscard]] std::size_t tokens() const { return domain.size(); }
};

// One router. Information I(domain; expert) in nats over the tagged slots; its null shuffles the domains over whole
// sequences.
struct RowChecks {
  double min_share = 0, max_share = 0;  // of all slots, untagged tokens included
  double information = 0, null_mean = 0, null_99 = 0;
};
// An expert that a domain uses more than the tagged text does: lift = P(expert | domain) / P(expert).
struct BestLift {
  std::size_t row = 0, expert = 0;
  std::int64_t n = 0;  // slots of the domain that went to this expert
  double lift = 0;
};

[[nodiscard]] std::vector<RowChecks> check_rows(const RoutedTokens& routed, int draws, std::uint64_t seed);
// Per domain the largest lift among cells with at least `least` slots; n = 0 when there is none.
[[nodiscard]] std::vector<BestLift> best_lifts(const RoutedTokens& routed, std::int64_t least);

// The promises, as limits.
struct Limits {
  double loss_below_unigram = 0.40;  // share by which the loss is lower
  std::size_t informed_rows = 4;
  double lift = 2.0;
  std::int64_t lift_n = 200;
  double share_floor = 0.25;  // times 1/E
  int draws = 200;
};

}  // namespace moescope::train
