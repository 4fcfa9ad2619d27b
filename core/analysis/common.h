// What the analyses of this folder share: names of rows and experts, parameters, small statistics, and the list of
// built-ins. Not for use outside core/analysis.
#pragma once

#include <array>
#include <cmath>
#include <cstdint>
#include <limits>
#include <span>
#include <string>
#include <vector>

#include "core/analysis/analysis.h"

namespace moescope {

inline constexpr double no_value = std::numeric_limits<double>::quiet_NaN();

// The built-in analyses, each in the file of its name.
[[nodiscard]] AnalysisSpec expert_load_analysis();
[[nodiscard]] AnalysisSpec routing_entropy_analysis();
[[nodiscard]] AnalysisSpec coactivation_analysis();
[[nodiscard]] AnalysisSpec affinity_analysis();
[[nodiscard]] AnalysisSpec domain_profile_analysis();
[[nodiscard]] AnalysisSpec expert_tokens_analysis();
[[nodiscard]] AnalysisSpec token_routes_analysis();
[[nodiscard]] AnalysisSpec token_loss_analysis();
[[nodiscard]] AnalysisSpec token_map_analysis();
[[nodiscard]] AnalysisSpec route_graph_analysis();

// "L3", with block and site where they are not the usual ones: "L3 attention", "L0 encoder".
[[nodiscard]] std::string row_name(const RouterRow& row);
[[nodiscard]] std::vector<std::string> row_names(const std::vector<RouterRow>& rows);
// "E00" … "E63".
[[nodiscard]] std::vector<std::string> expert_names(std::uint32_t experts);
[[nodiscard]] std::uint32_t most_experts(const std::vector<RouterRow>& rows);

// Text with every byte that is not UTF-8 replaced by U+FFFD: a token may be half a character.
[[nodiscard]] std::string valid_utf8(const std::string& text);

// The row that parameter `name` asks for; errors (usage) when the trace has no such row.
[[nodiscard]] Expected<std::uint32_t> row_parameter(const AnalysisInput& input, const char* name);
[[nodiscard]] ParameterSpec row_parameter_spec(const std::string& name, const std::string& help, int value);
// Whether the filter keeps a row.
[[nodiscard]] bool keeps_row(const AppliedFilter& filter, std::uint32_t row);
// The caveat for ids that no row has, to be added when `count` > 0.
void note_bad_ids(Result& result, std::uint64_t count);

// -sum p ln p of values that need not sum to 1; NaN when the sum is 0.
[[nodiscard]] double entropy_of(std::span<const double> weights);
// Quantile q (0..1) of sorted values, linear between neighbours; NaN when empty.
[[nodiscard]] double quantile(std::span<const double> sorted, double q);

// A small generator (xoshiro256**, seeded by splitmix64): the same draws on every machine and thread count.
class Random {
 public:
  explicit Random(std::uint64_t seed);
  [[nodiscard]] std::uint64_t next();
  // Uniform in [0, bound), bound > 0.
  [[nodiscard]] std::uint64_t below(std::uint64_t bound);
  // Uniform in [0, 1).
  [[nodiscard]] double uniform() { return static_cast<double>(next() >> 11U) * 0x1.0p-53; }

 private:
  std::array<std::uint64_t, 4> state_;
};

// One seed from several numbers, so that pieces of work draw independently of who does them.
[[nodiscard]] std::uint64_t mix_seed(std::uint64_t seed, std::uint64_t a, std::uint64_t b = 0);

// Fisher-Yates.
template <typename T>
void shuffle(std::span<T> values, Random& random) {
  for (std::size_t i = values.size(); i > 1; --i) std::swap(values[i - 1], values[random.below(i)]);
}

}  // namespace moescope
