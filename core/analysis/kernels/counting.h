// Counting of routes at the speed of the machine: load, load by group, co-activation and affinity of any rows, under a
// token mask, on all cores. Reads the ids where they are (mapped files stay mapped) in tiles of tokens that fit the
// caches, with the machine's widest vectors (simd.h). Every count equals that of the plain loop over tokens and slots.
// Called by analyses, the benchmark and tests, from any thread; not to be nested in parallel_for.
#pragma once

#include <cstdint>
#include <functional>
#include <span>
#include <vector>

#include "core/base/error.h"
#include "core/base/export.h"
#include "core/base/parallel.h"
#include "core/base/progress.h"
#include "core/trace/selection.h"
#include "core/trace/trace.h"

namespace moescope::kernels {

// How a count runs: whom it tells, and which tokens of the trace it covers.
struct CountJob {
  WorkContext work;
  ParallelStage stage{"Counting", 0, 1};
  std::size_t begin = 0, end = static_cast<std::size_t>(-1);  // tokens of the trace
};

// Filled slots of one row by expert.
struct LoadCounts {
  std::vector<std::uint64_t> counts;  // [experts]
  std::uint64_t tokens = 0;           // with at least one expert
  std::uint64_t bad = 0;              // filled slots with an id of E or more
};
// One of each of `rows`, in their order. Errors: cancelled, internal.
[[nodiscard]] MOESCOPE_API Expected<std::vector<LoadCounts>> count_load(const Trace& trace, const TokenMask& mask,
                                                                        std::span<const std::uint32_t> rows,
                                                                        const CountJob& job = {});

// What tokens are grouped by: a tag's value, a position, a token id, a block of sequences.
struct TokenGroups {
  std::vector<std::uint32_t> of_token;  // [token of the trace]; `count` or more = in no group
  std::size_t count = 0;
};
struct GroupedCounts {
  std::vector<std::uint32_t> counts;  // [group × experts]
  std::vector<std::uint32_t> tokens;  // [group]: with at least one expert
  std::uint64_t bad = 0;
};
// Load of each group. Memory: groups × experts × 4 bytes for each row, and again for each thread at work on it.
[[nodiscard]] MOESCOPE_API Expected<std::vector<GroupedCounts>> count_grouped(const Trace& trace, const TokenMask& mask,
                                                                              std::span<const std::uint32_t> rows,
                                                                              const TokenGroups& groups,
                                                                              const CountJob& job = {});

// One expert of a row, by group: token ids that an expert is used for.
struct GroupUses {
  std::vector<std::uint32_t> uses;    // [group]: tokens that hold the expert
  std::vector<std::uint32_t> tokens;  // [group]: tokens with at least one expert
  std::vector<std::uint64_t> first;   // [group]: the first of those, all ones where there is none
  std::uint64_t bad = 0;
};
// Memory: 16 bytes for each group, and again for each thread. Errors: cancelled, internal.
[[nodiscard]] MOESCOPE_API Expected<GroupUses> count_uses(const Trace& trace, const TokenMask& mask, std::uint32_t row,
                                                          std::uint32_t expert, const TokenGroups& groups,
                                                          const CountJob& job = {});

// Two rows whose experts are joined; the same row twice is co-activation.
struct Rows {
  std::uint32_t from = 0, to = 0;
};
// Which slots of the two rows meet: all of them, only the first of each, or both kinds of table.
enum class Ranks : std::uint8_t { all, first, both };
struct PairCounts {
  Rows rows;
  std::uint32_t from_experts = 0, to_experts = 0;
  // Tokens with i at the first row and j at the second (times how often they are repeated) [from × to].
  std::vector<std::uint64_t> cells;
  // Slots of each expert over the tokens that have an expert at both rows.
  std::vector<std::uint64_t> from, to;
  // Tokens whose first slots hold i and j [from × to]. Empty for Ranks::all; `cells` is empty for Ranks::first.
  std::vector<std::uint32_t> first;
  std::uint64_t tokens = 0;  // with an expert at both rows
  std::uint64_t bad = 0;     // of both rows
  [[nodiscard]] std::uint64_t at(std::size_t i, std::size_t j) const { return cells[i * to_experts + j]; }
};
// Empty tables for a pair.
[[nodiscard]] PairCounts empty_counts(const std::vector<RouterRow>& rows, Rows pair, Ranks ranks);
// One of each of `pairs`, in their order. Memory: the tables, and a part of them for each thread. Errors: cancelled,
// internal. Adds to `into` where it already has the pairs' tables (from an earlier call over other tokens).
[[nodiscard]] MOESCOPE_API Expected<void> count_pairs(const Trace& trace, const TokenMask& mask,
                                                      std::span<const Rows> pairs, Ranks ranks,
                                                      std::vector<PairCounts>& into, const CountJob& job = {});

}  // namespace moescope::kernels
