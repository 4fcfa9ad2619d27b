// The matrix between two layers: expert i of one row against expert j of a later one, with the shares of both at its
// margins. Affinity view and reports. Pure function: any thread.
#pragma once

#include <string>

#include "core/figure/figure_builder.h"
#include "core/trace/selection.h"

namespace moescope {

struct AffinityMatrixOptions {
  enum class Measure : unsigned char { probability, lift, count };
  enum class Order : unsigned char { index, similarity };
  Measure measure = Measure::probability;
  Order order = Order::index;
  double fewest_expected = 5;  // lift cells with fewer pairs expected by chance are grey: too few to say
};

// `affinity` is a Result of `affinity`; which rows it joins is taken from its parameters. A selected link or selected
// experts of the two rows are marked with a cross-hair and chips.
[[nodiscard]] MOESCOPE_API Figure affinity_matrix_figure(const ResultPtr& affinity,
                                                         const AffinityMatrixOptions& options,
                                                         const Selection& selection, double width, double height);

// The router rows that a Result of `affinity` joins, from its parameters row and distance.
struct AffinityRows {
  std::uint32_t from = 0, to = 1;
};
[[nodiscard]] MOESCOPE_API AffinityRows affinity_rows(const Result& affinity);

}  // namespace moescope
