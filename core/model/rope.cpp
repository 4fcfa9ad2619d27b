#include "core/model/rope.h"

#include <algorithm>
#include <cmath>
#include <numbers>
#include <utility>

namespace moescope {
namespace {

constexpr double two_pi = 2.0 * std::numbers::pi;

double llama3(const RopeSpec& spec, double inverse) {
  const double wavelength = two_pi / inverse;
  const double low = spec.original_positions / spec.low_frequency_factor;
  const double high = spec.original_positions / spec.high_frequency_factor;
  if (wavelength > low) return inverse / spec.factor;
  if (wavelength < high) return inverse;
  const double smooth = (spec.original_positions / wavelength - spec.low_frequency_factor) /
                        (spec.high_frequency_factor - spec.low_frequency_factor);
  return (1.0 - smooth) * inverse / spec.factor + smooth * inverse;
}

double yarn_factor(const RopeSpec& spec) {
  if (spec.attention_factor) return *spec.attention_factor;
  if (spec.mscale != 0.0 && spec.mscale_all_dim != 0.0) {
    return yarn_magnitude(spec.factor, spec.mscale) / yarn_magnitude(spec.factor, spec.mscale_all_dim);
  }
  return yarn_magnitude(spec.factor, 1.0);
}

double longrope_factor(const RopeSpec& spec, double original, double max_positions, bool is_long) {
  if (const auto& own = is_long ? spec.long_mscale : spec.short_mscale) return *own;
  if (spec.attention_factor) return *spec.attention_factor;
  const double ratio = max_positions / original;
  return ratio > 1.0 ? std::sqrt(1.0 + std::log(ratio) / std::log(original)) : 1.0;
}

}  // namespace

double yarn_magnitude(double factor, double m) {
  return factor <= 1.0 ? 1.0 : 0.1 * m * std::log(factor) + 1.0;
}

std::pair<double, double> yarn_range(const RopeSpec& spec, double original_positions) {
  const auto index = [&](double turns) {
    return spec.dims * std::log(original_positions / (turns * two_pi)) / (2.0 * std::log(spec.theta));
  };
  return {index(spec.beta_fast), index(spec.beta_slow)};
}

RopeFrequencies rope_frequencies(const RopeSpec& spec, std::uint32_t max_positions, std::uint64_t length) {
  const std::size_t half = spec.dims / 2;
  const double original = spec.original_positions > 0.0 ? spec.original_positions : max_positions;
  double theta = spec.theta;
  if (spec.scaling == RopeSpec::Scaling::dynamic && static_cast<double>(length) > original && spec.dims > 2) {
    const double stretch = spec.factor * static_cast<double>(length) / original - (spec.factor - 1.0);
    theta *= std::pow(stretch, spec.dims / (spec.dims - 2.0));
  }
  RopeFrequencies out;
  std::vector<double> inverse(half);
  for (std::size_t i = 0; i < half; ++i) {
    // Rounded as the models' own code rounds: angles of far positions magnify the last bit.
    const float exponent = 2.0F * static_cast<float>(i) / static_cast<float>(spec.dims);
    inverse[i] = 1.0F / std::pow(static_cast<float>(theta), exponent);
  }
  switch (spec.scaling) {
    case RopeSpec::Scaling::none:
    case RopeSpec::Scaling::dynamic:
      break;
    case RopeSpec::Scaling::linear:
      for (double& value : inverse) value /= spec.factor;
      break;
    case RopeSpec::Scaling::llama3:
      for (double& value : inverse) value = llama3(spec, value);
      break;
    case RopeSpec::Scaling::yarn: {
      auto [low, high] = yarn_range(spec, original);
      if (spec.truncate) {
        low = std::floor(low);
        high = std::ceil(high);
      }
      low = std::max(low, 0.0);
      high = std::min(high, spec.dims - 1.0);
      if (low == high) high += 0.001;
      for (std::size_t i = 0; i < half; ++i) {
        const double ramp = std::clamp((static_cast<double>(i) - low) / (high - low), 0.0, 1.0);
        inverse[i] = inverse[i] / spec.factor * ramp + inverse[i] * (1.0 - ramp);
      }
      out.factor = yarn_factor(spec);
      break;
    }
    case RopeSpec::Scaling::longrope: {
      const bool is_long = static_cast<double>(length) > original;
      const std::vector<double>& factors = is_long ? spec.long_factors : spec.short_factors;
      for (std::size_t i = 0; i < half && i < factors.size(); ++i) inverse[i] /= factors[i];
      out.factor = longrope_factor(spec, original, max_positions, is_long);
      break;
    }
  }
  out.inverse.assign(inverse.begin(), inverse.end());
  return out;
}

}  // namespace moescope
