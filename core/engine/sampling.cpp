#include "core/engine/sampling.h"

#include <algorithm>
#include <cmath>

namespace moescope {

TokenSampler::TokenSampler(const GenerateOptions& options, std::uint64_t sequence)
    : temperature_(options.temperature),
      top_p_(options.top_p),
      random_(options.seed + 0x9E3779B97F4A7C15ULL * (sequence + 1)) {}

std::int32_t TokenSampler::next(std::span<const float> logits) {
  ranked_.clear();
  for (std::size_t i = 0; i < logits.size(); ++i) {
    if (!std::isnan(logits[i])) ranked_.emplace_back(logits[i], static_cast<std::int32_t>(i));
  }
  if (ranked_.empty()) return 0;
  const auto before = [](const auto& a, const auto& b) {
    return a.first > b.first || (a.first == b.first && a.second < b.second);
  };
  if (temperature_ <= 0.0) return std::min_element(ranked_.begin(), ranked_.end(), before)->second;
  std::sort(ranked_.begin(), ranked_.end(), before);
  const double top = static_cast<double>(ranked_.front().first);
  std::vector<double> weights;
  double sum = 0;
  for (const auto& [logit, id] : ranked_) {
    weights.push_back(std::exp((static_cast<double>(logit) - top) / temperature_));
    sum += weights.back();
  }
  double kept = 0;
  std::size_t count = 0;
  while (count < weights.size() && (count == 0 || kept < top_p_ * sum)) kept += weights[count++];
  // 53 bits: the same draw on every machine, which the library's distributions do not promise.
  double draw = static_cast<double>(random_() >> 11U) * 0x1.0p-53 * kept;
  for (std::size_t i = 0; i + 1 < count; ++i) {
    if (draw < weights[i]) return ranked_[i].second;
    draw -= weights[i];
  }
  return ranked_[count - 1].second;
}

Expected<void> check_generate(const GenerateOptions& options) {
  if (options.max_tokens < 1 || options.max_tokens > 1'000'000) {
    return fail(ErrorKind::usage, "the tokens to generate must be between 1 and 1,000,000", "max_tokens");
  }
  if (!(options.temperature >= 0.0 && options.temperature <= 100.0)) {
    return fail(ErrorKind::usage, "the temperature must be between 0 and 100", "temperature");
  }
  if (!(options.top_p > 0.0 && options.top_p <= 1.0)) {
    return fail(ErrorKind::usage, "top_p must be above 0 and at most 1", "top_p");
  }
  return {};
}

}  // namespace moescope
