#include "core/figure/row_series_figures.h"

#include <optional>

#include "core/figure/affinity_matrix_figure.h"
#include "core/figure/result_access.h"

namespace moescope {
namespace {

std::optional<std::size_t> selected_row(const Selection& selection) {
  if (selection.link) return selection.link->from.row;
  if (!selection.experts.empty()) return selection.experts.back().row;
  return std::nullopt;
}

}  // namespace

Figure affinity_strength_figure(const ResultPtr& affinity, bool mutual_information, const Selection& selection,
                                double width, double height, const std::vector<std::string>& row_names) {
  SeriesOptions options;
  const std::string name = mutual_information ? "mutual_information" : "strength";
  options.names = {name, name + "_null", name + "_floor"};
  options.rows_on_x = true;
  options.row_names = row_names;
  options.value_labels = true;
  options.marked = selected_row(selection);
  const AffinityRows rows = affinity ? affinity_rows(*affinity) : AffinityRows{};
  options.labels = {{name, "distance " + std::to_string(rows.to - rows.from)},
                    {name + "_null", "shuffle null, 95\u202F%"},
                    {name + "_floor", "uniform"}};
  options.title = mutual_information ? "Mutual information of neighbouring layers" : "Affinity strength by layer";
  options.x_title = "first layer of the pair";
  options.y_title = mutual_information ? "I / ln E" : "mean strongest P(j | i)";
  return series_figure(affinity, options, width, height);
}

Figure entropy_figure(const ResultPtr& routing_entropy, bool margin, const Selection& selection, double width,
                      double height, const std::vector<std::string>& row_names) {
  SeriesOptions options;
  const bool from_logits = routing_entropy && find_line(*routing_entropy, "entropy") != nullptr;
  const std::string name = margin ? "margin" : from_logits ? "entropy" : "gate_entropy";
  options.names = {name, name + "_uniform"};
  options.rows_on_x = true;
  options.row_names = row_names;
  options.value_labels = true;
  options.marked = selected_row(selection);
  options.labels = {{name, "mean, quartiles"}, {name + "_uniform", "even choice"}};
  return series_figure(routing_entropy, options, width, height);
}

}  // namespace moescope
