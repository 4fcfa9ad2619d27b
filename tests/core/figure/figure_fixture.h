// Results made by hand, with values whose order and totals are known, for the figures' tests.
#pragma once

#include <memory>
#include <string>

#include "core/analysis/result.h"
#include "core/figure/figure.h"

namespace moescope::test {

// expert_load of `rows` routers with `experts` each: expert e of row r has the load of rank (e·7 + 3·r) mod experts,
// falling geometrically. `absent` first rows are filtered out.
[[nodiscard]] ResultPtr load_result(std::size_t rows, std::size_t experts, std::size_t absent = 0);

// affinity from row 2 to 3 of `experts` each: block structure, so that similar rows exist; counts of about 200 per row.
[[nodiscard]] ResultPtr affinity_result(std::size_t experts, std::size_t rows = 6);
// token_routes of `tokens` tokens and `rows` rows from token `first` on; expert (token + 3·row) mod 16.
[[nodiscard]] ResultPtr routes_result(std::size_t rows, std::size_t tokens, std::size_t first = 100);
// domain_profile of 16 experts over six domains: expert 4 takes 36.8 % of "code".
[[nodiscard]] ResultPtr profile_result();
// expert_tokens: "," 336 times, then others, one of which is hostile markup.
[[nodiscard]] ResultPtr tokens_result();

// Writes an SVG for looking at, when the environment variable MOESCOPE_FIGURES names a folder.
void keep_svg(const Figure& figure, const std::string& name);

// Tags open and close in order and attributes are quoted; the error otherwise, empty when well formed.
[[nodiscard]] std::string xml_problem(const std::string& xml);

// Two texts that overlap by more than a pixel, as "a | b"; empty when there are none.
[[nodiscard]] std::string overlapping_texts(const Figure& figure);
// A mark that leaves the figure by more than a pixel, described; empty when there is none.
[[nodiscard]] std::string mark_outside(const Figure& figure);

}  // namespace moescope::test
