// Token loss: mean loss over the tokens that count, by position and by tag.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <map>

#include "core/analysis/common.h"
#include "core/analysis/routes.h"
#include "core/analysis/tags.h"

namespace moescope {
namespace {

constexpr std::size_t most_points = 256;
constexpr std::size_t loss_draws = 200;
constexpr std::size_t fewest_sequences = 5;
constexpr std::uint64_t loss_seed = 7;

struct Sum {
  double loss = 0, squares = 0, n = 0;
  void add(double value) {
    loss += value;
    squares += value * value;
    n += 1;
  }
  [[nodiscard]] double mean() const { return n > 0 ? loss / n : no_value; }
  // Half a 95 % interval of the mean, taking tokens as independent.
  [[nodiscard]] double half_width() const {
    if (n < 2) return no_value;
    return 1.96 * std::sqrt(std::max(0.0, squares / n - mean() * mean()) / (n - 1));
  }
};

// 95 % percentile bootstrap of the mean over sequences.
std::pair<double, double> interval(const std::vector<Sum>& sequences, const WorkContext& work) {
  std::vector<double> means;
  for (std::size_t draw = 0; draw < loss_draws && !work.cancelled(); ++draw) {
    Random random(mix_seed(loss_seed, draw));
    double loss = 0, n = 0;
    for (std::size_t i = 0; i < sequences.size(); ++i) {
      const Sum& drawn = sequences[random.below(sequences.size())];
      loss += drawn.loss;
      n += drawn.n;
    }
    if (n > 0) means.push_back(loss / n);
  }
  std::sort(means.begin(), means.end());
  return {quantile(means, 0.025), quantile(means, 0.975)};
}

std::string loss_unavailable(const Trace& trace) {
  return trace.has_token_value("loss") ? "" : "did not record a loss per token";
}

Expected<Result> run_loss(const AnalysisInput& input) {
  const Trace& trace = input.trace;
  const SequenceIndex sequences = sequence_index(trace);
  const std::vector<std::string> tags = tag_names_of(trace);
  std::vector<Sum> by_sequence(sequences.count);
  std::map<std::int32_t, Sum> by_position;
  std::map<std::pair<std::string, std::string>, Sum> by_tag;
  Sum all;
  bool positions = true;
  std::vector<TagReader> readers;
  readers.reserve(tags.size());
  for (const auto& tag : tags) readers.emplace_back(trace, tag);
  std::size_t global = 0;
  for (const auto& segment : trace.segments) {
    const FloatColumn& losses = segment->token_values.at("loss");
    positions = positions && !segment->positions.empty();
    for (std::size_t t = 0; t < segment->tokens; ++t, ++global) {
      if (t % 4096 == 0 && input.work.cancelled()) return fail(ErrorKind::cancelled, "stopped", "Token loss");
      if (!input.filter.mask.test(global)) continue;
      const double loss = losses.at(t);
      if (!std::isfinite(loss)) continue;
      all.add(loss);
      by_sequence[sequences.at(global)].add(loss);
      if (positions) by_position[segment->positions[t]].add(loss);
      for (std::size_t i = 0; i < tags.size(); ++i) {
        const int code = readers[i].code(*segment, t);
        if (code >= 0) by_tag[{tags[i], readers[i].names()[static_cast<std::size_t>(code)]}].add(loss);
      }
    }
  }

  Result result;
  result.title = "Token loss";
  std::erase_if(by_sequence, [](const Sum& sum) { return sum.n == 0; });
  double low = all.mean() - all.half_width(), high = all.mean() + all.half_width();
  if (sequences.recorded && by_sequence.size() >= fewest_sequences) {
    std::tie(low, high) = interval(by_sequence, input.work);
    result.caveats.push_back(fmt::format("Intervals of the mean: 95 %, {} bootstrap draws over {} sequences.",
                                         loss_draws, by_sequence.size()));
  } else {
    result.caveats.push_back("Intervals of the mean take tokens as independent: there are too few sequences.");
  }
  result.scalars.push_back(
      {"mean", "Mean loss", "nats", "mean of -ln P(token | tokens before it)", {all.mean(), low, high, all.n}});
  result.scalars.push_back(
      {"perplexity", "Perplexity", "", "e^mean", {std::exp(all.mean()), std::exp(low), std::exp(high), all.n}});

  if (positions && !by_position.empty()) {
    Series series{"loss", "Loss by position", "position", "mean loss", "nats", "mean over the tokens at a position"};
    const std::int64_t first = by_position.begin()->first;
    const std::int64_t span = std::int64_t{by_position.rbegin()->first} - first + 1;
    const std::int64_t width =
        (span + static_cast<std::int64_t>(most_points) - 1) / static_cast<std::int64_t>(most_points);
    std::map<std::int64_t, Sum> bins;
    for (const auto& [position, sum] : by_position) {
      Sum& bin = bins[(position - first) / width];
      bin.loss += sum.loss;
      bin.squares += sum.squares;
      bin.n += sum.n;
    }
    for (const auto& [bin, sum] : bins) {
      series.x.push_back(static_cast<double>(first + bin * width) + static_cast<double>(width - 1) / 2);
      series.y.push_back(sum.mean());
      series.low.push_back(sum.mean() - sum.half_width());
      series.high.push_back(sum.mean() + sum.half_width());
      series.n.push_back(sum.n);
    }
    if (width > 1) series.title += fmt::format(", bins of {}", width);
    result.series.push_back(std::move(series));
  } else {
    result.caveats.push_back("No loss by position: the trace did not record positions.");
  }
  Table table{"by_tag",
              "Loss by tag",
              {{"tag", ""}, {"value", ""}, {"tokens", "", 0}, {"mean", "nats"}, {"perplexity", ""}},
              {}};
  for (const auto& [key, sum] : by_tag) {
    table.rows.push_back({key.first, key.second, static_cast<std::int64_t>(sum.n), sum.mean(), std::exp(sum.mean())});
  }
  result.tables.push_back(std::move(table));
  return result;
}

}  // namespace

AnalysisSpec token_loss_analysis() {
  return AnalysisSpec{"token_loss",     "Token loss", "Mean loss over tokens, by position and by tag.", 1, {},
                      loss_unavailable, run_loss};
}

}  // namespace moescope
