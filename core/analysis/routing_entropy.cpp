// Routing entropy and margin per token: how undecided a router is, and how close the choice was.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "core/analysis/common.h"
#include "core/analysis/routes.h"
#include "core/analysis/scores.h"
#include "core/base/parallel.h"

namespace moescope {
namespace {

constexpr std::size_t histogram_bins = 32;

struct RowValues {
  std::vector<double> entropy, margin;  // one per token that has it, sorted in the end
};

double gate_entropy(const Segment& segment, std::size_t row, std::size_t token, std::size_t filled,
                    std::vector<double>& weights) {
  weights.clear();
  for (std::size_t s = 0; s < filled; ++s) {
    const double weight = segment.gate_weights.at((row * segment.tokens + token) * segment.slots + s);
    if (std::isnan(weight)) return no_value;
    weights.push_back(std::max(0.0, weight));
  }
  return entropy_of(weights);
}

RowValues collect(const AnalysisInput& input, std::uint32_t row, const std::vector<Chunk>& chunks, bool from_logits) {
  const RouterRow& router = input.trace.rows()[row];
  RowValues values;
  std::vector<float> scores(router.experts);
  std::vector<double> weights;
  for (const Chunk& chunk : chunks) {
    const Segment& segment = *chunk.segment;
    TileWalker walker(chunk, input.filter.mask);
    for (Tile tile = walker.next(); tile.size() > 0; tile = walker.next()) {
      if (input.work.cancelled()) return values;
      for (std::size_t i = 0; i < tile.size(); ++i) {
        const std::size_t token = tile.token(i);
        // A trace of logits without ids knows k only from its row.
        const std::size_t filled = segment.has_ids() ? std::min(segment.filled(row, token), segment.slots) : router.k;
        if (filled == 0 && segment.has_ids()) continue;
        double entropy = no_value;
        if (!from_logits) {
          entropy = gate_entropy(segment, row, token, filled, weights);
        } else if (read_logits(segment, row, token, scores)) {
          entropy = softmax_entropy(scores);
        }
        if (std::isfinite(entropy)) values.entropy.push_back(entropy);
        const double margin = token_margin(segment, row, token, filled, scores);
        if (std::isfinite(margin)) values.margin.push_back(margin);
      }
    }
  }
  std::sort(values.entropy.begin(), values.entropy.end());
  std::sort(values.margin.begin(), values.margin.end());
  return values;
}

void add_point(Series& series, const RouterRow& row, const std::vector<double>& sorted) {
  double sum = 0;
  for (const double v : sorted) sum += v;
  series.x.push_back(row.layer);
  series.x_names.push_back(row_name(row));
  series.y.push_back(sorted.empty() ? no_value : sum / static_cast<double>(sorted.size()));
  series.low.push_back(quantile(sorted, 0.25));
  series.high.push_back(quantile(sorted, 0.75));
  series.n.push_back(static_cast<double>(sorted.size()));
}

Table histogram_table(const std::string& name, const std::string& title, const std::string& unit) {
  return Table{name, title, {{"layer", ""}, {"from", unit}, {"to", unit}, {"tokens", "", 0}}, {}};
}

// Equal bins over [0, top]; what lies beyond goes to the last.
void add_histogram(Table& table, const RouterRow& row, const std::vector<double>& sorted, double top) {
  if (sorted.empty() || !(top > 0)) return;
  auto begin = sorted.begin();
  for (std::size_t bin = 0; bin < histogram_bins; ++bin) {
    const double high = top * static_cast<double>(bin + 1) / histogram_bins;
    const auto end = bin + 1 == histogram_bins ? sorted.end() : std::lower_bound(begin, sorted.end(), high);
    table.rows.push_back(
        {row_name(row), top * static_cast<double>(bin) / histogram_bins, high, std::int64_t{end - begin}});
    begin = end;
  }
}

std::string entropy_unavailable(const Trace& trace) {
  return trace.has_router_logits() || (trace.has_ids() && trace.has_gate_weights())
             ? ""
             : "recorded neither router logits nor gate weights";
}

Expected<Result> run_entropy(const AnalysisInput& input) {
  const auto& rows = input.trace.rows();
  const bool from_logits = input.trace.has_router_logits();
  const std::vector<Chunk> chunks = chunks_of(input.trace);
  Series entropy{from_logits ? "entropy" : "gate_entropy",
                 from_logits ? "Routing entropy" : "Entropy of the gate weights",
                 "layer",
                 "entropy",
                 "nats",
                 from_logits ? "-sum_e P ln P over the softmax of all E router logits, per token"
                             : "-sum g ln g over a token's gate weights g, renormalised to 1"};
  Series uniform{entropy.name + "_uniform", "Even choice", "layer", "entropy", "nats", from_logits ? "ln E" : "ln k"};
  Series margin{"margin", "Router margin", "layer",
                "margin", "score",         "score of the last expert chosen minus the best not chosen, per token"};
  uniform.role = Series::Role::reference;
  Table entropies = histogram_table(entropy.name + "_histogram", entropy.title, "nats");
  Table margins = histogram_table("margin_histogram", "Router margin", "score");

  std::vector<RowValues> values(rows.size());
  auto done = parallel_for(rows.size(), input.work, {"Routing entropy", 0, 1}, [&](std::size_t r, std::size_t) {
    const auto row = static_cast<std::uint32_t>(r);
    if (keeps_row(input.filter, row)) values[r] = collect(input, row, chunks, from_logits);
  });
  if (!done) return fail(done.error());
  bool any_margin = false;
  for (std::size_t r = 0; r < rows.size(); ++r) {
    if (!keeps_row(input.filter, static_cast<std::uint32_t>(r))) continue;
    add_point(entropy, rows[r], values[r].entropy);
    add_point(margin, rows[r], values[r].margin);
    any_margin = any_margin || !values[r].margin.empty();
    const double even = std::log(from_logits ? static_cast<double>(rows[r].experts)
                                             : static_cast<double>(std::max<std::uint32_t>(1, rows[r].k)));
    uniform.x.push_back(rows[r].layer);
    uniform.x_names.push_back(row_name(rows[r]));
    uniform.y.push_back(from_logits || rows[r].k > 0 ? even : no_value);
    const double top = from_logits || values[r].entropy.empty() ? even : std::max(even, values[r].entropy.back());
    add_histogram(entropies, rows[r], values[r].entropy, top);
    if (!values[r].margin.empty()) add_histogram(margins, rows[r], values[r].margin, values[r].margin.back());
  }
  Result result;
  result.title = entropy.title;
  result.series = {std::move(entropy), std::move(uniform)};
  result.tables = {std::move(entropies)};
  if (any_margin) {
    result.series.push_back(std::move(margin));
    result.tables.push_back(std::move(margins));
  } else {
    result.caveats.push_back("No margins: they need router logits, selection scores or recorded margins.");
  }
  result.caveats.push_back("Low and high are the quartiles over tokens.");
  if (from_logits) {
    result.caveats.push_back("Entropy is of the softmax of the raw router logits, whatever the router's own rule.");
  } else {
    result.caveats.push_back(
        "The trace has no router logits: this is the entropy among the chosen experts only, at most ln k. It does not "
        "compare with entropies over all experts.");
  }
  return result;
}

}  // namespace

AnalysisSpec routing_entropy_analysis() {
  return AnalysisSpec{"routing_entropy",
                      "Routing entropy",
                      "How undecided each router is per token, and by what margin its choice was made.",
                      1,
                      {},
                      entropy_unavailable,
                      run_entropy};
}

}  // namespace moescope
