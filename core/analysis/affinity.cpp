// Inter-layer affinity: which experts of a later row follow which of an earlier one. Entry (i, j) = tokens with i at
// the first row and j at the second over tokens with i (and any expert at the second). After ExFlow (arXiv 2401.08383),
// for all k × k pairs.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <map>

#include "core/analysis/affinity_counts.h"
#include "core/analysis/common.h"
#include "core/analysis/shuffle_null.h"

namespace moescope {
namespace {

using Joint = PairTable::Joint;

std::string affinity_unavailable(const Trace& trace) {
  if (!trace.has_ids()) return "did not record expert ids";
  for (std::uint32_t r = 0; r < trace.rows().size(); ++r) {
    if (row_at_distance(trace.rows(), r, 1) >= 0) return too_large_for_pairs(trace);
  }
  return "has no two router rows of the same kind to compare";
}

// Matrices of the chosen pair and the entropy of each of its rows.
void add_chosen(Result& result, const std::vector<RouterRow>& rows, const RowPair& pair, const Joint& joint,
                const AffinityOptions& options) {
  const std::size_t experts = joint.from.size();
  const std::size_t columns = joint.to.size();
  const std::string from_axis = "expert of " + row_name(rows[pair.from]);
  const std::string to_axis = "expert of " + row_name(rows[pair.to]);
  const std::string where = fmt::format("{} to {}", row_name(rows[pair.from]), row_name(rows[pair.to]));
  const bool spread = options.weighting == PairWeighting::pairs_over_k2;
  Matrix count{"count", "Joint count, " + where, spread ? "tokens (1/k² per pair)" : "tokens", from_axis, to_axis};
  Matrix probability{"probability", "Affinity, " + where, "probability", from_axis, to_axis};
  Matrix lift{"lift", "Affinity against independence, " + where, "times independent", from_axis, to_axis};
  count.formula = options.weighting == PairWeighting::top1 ? "tokens with first rank i, then first rank j"
                  : spread ? "sum over tokens of 1/k² for each pair of their experts (i, j)"
                           : "tokens with i at the first row and j at the second";
  probability.formula = options.weighting == PairWeighting::pairs
                            ? "tokens with i and j / n_i, n_i = tokens with i; rows sum to k of the second row"
                            : "count(i, j) / count of i; rows sum to 1";
  lift.formula = "count(i, j) · n / (n_i · n_j)";
  Series entropy{"row_entropy", "Entropy of each expert's next experts, " + where,
                 from_axis,     "entropy",
                 "of ln E",     "-sum_j q ln q / ln E, q = the row of the affinity over its sum"};
  for (Matrix* matrix : {&count, &probability, &lift}) {
    matrix->row_names = expert_names(static_cast<std::uint32_t>(experts));
    matrix->column_names = expert_names(static_cast<std::uint32_t>(columns));
    matrix->values.assign(experts * columns, no_value);
    matrix->absence.assign(experts * columns, Absence::not_recorded);
    matrix->n = joint.from;
  }
  for (std::size_t i = 0; i < experts; ++i) {
    entropy.x.push_back(static_cast<double>(i));
    entropy.x_names.push_back(count.row_names[i]);
    entropy.n.push_back(joint.from[i]);
    const std::span<const double> cells(joint.cells.data() + i * columns, columns);
    entropy.y.push_back(columns > 1 ? entropy_of(cells) / std::log(static_cast<double>(columns)) : no_value);
    for (std::size_t j = 0; j < columns; ++j) {
      const std::size_t cell = i * columns + j;
      if (!(joint.from[i] > 0)) continue;  // an expert that never occurs has no next experts: no data, not zero
      count.values[cell] = joint.cells[cell];
      probability.values[cell] = joint.cells[cell] / joint.from[i];
      count.absence[cell] = probability.absence[cell] = Absence::present;
      if (!(joint.to[j] > 0)) continue;
      lift.values[cell] = joint.cells[cell] * joint.tokens / (joint.from[i] * joint.to[j]);
      lift.absence[cell] = Absence::present;
    }
  }
  result.matrices = {std::move(count), std::move(probability), std::move(lift)};
  result.series.push_back(std::move(entropy));
}

// Series over first rows: the observed values, their null band and the floor.
void add_series(Result& result, const std::vector<RouterRow>& rows, const std::vector<AffinityPair>& pairs,
                const AffinityOptions& options) {
  const std::string y_axis = options.distance == 1 ? "to the next row" : fmt::format("to {} rows on", options.distance);
  Series strength{"strength",    "Affinity strength",
                  "layer",       "strength " + y_axis,
                  "probability", "mean over experts i that occur of max_j of the affinity (i, j)"};
  Series strength_null{
      "strength_null", "Affinity strength, tokens shuffled",
      "layer",         strength.y_axis,
      "probability",   "the same after permuting the tokens of the second row within each sequence; 95 % band"};
  Series floor{
      "strength_floor", "Uniform routing",
      "layer",          strength.y_axis,
      "probability",    options.weighting == PairWeighting::pairs ? "k/E of the second row" : "1/E of the second row"};
  Series information{"mutual_information",
                     "Mutual information of first ranks",
                     "layer",
                     "information " + y_axis,
                     "of ln E",
                     "I(first expert; first expert later) / ln E, E the smaller of the two rows'"};
  Series information_null{
      "mutual_information_null", "Mutual information, tokens shuffled", "layer", information.y_axis, "of ln E",
      strength_null.formula};
  strength_null.role = information_null.role = Series::Role::null_band;
  floor.role = Series::Role::reference;
  const auto mean = [](const std::vector<double>& values) {
    double sum = 0;
    for (const double v : values) sum += v;
    return values.empty() ? no_value : sum / static_cast<double>(values.size());
  };
  const auto point = [&](Series& series, const AffinityPair& p, double y) {
    series.x.push_back(rows[p.pair.from].layer);
    series.x_names.push_back(row_name(rows[p.pair.from]));
    series.n.push_back(p.tokens);
    series.y.push_back(y);
  };
  const auto band = [&](Series& series, const AffinityPair& p, const std::vector<double>& draws) {
    point(series, p, mean(draws));
    series.low.push_back(quantile(draws, 0.025));
    series.high.push_back(quantile(draws, 0.975));
  };
  for (const AffinityPair& p : pairs) {
    point(strength, p, p.strength);
    point(floor, p, p.floor);
    band(strength_null, p, p.null_strength);
    point(information, p, p.information);
    band(information_null, p, p.null_information);
  }
  result.series.push_back(std::move(strength));
  if (options.draws > 0) result.series.push_back(std::move(strength_null));
  result.series.push_back(std::move(floor));
  result.series.push_back(std::move(information));
  if (options.draws > 0) result.series.push_back(std::move(information_null));
}

void add_links(Result& result, const std::vector<AffinityPair>& pairs) {
  Graph graph{"links", "Strongest links between rows", "probability", {}, {}};
  std::map<ExpertRef, double> nodes;
  for (const AffinityPair& p : pairs) {
    for (std::uint32_t e = 0; e < p.from_share.size(); ++e) nodes.insert_or_assign({p.pair.from, e}, p.from_share[e]);
    for (std::uint32_t e = 0; e < p.to_share.size(); ++e) nodes.try_emplace({p.pair.to, e}, p.to_share[e]);
    graph.links.insert(graph.links.end(), p.links.begin(), p.links.end());
  }
  for (const auto& [expert, share] : nodes) graph.nodes.push_back({expert, share});
  result.graphs.push_back(std::move(graph));
}

Result result_of(const AnalysisInput& input, const AffinityOptions& options, const AffinityCounts& counts,
                 const AffinityPair& shown) {
  const auto& rows = input.trace.rows();
  Result result;
  result.title = fmt::format("Affinity, {} to {}", row_name(rows[shown.pair.from]), row_name(rows[shown.pair.to]));
  add_chosen(result, rows, shown.pair, shown.joint(), options);
  add_series(result, rows, counts.pairs, options);
  if (!input.trace.info->rank_order) {
    std::erase_if(result.series, [](const Series& s) { return s.name.starts_with("mutual_information"); });
    result.caveats.push_back("No mutual information of first ranks: the trace does not keep the order of ranks.");
  }
  add_links(result, counts.pairs);
  result.scalars.push_back({"strength",
                            "Affinity strength",
                            "probability",
                            result.find_series("strength")->formula,
                            {shown.strength, no_value, no_value, shown.tokens}});
  result.scalars.push_back({"floor",
                            "Floor of uniform routing",
                            "probability",
                            result.find_series("strength_floor")->formula,
                            {shown.floor, no_value, no_value, shown.tokens}});
  if (options.draws > 0) {
    result.caveats.push_back(fmt::format(
        "Null: the tokens of the second row permuted within {}, {} draws from seed {}; the band holds 95 % of them.",
        counts.sequences_recorded ? "each sequence" : "the whole trace, as it has no sequences", options.draws,
        options.seed));
    if (input.trace.token_count() > most_shuffled_tokens) {
      result.caveats.push_back(fmt::format("Stretches of {} tokens of a longer sequence are permuted each for itself.",
                                           most_shuffled_tokens));
    }
  }
  if (shown.tokens < 20.0 * shown.pair.from_experts) {
    result.caveats.push_back(fmt::format(
        "Few tokens ({:.0f} for {} experts): the largest entry of a row is high by chance; compare with the "
        "null band.",
        shown.tokens, shown.pair.from_experts));
  }
  result.caveats.push_back("Tokens count when they have an expert at both rows.");
  note_bad_ids(result, shown.bad);
  return result;
}

Expected<Result> run_affinity(const AnalysisInput& input) {
  const Trace& trace = input.trace;
  const auto& rows = trace.rows();
  AffinityOptions options;
  const std::string weighting = input.params.at("weighting").get<std::string>();
  options.weighting = weighting == "top1"            ? PairWeighting::top1
                      : weighting == "pairs_over_k2" ? PairWeighting::pairs_over_k2
                                                     : PairWeighting::pairs;
  options.distance = input.params.at("distance").get<std::size_t>();
  options.draws = input.params.at("null_draws").get<std::size_t>();
  options.links = input.params.at("links").get<std::size_t>();
  options.seed = input.params.at("seed").get<std::uint64_t>();
  const auto row = row_parameter(input, "row");
  if (!row) return fail(row.error());
  if (options.draws > 0 && options.draws < 20) {
    return fail(ErrorKind::usage, "a null of fewer than 20 draws is no band", "parameter null_draws",
                "Give 20 or more, or 0 for none");
  }
  if (options.weighting == PairWeighting::top1 && !trace.info->rank_order) {
    return fail(ErrorKind::usage, "this trace does not keep the order of ranks", "parameter weighting",
                "Use weighting=pairs");
  }
  const int chosen_to = row_at_distance(rows, *row, options.distance);
  if (chosen_to < 0) {
    return fail(ErrorKind::usage,
                fmt::format("no row of the same kind lies {} after {}", options.distance, row_name(rows[*row])),
                "parameters row and distance", "Choose an earlier row or a smaller distance");
  }
  if (!keeps_row(input.filter, *row) || !keeps_row(input.filter, static_cast<std::uint32_t>(chosen_to))) {
    return fail(ErrorKind::usage,
                fmt::format("the filter leaves out {} or {}", row_name(rows[*row]),
                            row_name(rows[static_cast<std::size_t>(chosen_to)])),
                input.filter.filter.text, "Choose rows that the filter keeps");
  }
  const auto chosen = [&](const AffinityCounts& counts) -> const AffinityPair& {
    return *std::find_if(counts.pairs.begin(), counts.pairs.end(),
                         [&](const AffinityPair& pair) { return pair.pair.from == *row; });
  };
  std::function<void(const AffinityCounts&)> show;
  if (input.partial) {
    show = [&](const AffinityCounts& counts) {
      Result part = result_of(input, options, counts, chosen(counts));
      if (counts.share < 1) {
        part.caveats.insert(part.caveats.begin(),
                            fmt::format("Still counting: the first {:.0f} % of the tokens.", 100 * counts.share));
      } else {
        part.caveats.insert(part.caveats.begin(), "Still counting: the null band follows.");
      }
      input.partial(std::move(part));
    };
  }
  const auto counts = affinity_counts(input, options, show);
  if (!counts) return fail(counts.error());
  return result_of(input, options, **counts, chosen(**counts));
}

}  // namespace

AnalysisSpec affinity_analysis() {
  const auto whole = [](const char* name, const char* help, int value, double low, double high) {
    return ParameterSpec{name, "int", help, value, {}, low, high};
  };
  return AnalysisSpec{
      "affinity",
      "Affinity",
      "Which experts of a later row follow which of an earlier one, how strongly, and against a shuffle.",
      2,  // 2: the null permutes within stretches of long sequences
      {row_parameter_spec("row", "First router row.", 0),
       whole("distance", "How many rows on, within one block and site.", 1, 1, 1024),
       {"weighting",
        "choice",
        "All pairs (rows sum to k), first ranks, or pairs weighted by 1/k² (rows sum to 1).",
        "pairs",
        {"pairs", "top1", "pairs_over_k2"}},
       whole("null_draws", "Shuffles behind the null band: 20 or more, or 0 for none.", 20, 0, 10000),
       whole("links", "Strongest links kept for each pair of rows.", 26, 0, 100000),
       whole("seed", "Seed of the shuffles.", 1, 0, 9e15)},
      affinity_unavailable,
      run_affinity};
}

}  // namespace moescope
