// Comparison of two traces of the same tokens: another checkpoint, another number type, a quantised model, another
// training step. Tokens are aligned by sequence and token id; what does not align is counted and left out. Called by
// the command line and views, from any thread.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "core/analysis/result.h"
#include "core/base/error.h"
#include "core/base/export.h"
#include "core/base/progress.h"
#include "core/trace/trace.h"

namespace moescope {

// Which token of the second trace is which of the first.
struct TokenAlignment {
  std::vector<std::uint32_t> first, second;       // [pair]: tokens of the traces, in the order of the first
  std::uint64_t only_first = 0, only_second = 0;  // tokens without a partner
  std::uint64_t different = 0;                    // at the same place of a pair of sequences, with other token ids
  std::size_t sequences = 0;                      // pairs of sequences
  bool by_token_ids = false;                      // else by place alone, as a trace has no token ids
};

// Sequences are paired by the token ids that they begin with, then by their id; tokens by their place in the sequence,
// if their ids are the same. Without token ids in both traces: by the order of sequences, and by place.
[[nodiscard]] MOESCOPE_API TokenAlignment align_tokens(const Trace& first, const Trace& second);

// Rows of the two traces of one layer, block and site.
struct RowMatch {
  std::uint32_t first = 0, second = 0;
};
[[nodiscard]] MOESCOPE_API std::vector<RowMatch> match_rows(const Trace& first, const Trace& second);

struct CompareOptions {
  std::uint32_t row = 0;   // row of the first trace for the matrix `moved`
  std::size_t moves = 50;  // most moves listed, over all rows
};

// matrix `rank_agreement` [row × rank]: share of tokens whose expert of that rank is the same; matrix `moved` [expert ×
// expert] of one row: tokens that lost expert i and gained j, each loss spread evenly over the gains; series
// `same_set`, `overlap` (shared experts over those of the first trace) and `jaccard` over rows; table `rows`; table
// `moves`; scalars `tokens`, `overlap`. Errors (input): no tokens or no rows in common, no expert ids; usage: no such
// row; cancelled.
[[nodiscard]] MOESCOPE_API Expected<Result> compare_traces(const Trace& first, const Trace& second,
                                                           const CompareOptions& options, const WorkContext& work = {});

}  // namespace moescope
