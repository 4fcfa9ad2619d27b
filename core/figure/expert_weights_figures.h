// What a checkpoint's experts weigh: norms by layer, singular spectra and one number per expert of a layer. Weights
// view. Pure functions: any thread.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "core/figure/figure_builder.h"
#include "core/trace/selection.h"

namespace moescope {

// Layer × expert heat map from a Result of `expert_norms`. Norms differ by little, so colours span smallest to largest.
// `rows`: the router row of each of the matrix's rows, for picks; nothing where there is none. `shown` = index of the
// matrix's row that the other figures show, its label is marked.
struct ExpertNormsOptions {
  std::vector<std::optional<std::uint32_t>> rows;
  std::optional<std::size_t> shown;
};
[[nodiscard]] MOESCOPE_API Figure expert_norms_figure(const ResultPtr& norms, const ExpertNormsOptions& options,
                                                      const Selection& selection, double width, double height);

// One layer's experts, in a figure that shows one layer.
struct LayerExpertsOptions {
  std::optional<std::uint32_t> row;  // its router row, for picks; none = no picks
  std::string layer_name;            // "L3"
};
// Singular values by rank, a line per expert, from a Result of `expert_spectra`. The value axis is logarithmic where
// values span more than a factor of 30.
[[nodiscard]] MOESCOPE_API Figure expert_spectra_figure(const ResultPtr& spectra, const LayerExpertsOptions& options,
                                                        const Selection& selection, double width, double height);
// Bars of a series with one value per expert ("stable_rank"), from zero, with the layer's mean dashed.
[[nodiscard]] MOESCOPE_API Figure expert_bars_figure(const ResultPtr& result, const std::string& series,
                                                     const LayerExpertsOptions& options, const Selection& selection,
                                                     double width, double height);

}  // namespace moescope
