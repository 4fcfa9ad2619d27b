// The experts of one layer: bars for the filtered tokens against ticks for all tokens, with intervals and the uniform
// line. Below the heat map of the Experts view, and in reports. Pure function: any thread.
#pragma once

#include <string>

#include "core/figure/figure_builder.h"
#include "core/trace/selection.h"

namespace moescope {

struct LayerBarsOptions {
  std::uint32_t row = 0;
  bool by_load = true;      // else by index
  int category = -1;        // colour of the bars: a domain's; -1 = neutral
  std::string filter_name;  // what the bars stand for, "code"; empty = the filter's text, or "all tokens"
};

// `load` counts the filtered tokens, `all` the whole trace (may be null, or the same Result: then no ticks are drawn).
// Both are Results of `expert_load`.
[[nodiscard]] MOESCOPE_API Figure layer_bars_figure(const ResultPtr& load, const ResultPtr& all,
                                                    const LayerBarsOptions& options, const Selection& selection,
                                                    double width, double height);

}  // namespace moescope
