// Layered graph of the strongest links between neighbouring rows: rows are columns of dots, links are curves as wide as
// their value; what touches the selection is in accent. Affinity view and reports. Pure function: any thread.
#pragma once

#include <string>
#include <vector>

#include "core/figure/figure_builder.h"
#include "core/trace/selection.h"

namespace moescope {

struct AffinityLinksOptions {
  std::uint32_t first_row = 0;
  std::uint32_t last_row = ~std::uint32_t{0};  // inclusive; clipped to the rows there are
  std::vector<std::string> row_names;          // of all rows of the trace; empty = "L0", "L1", …
  std::vector<std::uint32_t> experts;          // per row; empty = as many as the graph's nodes say
};

// `affinity` is a Result of `affinity` (graph `links`). Dots are experts in index order from top to bottom.
[[nodiscard]] MOESCOPE_API Figure affinity_links_figure(const ResultPtr& affinity, const AffinityLinksOptions& options,
                                                        const Selection& selection, double width, double height);

}  // namespace moescope
