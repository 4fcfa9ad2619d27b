// Layer × expert heat map of load: the Experts view and the report's first figure. Pure function: any thread.
// Rows are routers in execution order. Sorted by index, columns are experts; sorted by load, each row has its own order
// (no index is averaged across layers), so columns are ranks and cells carry the expert's number.
#pragma once

#include <utility>

#include "core/figure/figure_builder.h"
#include "core/trace/selection.h"

namespace moescope {

struct ExpertsOptions {
  enum class Measure : unsigned char { count, share, lift };
  enum class Sort : unsigned char { index, load };
  Measure measure = Measure::share;
  Sort sort = Sort::index;
  bool marginals = true;  // mean share per rank above (sorted by load), effective experts at the right
};

// `load` is a Result of `expert_load`: matrices count, share, lift [row × expert] and the table `balance`. Every row of
// the trace is a row of the matrices, so a row's number is ExpertRef::row; rows that a filter leaves out or that were
// not recorded are hatched. A Result without those matrices gives a figure that says so.
[[nodiscard]] MOESCOPE_API Figure experts_figure(const ResultPtr& load, const ExpertsOptions& options,
                                                 const Selection& selection, double width, double height);

// Left and right end of the columns of a heat map of this width, so that other figures can stand in line with them.
[[nodiscard]] MOESCOPE_API std::pair<double, double> expert_columns(const Matrix& share, double width, bool marginals);

}  // namespace moescope
