// Experts of one layer against each other: cosines of router rows or of weights, CKA. Weights view. Pure function: any
// thread.
#pragma once

#include <optional>
#include <string>

#include "core/figure/figure_builder.h"
#include "core/trace/selection.h"

namespace moescope {

struct ExpertMatrixOptions {
  std::string matrix;                // its name in the Result, [expert × expert]
  std::string value_name;            // "cosine"
  bool diverging = true;             // values on both sides of zero; else they are shown from zero
  bool by_similarity = false;        // order; else by index
  std::optional<std::uint32_t> row;  // router row of the layer: cells pick the expert of their row; none = no picks
  std::string layer_name;            // "L3"
  std::string margin;                // name of a series with a value per expert, shown as bars above; empty = none
};

// The diagonal is 1 by definition and stays blank; colours span what is beside it. Selected experts of the row are
// marked with a cross-hair and chips.
[[nodiscard]] MOESCOPE_API Figure expert_matrix_figure(const ResultPtr& result, const ExpertMatrixOptions& options,
                                                       const Selection& selection, double width, double height);

}  // namespace moescope
