// Small figures about one expert: what it fires on, its tokens, and what comes before and after it. Inspector and
// reports. Pure functions: any thread.
#pragma once

#include <string>
#include <vector>

#include "core/figure/figure_builder.h"

namespace moescope {

// Bars of one expert by tag value, with intervals and a dashed line at the even share 1/E, from a Result of
// `domain_profile`. Bars keep the colour of their value; `order` sorts them by size.
struct DomainProfileOptions {
  std::uint32_t expert = 0;
  bool by_size = true;
};
[[nodiscard]] MOESCOPE_API Figure domain_profile_figure(const ResultPtr& profile, const DomainProfileOptions& options,
                                                        double width, double height);

// Rows of token, bar, count and the share of the token's uses, from a Result of `expert_tokens`. As many as fit.
[[nodiscard]] MOESCOPE_API Figure top_tokens_figure(const ResultPtr& tokens, double width, double height);

// The strongest three predecessors and successors of an expert and the rest, as bands. `before` is a Result of
// `affinity` whose later row is the expert's, `after` one whose first row is; either may be null. Bands are shares of
// the expert's pairs, so each side sums to 1.
struct BeforeAfterOptions {
  ExpertRef expert;
  std::string row_name;  // "L3"
};
[[nodiscard]] MOESCOPE_API Figure before_after_figure(const ResultPtr& before, const ResultPtr& after,
                                                      const BeforeAfterOptions& options, double width, double height);

}  // namespace moescope
