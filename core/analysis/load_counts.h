// The counting half of expert load: slots, first ranks or gate weights of every row, whole and by block of sequences,
// and the intervals that come of the blocks. Used by expert_load, from any thread.
#pragma once

#include <cstdint>
#include <vector>

#include "core/analysis/analysis.h"
#include "core/analysis/common.h"
#include "core/analysis/kernels/counting.h"
#include "core/analysis/routes.h"

namespace moescope {

enum class LoadWeighting : std::uint8_t { slots, top1, gate };

// Sequences are drawn in blocks of neighbours: none without enough recorded sequences.
inline constexpr std::size_t bootstrap_draws = 200;
inline constexpr std::size_t fewest_sequences = 5;
[[nodiscard]] kernels::TokenGroups blocks_of_sequences(const SequenceIndex& sequences, std::size_t tokens);

// Counts of one row.
struct RowLoad {
  std::vector<double> counts;               // [experts], in slots or gate weight
  std::vector<std::uint32_t> block_counts;  // [block × experts], slots; empty without sequences
  std::vector<double> block_weights;        // the same of gate weights
  std::uint64_t tokens = 0;                 // with at least one expert
  std::uint64_t slots = 0;                  // filled slots that counted
  std::uint64_t bad = 0;
};

// One of each row of the trace; rows that the filter leaves out stay empty. Errors: cancelled, internal.
[[nodiscard]] Expected<std::vector<RowLoad>> count_loads(const AnalysisInput& input, LoadWeighting weighting,
                                                         const kernels::TokenGroups& blocks,
                                                         const ParallelStage& stage);
// Counts-only sources: all steps summed; the mask does not apply.
[[nodiscard]] RowLoad summed_counts(const ExpertCounts& counts, std::uint32_t row, std::uint32_t experts,
                                    std::uint32_t k);

struct RowIntervals {
  std::vector<double> low, high;  // of the share of each expert
  double effective_low = no_value, effective_high = no_value;
};

// Percentile bootstrap over blocks of sequences, 95 %. `row` seeds the draws.
[[nodiscard]] RowIntervals load_intervals(const RowLoad& load, std::size_t experts, std::size_t blocks,
                                          std::uint32_t row);

}  // namespace moescope
