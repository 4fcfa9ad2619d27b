#include "core/analysis/load_counts.h"

#include <algorithm>
#include <cmath>
#include <tuple>

#include "core/analysis/kernels/simd.h"
#include "core/base/parallel.h"

namespace moescope {
namespace {

constexpr std::size_t max_blocks = 256;  // sequences are drawn in at most this many blocks of neighbours
constexpr std::uint64_t bootstrap_seed = 20240801;

// First ranks or gate weights of one row, token by token.
RowLoad count_row(const AnalysisInput& input, std::uint32_t row, LoadWeighting weighting,
                  const std::vector<Chunk>& chunks, const kernels::TokenGroups& blocks_of) {
  const std::vector<std::uint32_t>& block_of = blocks_of.of_token;
  const std::size_t blocks = blocks_of.count;
  const std::uint32_t experts = input.trace.rows()[row].experts;
  const std::size_t ranks = weighting == LoadWeighting::top1 ? 1 : std::max<std::size_t>(1, input.trace.max_slots());
  const std::size_t width = experts + 1;
  const std::size_t tables = std::max<std::size_t>(1, blocks);
  std::vector<double> sums(weighting == LoadWeighting::gate ? tables * width : 0);
  std::vector<std::uint32_t> table(tables * width);
  std::vector<std::uint16_t> ids(tile_tokens * ranks);
  std::vector<float> weights(weighting == LoadWeighting::gate ? tile_tokens * ranks : 0);
  RowLoad load;
  for (const Chunk& chunk : chunks) {
    if (input.work.cancelled()) return load;
    TileWalker walker(chunk, input.filter.mask);
    for (Tile tile = walker.next(); tile.size() > 0; tile = walker.next()) {
      load.bad += decode_ids(tile, row, experts, ranks, ids.data());
      if (weighting == LoadWeighting::gate) decode_weights(tile, row, ranks, weights.data());
      for (std::size_t t = 0; t < tile.size();) {
        // A run of tokens of one block shares its table, so the table stays in the cache.
        const std::size_t block = blocks == 0 ? 0 : block_of[tile.global_token(t)];
        const std::size_t begin = t;
        if (blocks == 0) {
          t = tile.size();
        } else {
          while (++t < tile.size() && block_of[tile.global_token(t)] == block) {
          }
        }
        std::uint32_t* counts = table.data() + block * width;
        for (std::size_t i = begin * ranks; i < t * ranks; ++i) ++counts[ids[i]];
        if (weighting != LoadWeighting::gate) continue;
        double* sum = sums.data() + block * width;
        for (std::size_t i = begin * ranks; i < t * ranks; ++i) {
          if (weights[i] == weights[i]) sum[ids[i]] += static_cast<double>(weights[i]);
        }
      }
      for (std::size_t t = 0; t < tile.size(); ++t) {
        const auto* first = ids.data() + t * ranks;
        load.tokens += std::any_of(first, first + ranks, [&](std::uint16_t id) { return id < experts; }) ? 1 : 0;
      }
    }
  }
  load.counts.assign(experts, 0);
  if (blocks > 0)
    (sums.empty() ? load.block_counts.resize(blocks * experts) : load.block_weights.resize(blocks * experts));
  for (std::size_t b = 0; b < tables; ++b) {
    for (std::size_t e = 0; e < experts; ++e) {
      const std::uint32_t n = table[b * width + e];
      load.slots += n;
      load.counts[e] += sums.empty() ? static_cast<double>(n) : sums[b * width + e];
      if (blocks == 0) continue;
      if (sums.empty()) {
        load.block_counts[b * experts + e] = n;
      } else {
        load.block_weights[b * experts + e] = sums[b * width + e];
      }
    }
  }
  return load;
}

// Slots of all rows, by block where there are blocks.
Expected<void> count_slots(const AnalysisInput& input, const std::vector<std::uint32_t>& rows,
                           const kernels::TokenGroups& blocks, const ParallelStage& stage,
                           std::vector<RowLoad>& loads) {
  const kernels::CountJob job{input.work, stage};
  if (blocks.count == 0) {
    const auto counted = kernels::count_load(input.trace, input.filter.mask, rows, job);
    if (!counted) return fail(counted.error());
    for (std::size_t i = 0; i < rows.size(); ++i) {
      RowLoad& load = loads[rows[i]];
      const kernels::LoadCounts& counts = (*counted)[i];
      load.counts.assign(counts.counts.begin(), counts.counts.end());
      load.tokens = counts.tokens;
      load.bad = counts.bad;
      for (const std::uint64_t n : counts.counts) load.slots += n;
    }
    return {};
  }
  auto counted = kernels::count_grouped(input.trace, input.filter.mask, rows, blocks, job);
  if (!counted) return fail(counted.error());
  for (std::size_t i = 0; i < rows.size(); ++i) {
    RowLoad& load = loads[rows[i]];
    kernels::GroupedCounts& counts = (*counted)[i];
    const std::size_t experts = input.trace.rows()[rows[i]].experts;
    std::vector<std::uint64_t> sums(experts);
    for (std::size_t b = 0; b < blocks.count; ++b) {
      for (std::size_t e = 0; e < experts; ++e) sums[e] += counts.counts[b * experts + e];
      load.tokens += counts.tokens[b];
    }
    for (const std::uint64_t n : sums) load.slots += n;
    load.counts.assign(sums.begin(), sums.end());
    load.bad = counts.bad;
    load.block_counts = std::move(counts.counts);
  }
  return {};
}

// The 2.5th and 97.5th percentile, as quantile() has them, without sorting all values. Reorders them.
std::pair<double, double> middle_95(std::span<double> values) {
  if (values.empty()) return {no_value, no_value};
  const auto at = [&](double q) {
    const double place = q * static_cast<double>(values.size() - 1);
    const auto below = static_cast<std::ptrdiff_t>(place);
    std::nth_element(values.begin(), values.begin() + below, values.end());
    const double low = values[static_cast<std::size_t>(below)];
    if (static_cast<std::size_t>(below) + 1 == values.size()) return low;
    const double high = *std::min_element(values.begin() + below + 1, values.end());
    return low + (high - low) * (place - static_cast<double>(below));
  };
  const double low = at(0.025);
  return {low, at(0.975)};
}

}  // namespace

kernels::TokenGroups blocks_of_sequences(const SequenceIndex& sequences, std::size_t tokens) {
  if (!sequences.recorded || sequences.count < fewest_sequences) return {};
  const std::size_t blocks = std::min(sequences.count, max_blocks);
  kernels::TokenGroups groups{std::vector<std::uint32_t>(tokens), blocks};
  for (std::size_t t = 0; t < tokens; ++t) {
    groups.of_token[t] = static_cast<std::uint32_t>(sequences.at(t) * blocks / sequences.count);
  }
  return groups;
}

Expected<std::vector<RowLoad>> count_loads(const AnalysisInput& input, LoadWeighting weighting,
                                           const kernels::TokenGroups& blocks, const ParallelStage& stage) {
  std::vector<RowLoad> loads(input.trace.rows().size());
  std::vector<std::uint32_t> rows;
  for (std::uint32_t row = 0; row < loads.size(); ++row) {
    if (keeps_row(input.filter, row)) rows.push_back(row);
  }
  if (weighting == LoadWeighting::slots) {
    if (auto done = count_slots(input, rows, blocks, stage, loads); !done) return fail(done.error());
    return loads;
  }
  const std::vector<Chunk> chunks = chunks_of(input.trace);
  auto done = parallel_for(rows.size(), input.work, stage, [&](std::size_t i, std::size_t) {
    loads[rows[i]] = count_row(input, rows[i], weighting, chunks, blocks);
  });
  if (!done) return fail(done.error());
  return loads;
}

RowLoad summed_counts(const ExpertCounts& counts, std::uint32_t row, std::uint32_t experts, std::uint32_t k) {
  RowLoad load;
  load.counts.assign(experts, 0);
  for (std::size_t step = 0; step < counts.steps; ++step) {
    for (std::size_t e = 0; e < counts.emax; ++e) {
      const std::int64_t n = counts.values[(step * counts.rows + row) * counts.emax + e];
      if (n <= 0) continue;
      if (e >= experts) {
        load.bad += static_cast<std::uint64_t>(n);
        continue;
      }
      load.counts[e] += static_cast<double>(n);
      load.slots += static_cast<std::uint64_t>(n);
    }
  }
  load.tokens = k > 0 ? load.slots / k : load.slots;
  return load;
}

RowIntervals load_intervals(const RowLoad& load, std::size_t experts, std::size_t blocks, std::uint32_t row) {
  const std::uint64_t seed = mix_seed(bootstrap_seed, row);
  std::vector<std::uint32_t> times(bootstrap_draws * blocks);
  for (std::size_t draw = 0; draw < bootstrap_draws; ++draw) {
    Random random(mix_seed(seed, draw));
    for (std::size_t b = 0; b < blocks; ++b) ++times[draw * blocks + random.below(blocks)];
  }
  std::vector<double> drawn(bootstrap_draws * experts);
  if (load.block_weights.empty()) {
    kernels::active_kernels().weighted_sums(load.block_counts.data(), blocks, experts, times.data(), bootstrap_draws,
                                            drawn.data());
  } else {
    for (std::size_t i = 0; i < times.size(); ++i) {
      if (times[i] == 0) continue;
      const double* weights = load.block_weights.data() + i % blocks * experts;
      for (std::size_t e = 0; e < experts; ++e) drawn[i / blocks * experts + e] += times[i] * weights[e];
    }
  }
  std::vector<double> shares(experts * bootstrap_draws);  // [expert × draw]
  std::vector<double> effective;
  for (std::size_t draw = 0; draw < bootstrap_draws; ++draw) {
    const std::span<const double> values(drawn.data() + draw * experts, experts);
    double sum = 0;
    for (const double n : values) sum += n;
    for (std::size_t e = 0; e < experts; ++e) shares[e * bootstrap_draws + draw] = sum > 0 ? values[e] / sum : 0;
    if (sum > 0) effective.push_back(std::exp(entropy_of(values)));
  }
  RowIntervals intervals;
  for (std::size_t e = 0; e < experts; ++e) {
    const auto [low, high] = middle_95({shares.data() + e * bootstrap_draws, bootstrap_draws});
    intervals.low.push_back(low);
    intervals.high.push_back(high);
  }
  std::tie(intervals.effective_low, intervals.effective_high) = middle_95(effective);
  return intervals;
}

}  // namespace moescope
