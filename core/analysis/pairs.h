// Counting of expert pairs between two rows, observed and under the shuffle null. Used by affinity and the route graph,
// from any thread; every object belongs to one thread.
#pragma once

#include <cstdint>
#include <functional>
#include <span>
#include <string>
#include <vector>

#include "core/analysis/routes.h"
#include "core/base/export.h"
#include "core/base/progress.h"

namespace moescope {

enum class PairWeighting : std::uint8_t {
  pairs,         // every pair of a token's experts counts 1: rows sum to k
  top1,          // only the first ranks: rows sum to 1
  pairs_over_k2  // every token counts 1, spread over its k × k pairs: rows sum to 1
};

// Two rows to be joined, and how many leading ranks of each token are read.
struct RowPair {
  std::uint32_t from = 0, to = 0;
  std::uint32_t from_experts = 0, to_experts = 0;
  std::size_t ranks = 1;
};

// Counts of a row pair over tokens that have an expert at both rows. Cells have one more row and column (the sink) for
// slots without an expert, so that counting needs no branch per slot.
class PairTable {
 public:
  MOESCOPE_API PairTable(const RowPair& pair, PairWeighting weighting);
  MOESCOPE_API void clear();
  // Adds tokens. `a`, `b`: [tokens × ranks] as decode_ids gives them. Token t of `a` meets token partner[t] of `b`, or
  // t itself when `partner` is empty.
  MOESCOPE_API void add(const std::uint16_t* a, const std::uint16_t* b, std::size_t tokens,
                        std::span<const std::uint32_t> partner = {});

  [[nodiscard]] const RowPair& pair() const { return pair_; }
  [[nodiscard]] std::uint64_t tokens() const { return tokens_; }
  // Weighted joint counts [from_experts × to_experts], and their margins: the weighted occurrences of each expert.
  // joint / from is the affinity; joint · tokens / (from · to) its lift.
  struct Joint {
    std::vector<double> cells, from, to;
    double tokens = 0;
  };
  [[nodiscard]] MOESCOPE_API Joint joint() const;
  // Mutual information of the first ranks over ln of the smaller E; NaN without tokens.
  [[nodiscard]] MOESCOPE_API double first_rank_information() const;

 private:
  template <std::size_t FixedRanks>
  void add_pairs(const std::uint16_t* a, const std::uint16_t* b, std::size_t tokens,
                 std::span<const std::uint32_t> partner);

  RowPair pair_;
  PairWeighting weighting_;
  std::size_t width_;                 // to_experts + 1
  std::vector<std::uint32_t> cells_;  // all pairs of ranks
  std::vector<std::uint32_t> first_;  // pairs of first ranks
  std::vector<double> weighted_;      // pairs_over_k2 only
  std::vector<double> from_, to_;     // pairs_over_k2 only
  std::uint64_t tokens_ = 0;
};

// Adds every token that counts to `table`; returns how many ids were out of range, and early on a cancel.
MOESCOPE_API std::uint64_t count_pairs(const std::vector<Chunk>& chunks, const TokenMask& mask, const WorkContext& work,
                                       PairTable& table);

// Tokens that count, grouped by sequence: what the shuffle null permutes within.
struct GroupedTokens {
  std::vector<std::uint32_t> tokens;  // of the whole trace, grouped by sequence
  std::vector<std::size_t> starts;    // begin of each group in `tokens`, then the end
};
[[nodiscard]] MOESCOPE_API GroupedTokens group_tokens(const Trace& trace, const TokenMask& mask,
                                                      const SequenceIndex& sequences);

// The null: `draws` tables in which the tokens of the second row are permuted within each sequence, each given to
// `take` when it is full. The margins and the tokens are those of the observed table. The same seed gives the same
// draws. Returns early on a cancel.
MOESCOPE_API void shuffled_pairs(const Trace& trace, const GroupedTokens& grouped, const RowPair& pair,
                                 PairWeighting weighting, std::size_t draws, std::uint64_t seed,
                                 const WorkContext& work, const std::function<void(const PairTable&)>& take);

// Why pairs of this trace's experts cannot be counted (a table would be too large), or empty.
[[nodiscard]] MOESCOPE_API std::string too_large_for_pairs(const Trace& trace);

}  // namespace moescope
