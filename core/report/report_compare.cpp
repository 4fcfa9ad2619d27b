// Several traces side by side, in the order given: training steps, compute types, texts.
#include <cmath>
#include <limits>

#include "core/figure/series_figure.h"
#include "core/report/report_parts.h"

namespace moescope {
namespace {

constexpr double nan = std::numeric_limits<double>::quiet_NaN();

double mean_of(const std::vector<double>& values) {
  double sum = 0;
  double n = 0;
  for (const double v : values) {
    if (!std::isfinite(v)) continue;
    sum += v;
    ++n;
  }
  return n > 0 ? sum / n : nan;
}

double series_mean(const ReportTrace& trace, const std::string& analysis, const std::string& name) {
  const ResultPtr result = find_result(trace, analysis);
  const Series* s = result ? find_line(*result, name) : nullptr;
  return s == nullptr ? nan : mean_of(s->y);
}

double worst_peak(const ReportTrace& trace) {
  const ResultPtr load = find_result(trace, "expert_load");
  const Table* balance = load ? find_table(*load, "balance") : nullptr;
  if (balance == nullptr) return nan;
  double worst = nan;
  for (std::size_t r = 0; r < balance->rows.size(); ++r) {
    const double v = number_at(*balance, r, find_column(*balance, "max_over_mean"));
    if (std::isfinite(v) && !(worst >= v)) worst = v;
  }
  return worst;
}

double loss_of(const ReportTrace& trace) {
  const ResultPtr result = find_result(trace, "token_loss");
  const Scalar* mean = result ? result->scalar("mean") : nullptr;
  return mean == nullptr ? nan : mean->estimate.value;
}

}  // namespace

Draft comparison_section(const std::vector<ReportTrace>& traces) {
  if (traces.size() < 2) return std::nullopt;
  SectionDraft draft{{"comparison", "Comparison of traces", true, {}}, {}};
  struct Measure {
    const char *name, *title, *unit;
    int digits;
    std::vector<double> values;
  };
  std::vector<Measure> measures = {{"effective", "Effective experts, mean over layers", "experts", 1, {}},
                                   {"peak", "Max over mean load, worst layer", "times", 2, {}},
                                   {"strength", "Affinity strength, mean over layers", "probability", 3, {}},
                                   {"information", "Information between tag and expert, mean", "nats", 3, {}},
                                   {"loss", "Mean loss", "nats", 3, {}}};
  for (const ReportTrace& t : traces) {
    measures[0].values.push_back(series_mean(t, "expert_load", "effective_experts"));
    measures[1].values.push_back(worst_peak(t));
    measures[2].values.push_back(series_mean(t, "affinity", "strength"));
    measures[3].values.push_back(series_mean(t, "domain_profile/0", "information"));
    measures[4].values.push_back(loss_of(t));
  }
  auto result = std::make_shared<Result>();
  result->title = "Comparison of traces";
  result->provenance.analysis = "comparison";
  result->provenance.tokens = traces.front().trace.token_count();
  ReportTable table;
  table.title = "Measures by trace";
  table.columns = {{"trace", false}, {"tokens", true}};
  for (const Measure& m : measures) table.columns.push_back({std::string(m.title) + ", " + m.unit, true});
  for (std::size_t i = 0; i < traces.size(); ++i) {
    std::vector<std::string> cells = {traces[i].name, format_count(static_cast<double>(traces[i].trace.token_count()))};
    for (const Measure& m : measures) cells.push_back(format_number(m.values[i], m.digits));
    table.rows.push_back(std::move(cells));
  }
  table.note = "– : not recorded, or the trace does not allow it. Traces stand in the order given.";
  draft.section.blocks.emplace_back(std::move(table));
  for (const Measure& m : measures) {
    if (!extremes(m.values).any()) continue;
    Series s;
    s.name = m.name;
    s.title = m.title;
    s.y_axis = std::string(m.title) + ", " + m.unit;
    for (std::size_t i = 0; i < traces.size(); ++i) {
      s.x.push_back(static_cast<double>(i));
      s.x_names.push_back(traces[i].name);
      s.n.push_back(static_cast<double>(traces[i].trace.token_count()));
    }
    s.y = m.values;
    result->series.push_back(std::move(s));
  }
  for (const Series& s : result->series) {
    SeriesOptions options;
    options.names = {s.name};
    options.value_labels = true;
    Figure figure = series_figure(result, options, text_column / 2 - 8, 180);
    figure.caption = s.title + ", trace by trace.";
    draft.section.blocks.emplace_back(ReportFigure{"compare-" + s.name, 0, std::move(figure), result, true});
  }
  const Measure& effective = measures[0];
  if (std::isfinite(effective.values.front()) && std::isfinite(effective.values.back())) {
    Sentence s;
    s.say("From " + traces.front().name + " to " + traces.back().name + " the effective experts go from ")
        .strong(format_number(effective.values.front(), 1));
    s.say(" to ").strong(format_number(effective.values.back(), 1));
    if (std::isfinite(measures[4].values.front()) && std::isfinite(measures[4].values.back()))
      s.say(" and the loss from ")
          .strong(format_number(measures[4].values.front(), 2))
          .say(" to ")
          .strong(format_number(measures[4].values.back(), 2))
          .say(" nats");
    draft.summary.push_back(s.say(" (").figure("compare-effective").say(").").done());
  }
  return draft;
}

}  // namespace moescope
