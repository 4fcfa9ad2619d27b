// Traces with known truths, built in memory. Routes are [row][token] -> experts in rank order; a token may have fewer
// than the others, and an entry of `used` overrides how many are filled.
#pragma once

#include <cstdint>
#include <map>
#include <random>
#include <string>
#include <vector>

#include "core/analysis/analysis.h"

namespace moescope::planted {

using Routes = std::vector<std::vector<std::vector<std::uint32_t>>>;

struct Plan {
  std::vector<std::uint32_t> experts;  // E of each row
  Routes routes;
  std::vector<std::int32_t> sequences;                        // [token] or empty
  std::vector<std::int32_t> token_ids;                        // [token] or empty
  std::vector<std::int32_t> positions;                        // [token] or empty
  std::map<std::string, std::vector<std::int32_t>> tags;      // codes
  std::map<std::string, std::vector<std::string>> tag_names;  // of the codes
  std::vector<float> losses;                                  // [token] or empty
  std::vector<std::vector<std::uint8_t>> used;                // [row][token], or empty: then it is made where needed
  std::vector<std::vector<std::vector<float>>> weights;       // [row][token][slot] or empty
  std::vector<std::vector<std::vector<float>>> logits;        // [row][token][expert] or empty
  bool wide = false;                                          // 16-bit ids
  std::size_t segments = 1;                                   // cut into this many
  bool write_used = true;
};

Trace make_trace(const Plan& plan);

// `tokens` tokens of `rows` rows, every set of k of E equally likely, independent.
Plan uniform_plan(std::size_t rows, std::uint32_t experts, std::uint32_t k, std::size_t tokens, std::uint64_t seed);

// Sequences of `length` tokens each.
std::vector<std::int32_t> sequences_of(std::size_t tokens, std::size_t length);

AppliedFilter no_filter();
// Keeps the tokens for which keep(token) holds.
template <typename Keep>
AppliedFilter keep_tokens(std::size_t tokens, Keep keep) {
  AppliedFilter filter;
  filter.filter.text = "test";
  filter.mask.tokens = tokens;
  filter.mask.bits.assign((tokens + 63) / 64, 0);
  for (std::size_t t = 0; t < tokens; ++t) {
    if (!keep(t)) continue;
    filter.mask.bits[t / 64] |= std::uint64_t{1} << (t % 64);
    ++filter.mask.selected;
  }
  return filter;
}

// Runs and fails the test with the error's text when there is one.
Result run(const std::string& analysis, const Trace& trace, const nlohmann::json& params = nullptr,
           const AppliedFilter& filter = no_filter());

}  // namespace moescope::planted
