// Expert load: how often each expert is chosen, how even that is, and how sure. metrics: load balance of a row from its
// counts n_e, with p_e = n_e / sum n.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "core/analysis/common.h"
#include "core/analysis/load_counts.h"
#include "core/base/parallel.h"

namespace moescope {
namespace {

constexpr std::size_t shown_early = 200'000;  // tokens from which on counts are worth showing before intervals

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

std::string load_unavailable(const Trace& trace) {
  return trace.has_ids() || !trace.counts.empty() ? "" : "recorded neither expert ids nor counts per expert";
}

// Everything of the trace that the counts alone do not say.
struct LoadContext {
  const AnalysisInput& input;
  LoadWeighting weighting;
  std::size_t sequences, blocks;
  bool from_ids;
};

Result result_of(const LoadContext& context, const std::vector<RowLoad>& loads,
                 const std::vector<RowIntervals>& intervals) {
  const AnalysisInput& input = context.input;
  const auto& rows = input.trace.rows();
  const LoadWeighting weighting = context.weighting;
  const std::size_t blocks = intervals.empty() ? 0 : context.blocks;
  Result result;
  result.title = "Expert load";
  const std::uint32_t emax = most_experts(rows);
  const std::size_t cells = rows.size() * emax;
  const char* what = weighting == LoadWeighting::gate   ? "gate weight"
                     : weighting == LoadWeighting::top1 ? "first ranks"
                                                        : "slots";
  Matrix count{"count", "Load", weighting == LoadWeighting::gate ? "gate weight" : "slots", "layer", "expert"};
  Matrix share{"share", fmt::format("Share of {}", what), "fraction of the row", "layer", "expert"};
  Matrix lift{"lift", "Load against uniform", "times uniform", "layer", "expert"};
  count.formula =
      weighting == LoadWeighting::gate ? "sum of gate weights of expert e" : "n_e: slots that hold expert e";
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
        if (blocks > 0 && !intervals[r].low.empty()) {
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
                                         context.sequences,
                                         blocks < context.sequences ? fmt::format(" in {} blocks", blocks) : ""));
  } else if (context.blocks == 0) {
    result.caveats.push_back(fmt::format("No intervals: they need at least {} recorded sequences.", fewest_sequences));
  }
  if (!context.from_ids)
    result.caveats.push_back("From counts per expert: n is the sum of counts over k where k is known.");
  note_bad_ids(result, bad);
  return result;
}

Expected<Result> run_load(const AnalysisInput& input) {
  const Trace& trace = input.trace;
  const auto& rows = trace.rows();
  const std::string weighting_name = input.params.at("weighting").get<std::string>();
  const LoadWeighting weighting = weighting_name == "top1"   ? LoadWeighting::top1
                                  : weighting_name == "gate" ? LoadWeighting::gate
                                                             : LoadWeighting::slots;
  const bool from_ids = trace.has_ids();
  if (!from_ids && weighting != LoadWeighting::slots) {
    return fail(ErrorKind::usage, "this trace has only counts per expert", "parameter weighting",
                "Use weighting=slots");
  }
  if (!from_ids && !input.filter.mask.all()) {
    return fail(ErrorKind::usage, "this trace has only counts per expert, so its tokens cannot be filtered", trace.name,
                "Clear the filter");
  }
  if (weighting == LoadWeighting::gate && !trace.has_gate_weights()) {
    return fail(ErrorKind::usage, "this trace has no gate weights", "parameter weighting", "Use weighting=slots");
  }
  if (weighting == LoadWeighting::top1 && !trace.info->rank_order) {
    return fail(ErrorKind::usage, "this trace does not keep the order of ranks", "parameter weighting",
                "Use weighting=slots");
  }

  const SequenceIndex sequences = from_ids ? sequence_index(trace) : SequenceIndex{};
  const kernels::TokenGroups blocks = blocks_of_sequences(sequences, trace.token_count());
  const LoadContext context{input, weighting, sequences.count, blocks.count, from_ids};
  std::vector<RowLoad> loads(rows.size());
  if (from_ids) {
    auto counted = count_loads(input, weighting, blocks, {"Expert load", 0, blocks.count > 0 ? 0.6 : 1.0});
    if (!counted) return fail(counted.error());
    loads = std::move(*counted);
  } else {
    for (std::uint32_t r = 0; r < rows.size(); ++r) {
      if (keeps_row(input.filter, r)) loads[r] = summed_counts(trace.counts, r, rows[r].experts, rows[r].k);
    }
  }
  if (blocks.count == 0) return result_of(context, loads, {});
  if (input.partial && trace.token_count() >= shown_early) {
    Result part = result_of(context, loads, {});
    part.caveats.insert(part.caveats.begin(), "Still counting: the intervals follow.");
    input.partial(std::move(part));
  }
  std::vector<RowIntervals> intervals(rows.size());
  auto done =
      parallel_for(rows.size(), input.work, {"Expert load: intervals", 0.6, 1}, [&](std::size_t r, std::size_t) {
        if (loads[r].slots == 0) return;
        intervals[r] = load_intervals(loads[r], rows[r].experts, blocks.count, static_cast<std::uint32_t>(r));
      });
  if (!done) return fail(done.error());
  return result_of(context, loads, intervals);
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
                      load_unavailable,
                      run_load};
}

}  // namespace moescope
