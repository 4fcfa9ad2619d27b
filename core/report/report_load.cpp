// Load of experts: how even it is, in sentences, the heat map and the balance table.
#include <algorithm>
#include <cmath>

#include "core/figure/experts_figure.h"
#include "core/report/report_parts.h"

namespace moescope {
namespace {

// The number of a column of the balance table, by row.
std::vector<double> column(const Table& table, const std::string& name) {
  std::vector<double> out;
  const std::size_t c = find_column(table, name);
  for (std::size_t r = 0; r < table.rows.size(); ++r) out.push_back(number_at(table, r, c));
  return out;
}

ReportParagraph evenness(const Matrix& share, const Table& balance) {
  Sentence s;
  const std::vector<double> peak = column(balance, "max_over_mean");
  const Extremes worst = extremes(peak);
  const std::string layer = text_at(balance, worst.most, find_column(balance, "layer"));
  const auto row = std::find(share.row_names.begin(), share.row_names.end(), layer);
  if (worst.any() && row != share.row_names.end()) {
    const auto r = static_cast<std::size_t>(row - share.row_names.begin());
    std::size_t best = 0;
    std::size_t experts = 0;
    for (std::size_t e = 0; e < share.columns(); ++e) {
      if (!present(share, r, e)) continue;
      ++experts;
      if (!present(share, r, best) || share.at(r, e) > share.at(r, best)) best = e;
    }
    if (experts > 0) {
      s.say(layer + " is the least even layer: its busiest expert, " + share.column_names[best] + ", takes ");
      s.strong(format_percent(share.at(r, best)));
      if (has_interval(share, r, best))
        s.say(format_interval(low_of(share, r, best) * 100, high_of(share, r, best) * 100, 1));
      s.say(" of the slots, where an even spread gives " + format_percent(1.0 / static_cast<double>(experts), 2) +
            ". ");
    }
  }
  const std::vector<double> effective = column(balance, "effective_experts");
  if (const Extremes e = extremes(effective); e.any()) {
    s.say("Layers use the equivalent of ").strong(format_number(e.low, 1)).say(" to ").strong(format_number(e.high, 1));
    s.say(" of their experts (").figure("load").say("). ");
  }
  double dead = 0;
  for (const double d : column(balance, "dead")) dead += std::isfinite(d) ? d : 0;
  if (dead == 0) {
    s.say("No expert is dead.");
  } else {
    s.strong(format_count(dead)).say(dead == 1 ? " expert was never chosen." : " experts were never chosen.");
  }
  return s.done();
}

}  // namespace

Draft load_section(const ReportTrace& trace) {
  SectionDraft draft{{"load", "Load of experts", true, {}}, {}};
  const ResultPtr load = find_result(trace, "expert_load");
  const Matrix* share = load ? find_matrix(*load, "share") : nullptr;
  if (share == nullptr) {
    const auto why = why_not(trace, "expert_load");
    if (!why) return std::nullopt;
    draft.section.blocks.emplace_back(*why);
    return draft;
  }
  const Table* balance = find_table(*load, "balance");
  if (balance != nullptr) {
    draft.summary.push_back(evenness(*share, *balance));
    const Extremes peak = extremes(column(*balance, "max_over_mean"));
    const Extremes gini = extremes(column(*balance, "gini"));
    Sentence s;
    s.say(
        "Max over mean is the load of the busiest expert over the even load, which is what a lock-step expert-parallel "
        "step waits for. It runs from ");
    s.strong(format_number(peak.low, 2))
        .say(" to ")
        .strong(format_number(peak.high, 2))
        .say(", the Gini coefficient from ");
    s.strong(format_number(gini.low, 2)).say(" to ").strong(format_number(gini.high, 2)).say(".");
    if (peak.any() && gini.any()) draft.section.blocks.emplace_back(s.done());
  }
  ExpertsOptions options;
  options.sort = ExpertsOptions::Sort::load;
  const double rows = static_cast<double>(share->rows());
  const double height = std::clamp(130 + rows * 34, 230.0, 560.0);
  draft.section.blocks.emplace_back(
      ReportFigure{"load", 0, experts_figure(load, options, {}, text_column, height), load});
  return draft;
}

std::optional<ReportTable> balance_table(const ReportTrace& trace) {
  const ResultPtr load = find_result(trace, "expert_load");
  const Table* balance = load ? find_table(*load, "balance") : nullptr;
  if (balance == nullptr || balance->rows.empty()) return std::nullopt;
  ReportTable out;
  out.title = "Load by layer";
  out.columns = {{"layer", false}, {"max / mean", true}, {"CV", true}, {"Gini", true}};
  const std::size_t layer = find_column(*balance, "layer");
  const std::size_t columns[] = {find_column(*balance, "max_over_mean"), find_column(*balance, "cv"),
                                 find_column(*balance, "gini")};
  for (std::size_t r = 0; r < balance->rows.size(); ++r) {
    std::vector<std::string> cells = {text_at(*balance, r, layer)};
    for (const std::size_t c : columns) cells.push_back(format_number(number_at(*balance, r, c), 2));
    out.rows.push_back(std::move(cells));
  }
  return out;
}

}  // namespace moescope
