// How sure the routers are (entropy and margin), and the loss of the model on this text.
#include <cmath>

#include "core/figure/histogram_figure.h"
#include "core/figure/row_series_figures.h"
#include "core/figure/series_figure.h"
#include "core/report/report_parts.h"

namespace moescope {
namespace {

// Distribution over tokens in one layer, from a table of layer, from, to and tokens; nothing when it has no rows of it.
std::optional<ReportFigure> distribution(const ResultPtr& result, const std::string& table_name,
                                         const std::string& layer, const std::string& what, const std::string& unit) {
  const Table* table = find_table(*result, table_name);
  if (table == nullptr) return std::nullopt;
  std::vector<double> edges;
  std::vector<double> counts;
  for (std::size_t r = 0; r < table->rows.size(); ++r) {
    if (text_at(*table, r, find_column(*table, "layer")) != layer) continue;
    if (edges.empty()) edges.push_back(number_at(*table, r, find_column(*table, "from")));
    edges.push_back(number_at(*table, r, find_column(*table, "to")));
    counts.push_back(number_at(*table, r, find_column(*table, "tokens")));
  }
  if (counts.empty()) return std::nullopt;
  HistogramOptions options;
  options.x_title = what + ", " + unit;
  Figure figure = histogram_figure(result, edges, counts, options, text_column, 190);
  figure.title = what + " of the tokens in " + layer;
  figure.caption = figure.title + "; bars count tokens." + n_sentence(*result);
  return ReportFigure{"distribution", 0, std::move(figure), result};
}

}  // namespace

Draft certainty_section(const ReportTrace& trace) {
  SectionDraft draft{{"certainty", "Certainty of the routers", true, {}}, {}};
  const ResultPtr result = find_result(trace, "routing_entropy");
  if (!result) {
    const auto why = why_not(trace, "routing_entropy");
    if (!why) return std::nullopt;
    draft.section.blocks.emplace_back(*why);
    return draft;
  }
  const bool full = find_line(*result, "entropy") != nullptr;
  const std::string name = full ? "entropy" : "gate_entropy";
  const Series* entropy = find_line(*result, name);
  if (entropy == nullptr || !extremes(entropy->y).any()) return std::nullopt;
  const Extremes e = extremes(entropy->y);
  Sentence s;
  s.say(full ? "Routing entropy, over all experts, " : "The entropy among the chosen experts ");
  if (e.high - e.low < 0.005) {
    s.say("is ").strong(format_number(e.high, 2) + " nats").say(" in every layer");
  } else {
    s.say("runs from ").strong(format_number(e.low, 2) + " nats").say(" in " + x_name(*entropy, e.least) + " to ");
    s.strong(format_number(e.high, 2) + " nats").say(" in " + x_name(*entropy, e.most));
  }
  if (const Series* even = find_line(*result, name + "_uniform"); even != nullptr && extremes(even->y).any())
    s.say("; an even choice would have " + format_number(extremes(even->y).high, 2));
  s.say(" (").figure("entropy").say(").");
  const Series* margin = find_line(*result, "margin");
  if (margin != nullptr && extremes(margin->y).any()) {
    const Extremes m = extremes(margin->y);
    s.say(" " + x_name(*margin, m.least) + " decides most narrowly: its mean margin is ")
        .strong(format_number(m.low, 3))
        .say(" (")
        .figure("margin")
        .say(").");
  }
  draft.summary.push_back(s.done());
  draft.section.blocks.emplace_back(draft.summary.back());
  Figure figure = entropy_figure(result, false, {}, text_column, 220);
  figure.caption =
      entropy->title + " by layer, mean with quartiles over tokens; dashed: an even choice." + n_sentence(*result);
  draft.section.blocks.emplace_back(ReportFigure{"entropy", 0, std::move(figure), result});
  if (margin != nullptr && extremes(margin->y).any()) {
    Figure narrow = entropy_figure(result, true, {}, text_column, 220);
    narrow.caption =
        "Router margin by layer: score of the last expert chosen minus the best not chosen; mean with quartiles over "
        "tokens." +
        n_sentence(*result);
    draft.section.blocks.emplace_back(ReportFigure{"margin", 0, std::move(narrow), result});
    const std::string layer = x_name(*margin, extremes(margin->y).least);
    if (auto figure_of = distribution(result, "margin_histogram", layer, "Margin", "score"))
      draft.section.blocks.emplace_back(std::move(*figure_of));
  } else if (auto figure_of =
                 distribution(result, name + "_histogram", x_name(*entropy, e.least), entropy->title, "nats")) {
    draft.section.blocks.emplace_back(std::move(*figure_of));
  }
  return draft;
}

Draft loss_section(const ReportTrace& trace) {
  SectionDraft draft{{"loss", "Loss", true, {}}, {}};
  const ResultPtr result = find_result(trace, "token_loss");
  const Scalar* mean = result ? result->scalar("mean") : nullptr;
  if (mean == nullptr || !std::isfinite(mean->estimate.value)) {
    const auto why = why_not(trace, "token_loss");
    if (!why) return std::nullopt;
    draft.section.blocks.emplace_back(*why);
    return draft;
  }
  Sentence s;
  s.say("The mean loss is ").strong(format_number(mean->estimate.value, 3) + " nats");
  s.say(format_interval(mean->estimate.low, mean->estimate.high, 3) + " per token");
  if (const Scalar* p = result->scalar("perplexity"); p != nullptr)
    s.say(", a perplexity of " + format_number(p->estimate.value, 1));
  s.say(", n = " + format_count(mean->estimate.n) + ".");
  draft.summary.push_back(s.done());
  draft.section.blocks.emplace_back(draft.summary.back());
  if (const Table* by_tag = find_table(*result, "by_tag"); by_tag != nullptr && !by_tag->rows.empty()) {
    ReportTable table;
    table.title = "Loss by tag";
    table.columns = {
        {"value", false}, {"tag", false}, {"tokens", true}, {"mean loss, nats", true}, {"perplexity", true}};
    const std::size_t tag = find_column(*by_tag, "tag");
    const std::size_t value = find_column(*by_tag, "value");
    for (std::size_t r = 0; r < by_tag->rows.size() && r < 64; ++r)
      table.rows.push_back({text_at(*by_tag, r, value), text_at(*by_tag, r, tag),
                            format_count(number_at(*by_tag, r, find_column(*by_tag, "tokens"))),
                            format_number(number_at(*by_tag, r, find_column(*by_tag, "mean")), 3),
                            format_number(number_at(*by_tag, r, find_column(*by_tag, "perplexity")), 1)});
    draft.section.blocks.emplace_back(std::move(table));
  }
  if (const Series* loss = find_line(*result, "loss"); loss != nullptr && loss->x.size() > 1) {
    SeriesOptions options;
    options.names = {"loss"};
    Figure figure = series_figure(result, options, text_column, 220);
    figure.caption = loss->title + ", with 95\u202F% intervals." + n_sentence(*result);
    draft.section.blocks.emplace_back(ReportFigure{"loss", 0, std::move(figure), result});
  }
  return draft;
}

}  // namespace moescope
