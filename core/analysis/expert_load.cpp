// Expert load: how often each expert is chosen, how even that is, and how sure. metrics: load balance of a row from its
// counts n_e, with p_e = n_e / sum n.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "core/analysis/common.h"
#include "core/analysis/routes.h"
#include "core/base/parallel.h"

namespace moescope {
namespace {

constexpr std::size_t bootstrap_draws = 200;
constexpr std::size_t max_blocks = 256;  // sequences are drawn in at most this many blocks of neighbours
constexpr std::size_t fewest_sequences = 5;
constexpr std::uint64_t bootstrap_seed = 20240801;

enum class Weighting { slots, top1, gate };

// Counts of one row.
struct RowLoad {
  std::vector<double> counts;        // [experts], in slots or gate weight
  std::vector<double> block_counts;  // [block × experts], empty without sequences
  std::uint64_t tokens = 0;          // with at least one expert
  std::uint64_t slots = 0;           // filled slots that counted
  std::uint64_t bad = 0;
};

// Numbers of one row's balance.
struct Balance {
  double mean = no_value, max_over_mean = no_value, cv = no_value, gini = no_value, entropy = no_value,
         effective = no_value;
  std::int64_t dead = 0;
};

Balance balance_of(const std::vector<double>& counts) {
  Balance b;
  const auto experts = static_cast<double>(counts.size());
  double sum = 0, highest = 0;
  for (const double n : counts) {
    sum += n;
    highest = std::max(highest, n);
    b.dead += n == 0 ? 1 : 0;
  }
  if (!(sum > 0)) return b;
  b.mean = sum / experts;
  b.max_over_mean = highest / b.mean;
  double squares = 0;
  for (const double n : counts) squares += (n - b.mean) * (n - b.mean);
  b.cv = std::sqrt(squares / experts) / b.mean;
  std::vector<double> sorted = counts;
  std::sort(sorted.begin(), sorted.end());
  double ranked = 0;
  for (std::size_t i = 0; i < sorted.size(); ++i) ranked += static_cast<double>(i + 1) * sorted[i];
  b.gini = 2 * ranked / (experts * sum) - (experts + 1) / experts;
  const double entropy = entropy_of(counts);
  b.entropy = counts.size() > 1 ? entropy / std::log(experts) : 1.0;
  b.effective = std::exp(entropy);
  return b;
}

// Block of sequences of every token of the trace; empty without intervals.
std::vector<std::uint16_t> blocks_of_tokens(const SequenceIndex& sequences, std::size_t tokens, std::size_t blocks) {
  std::vector<std::uint16_t> block_of(blocks > 0 ? tokens : 0);
  for (std::size_t t = 0; t < block_of.size(); ++t) {
    block_of[t] = static_cast<std::uint16_t>(sequences.at(t) * blocks / sequences.count);
  }
  return block_of;
}

RowLoad count_row(const AnalysisInput& input, std::uint32_t row, Weighting weighting, const std::vector<Chunk>& chunks,
                  const std::vector<std::uint16_t>& block_of, std::size_t blocks) {
  const std::uint32_t experts = input.trace.rows()[row].experts;
  const std::size_t ranks = weighting == Weighting::top1 ? 1 : std::max<std::size_t>(1, input.trace.max_slots());
  const std::size_t width = experts + 1;
  const std::size_t tables = std::max<std::size_t>(1, blocks);
  std::vector<double> sums(weighting == Weighting::gate ? tables * width : 0);
  std::vector<std::uint32_t> table(tables * width);
  std::vector<std::uint16_t> ids(tile_tokens * ranks);
  std::vector<float> weights(weighting == Weighting::gate ? tile_tokens * ranks : 0);
  RowLoad load;
  for (const Chunk& chunk : chunks) {
    if (input.work.cancelled()) return load;
    TileWalker walker(chunk, input.filter.mask);
    for (Tile tile = walker.next(); tile.size() > 0; tile = walker.next()) {
      load.bad += decode_ids(tile, row, experts, ranks, ids.data());
      if (weighting == Weighting::gate) decode_weights(tile, row, ranks, weights.data());
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
        if (weighting != Weighting::gate) continue;
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
  if (blocks > 0) load.block_counts.resize(blocks * experts);
  for (std::size_t b = 0; b < tables; ++b) {
    for (std::size_t e = 0; e < experts; ++e) {
      load.slots += table[b * width + e];
      const double value = sums.empty() ? static_cast<double>(table[b * width + e]) : sums[b * width + e];
      load.counts[e] += value;
      if (blocks > 0) load.block_counts[b * experts + e] = value;
    }
  }
  return load;
}

// Counts-only sources: all steps summed; the mask does not apply.
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

struct RowIntervals {
  std::vector<double> low, high;  // of the share of each expert
  double effective_low = no_value, effective_high = no_value;
};

// Percentile bootstrap over blocks of sequences, 95 %.
RowIntervals bootstrap(const RowLoad& load, std::size_t experts, std::size_t blocks, std::uint64_t seed) {
  std::vector<double> shares(experts * bootstrap_draws);  // [expert × draw]
  std::vector<double> effective;
  std::vector<double> drawn(experts);
  std::vector<std::uint32_t> times(blocks);
  for (std::size_t draw = 0; draw < bootstrap_draws; ++draw) {
    Random random(mix_seed(seed, draw));
    std::fill(times.begin(), times.end(), 0);
    for (std::size_t b = 0; b < blocks; ++b) ++times[random.below(blocks)];
    std::fill(drawn.begin(), drawn.end(), 0.0);
    for (std::size_t b = 0; b < blocks; ++b) {
      if (times[b] == 0) continue;
      const double weight = times[b];
      const double* counts = load.block_counts.data() + b * experts;
      for (std::size_t e = 0; e < experts; ++e) drawn[e] += weight * counts[e];
    }
    double sum = 0;
    for (const double n : drawn) sum += n;
    for (std::size_t e = 0; e < experts; ++e) shares[e * bootstrap_draws + draw] = sum > 0 ? drawn[e] / sum : 0;
    if (sum > 0) effective.push_back(std::exp(entropy_of(drawn)));
  }
  RowIntervals intervals;
  for (std::size_t e = 0; e < experts; ++e) {
    const std::span<double> of_expert(shares.data() + e * bootstrap_draws, bootstrap_draws);
    std::sort(of_expert.begin(), of_expert.end());
    intervals.low.push_back(quantile(of_expert, 0.025));
    intervals.high.push_back(quantile(of_expert, 0.975));
  }
  std::sort(effective.begin(), effective.end());
  intervals.effective_low = quantile(effective, 0.025);
  intervals.effective_high = quantile(effective, 0.975);
  return intervals;
}

std::string unavailable(const Trace& trace) {
  return trace.has_ids() || !trace.counts.empty() ? "" : "recorded neither expert ids nor counts per expert";
}

Expected<Result> run(const AnalysisInput& input) {
  const Trace& trace = input.trace;
  const auto& rows = trace.rows();
  const std::string weighting_name = input.params.at("weighting").get<std::string>();
  const Weighting weighting = weighting_name == "top1"   ? Weighting::top1
                              : weighting_name == "gate" ? Weighting::gate
                                                         : Weighting::slots;
  const bool from_ids = trace.has_ids();
  if (!from_ids && weighting != Weighting::slots) {
    return fail(ErrorKind::usage, "this trace has only counts per expert", "parameter weighting",
                "Use weighting=slots");
  }
  if (!from_ids && !input.filter.mask.all()) {
    return fail(ErrorKind::usage, "this trace has only counts per expert, so its tokens cannot be filtered", trace.name,
                "Clear the filter");
  }
  if (weighting == Weighting::gate && !trace.has_gate_weights()) {
    return fail(ErrorKind::usage, "this trace has no gate weights", "parameter weighting", "Use weighting=slots");
  }
  if (weighting == Weighting::top1 && !trace.info->rank_order) {
    return fail(ErrorKind::usage, "this trace does not keep the order of ranks", "parameter weighting",
                "Use weighting=slots");
  }

  const SequenceIndex sequences = from_ids ? sequence_index(trace) : SequenceIndex{};
  const std::size_t blocks =
      sequences.recorded && sequences.count >= fewest_sequences ? std::min(sequences.count, max_blocks) : 0;
  const std::vector<std::uint16_t> block_of = blocks_of_tokens(sequences, trace.token_count(), blocks);
  const std::vector<Chunk> chunks = chunks_of(trace);
  std::vector<RowLoad> loads(rows.size());
  std::vector<RowIntervals> intervals(rows.size());
  auto done = parallel_for(rows.size(), input.work, {"Expert load", 0, 1}, [&](std::size_t r, std::size_t) {
    const auto row = static_cast<std::uint32_t>(r);
    if (!keeps_row(input.filter, row)) return;
    loads[r] = from_ids ? count_row(input, row, weighting, chunks, block_of, blocks)
                        : summed_counts(trace.counts, row, rows[r].experts, rows[r].k);
    if (blocks > 0 && loads[r].slots > 0) {
      intervals[r] = bootstrap(loads[r], rows[r].experts, blocks, mix_seed(bootstrap_seed, r));
    }
  });
  if (!done) return fail(done.error());

  Result result;
  result.title = "Expert load";
  const std::uint32_t emax = most_experts(rows);
  const std::size_t cells = rows.size() * emax;
  const char* what = weighting == Weighting::gate   ? "gate weight"
                     : weighting == Weighting::top1 ? "first ranks"
                                                    : "slots";
  Matrix count{"count", "Load", weighting == Weighting::gate ? "gate weight" : "slots", "layer", "expert"};
  Matrix share{"share", fmt::format("Share of {}", what), "fraction of the row", "layer", "expert"};
  Matrix lift{"lift", "Load against uniform", "times uniform", "layer", "expert"};
  count.formula = weighting == Weighting::gate ? "sum of gate weights of expert e" : "n_e: slots that hold expert e";
  share.formula = "p_e = n_e / sum of n over the row";
  lift.formula = "p_e · E; 1 = uniform";
  Table table{"balance",
              "Balance of the load",
              {{"layer", ""},
               {"n", "tokens", 0},
               {"max_over_mean", "times"},
               {"maxvio", ""},
               {"cv", ""},
               {"gini", ""},
               {"entropy", "of ln E"},
               {"effective_experts", "experts", 2},
               {"dead", "experts", 0}},
              {}};
  Series effective{"effective_experts", "Effective experts", "layer",
                   "effective experts", "experts",           "e^H, H = -sum p ln p over the row's experts"};
  for (Matrix* matrix : {&count, &share, &lift}) {
    matrix->row_names = row_names(rows);
    matrix->column_names = expert_names(emax);
    matrix->values.assign(cells, no_value);
    matrix->absence.assign(cells, Absence::not_recorded);
    matrix->n.assign(rows.size(), 0);
    if (blocks > 0 && matrix != &count) {
      matrix->low.assign(cells, no_value);
      matrix->high.assign(cells, no_value);
    }
  }
  std::uint64_t bad = 0;
  for (std::size_t r = 0; r < rows.size(); ++r) {
    const RowLoad& load = loads[r];
    const std::size_t experts = rows[r].experts;
    const bool kept = keeps_row(input.filter, static_cast<std::uint32_t>(r));
    double sum = 0;
    for (const double n : load.counts) sum += n;
    bad += load.bad;
    const Balance b = balance_of(load.counts);
    for (Matrix* matrix : {&count, &share, &lift}) matrix->n[r] = static_cast<double>(load.slots);
    for (std::size_t e = 0; e < experts; ++e) {
      const std::size_t i = r * emax + e;
      if (sum > 0) {
        count.values[i] = load.counts[e];
        share.values[i] = load.counts[e] / sum;
        lift.values[i] = share.values[i] * static_cast<double>(experts);
        if (blocks > 0) {
          share.low[i] = intervals[r].low[e];
          share.high[i] = intervals[r].high[e];
          lift.low[i] = share.low[i] * static_cast<double>(experts);
          lift.high[i] = share.high[i] * static_cast<double>(experts);
        }
      }
      const Absence state = !kept ? Absence::filtered_out : sum > 0 ? Absence::present : Absence::not_recorded;
      for (Matrix* matrix : {&count, &share, &lift}) matrix->absence[i] = state;
    }
    if (kept) {
      table.rows.push_back({row_name(rows[r]), static_cast<std::int64_t>(load.tokens), b.max_over_mean,
                            b.max_over_mean - 1, b.cv, b.gini, b.entropy, b.effective,
                            sum > 0 ? Table::Cell(b.dead) : Table::Cell()});
    }
    effective.x.push_back(rows[r].layer);
    effective.x_names.push_back(row_name(rows[r]));
    effective.y.push_back(b.effective);
    effective.n.push_back(static_cast<double>(load.tokens));
    if (blocks > 0) {
      effective.low.push_back(intervals[r].effective_low);
      effective.high.push_back(intervals[r].effective_high);
    }
  }
  result.matrices = {std::move(count), std::move(share), std::move(lift)};
  result.series = {std::move(effective)};
  result.tables = {std::move(table)};
  result.caveats.push_back("CV uses the population standard deviation.");
  if (blocks > 0) {
    result.caveats.push_back(fmt::format("Intervals: 95 %, {} bootstrap draws over {} sequences{}.", bootstrap_draws,
                                         sequences.count,
                                         blocks < sequences.count ? fmt::format(" in {} blocks", blocks) : ""));
  } else {
    result.caveats.push_back(fmt::format("No intervals: they need at least {} recorded sequences.", fewest_sequences));
  }
  if (!from_ids) result.caveats.push_back("From counts per expert: n is the sum of counts over k where k is known.");
  note_bad_ids(result, bad);
  return result;
}

}  // namespace

AnalysisSpec expert_load_analysis() {
  return AnalysisSpec{"expert_load",
                      "Expert load",
                      "How often each expert is chosen in each row, and how even the load is.",
                      1,
                      {{"weighting",
                        "choice",
                        "What counts: every slot, only the first rank, or gate weights.",
                        "slots",
                        {"slots", "top1", "gate"},
                        {},
                        {}}},
                      unavailable,
                      run};
}

}  // namespace moescope
