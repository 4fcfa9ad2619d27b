// Affinity between layers: how much the expert of one layer tells about the next, against shuffled tokens.
#include <algorithm>
#include <cmath>

#include "core/base/ids.h"
#include "core/figure/affinity_links_figure.h"
#include "core/figure/affinity_matrix_figure.h"
#include "core/figure/row_series_figures.h"
#include "core/report/report_parts.h"

namespace moescope {
namespace {

// The largest value and what chance gives at the same place.
ReportParagraph information_sentence(const Series& information, const Series* null) {
  const Extremes e = extremes(information.y);
  Sentence s;
  s.say("Layers are linked: the first expert of " + x_name(information, e.most) + " tells ")
      .strong(format_percent(e.high));
  s.say(" of the choice " + std::string("of the first expert one layer on"));
  if (null != nullptr && e.most < null->high.size())
    s.say(", " + format_percent(null->high[e.most]) + " by chance at most");
  return s.say(" (").figure("strength").say(").").done();
}

ReportParagraph strength_sentence(const Series& strength, const Series* null, const Series* floor) {
  const Extremes e = extremes(strength.y);
  Sentence s;
  s.say("The likeliest next expert follows with a probability of ")
      .strong(format_number(e.low, 2))
      .say(" to ")
      .strong(format_number(e.high, 2));
  s.say(", on average over the experts of a layer");
  if (null != nullptr && e.most < null->high.size()) {
    s.say("; shuffled tokens give up to ").strong(format_number(extremes(null->high).high, 2));
    std::size_t above = 0;
    for (std::size_t i = 0; i < std::min(null->high.size(), strength.y.size()); ++i)
      above += strength.y[i] > null->high[i] ? 1 : 0;
    s.say(", and " + std::to_string(above) + " of " + std::to_string(strength.y.size()) +
          " pairs of layers lie above their null");
  }
  if (floor != nullptr && extremes(floor->y).any())
    s.say(". Uniform routing would give " + format_number(extremes(floor->y).low, 3));
  return s.say(" (").figure("strength").say(").").done();
}

std::optional<ReportParagraph> link_sentence(const ReportTrace& trace, const Result& affinity) {
  const Graph* links = affinity.graph("links");
  if (links == nullptr || links->links.empty()) return std::nullopt;
  const auto best = std::max_element(links->links.begin(), links->links.end(),
                                     [](const auto& a, const auto& b) { return a.value < b.value; });
  const auto& rows = trace.trace.rows();
  const auto label = [&](const ExpertRef& e) {
    return expert_label(e.row < rows.size() ? rows[e.row].layer : static_cast<int>(e.row), e.expert);
  };
  Sentence s;
  s.say("The strongest link is " + label(best->link.from) + " → " + label(best->link.to) + ": ")
      .strong(format_percent(best->value));
  return s.say(" of the tokens of the first go on to the second, n = " + format_count(best->n) + " (")
      .figure("links")
      .say(").")
      .done();
}

}  // namespace

Draft affinity_section(const ReportTrace& trace) {
  SectionDraft draft{{"affinity", "Affinity between layers", true, {}}, {}};
  const ResultPtr affinity = find_result(trace, "affinity");
  if (!affinity) {
    const auto why = why_not(trace, "affinity");
    if (!why) return std::nullopt;
    draft.section.blocks.emplace_back(*why);
    return draft;
  }
  auto& blocks = draft.section.blocks;
  const Series* information = find_line(*affinity, "mutual_information");
  const bool informed = information != nullptr && extremes(information->y).any();
  if (informed)
    draft.summary.push_back(information_sentence(*information, find_line(*affinity, "mutual_information_null")));
  if (const Series* strength = find_line(*affinity, "strength"); strength != nullptr && extremes(strength->y).any()) {
    ReportParagraph words =
        strength_sentence(*strength, find_line(*affinity, "strength_null"), find_line(*affinity, "strength_floor"));
    if (!informed) draft.summary.push_back(words);
    blocks.emplace_back(std::move(words));
    Figure figure = affinity_strength_figure(affinity, false, {}, text_column, 230);
    figure.caption =
        "Affinity strength by layer: the mean, over experts i, of the largest P(j | i). Grey: tokens shuffled within "
        "their sequence, 95\u202F%." +
        n_sentence(*affinity);
    blocks.emplace_back(ReportFigure{"strength", 0, std::move(figure), affinity});
  }
  if (find_matrix(*affinity, "lift") != nullptr) {
    const Matrix& lift = *find_matrix(*affinity, "lift");
    AffinityMatrixOptions options;
    options.measure = AffinityMatrixOptions::Measure::lift;
    options.order = AffinityMatrixOptions::Order::similarity;
    const double height = std::clamp(static_cast<double>(lift.rows()) * 24 + 150, 320.0, 640.0);
    Figure figure = affinity_matrix_figure(affinity, options, {}, text_column, height);
    figure.caption = affinity->title + ": lift of each pair over independent layers. Rows, " + lift.row_axis +
                     "; columns, " + lift.column_axis + ". Flat grey: fewer than 5 pairs expected." +
                     n_sentence(*affinity);
    blocks.emplace_back(ReportFigure{"affinity", 0, std::move(figure), affinity});
  }
  if (const auto words = link_sentence(trace, *affinity)) {
    blocks.emplace_back(*words);
    AffinityLinksOptions options;
    options.row_names = names_of_rows(trace.trace);
    for (const RouterRow& row : trace.trace.rows()) options.experts.push_back(row.experts);
    blocks.emplace_back(
        ReportFigure{"links", 0, affinity_links_figure(affinity, options, {}, text_column, 340), affinity});
  }
  return draft;
}

}  // namespace moescope
