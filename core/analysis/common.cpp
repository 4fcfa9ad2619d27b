#include "core/analysis/common.h"

#include <fmt/format.h>
#include <utf8proc.h>

#include <algorithm>

namespace moescope {

std::string row_name(const RouterRow& row) {
  std::string name = "L" + std::to_string(row.layer);
  if (row.block != "decoder") name += " " + row.block;
  if (row.site != "mlp") name += " " + row.site;
  return name;
}

std::vector<std::string> row_names(const std::vector<RouterRow>& rows) {
  std::vector<std::string> names;
  names.reserve(rows.size());
  for (const auto& row : rows) names.push_back(row_name(row));
  return names;
}

std::vector<std::string> expert_names(std::uint32_t experts) {
  std::vector<std::string> names;
  for (std::uint32_t e = 0; e < experts; ++e) names.push_back(fmt::format("E{:02}", e));
  return names;
}

std::uint32_t most_experts(const std::vector<RouterRow>& rows) {
  std::uint32_t most = 0;
  for (const auto& row : rows) most = std::max(most, row.experts);
  return most;
}

std::string valid_utf8(const std::string& text) {
  std::string out;
  const auto* bytes = reinterpret_cast<const utf8proc_uint8_t*>(text.data());
  for (std::size_t at = 0; at < text.size();) {
    utf8proc_int32_t code = 0;
    const auto length = utf8proc_iterate(bytes + at, static_cast<utf8proc_ssize_t>(text.size() - at), &code);
    if (length > 0) {
      out.append(text, at, static_cast<std::size_t>(length));
      at += static_cast<std::size_t>(length);
    } else {
      out += "\xEF\xBF\xBD";
      ++at;
    }
  }
  return out;
}

Expected<std::uint32_t> row_parameter(const AnalysisInput& input, const char* name) {
  const auto value = input.params.at(name).get<std::int64_t>();
  const auto rows = static_cast<std::int64_t>(input.trace.rows().size());
  if (value < 0 || value >= rows) {
    return fail(ErrorKind::usage, fmt::format("the trace has no router row {}", value),
                fmt::format("parameter {}", name), fmt::format("Give a row from 0 to {}", rows - 1));
  }
  return static_cast<std::uint32_t>(value);
}

ParameterSpec row_parameter_spec(const std::string& name, const std::string& help, int value) {
  ParameterSpec spec{name, "int", help, value, {}};
  spec.minimum = 0;
  return spec;
}

bool keeps_row(const AppliedFilter& filter, std::uint32_t row) {
  const auto& rows = filter.filter.rows;
  return rows.empty() || std::find(rows.begin(), rows.end(), row) != rows.end();
}

void note_bad_ids(Result& result, std::uint64_t count) {
  if (count == 0) return;
  result.caveats.push_back(
      fmt::format("{} slots name an expert that its router does not have; they are not counted.", count));
}

double entropy_of(std::span<const double> weights) {
  double sum = 0;
  for (const double w : weights) sum += w;
  if (!(sum > 0)) return no_value;
  double entropy = 0;
  for (const double w : weights) {
    if (w > 0) entropy -= w / sum * std::log(w / sum);
  }
  return std::max(0.0, entropy);
}

double quantile(std::span<const double> sorted, double q) {
  if (sorted.empty()) return no_value;
  const double at = std::clamp(q, 0.0, 1.0) * static_cast<double>(sorted.size() - 1);
  const auto below = static_cast<std::size_t>(at);
  const std::size_t above = std::min(below + 1, sorted.size() - 1);
  return sorted[below] + (sorted[above] - sorted[below]) * (at - static_cast<double>(below));
}

namespace {

std::uint64_t splitmix(std::uint64_t& state) {
  state += 0x9E3779B97F4A7C15ULL;
  std::uint64_t z = state;
  z = (z ^ (z >> 30U)) * 0xBF58476D1CE4E5B9ULL;
  z = (z ^ (z >> 27U)) * 0x94D049BB133111EBULL;
  return z ^ (z >> 31U);
}

std::uint64_t rotate(std::uint64_t x, unsigned by) {
  return (x << by) | (x >> (64U - by));
}

}  // namespace

Random::Random(std::uint64_t seed) {
  for (auto& word : state_) word = splitmix(seed);
}

std::uint64_t Random::next() {
  const std::uint64_t result = rotate(state_[1] * 5, 7) * 9;
  const std::uint64_t shifted = state_[1] << 17U;
  state_[2] ^= state_[0];
  state_[3] ^= state_[1];
  state_[1] ^= state_[2];
  state_[0] ^= state_[3];
  state_[2] ^= shifted;
  state_[3] = rotate(state_[3], 45);
  return result;
}

std::uint64_t Random::below(std::uint64_t bound) {
  // High half of a 64 × 32-bit product: a bias below 2^-32 for the sizes here, and no division.
  if (bound <= 0xFFFFFFFFULL) return ((next() >> 32U) * bound) >> 32U;
  return next() % bound;
}

std::uint64_t mix_seed(std::uint64_t seed, std::uint64_t a, std::uint64_t b) {
  std::uint64_t state = seed;
  state = splitmix(state) ^ a;
  state = splitmix(state) ^ b;
  return splitmix(state);
}

}  // namespace moescope
