// The series over router rows that views and reports show, with the selected row marked. Pure, any thread.
#pragma once

#include <string>
#include <vector>

#include "core/figure/series_figure.h"
#include "core/trace/selection.h"

namespace moescope {

// Affinity strength by layer with its shuffle null, from a Result of `affinity`; the point of the selected link's or
// expert's row is marked. `mutual_information` chooses I(rank-1 experts) / ln E instead of the strength.
[[nodiscard]] MOESCOPE_API Figure affinity_strength_figure(const ResultPtr& affinity, bool mutual_information,
                                                           const Selection& selection, double width, double height,
                                                           const std::vector<std::string>& row_names = {});

// Routing entropy or margin by layer with quartiles, from a Result of `routing_entropy`.
[[nodiscard]] MOESCOPE_API Figure entropy_figure(const ResultPtr& routing_entropy, bool margin,
                                                 const Selection& selection, double width, double height,
                                                 const std::vector<std::string>& row_names = {});

}  // namespace moescope
