// The counting half of affinity: every pair of rows at one distance, observed and under the shuffle null, kept for as
// long as only the row shown changes. Used by affinity, from any thread.
#pragma once

#include <functional>
#include <memory>
#include <vector>

#include "core/analysis/analysis.h"
#include "core/analysis/common.h"
#include "core/analysis/kernels/counting.h"
#include "core/analysis/pairs.h"

namespace moescope {

struct AffinityOptions {
  PairWeighting weighting = PairWeighting::pairs;
  std::size_t distance = 1, draws = 20, links = 26;
  std::uint64_t seed = 1;
  bool operator==(const AffinityOptions&) const = default;
};

// What is known of one pair of rows.
struct AffinityPair {
  RowPair pair;
  kernels::PairCounts counts;  // empty for pairs_over_k2
  PairTable::Joint spread;     // only for pairs_over_k2
  double strength = no_value, floor = no_value, information = no_value, tokens = 0;
  std::vector<double> null_strength, null_information;  // sorted; fewer than asked for while counting goes on
  std::vector<double> from_share, to_share;             // of the slots
  std::vector<Graph::Link> links;                       // strongest first
  std::uint64_t bad = 0;
  [[nodiscard]] PairTable::Joint joint() const;
};

struct AffinityCounts {
  std::vector<AffinityPair> pairs;  // in the order of their first rows
  bool sequences_recorded = false;
  double share = 1;  // of the tokens, while counting goes on
};

// Pairs of rows that the filter keeps, `distance` apart, in order.
[[nodiscard]] std::vector<kernels::Rows> affinity_rows(const AnalysisInput& input, std::size_t distance);

// Counts, or gives what the last calls with the same trace, filter and options counted. `show`, if not empty, is called
// now and then with what there is so far, on the calling thread.
[[nodiscard]] Expected<std::shared_ptr<const AffinityCounts>> affinity_counts(
    const AnalysisInput& input, const AffinityOptions& options, const std::function<void(const AffinityCounts&)>& show);

}  // namespace moescope
