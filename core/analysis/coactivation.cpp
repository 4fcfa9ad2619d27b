// Co-activation: which experts of one row are chosen together. C_ij = tokens with i and j among their experts.
#include <fmt/format.h>

#include <algorithm>

#include "core/analysis/common.h"
#include "core/analysis/pairs.h"
#include "core/analysis/routes.h"
#include "core/base/parallel.h"

namespace moescope {
namespace {

// Counts of one worker. `pairs` holds slot order (first, second), so a cell and its mirror are added in the end.
struct Counts {
  std::vector<std::uint32_t> pairs;   // [(E+1) × (E+1)]
  std::vector<std::uint64_t> single;  // [E+1]
  std::uint64_t tokens = 0, bad = 0;
};

template <std::size_t FixedRanks>
void add_tile(const std::uint16_t* ids, std::size_t tokens, std::size_t given_ranks, std::uint32_t experts,
              Counts& counts) {
  const std::size_t ranks = FixedRanks ? FixedRanks : given_ranks;
  const std::size_t width = experts + 1;
  std::uint32_t* pairs = counts.pairs.data();
  for (std::size_t t = 0; t < tokens; ++t, ids += ranks) {
    for (std::size_t i = 0; i + 1 < ranks; ++i) {
      std::uint32_t* row = pairs + ids[i] * width;
      for (std::size_t j = i + 1; j < ranks; ++j) ++row[ids[j]];
    }
    bool any = false;
    for (std::size_t i = 0; i < ranks; ++i) {
      ++counts.single[ids[i]];
      any = any || ids[i] < experts;
    }
    counts.tokens += any ? 1 : 0;
  }
}

void count_chunk(const Chunk& chunk, const TokenMask& mask, std::uint32_t row, std::uint32_t experts, std::size_t ranks,
                 std::vector<std::uint16_t>& ids, Counts& counts) {
  TileWalker walker(chunk, mask);
  for (Tile tile = walker.next(); tile.size() > 0; tile = walker.next()) {
    counts.bad += decode_ids(tile, row, experts, ranks, ids.data());
    switch (ranks) {
      case 2:
        add_tile<2>(ids.data(), tile.size(), ranks, experts, counts);
        break;
      case 4:
        add_tile<4>(ids.data(), tile.size(), ranks, experts, counts);
        break;
      case 6:
        add_tile<6>(ids.data(), tile.size(), ranks, experts, counts);
        break;
      case 8:
        add_tile<8>(ids.data(), tile.size(), ranks, experts, counts);
        break;
      default:
        add_tile<0>(ids.data(), tile.size(), ranks, experts, counts);
    }
  }
}

std::string unavailable(const Trace& trace) {
  if (!trace.has_ids()) return "did not record expert ids";
  return trace.max_slots() < 2 ? "has one expert per token, so none are chosen together" : too_large_for_pairs(trace);
}

Expected<Result> run(const AnalysisInput& input) {
  const auto row = row_parameter(input, "row");
  if (!row) return fail(row.error());
  const RouterRow& router = input.trace.rows()[*row];
  if (!keeps_row(input.filter, *row)) {
    return fail(ErrorKind::usage, "the filter leaves out " + row_name(router), input.filter.filter.text,
                "Choose a row that the filter keeps");
  }
  const std::size_t experts = router.experts;
  const std::size_t width = experts + 1;
  const std::size_t ranks = input.trace.max_slots();
  const std::vector<Chunk> chunks = chunks_of(input.trace);
  std::vector<Counts> workers(parallel_workers(chunks.size()));
  std::vector<std::vector<std::uint16_t>> buffers(workers.size());
  auto done = parallel_for(chunks.size(), input.work, {"Co-activation", 0, 1}, [&](std::size_t c, std::size_t worker) {
    Counts& counts = workers[worker];
    if (counts.pairs.empty()) {
      counts.pairs.resize(width * width);
      counts.single.resize(width);
      buffers[worker].resize(tile_tokens * ranks);
    }
    count_chunk(chunks[c], input.filter.mask, *row, router.experts, ranks, buffers[worker], counts);
  });
  if (!done) return fail(done.error());

  std::vector<double> pairs(experts * experts), single(experts);
  double tokens = 0, uses = 0;
  std::uint64_t bad = 0;
  for (const Counts& counts : workers) {
    if (counts.pairs.empty()) continue;
    tokens += static_cast<double>(counts.tokens);
    bad += counts.bad;
    for (std::size_t i = 0; i < experts; ++i) {
      single[i] += static_cast<double>(counts.single[i]);
      for (std::size_t j = 0; j < experts; ++j) {
        pairs[i * experts + j] += static_cast<double>(counts.pairs[i * width + j]) + counts.pairs[j * width + i];
      }
    }
  }
  for (const double n : single) uses += n;

  Result result;
  result.title = "Co-activation, " + row_name(router);
  const std::string axis = "expert of " + row_name(router);
  Matrix count{"count", "Tokens with both experts", "tokens", axis, axis};
  Matrix conditional{"conditional", "Share of an expert's tokens that also have the other", "probability", axis, axis};
  Matrix lift{"lift", "Together against independence", "times independent", axis, axis};
  Matrix jaccard{"jaccard", "Overlap of the two experts' tokens", "fraction", axis, axis};
  count.formula = "C_ij: tokens with i and j among their experts; the diagonal is left out";
  conditional.formula = "C_ij / n_i, n_i = tokens with i";
  lift.formula = "C_ij · T / (n_i · n_j), T = tokens";
  jaccard.formula = "C_ij / (n_i + n_j - C_ij)";
  for (Matrix* matrix : {&count, &conditional, &lift, &jaccard}) {
    matrix->row_names = matrix->column_names = expert_names(router.experts);
    matrix->values.assign(experts * experts, no_value);
    matrix->absence.assign(experts * experts, Absence::not_recorded);
    matrix->n = single;
  }
  for (std::size_t i = 0; i < experts; ++i) {
    for (std::size_t j = 0; j < experts; ++j) {
      const std::size_t cell = i * experts + j;
      if (i == j || !(single[i] > 0)) continue;
      const double both = pairs[cell];
      const auto set = [&](Matrix& matrix, double value) {
        matrix.values[cell] = value;
        matrix.absence[cell] = Absence::present;
      };
      set(count, both);
      set(conditional, both / single[i]);
      set(jaccard, both / (single[i] + single[j] - both));
      if (single[j] > 0) set(lift, both * tokens / (single[i] * single[j]));
    }
  }
  result.matrices = {std::move(count), std::move(conditional), std::move(lift), std::move(jaccard)};
  const double k = tokens > 0 ? uses / tokens : no_value;
  const auto e = static_cast<double>(experts);
  result.scalars.push_back({"uniform_lift",
                            "Lift of even, independent choice",
                            "times independent",
                            "(k-1) · E / (k · (E-1)): below 1, as an expert is chosen once per token",
                            {experts > 1 ? (k - 1) * e / (k * (e - 1)) : no_value, no_value, no_value, tokens}});
  note_bad_ids(result, bad);
  return result;
}

}  // namespace

AnalysisSpec coactivation_analysis() {
  return AnalysisSpec{"coactivation",
                      "Co-activation",
                      "Which experts of one row are chosen together for a token.",
                      1,
                      {row_parameter_spec("row", "Router row.", 0)},
                      unavailable,
                      run};
}

}  // namespace moescope
